"""Intervals that hold what they promise, around any forecaster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, Literal, Self, get_args

import numpy as np
import pandas as pd
import torch

from tsformer.data.grid import as_python
from tsformer.data.panel import Panel
from tsformer.forecasters.checks import FitReport, positive_integer
from tsformer.forecasters.conformal_judging import judge, plan, spread_of, wait_on
from tsformer.forecasters.conformal_paths import transport
from tsformer.forecasters.conformal_replay import follow, leave_out
from tsformer.forecasters.conformal_scores import LEVELS, Correction, Judged
from tsformer.forecasters.coverage import coverage_of
from tsformer.forecasters.fallback import forecast_all, sample_all
from tsformer.forecasters.wrapping import WrappingForecaster
from tsformer.types import Forecast

Method = Literal["split", "adaptive"]

_TRUST = 0.5  # in the bias of a model that is fitted anew
_REPORTED = (50, 80, 90)  # percent


@dataclass(kw_only=True, eq=False, repr=False)
class ConformalForecaster(WrappingForecaster):
    """Corrects a forecaster's quantiles by the errors that it makes on held out cut-offs.

    A copy of the forecaster, fitted to what precedes the first of these cut-offs, forecasts from
    each; by what is then known each quantile is corrected at each step of the horizon, all series
    together (conformalised quantile regression, Romano et al. 2019). Of forecasts that err as
    those did, 80 % of the values will lie within an 80 % interval; if the world changes, they err
    otherwise. The method `"adaptive"` therefore follows the share of values that intervals missed,
    in order of time, through the held out cut-offs and then with every `update`, by a form of
    adaptive conformal inference (Gibbs & Candès 2021, Angelopoulos et al. 2023).

    The mean stays as it is. `coverage_` tells, as `coverage_report` does, how often the held out
    values lay within intervals that were corrected without knowing them.

    Args:
        forecaster: any forecaster, with its horizon, its quantiles and all else.
        method: `"split"`, or `"adaptive"`.
        n_windows: cut-offs per series; None for at most 40 in the last quarter of a typical
            series, but not more than its last twenty horizons. Each costs a forecast.
        step_size: steps between cut-offs; None for as many as spread them over that time, at
            least a quarter of the horizon. For updates, None is the horizon.
        refit: whether the forecaster is fitted again, to all data, once it is known how to correct
            it. What is promised holds for the very copy that was judged, whose forecasts start
            from the latest values all the same; a new one learns from the held out time, too,
            but it errs otherwise, and may have become surer or less sure of itself.
        learning_rate: how fast `"adaptive"` follows.
    """

    method: Method = "split"
    n_windows: int | None = None
    step_size: int | None = None
    refit: bool = False
    learning_rate: float = 1.0

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.method not in get_args(Method):
            known = ", ".join(map(repr, get_args(Method)))
            raise ValueError(f"method={self.method!r} is unknown; choose one of {known}")
        for name in ("n_windows", "step_size"):
            if getattr(self, name) is not None:
                positive_integer(name, getattr(self, name))
        if not isinstance(self.refit, bool | np.bool_):
            raise TypeError(f"refit={self.refit!r} must be True or False")
        rate: Any = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, Real):
            raise TypeError(f"learning_rate={rate!r} must be a number")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate={rate} must be above 0")

    @property
    def _adaptive(self) -> bool:
        return self.method == "adaptive"

    @property
    def _memory(self) -> int:
        # forecasts that are judged at an update were made up to a horizon earlier
        return super()._memory + (self.forecaster_.horizon if self._adaptive else 0)

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        n_cutoffs, apart = plan(panel.lengths, self.horizon, self.n_windows, self.step_size)
        judged, series = self._hold_out(panel, n_cutoffs, apart, val_size)
        in_horizons = apart / self.horizon
        learn = partial(Correction.of, apart=in_horizons, trust=_TRUST if self.refit else 1.0)
        rate = self._rate(in_horizons)
        self.correction_ = follow(learn(judged), judged, rate)
        self.coverage_ = coverage_of(
            judged.truth, leave_out(judged, learn, rate), LEVELS, _REPORTED
        )
        self.waiting_ = np.zeros(len(panel), dtype=np.int64)
        if self.refit:
            self.forecaster_ = self._fit_inside(panel, val_size)
        self.forecaster_.panel_ = panel.tail(self.forecaster_._memory)
        self.forecaster_.pooled_ = self.pooled_
        return self._report(panel, series)

    def _rate(self, apart: float) -> float:
        """Return how fast to follow cut-offs so many horizons apart: slower where they overlap."""
        return self.learning_rate * min(1.0, apart) if self._adaptive else 0.0

    def _hold_out(
        self, panel: Panel, n_cutoffs: int, apart: int, val_size: int | np.ndarray | None
    ) -> tuple[Judged, np.ndarray]:
        """Fit to what precedes the first cut-off; return the forecasts from all, and their series.

        A series takes part from where what precedes a cut-off is no shorter than the horizon.
        """
        parts: list[Judged] = []
        taking_part: list[np.ndarray] = []
        for number in range(n_cutoffs):
            cutoffs = panel.lengths - self.horizon - (n_cutoffs - 1 - number) * apart
            known = panel.head(cutoffs).known_counts > 0
            chosen = np.flatnonzero(known & (cutoffs >= self.horizon))
            if len(chosen) == 0:
                continue
            some, cutoffs = panel.select(chosen), cutoffs[chosen]
            if not parts:
                size = None if isinstance(val_size, np.ndarray) else val_size
                self.forecaster_ = self._fit_inside(some.cut(cutoffs, self.horizon), size)
            parts.append(judge(self.forecaster_, some, cutoffs, number))
            taking_part.append(chosen)
        if not any(np.isfinite(part.truth).any() for part in parts):
            raise ValueError(
                f"nothing to calibrate on: no series has values in its last horizon="
                f"{self.horizon} steps and as many before (the longest has {panel.lengths.max()} "
                "steps); pass longer series, or a shorter horizon"
            )
        return Judged.together(parts), np.unique(np.concatenate(taking_part))

    def _report(self, panel: Panel, series: np.ndarray) -> FitReport:
        report, left_out = self.forecaster_.fit_report_, np.delete(panel.ids, series)
        if len(left_out) == 0:
            return report
        remark = {"too short to calibrate on": [as_python(name) for name in left_out]}
        return replace(report, remarks=report.remarks | remark)

    def update_panel(self, panel: Panel) -> Self:
        """Go on with a panel that continues the fitted one; return self.

        What is now known of earlier forecasts, made a horizon or `step_size` apart since `fit`,
        counts with the method `"adaptive"`.
        """
        if self._adaptive:
            horizon = self.forecaster_.horizon
            apart = int(self.step_size or horizon)
            waiting = wait_on(self.waiting_, self.panel_, panel)
            while (due := np.flatnonzero(waiting >= horizon)).size:
                some = panel.select(due)
                judged = judge(self.forecaster_, some, some.lengths - waiting[due])
                self.correction_ = self.correction_.tracked(judged, self._rate(apart / horizon))
                waiting[due] -= apart
            self.waiting_ = waiting
        return super().update_panel(panel)

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        forecast = forecast_all(self.forecaster_, panel, horizon, tuple(sorted({*LEVELS, *levels})))
        return self._corrected(panel, forecast).select(levels)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        forecast = forecast_all(self.forecaster_, panel, horizon, LEVELS)
        paths = sample_all(self.forecaster_, panel, horizon, n_samples)
        return transport(paths, forecast.quantiles, self._corrected(panel, forecast).quantiles)

    def _corrected(self, panel: Panel, forecast: Forecast) -> Forecast:
        quantiles = self.correction_.apply(
            forecast.quantiles, spread_of(self.forecaster_, panel, forecast), forecast.levels
        )
        return replace(forecast, quantiles=quantiles)

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        state, tensors = super()._state()
        arrays = {"waiting": self.waiting_, **vars(self.correction_)}
        state["coverage_"] = {
            name: [None if value != value else value for value in column]
            for name, column in self.coverage_.to_dict("list").items()
        }
        return state, tensors | {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        super()._restore(state, tensors)
        parts = {name: tensors[name].numpy() for name in ("shifts", "stretch")}
        self.correction_, self.waiting_ = Correction(**parts), tensors["waiting"].numpy()
        numbers = {"coverage": float, "width": float}  # None is NaN
        self.coverage_ = pd.DataFrame(state["coverage_"]).astype(numbers)
