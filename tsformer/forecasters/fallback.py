"""What is said about a series that has no value at all: what the others have taught."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tsformer.data.grid import as_python
from tsformer.data.panel import Panel
from tsformer.types import Forecast

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

_LEVELS = np.linspace(0.005, 0.995, 100)


@dataclass(frozen=True, kw_only=True)
class PooledValues:
    """The distribution of all values of the fitted panel.

    Attributes:
        mean: their mean.
        quantiles: `[100]`, at evenly spaced levels.
    """

    mean: float
    quantiles: np.ndarray

    @classmethod
    def of(cls, panel: Panel) -> PooledValues:
        """Return the distribution of a panel's values, at most a million evenly spread ones."""
        values = panel.values[np.isfinite(panel.values)].astype(np.float64)
        values = values[:: max(1, len(values) // 1_000_000)]
        return cls(mean=float(values.mean()), quantiles=np.quantile(values, _LEVELS))

    def forecast(self, n_series: int, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """Return the same distribution for every step of every series."""
        quantiles = np.interp(levels, _LEVELS, self.quantiles)
        return Forecast(
            mean=np.full((n_series, horizon), self.mean),
            quantiles=np.tile(quantiles, (n_series, horizon, 1)),
            levels=levels,
        )

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Return values drawn at random."""
        return np.interp(generator.random(shape), _LEVELS, self.quantiles)


def forecast_all(
    forecaster: Forecaster, panel: Panel, horizon: int, levels: tuple[float, ...]
) -> Forecast:
    """Return forecasts of all series; those without a recent value get the pooled distribution."""
    recent = panel.tail(forecaster._memory)
    known = np.flatnonzero(recent.known_counts)
    if len(known) == len(recent):
        return forecaster._forecast(recent, horizon, levels)
    filled = forecaster.pooled_.forecast(len(recent), horizon, levels)
    if len(known):
        forecast = forecaster._forecast(recent.select(known), horizon, levels)
        filled.mean[known], filled.quantiles[known] = forecast.mean, forecast.quantiles
    return filled


def sample_all(forecaster: Forecaster, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
    """Return paths of all series, `[S, n_samples, H]`, as `forecast_all` does."""
    recent = panel.tail(forecaster._memory)
    known = np.flatnonzero(recent.known_counts)
    shape = (len(recent), n_samples, horizon)
    paths = forecaster.pooled_.draw(shape, forecaster._generator())
    if len(known):
        paths[known] = forecaster._sample(recent.select(known), horizon, n_samples)
    return paths


def warn_of_unknown(panel: Panel, memory: int) -> None:
    """Name series without a value in their last `memory` steps to the caller's caller."""
    names = panel.ids[panel.tail(memory).known_counts == 0]
    if len(names):
        warnings.warn(
            f"{len(names)} series have no value in their last {memory} steps (the first is "
            f"{as_python(names[0])!r}); they get the distribution of all fitted values",
            stacklevel=4,  # this function, the method, its check of words
        )
