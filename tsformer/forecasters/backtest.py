"""Rolling-origin evaluation of one forecaster on one panel."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

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

_VALUES = 1 << 24  # of contexts and forecasts that are held at once
_CUTOFFS = 1 << 20  # that are looked at together


@dataclass(frozen=True, kw_only=True)
class _Places:
    """Where forecasts begin, window after window.

    Attributes:
        windows, series: `[P]`, their numbers.
        cutoffs: `[P]`, how many steps of the series are known.
    """

    windows: np.ndarray
    series: np.ndarray
    cutoffs: np.ndarray

    @property
    def first(self) -> _Places:
        """Those of the first window that has any."""
        return self[self.windows == self.windows[0]]

    def __len__(self) -> int:
        return len(self.series)

    def __getitem__(self, part: slice | np.ndarray) -> _Places:
        return _Places(
            windows=self.windows[part], series=self.series[part], cutoffs=self.cutoffs[part]
        )


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
        windows: list[tuple[_Places, Forecast]] = []
        for first in range(0, self.n_windows, every):
            places = self._places(panel, forecaster.horizon, range(self.n_windows)[first:][:every])
            if not len(places):
                continue
            if self.refit is None:
                fitted = forecaster
                _refuse_seen(fitted.panel_, panel, places)
            else:
                fitted, start = clone(forecaster), places.first
                known = panel.select(start.series).cut(start.cutoffs, forecaster.horizon)
                fitted.fit_panel(known)
            windows += _forecasts(fitted, panel, places, levels)
        if not windows:
            raise ValueError(
                f"no series is longer than horizon={forecaster.horizon} steps; pass longer ones"
            )
        self._warn_left_out(panel, windows)
        return _rows(panel, layout, windows, forecaster.horizon)

    def _places(self, panel: Panel, horizon: int, windows: range) -> _Places:
        """Return where series have a value before their cut-off, in these windows."""
        lengths, first_known = panel.lengths, panel.first_known
        size = max(1, _CUTOFFS // max(1, len(panel)))
        parts = []
        for some in (windows[first : first + size] for first in range(0, len(windows), size)):
            later = (self.n_windows - 1 - np.asarray(some)) * self.step_size
            cutoffs = lengths - horizon - later[:, None]
            rows, series = np.nonzero(cutoffs > first_known)
            parts.append((rows + some[0], series, cutoffs[rows, series]))
        numbers, series, cutoffs = map(np.concatenate, zip(*parts, strict=True))
        return _Places(windows=numbers, series=series, cutoffs=cutoffs)

    def _warn_left_out(self, panel: Panel, windows: list[tuple[_Places, Forecast]]) -> None:
        series = np.concatenate([places.series for places, _ in windows])
        counts = np.bincount(series, minlength=len(panel))
        short = panel.ids[counts < self.n_windows].tolist()
        if short:
            warnings.warn(
                f"{len(short)} series are too short for n_windows={self.n_windows} (the first is "
                f"{short[0]!r}); they have fewer rows",
                stacklevel=5,  # two methods here, the forecaster's, its check of words
            )


def _refuse_seen(fitted: Panel, panel: Panel, places: _Places) -> None:
    """Raise a ValueError where a forecaster was fitted to what comes after a cut-off."""
    numbers, earliest = np.unique(places.series, return_index=True)  # in order of time
    panel, cutoffs = panel.select(numbers), places.cutoffs[earliest]
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
    fitted: Forecaster, panel: Panel, places: _Places, levels: tuple[float, ...]
) -> list[tuple[_Places, Forecast]]:
    """Return places and forecasts from there, of as many at once as memory has room for."""
    reach = min(fitted._reach, int(places.cutoffs.max()))
    values = panel.n_variates * (reach + fitted.horizon * (1 + len(levels)))
    size = max(1, _VALUES // values)
    parts = []
    for begin in range(0, len(places), size):
        part = places[begin : begin + size]
        history = panel.excerpts(part.series, part.cutoffs, reach, fitted.horizon)
        parts.append((part, forecast_all(fitted, history, fitted.horizon, levels)))
    return parts


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    """Return arrays one after the other, a single one as it is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _rows(
    panel: Panel, layout: Layout, windows: list[tuple[_Places, Forecast]], horizon: int
) -> Rows:
    """Return the windows as rows, ordered as the caller's series are, then by cut-off."""
    places, forecasts = zip(*windows, strict=True)
    series = np.concatenate([part.series for part in places])
    cutoffs = np.concatenate([part.cutoffs for part in places])
    rank = np.empty(len(panel), dtype=np.int64)
    rank[layout.order] = np.arange(len(panel))
    order = np.lexsort((cutoffs, rank[series]))
    series, cutoffs = series[order], cutoffs[order]
    starts = panel.starts[series]
    pieces = np.lib.stride_tricks.sliding_window_view(panel.values, horizon, axis=1)
    truth = pieces[:, panel.offsets[:-1][series] + cutoffs].transpose(1, 0, 2)
    n_variates = panel.n_variates
    columns = {"cutoff": np.repeat(panel.freq.times(starts, cutoffs - 1), n_variates * horizon)}
    columns |= variate_column(layout, len(series) * n_variates, horizon)
    columns[layout.target_col] = truth.astype(np.float64).reshape(-1)
    names = [f"{level:g}" for level in forecasts[0].levels]
    keys = [layout.id_col, layout.time_col, layout.target_col]
    refuse_shared_names(keys, ["cutoff", "mean", *names])
    rows = variate_rows(order, n_variates)
    means = _joined([part.mean for part in forecasts])[rows]
    columns["mean"] = means.astype(np.float64, copy=False).reshape(-1)
    quantiles = _joined([part.quantiles for part in forecasts])
    for number, name in enumerate(names):
        level = quantiles[:, :, number][rows]
        columns[name] = level.astype(np.float64, copy=False).reshape(-1)
    times = panel.freq.following(starts, cutoffs, horizon)
    if n_variates > 1:
        times = np.repeat(times[:, None], n_variates, axis=1)
    return np.repeat(panel.ids[series], n_variates * horizon), times.reshape(-1), columns
