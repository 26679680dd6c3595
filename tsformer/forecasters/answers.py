"""Forecasts as rows: ids, times and columns, series in the caller's order."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.types import Forecast

Rows = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


def forecast_rows(panel: Panel, layout: Layout, forecast: Forecast) -> Rows:
    """Return `mean` and a column per quantile, named by its level."""
    order = layout.order
    columns = {"mean": forecast.mean[order].astype(np.float64).reshape(-1)}
    for number, level in enumerate(forecast.levels):
        values = forecast.quantiles[order, :, number].astype(np.float64)
        columns[f"{level:g}"] = values.reshape(-1)
    refuse_shared_names([layout.id_col, layout.time_col], columns)
    ids = np.repeat(panel.ids[order], forecast.horizon)
    return ids, panel.future_times(forecast.horizon)[order].reshape(-1), columns


def sample_rows(panel: Panel, layout: Layout, paths: np.ndarray) -> Rows:
    """Return the number of each path, `sample`, and its values; `paths` is `[S, n, H]`."""
    refuse_shared_names([layout.id_col, layout.time_col, layout.target_col], ["sample"])
    order = layout.order
    n_samples, horizon = paths.shape[1:]
    times = panel.future_times(horizon)[order][:, None]
    numbers = np.broadcast_to(np.arange(n_samples)[:, None], paths.shape)
    columns = {
        "sample": numbers.reshape(-1),
        layout.target_col: paths[order].astype(np.float64).reshape(-1),
    }
    ids = np.repeat(panel.ids[order], n_samples * horizon)
    return ids, np.broadcast_to(times, paths.shape).reshape(-1), columns


def refuse_shared_names(given: Iterable[str | None], answered: Iterable[str]) -> None:
    """Raise a ValueError for a column of the caller's that is called as one of the answer's."""
    shared = sorted(set(given) & set(answered), key=str)
    if shared:
        raise ValueError(f"the answer has a column {shared[0]!r} of its own; rename yours")
