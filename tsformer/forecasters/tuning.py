"""The search for parameters: trials on held out windows, proposed and stopped by Optuna.

The tree-structured Parzen estimator (Bergstra et al. 2011) proposes; a trial that is worse than
the median of earlier ones at the same share of its training is stopped (Golovin et al. 2017).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsformer.data.frame import read_panel
from tsformer.data.panel import Panel
from tsformer.forecasters.checks import positive_integer, seed
from tsformer.forecasters.fallback import forecast_all
from tsformer.forecasters.parameters import DECILES
from tsformer.forecasters.score import naive_errors, split_last
from tsformer.forecasters.search_spaces import Choice, IntRange, Range, grid, space_of
from tsformer.forecasters.words import known_words

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

_LOOKS = 20  # at most, in the course of one training
_GLANCE = 512  # series that are forecast at a look
_UNPRUNED = 5  # trials that complete before one is stopped
_SMALL = 100  # points of a space that is tried whole, each point once
_HOPELESS = 10  # trials that fail before the first that does not


# What a caller sees


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


# How a trial is judged


@dataclass(frozen=True, kw_only=True)
class Window:
    """What may be known of each series at its cut-off, and what came: `[S * C, H]`, raw units."""

    history: Panel
    truth: np.ndarray

    def some(self, n_series: int) -> Window:
        """Return at most so many series, evenly spread."""
        total = len(self.history)
        if total <= n_series:
            return self
        chosen = np.linspace(0, total - 1, n_series).round().astype(np.int64)
        truth = self.truth.reshape(total, -1, self.truth.shape[1])[chosen]
        truth = truth.reshape(-1, truth.shape[2])
        return Window(history=self.history.select(chosen), truth=truth)


def held_out_windows(panel: Panel, horizon: int, n_windows: int, step_size: int) -> list[Window]:
    """Return the windows after each cut-off, the earliest first.

    Raises:
        ValueError: where no series is long enough for one of them.
    """
    later = np.arange(positive_integer("n_windows", n_windows))[::-1]
    steps = later * positive_integer("step_size", step_size)
    split = [split_last(panel.head(panel.lengths - step), horizon) for step in steps]
    if not any(np.isfinite(truth).any() for _, truth in split):
        raise ValueError("no series has a value in the held out windows; pass longer series")
    return [Window(history=history, truth=truth) for history, truth in split]


def weighted_quantile_loss(truth: np.ndarray, quantiles: np.ndarray, _: np.ndarray) -> float:
    """Return the mean over the deciles of the quantile loss divided by the mean absolute value.

    Args:
        truth: `[W, H]`, NaN = missing.
        quantiles: `[W, H, 9]`.
    """
    known, levels = np.isfinite(truth), np.asarray(DECILES)
    errors = truth[known][:, None] - quantiles[known]
    losses = 2 * np.maximum(levels * errors, (levels - 1) * errors)
    return float(losses.mean(axis=1).sum() / (np.abs(truth[known]).sum() or 1.0))


def scaled_error(truth: np.ndarray, quantiles: np.ndarray, scale: np.ndarray) -> float:
    """Return the mean absolute error of the median, each in units of its `scale`, `[W]`."""
    errors = np.abs(truth - quantiles[:, :, DECILES.index(0.5)]) / scale[:, None]
    return float(errors[np.isfinite(truth)].mean())


METRICS = {"crps": weighted_quantile_loss, "mase": scaled_error}


@dataclass(frozen=True, kw_only=True)
class Search:
    """What is searched, and how."""

    forecaster: Forecaster
    space: dict[str, Range]
    windows: list[Window]
    metric: str
    seed: int

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            known = " or ".join(map(repr, METRICS))
            raise ValueError(f"metric={self.metric!r} is unknown; choose {known}")

    def run(self, study: Any, n_trials: float, seconds: float) -> Iterator[Any]:
        """Yield ended trials until the budget is spent or there is no sense in another."""
        began, number = time.monotonic(), 0
        while number < n_trials and (number == 0 or time.monotonic() - began < seconds):
            trial = self._next(study)
            if trial is None:
                return
            self._try(study, trial)
            yield study.get_trials(deepcopy=False)[-1]
            number += 1

    def _next(self, study: Any) -> Any:
        """Return the next trial, or None where there is no sense in another.

        What it tries depends only on the seed and on the trials that ended before, so that an
        interrupted search goes on as if it had not been.
        """
        ended = study.get_trials(deepcopy=False)
        if len(ended) >= _HOPELESS and all(trial.state.name == "FAIL" for trial in ended):
            return None
        draw = np.random.SeedSequence([self.seed, len(ended)])
        if not ended:
            study.enqueue_trial(self._own, user_attrs={"own": True})
        elif (points := grid(self.space, _SMALL)) is not None:
            tried = [trial.params for trial in ended]
            stored = [{n: to_stored(self.space[n], v) for n, v in p.items()} for p in points]
            left = [point for point in stored if point not in tried]
            if not left:
                return None
            study.enqueue_trial(left[np.random.default_rng(draw).integers(len(left))])
        study.sampler = import_optuna().samplers.TPESampler(
            seed=int(draw.generate_state(1)[0]), constant_liar=False
        )
        return study.ask()

    def _try(self, study: Any, trial: Any) -> None:
        """Run a trial and tell the study how it ended; one that is interrupted does not count."""
        optuna = import_optuna()
        for name in self._own if trial.user_attrs.get("own") else self.space:
            suggest(trial, name, self.space[name])
        try:
            candidate = clone(self.forecaster).set_params(**self._params(trial.params))
            score = self._score(candidate, trial)
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        except Exception as error:  # whatever it is, other parameters may do
            trial.set_user_attr("error", f"{type(error).__name__}: {error}")
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, score)

    @property
    def _own(self) -> dict[str, Any]:
        """Those of the forecaster's own parameters that lie in the space, as a study has them."""
        own = self.forecaster.get_params()
        return {n: to_stored(one, own[n]) for n, one in self.space.items() if own[n] in one}

    def _params(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's parameters; what the study does not have is the forecaster's own."""
        params = {name: self.forecaster.get_params()[name] for name in self.space}
        return params | {n: from_stored(self.space[n], value) for n, value in stored.items()}

    def _score(self, candidate: Any, trial: Any) -> float:
        """Return the score of a forecaster that is fitted up to the first cut-off."""
        glance, seen = self.windows[0].some(_GLANCE), set()

        def look(done: float) -> None:
            step = round(done * _LOOKS)
            if step not in seen:
                seen.add(step)
                trial.report(self._error(candidate, [glance]), step)
                if trial.should_prune():
                    raise import_optuna().TrialPruned

        candidate._check_parameters()
        candidate._watch = look
        candidate.fit_panel(self.windows[0].history)
        score = self._error(candidate, self.windows)
        if not math.isfinite(score):
            raise ValueError(f"a forecast is not finite: {self.metric} is {score}")
        return score

    def _error(self, candidate: Any, windows: list[Window]) -> float:
        histories = [window.history for window in windows]
        forecasts = [forecast_all(candidate, h, candidate.horizon, DECILES) for h in histories]
        return METRICS[self.metric](
            np.concatenate([window.truth for window in windows]),
            np.concatenate([forecast.quantiles for forecast in forecasts]),
            np.concatenate([naive_errors(history) for history in histories]),
        )

    def line(self, study: Any) -> str:
        """Return what the last trial brought."""
        trials = study.get_trials(deepcopy=False)
        last, best = trials[-1], min((t.value for t in trials if _complete(t)), default=math.nan)
        error = last.user_attrs.get("error", "stopped")
        found = f"{self.metric} {last.value:.4g}" if _complete(last) else error
        seconds = last.duration.total_seconds()
        return f"trial {len(trials)}: {found}, {seconds:.1f} s (best {best:.4g})"

    def result(self, study: Any) -> tuple[dict[str, Any], float, pd.DataFrame]:
        """Return the best parameters, their score, and all trials.

        Raises:
            ValueError: where no trial is complete.
        """
        ended, table = study.get_trials(deepcopy=False), self._table(study)
        if table["score"].isna().all():
            raise ValueError(f"all {len(ended)} trials failed; the first: {table['error'][0]}")
        best = int(table["score"].argmin())
        return self._params(ended[best].params), float(table["score"][best]), table

    def _table(self, study: Any) -> pd.DataFrame:
        words = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
        rows = [
            {
                "state": words[trial.state.name],
                "score": trial.value if _complete(trial) else math.nan,
                "seconds": trial.duration.total_seconds(),
                **self._params(trial.params),
                "error": trial.user_attrs.get("error", ""),
            }
            for trial in study.get_trials(deepcopy=False)
        ]
        table = pd.DataFrame(rows, dtype=object)  # else None among numbers would become NaN
        plain = [name for name in table if not table[name].isna().any() or name == "score"]
        return table.astype({name: table[name].infer_objects().dtype for name in plain})


def _complete(trial: Any) -> bool:
    return bool(trial.state.name == "COMPLETE")


# What knows Optuna


def import_optuna() -> Any:
    """Return Optuna, an extra.

    Raises:
        ImportError: where it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("tuning needs optuna: pip install 'tsformer[tune]'") from error
    return optuna


def suggest(trial: Any, name: str, values: Range) -> None:
    """Let a trial choose one of a range; of a `Choice`, which may hold anything, its number."""
    if isinstance(values, Choice):
        trial.suggest_categorical(name, list(range(len(values.values))))
    elif isinstance(values, IntRange):
        trial.suggest_int(name, values.low, values.high, step=values.step, log=values.log)
    else:
        trial.suggest_float(name, values.low, values.high, log=values.log)


def to_stored(values: Range, value: Any) -> Any:
    """Return how a study has a value of a range."""
    if isinstance(values, Choice):
        return values.values.index(value)
    return int(value) if isinstance(values, IntRange) else float(value)


def from_stored(values: Range, stored: Any) -> Any:
    """Return the value of a range that a study has as `stored`."""
    return values.values[stored] if isinstance(values, Choice) else stored


@contextmanager
def open_study(
    file: str | PathLike[str] | None, description: dict[str, Any]
) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Yield a study with the trials that a file has, and what writes another trial to the file.

    The study itself is in memory, and Optuna silent. The file is a database of SQLite, which an
    interrupted program cannot damage; only whole trials are written.

    Raises:
        ValueError: for a file that is something else, or a study of something else.
    """
    optuna = import_optuna()
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        pruner = optuna.pruners.MedianPruner(_UNPRUNED, n_warmup_steps=_LOOKS // 4)
        study = optuna.create_study(pruner=pruner)
        if file is None:
            yield study, lambda trial: None
            return
        with _open_storage(Path(file)) as storage:
            kept = optuna.create_study(storage=storage, study_name="tsformer", load_if_exists=True)
            _refuse_other(file, kept.user_attrs.get("description", description), description)
            kept.set_user_attr("description", description)
            study.add_trials(kept.get_trials())
            yield study, kept.add_trial
    finally:
        optuna.logging.set_verbosity(loud)


def _refuse_other(file: Any, then: dict[str, Any], now: dict[str, Any]) -> None:
    for name in then | now:
        if then.get(name) != now.get(name):
            raise ValueError(
                f"study={str(file)!r} was made with {name}={then.get(name)!r}, this is "
                f"{name}={now.get(name)!r}; pass the same as then, or another file"
            )


@contextmanager
def _open_storage(path: Path) -> Iterator[Any]:
    if path.exists() and not _is_database(path):
        raise ValueError(f"study={str(path)!r} is not the file of a study; pass another name")
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    storage = import_optuna().storages.RDBStorage(f"sqlite:///{path.absolute()}")
    try:
        yield storage
    finally:
        storage.engine.dispose()  # so that the file can be moved


def _is_database(path: Path) -> bool:
    if path.is_dir():
        return False
    with path.open("rb") as content:
        return content.read(15) in (b"", b"SQLite format 3")


def describe(
    forecaster: Forecaster, panel: Panel, space: Mapping[str, Range], **judged: Any
) -> dict[str, Any]:
    """Return what must be the same for a study to go on, as JSON has it."""
    described = {
        "forecaster": type(forecaster).__name__,
        **forecaster.get_params(),
        **{f"space[{name!r}]": _as_json(values) for name, values in space.items()},
        **judged,
        "data": _digest(panel),
    }
    return dict(json.loads(json.dumps(described, default=_as_json)))


def _digest(panel: Panel) -> str:
    kinds = (panel.past_covariates, panel.future_covariates, panel.static_covariates)
    covariates = [kind.values for kind in kinds if kind is not None]
    found = hashlib.sha256(repr((panel.ids.tolist(), panel.freq)).encode())
    for array in (panel.values, panel.offsets, panel.starts, *covariates):
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()[:16]


def _as_json(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return re.sub(r" at 0x\w+", "", repr(value))  # an object's address is not the same next time
