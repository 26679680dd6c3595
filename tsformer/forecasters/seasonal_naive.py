"""The seasonal naive forecast: what the last season brought, the next one brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from tsformer.data.panel import Panel
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import FitReport, inspect_panel, positive_integer
from tsformer.forecasters.density import ScoresDensity
from tsformer.forecasters.search_spaces import Range, season_lengths
from tsformer.types import Forecast


@dataclass(kw_only=True, eq=False, repr=False)
class SeasonalNaiveForecaster(ScoresDensity, Forecaster):
    """Repeats the last season; intervals are normal, as wide as its past errors.

    After Hyndman & Athanasopoulos, *Forecasting: Principles and Practice*, sections 5.2 and 5.5:
    `sigma * sqrt(k + 1)` after k whole seasons, sigma being the root mean square of the seasonal
    differences. A missing value is filled by the same phase of an earlier season, and a phase
    that was never seen by the last value. With no season it is the naive forecast.

    Args:
        max_history: steps at the end of each series that `fit` keeps; sigma comes from them.
    """

    max_history: int = 100_000

    def _check_parameters(self) -> None:
        super()._check_parameters()
        positive_integer("max_history", self.max_history)

    @property
    def _memory(self) -> int:
        return self.max_history

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        return inspect_panel(panel, self.season_length_, "season_length")

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        point, sigma = self._point_and_sigma(panel, horizon)
        seasons = np.arange(horizon) // self.season_length_
        width = sigma[:, None] * np.sqrt(seasons + 1)
        quantiles = point[:, :, None] + width[:, :, None] * ndtri(np.asarray(levels))
        return Forecast(mean=point, quantiles=quantiles, levels=levels)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        """Return paths in which each season starts from what the one before it drew."""
        point, sigma = self._point_and_sigma(panel, horizon)
        season = self.season_length_
        n_seasons = -(-horizon // season)
        shape = (len(panel), n_samples, n_seasons, season)
        shocks = self._generator().normal(size=shape).cumsum(axis=2)
        shocks = shocks.reshape(*shape[:2], -1)[:, :, :horizon]
        return point[:, None] + sigma[:, None, None] * shocks

    def _log_density(self, panel: Panel, truth: np.ndarray) -> np.ndarray:
        """Return log densities of what came, `[S, H]`, each given the season before it.

        A series that repeats itself exactly would give them no bound: sigma is at least a
        millionth of its largest value.
        """
        season = self.season_length_
        last, sigma = _last_season(panel, season), _seasonal_deviation(panel, season)
        largest = np.fmax(np.nanmax(np.abs(np.c_[last, truth]), axis=1), 1e-300)
        sigma = np.maximum(sigma, 1e-6 * largest)[:, None]
        expected = last
        for step in range(truth.shape[1]):  # a missing value is followed by the season before it
            known = np.where(np.isnan(truth[:, step]), expected[:, step], truth[:, step])
            expected = np.c_[expected, known]
        standard = (truth - expected[:, : truth.shape[1]]) / sigma
        return -0.5 * standard**2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)

    def _point_and_sigma(self, panel: Panel, horizon: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the forecasts, `[S, H]`, and the deviation of seasonal errors, `[S]`."""
        season = self.season_length_
        last, sigma = _last_season(panel, season), _seasonal_deviation(panel, season)
        return last[:, np.arange(horizon) % season], sigma

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        return {"season_length": season_lengths(panel)}

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    def _restore(self, state: dict[str, Any], tensors: dict[str, Any]) -> None:
        """Nothing is learned but the series."""


def _last_season(panel: Panel, season: int) -> np.ndarray:
    """Return the last known value of each phase, `[S, season]`, in order of time."""
    values = panel.values[0].astype(np.float64)
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    to_end = np.repeat(panel.offsets[1:], panel.lengths) - 1 - np.arange(len(values))
    phase = season - 1 - to_end % season
    known = np.isfinite(values)
    filled = np.full((len(panel), season), np.nan)
    # assigned in order of time, so that the last known value of each phase stays
    filled[series[known], phase[known]] = values[known]
    last = np.full(len(panel), np.nan)
    last[series[known]] = values[known]
    return np.where(np.isnan(filled), last[:, None], filled)


def _seasonal_deviation(panel: Panel, season: int) -> np.ndarray:
    """Return the root mean square of seasonal differences, `[S]`.

    A series that has none uses its differences from step to step, and one without those 0.
    """
    sigma = _difference_deviation(panel, season)
    return np.nan_to_num(np.where(np.isnan(sigma), _difference_deviation(panel, 1), sigma))


def _difference_deviation(panel: Panel, lag: int) -> np.ndarray:
    """Return the root mean square of differences at a lag, `[S]`, NaN where there is none."""
    return np.sqrt(panel.means(panel.changes(lag)[0] ** 2))
