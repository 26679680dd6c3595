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
    rows = variate_rows(layout.order, panel.n_variates)
    columns = variate_column(layout, len(rows), forecast.horizon)
    columns |= {"mean": forecast.mean[rows].astype(np.float64).reshape(-1)}
    for number, level in enumerate(forecast.levels):
        values = forecast.quantiles[rows, :, number].astype(np.float64)
        columns[f"{level:g}"] = values.reshape(-1)
    refuse_shared_names([layout.id_col, layout.time_col], columns)
    series = rows // panel.n_variates
    times = panel.future_times(forecast.horizon)[series].reshape(-1)
    return np.repeat(panel.ids[series], forecast.horizon), times, columns


def sample_rows(panel: Panel, layout: Layout, paths: np.ndarray) -> Rows:
    """Return the number of each path, `sample`, and its values; `paths` is `[S * C, n, H]`."""
    refuse_shared_names([layout.id_col, layout.time_col, layout.target_col], ["sample"])
    rows = variate_rows(layout.order, panel.n_variates)
    series = rows // panel.n_variates
    n_samples, horizon = paths.shape[1:]
    times = np.repeat(panel.future_times(horizon)[series], n_samples, axis=0)
    numbers = np.tile(np.repeat(np.arange(n_samples), horizon), len(rows))
    columns = variate_column(layout, len(rows), n_samples * horizon)
    columns |= {
        "sample": numbers,
        layout.target_col: paths[rows].astype(np.float64).reshape(-1),
    }
    ids = np.repeat(panel.ids[series], n_samples * horizon)
    return ids, times.reshape(-1), columns


def variate_rows(series: np.ndarray, n_variates: int) -> np.ndarray:
    """Return the rows of a forecast that series have, `[len(series) * C]`, in their order."""
    return (series[:, None] * n_variates + np.arange(n_variates)).reshape(-1)


def variate_column(layout: Layout, n_rows: int, repeats: int) -> dict[str, np.ndarray]:
    """Return the column that names each row's variate; none where there is one target."""
    if not layout.variates:
        return {}
    refuse_shared_names([layout.id_col, layout.time_col, layout.target_col], ["variate"])
    names = np.array(layout.variates, dtype=object)
    return {"variate": np.repeat(np.tile(names, n_rows // len(names)), repeats)}


def refuse_shared_names(given: Iterable[str | None], answered: Iterable[str]) -> None:
    """Raise a ValueError for a column of the caller's that is called as one of the answer's."""
    shared = sorted(set(given) & set(answered), key=str)
    if shared:
        raise ValueError(f"the answer has a column {shared[0]!r} of its own; rename yours")
