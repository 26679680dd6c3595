"""Rolling-origin evaluation of one forecaster on one panel."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.forecasters.answers import (
    Rows,
    refuse_shared_names,
    variate_column,
    variate_rows,
)
from tsformer.forecasters.checks import positive_integer, quantile_levels
from tsformer.forecasters.fallback import forecast_all
from tsformer.types import Forecast

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

Places = tuple[np.ndarray, np.ndarray]  # series, and how many steps of each are known
_VALUES = 1 << 24  # of contexts and forecasts that are held at once


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """Where to cut, and how often to fit.

    Attributes:
        n_windows: cut-offs per series, the last one `horizon` steps before its end.
        step_size: steps between cut-offs.
        refit: False for the first cut-off only, True for each, k for every k-th; None not at all.
    """

    n_windows: int
    step_size: int
    refit: bool | int | None

    def __post_init__(self) -> None:
        positive_integer("n_windows", self.n_windows)
        positive_integer("step_size", self.step_size)
        if self.refit is not None and not isinstance(self.refit, bool):
            positive_integer("refit", self.refit)

    def run(self, forecaster: Forecaster, panel: Panel, layout: Layout) -> Rows:
        """Return ids, times and columns of all windows, series after series.

        Raises:
            ValueError: where no series is long enough for a single window.
        """
        levels = quantile_levels(forecaster.quantiles)
        every = int(self.refit) if self.refit else self.n_windows
        windows = []
        for first in range(0, self.n_windows, every):
            places = self._places(panel, forecaster.horizon, range(self.n_windows)[first:][:every])
            if not places:
                continue
            if self.refit is None:
                fitted = forecaster
                _refuse_seen(fitted.panel_, panel, places)
            else:
                fitted = clone(forecaster)
                numbers, cutoffs = places[0]
                fitted.fit_panel(panel.select(numbers).cut(cutoffs, forecaster.horizon))
            windows += _forecasts(fitted, panel, places, levels)
        if not windows:
            raise ValueError(
                f"no series is longer than horizon={forecaster.horizon} steps; pass longer ones"
            )
        self._warn_left_out(panel, windows)
        return _rows(panel, layout, windows, forecaster.horizon)

    def _places(self, panel: Panel, horizon: int, windows: Iterable[int]) -> list[Places]:
        """Return the series that have a value before their cut-off, for each window with any."""
        first_known, lengths = panel.first_known, panel.lengths
        places = []
        for window in windows:
            cutoffs = lengths - horizon - (self.n_windows - 1 - window) * self.step_size
            usable = np.flatnonzero(cutoffs > first_known)
            if len(usable):
                places.append((usable, cutoffs[usable]))
        return places

    def _warn_left_out(self, panel: Panel, windows: list[Any]) -> None:
        counts = np.bincount(np.concatenate([w[0] for w in windows]), minlength=len(panel))
        short = panel.ids[counts < self.n_windows].tolist()
        if short:
            warnings.warn(
                f"{len(short)} series are too short for n_windows={self.n_windows} (the first is "
                f"{short[0]!r}); they have fewer rows",
                stacklevel=5,  # two methods here, the forecaster's, its check of words
            )


def _refuse_seen(fitted: Panel, panel: Panel, places: list[Places]) -> None:
    """Raise a ValueError where a forecaster was fitted to what comes after a cut-off."""
    numbers, cutoffs = (np.concatenate(part) for part in zip(*places, strict=True))
    numbers, earliest = np.unique(numbers, return_index=True)  # windows come in order of time
    panel, cutoffs = panel.select(numbers), cutoffs[earliest]
    last_seen = dict(
        zip(fitted.ids.tolist(), fitted.freq.times(fitted.starts, fitted.lengths - 1), strict=True)
    )
    last_known = panel.freq.times(panel.starts, cutoffs - 1)
    for name, known in zip(panel.ids.tolist(), last_known, strict=True):
        if (seen := last_seen.get(name)) is not None and seen > known:
            raise ValueError(
                f"refit=None asks the forecaster as it was fitted, but it was fitted to series "
                f"{name!r} up to {seen}, later than the first cut-off, {known}; pass later data "
                "or fewer windows, or refit=False"
            )


def _forecasts(
    fitted: Forecaster, panel: Panel, places: list[Places], levels: tuple[float, ...]
) -> list[tuple[np.ndarray, np.ndarray, Forecast]]:
    """Return series, cut-offs and forecasts, of as many windows at once as memory has room for."""
    numbers, cutoffs = (np.concatenate(part) for part in zip(*places, strict=True))
    reach = min(fitted._reach, int(cutoffs.max()))
    values = panel.n_variates * (reach + fitted.horizon * (1 + len(levels)))
    size = max(1, _VALUES // values)
    parts = []
    for first in range(0, len(numbers), size):
        part = slice(first, first + size)
        history = panel.excerpts(numbers[part], cutoffs[part], reach, fitted.horizon)
        forecast = forecast_all(fitted, history, fitted.horizon, levels)
        parts.append((numbers[part], cutoffs[part], forecast))
    return parts


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Return arrays one after the other, a single one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _rows(panel: Panel, layout: Layout, windows: list[Any], horizon: int) -> Rows:
    """Return the windows as rows, ordered as the caller's series are, then by cut-off."""
    series = np.concatenate([w[0] for w in windows])
    cutoffs = np.concatenate([w[1] for w in windows])
    rank = np.empty(len(panel), dtype=np.int64)
    rank[layout.order] = np.arange(len(panel))
    order = np.lexsort((cutoffs, rank[series]))
    series, cutoffs = series[order], cutoffs[order]
    starts = panel.starts[series]
    steps = cutoffs[:, None] + np.arange(horizon)
    truth = panel.values[:, panel.offsets[:-1][series][:, None] + steps].transpose(1, 0, 2)
    n_variates = panel.n_variates
    columns = {"cutoff": np.repeat(panel.freq.times(starts, cutoffs - 1), n_variates * horizon)}
    columns |= variate_column(layout, len(series) * n_variates, horizon)
    columns[layout.target_col] = truth.astype(np.float64).reshape(-1)
    names = [f"{level:g}" for level in windows[0][2].levels]
    keys = [layout.id_col, layout.time_col, layout.target_col]
    refuse_shared_names(keys, ["cutoff", "mean", *names])
    rows = variate_rows(order, n_variates)
    means = _joined([w[2].mean for w in windows])[rows]
    columns["mean"] = means.astype(np.float64, copy=False).reshape(-1)
    quantiles = _joined([w[2].quantiles for w in windows])
    for number, name in enumerate(names):
        level = quantiles[:, :, number][rows]
        columns[name] = level.astype(np.float64, copy=False).reshape(-1)
    times = panel.freq.times(starts[:, None], steps)
    if n_variates > 1:
        times = np.repeat(times[:, None], n_variates, axis=1)
    return np.repeat(panel.ids[series], n_variates * horizon), times.reshape(-1), columns
