"""Forecasters that say how likely they held what came."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from tsformer.data.panel import Panel
from tsformer.forecasters.answers import variate_column, variate_rows
from tsformer.forecasters.checks import refuse_unfitted
from tsformer.forecasters.history import read_like
from tsformer.forecasters.score import split_last
from tsformer.forecasters.words import known_words

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster


class ScoresDensity(ABC):
    """What such a forecaster offers beside forecasts."""

    @abstractmethod
    def _log_density(self, panel: Panel, truth: np.ndarray) -> np.ndarray:
        """Return the densities of a panel that is no longer than what is remembered."""

    def log_density_panel(self: Any, panel: Panel, truth: np.ndarray) -> np.ndarray:
        """Return log densities of what came after a panel's ends, `[S * C, H]`, NaN for missing.

        The density of a value, in the units of the series, given all values before it; the sum
        over the horizon is the log density of the whole. Of a series without a recent value
        nothing is known: NaN.

        Args:
            panel: what was known.
            truth: `[S * C, H]`, raw units, NaN = missing.
        """
        recent = panel.univariate().tail(self._memory)
        known = np.flatnonzero(recent.known_counts)
        density = np.full(truth.shape, np.nan)
        if len(known):
            density[known] = self._log_density(recent.select(known), truth[known])
        return density

    @known_words
    def log_density(self: Any, df: Any) -> Any:
        """Return the log density, in nats, of each value in the last horizon of each series.

        The frame has the columns id, time, the target's name and `log_density`. What precedes the
        last horizon in `df` is what the forecaster knew.
        """
        forecaster: Forecaster = self
        refuse_unfitted(forecaster)
        panel, layout = read_like(df, forecaster._known_schema, forecaster.panel_.freq)
        history, truth = split_last(panel, forecaster.horizon)
        density = self.log_density_panel(history, truth)
        place = {name: number for number, name in enumerate(history.ids.tolist())}
        names = panel.ids[layout.order].tolist()
        order = np.array([place[name] for name in names if name in place])
        rows = variate_rows(order, history.n_variates)
        series = rows // history.n_variates
        times = history.future_times(forecaster.horizon)[series].reshape(-1)
        columns = variate_column(layout, len(rows), forecaster.horizon)
        columns |= {
            layout.target_col: truth[rows].astype(np.float64).reshape(-1),
            "log_density": density[rows].reshape(-1),
        }
        return layout.write(np.repeat(history.ids[series], forecaster.horizon), times, columns)
