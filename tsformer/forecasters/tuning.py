"""The search for parameters that forecast best: trials on held out windows."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsformer.data.frame import read_panel
from tsformer.forecasters.checks import positive_integer, seed
from tsformer.forecasters.held_out import held_out_windows
from tsformer.forecasters.search import Search
from tsformer.forecasters.search_spaces import Range, space_of
from tsformer.forecasters.studies import describe, import_optuna, open_study
from tsformer.forecasters.words import known_words

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster


@dataclass(frozen=True, kw_only=True)
class TuningResult:
    """What a search found.

    Attributes:
        best_forecaster: with the best parameters; fitted to all of the data unless `refit=False`.
        best_params: the best values of the searched parameters.
        best_score: their score on the held out windows; less is better.
        trials: a row per trial, in the order they ran: `state` (`"complete"`, `"pruned"`,
            `"failed"`), `score` of a complete one, `seconds`, the searched parameters, and `error`,
            the message of a failed one.
    """

    best_forecaster: Any
    best_params: dict[str, Any]
    best_score: float
    trials: pd.DataFrame = field(repr=False)


@known_words
def tune(
    forecaster: Forecaster,
    df: Any,
    *,
    budget: int | str | timedelta,
    static_df: Any = None,
    space: Mapping[str, Range] | None = None,
    n_windows: int = 1,
    step_size: int | None = None,
    metric: Literal["crps", "mase"] = "crps",
    study: str | PathLike[str] | None = None,
    refit: bool = True,
    random_state: int = 0,
    notify: Callable[[str], None] | None = None,
) -> TuningResult:
    """Return the parameters that forecast the ends of the series best.

    Each trial fits a copy of the forecaster on nothing later than the first cut-off, and forecasts
    the windows after the cut-offs. The first trial has the parameters as they are, so that what is
    found is no worse on these windows. Once five trials are complete, one that trains is stopped
    where its forecasts of the first window fall behind. The forecaster itself stays as it is.

    Args:
        forecaster: what to tune; parameters that are not searched keep their values.
        df: the series.
        budget: a number of trials, or a duration, `"10min"` or a `timedelta`: no trial begins after
            it, and the last one is finished. A space of up to a hundred points ends the search
            once all of them were tried.
        static_df: the `static_covariates`, one row per series.
        space: ranges by parameter; None for `search_space(forecaster, df)`.
        n_windows: cut-offs per series, the last one `horizon` steps before its end.
        step_size: steps between cut-offs; None for `horizon`.
        metric: `"crps"`, the mean weighted quantile loss over the deciles, or `"mase"`.
        study: a file that keeps the trials: a later call with the same arguments, but for the
            budget, goes on from them. None keeps nothing.
        refit: whether the best forecaster is fitted to all of the data, after the budget.
        random_state: of the search; the same gives the same trials, also where a study was
            interrupted.
        notify: called with a line after each trial.

    Raises:
        ImportError: where the extra `tune` is not installed.
        ValueError, TypeError: for arguments or data that cannot be used, for a study of something
            else, and where all trials fail.
    """
    import_optuna()
    n_trials, seconds = read_budget(budget)
    forecaster._check_parameters()
    panel, layout = read_panel(df, forecaster._schema)
    panel = forecaster._with_static(panel, layout, static_df, forecaster._schema)
    step_size = forecaster.horizon if step_size is None else step_size
    search = Search(
        forecaster=forecaster,
        space=space_of(forecaster, panel, space),
        windows=held_out_windows(panel, forecaster.horizon, n_windows, step_size),
        metric=metric,
        seed=seed(random_state),
    )
    sizes = {"n_windows": int(n_windows), "step_size": int(step_size)}
    described = describe(forecaster, panel, search.space, metric=metric, **sizes)
    with open_study(study, described) as (opened, keep):
        for trial in search.run(opened, n_trials, seconds):
            keep(trial)
            if notify is not None:
                notify(search.line(opened))
        params, score, trials = search.result(opened)
    best = clone(forecaster).set_params(**params)
    if refit:
        best.fit(df, static_df=static_df)
    return TuningResult(best_forecaster=best, best_params=params, best_score=score, trials=trials)


def read_budget(budget: Any) -> tuple[float, float]:
    """Return the most trials and the most seconds, one of them without bound.

    Raises:
        TypeError, ValueError: for what is neither a count nor a duration above 0.
    """
    if not isinstance(budget, str | timedelta | np.timedelta64):
        return positive_integer("budget", budget), math.inf
    remedy = "pass a number of trials, or a duration such as '10min' or '2h'"
    if isinstance(budget, str) and not re.search(r"[a-zA-Z:]", budget):
        raise ValueError(f"budget={budget!r} has no unit; {remedy}")  # pandas: nanoseconds
    try:
        seconds = pd.Timedelta(budget).total_seconds()
    except ValueError as error:
        raise ValueError(f"budget={budget!r} is no duration; {remedy}") from error
    if not seconds > 0:
        raise ValueError(f"budget={budget!r} must be above 0; {remedy}")
    return math.inf, seconds
