"""A search over parameters, trial by trial.

The tree-structured Parzen estimator (Bergstra et al. 2011) proposes; a trial that is worse than
the median of earlier ones at the same share of its training is stopped (Golovin et al. 2017).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from tsformer.forecasters.fallback import forecast_all
from tsformer.forecasters.held_out import METRICS, Window
from tsformer.forecasters.parameters import DECILES
from tsformer.forecasters.score import naive_errors
from tsformer.forecasters.search_spaces import Range, grid
from tsformer.forecasters.studies import LOOKS, from_stored, import_optuna, suggest, to_stored

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

_GLANCE = 512  # series that are forecast at a look
_SMALL = 100  # points of a space that is tried whole, each point once
_HOPELESS = 10  # trials that fail before the first that does not


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
            step = round(done * LOOKS)
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
