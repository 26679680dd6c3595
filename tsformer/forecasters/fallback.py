"""What is said about a series that has no value at all: what the others have taught."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tsformer.data.grid import as_python
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.types import Forecast

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

_LEVELS = np.linspace(0.005, 0.995, 100)
_POOLED = 200_000  # values; to sort more takes long


@dataclass(frozen=True, kw_only=True)
class PooledValues:
    """The distribution of all values of the fitted panel, by variate.

    Attributes:
        mean: `[C]`, their means.
        quantiles: `[C, 100]`, at evenly spaced levels.
    """

    mean: np.ndarray
    quantiles: np.ndarray

    @classmethod
    def of(cls, panel: Panel) -> PooledValues:
        """Return the distribution of a panel's values; quantiles are of 200,000 drawn at most."""
        known = [values[np.isfinite(values)] for values in panel.values]
        return cls(
            mean=np.array([values.astype(np.float64).mean() for values in known]),
            quantiles=np.stack([np.quantile(_drawn(values), _LEVELS) for values in known]),
        )

    def forecast(self, n_series: int, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """Return the same distribution for every step of every series, `[S * C, H]`."""
        quantiles = np.stack([np.interp(levels, _LEVELS, known) for known in self.quantiles])
        return Forecast(
            mean=np.tile(self.mean[:, None], (n_series, horizon)),
            quantiles=np.tile(quantiles[:, None], (n_series, horizon, 1)),
            levels=levels,
        )

    def draw(
        self, n_series: int, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        """Return values drawn at random, `[S * C, *shape]`."""
        drawn = [
            np.interp(generator.random((n_series, *shape)), _LEVELS, known)
            for known in self.quantiles
        ]
        return np.stack(drawn, axis=1).reshape(-1, *shape)


def _drawn(values: np.ndarray) -> np.ndarray:
    """Return the values, or so many drawn at random: every n-th might be of one hour of the day."""
    if len(values) > _POOLED:
        values = values[np.random.default_rng(0).integers(len(values), size=_POOLED)]
    return values.astype(np.float64)


def forecast_all(
    forecaster: Forecaster, panel: Panel, horizon: int, levels: tuple[float, ...]
) -> Forecast:
    """Return forecasts of all series, a row per variate, `[S * C, H]`.

    Those without a recent value get the pooled distribution.
    """
    recent = _recent(forecaster, panel, horizon)
    rows = _rows_with_values(recent)
    if rows.all():
        return forecaster._forecast(recent, horizon, levels)
    filled = forecaster.pooled_.forecast(len(panel), horizon, levels)
    if rows.any():
        chosen = recent.select(np.flatnonzero(recent.known_counts))
        forecast, there = forecaster._forecast(chosen, horizon, levels), _rows_with_values(chosen)
        filled.mean[rows], filled.quantiles[rows] = forecast.mean[there], forecast.quantiles[there]
    return filled


def sample_all(forecaster: Forecaster, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
    """Return paths of all series, `[S * C, n_samples, H]`, as `forecast_all` does."""
    recent = _recent(forecaster, panel, horizon)
    shape = (n_samples, horizon)
    paths = forecaster.pooled_.draw(len(panel), shape, forecaster._generator())
    rows = _rows_with_values(recent)
    if rows.any():
        chosen = recent.select(np.flatnonzero(recent.known_counts))
        sampled = forecaster._sample(chosen, horizon, n_samples)
        paths[rows] = sampled[_rows_with_values(chosen)]
    return paths


def _recent(forecaster: Forecaster, panel: Panel, horizon: int) -> Panel:
    """Return what a forecast looks back on, variates together or apart, as they were learned.

    Raises:
        ValueError: where future covariates are not known.
    """
    coming = 0 if panel.coming is None else panel.coming.shape[-1]
    if panel.future_covariates is not None and coming < horizon:
        raise ValueError(
            f"future_covariates={list(panel.future_covariates.names)} are not known for the steps "
            f"to come, but for {coming} of {horizon}; use predict with future_df, or "
            "cross_validation"
        )
    recent = panel.tail(forecaster._reach)
    return recent if forecaster._jointly else recent.univariate()


def _rows_with_values(panel: Panel) -> np.ndarray:
    """Return whether a variate has any value, `[S * C]`."""
    return panel.univariate().known_counts > 0


def warn_of_unknown(panel: Panel, layout: Layout, memory: int) -> None:
    """Name what has no value in its last `memory` steps, series or target, to the caller's caller.

    Args:
        panel: the series.
        layout: names the targets where there are several.
        memory: steps at the end, one of which needs a value.
    """
    unknown = np.flatnonzero(~_rows_with_values(panel.tail(memory)))
    if len(unknown):
        series, variate = divmod(int(unknown[0]), panel.n_variates)
        first = repr(as_python(panel.ids[series]))
        if layout.variates:
            first = f"{layout.variates[variate]!r} of {first}"
        warnings.warn(
            f"{len(unknown)} {'targets' if layout.variates else 'series'} have no value in their "
            f"last {memory} steps (the first is {first}); they get the distribution of all fitted "
            "values",
            stacklevel=4,  # this function, the method, its check of words
        )
