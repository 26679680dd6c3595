"""What is said about a series that has no value at all: what the others have taught."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsformer.data.panel import Panel
from tsformer.types import Forecast

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

    @staticmethod
    def forecastable(panel: Panel) -> np.ndarray:
        """Return the numbers of the series that have a value."""
        return np.flatnonzero(panel.known_counts > 0)

    def fill(
        self, panel: Panel, forecast: Forecast | None, horizon: int, levels: tuple[float, ...]
    ) -> Forecast:
        """Return forecasts of the whole panel from those of its forecastable series."""
        mean = np.full((len(panel), horizon), self.mean)
        pooled = np.interp(levels, _LEVELS, self.quantiles)
        quantiles = np.tile(pooled, (len(panel), horizon, 1))
        if forecast is not None:
            known = self.forecastable(panel)
            mean[known], quantiles[known] = forecast.mean, forecast.quantiles
        return Forecast(mean=mean, quantiles=quantiles, levels=levels)

    def fill_samples(
        self, panel: Panel, paths: np.ndarray, horizon: int, generator: np.random.Generator
    ) -> np.ndarray:
        """Return paths of the whole panel from those of its forecastable series."""
        drawn = generator.random((len(panel), paths.shape[1], horizon))
        filled = np.interp(drawn, _LEVELS, self.quantiles)
        filled[self.forecastable(panel)] = paths
        return filled
