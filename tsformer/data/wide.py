"""Series that share their times: wide frames, pandas series and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from tsformer.data.calendar import Frequency
from tsformer.data.columns import Times, read_numbers, read_times
from tsformer.data.grid import Rows, build_panel
from tsformer.data.layout import Layout, time_column_type
from tsformer.data.panel import Panel

Freq = str | Frequency | None


def read_wide(frame: pd.DataFrame, freq: Freq) -> tuple[Panel, Layout]:
    """Return a frame with a column per series and times as its index."""
    if frame.size == 0:
        raise ValueError("the frame is empty; it needs at least one row and one column")
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"column {twice!r} comes twice; give every series its own name")
    ids = np.asarray(frame.columns)
    times = read_times(frame.index, "index", lambda row: f"row {row}")
    columns = [frame.iloc[:, number] for number in range(frame.shape[1])]
    target = _stack_numbers(columns, [*map(str, ids)], ids, "row")
    panel, layout = _from_matrix(ids, times, target, freq)
    layout = replace(layout, id_col="unique_id", time_col=str(frame.index.name or "ds"))
    return panel, replace(layout, time_type=_index_type(frame.index))


def read_series(series: pd.Series, freq: Freq) -> tuple[Panel, Layout]:
    """Return one series, its index the times."""
    if len(series) == 0:
        raise ValueError("the series is empty; it needs at least one value")
    if isinstance(series.index, pd.MultiIndex):
        raise ValueError("a series with a MultiIndex cannot be read; pass series.reset_index()")
    name = str(series.name if series.name is not None else "y")
    times = read_times(series.index, "index", lambda row: f"row {row}")
    target = read_numbers(series, name, lambda row: f"row {row}")[None]
    panel, layout = _from_matrix(np.array([name], dtype=object), times, target, freq)
    layout = replace(layout, id_col=None, time_col=None, target_col=name)
    return panel, replace(layout, time_type=_index_type(series.index))


def read_array(array: np.ndarray, freq: Freq) -> tuple[Panel, Layout]:
    """Return an array, `[time]` or `[series, time]`; time counts from 0."""
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"an array of shape {array.shape} cannot be read; pass [time] or [series, time] with "
            "at least one value"
        )
    matrix = np.atleast_2d(array)
    numbers = np.arange(len(matrix))
    target = _stack_numbers([*matrix], ["array"] * len(matrix), numbers, "step")
    times = Times(values=np.arange(matrix.shape[1]))
    panel, layout = _from_matrix(numbers, times, target, freq)
    return panel, replace(layout, id_col="unique_id" if array.ndim == 2 else None)


def _stack_numbers(
    columns: Sequence[Any], names: Sequence[str], ids: np.ndarray, unit: str
) -> np.ndarray:
    """Return the values of series, `[S, n]`; errors name the series and the row or step."""
    read = []
    for column, name, series in zip(columns, names, ids.tolist(), strict=True):

        def where(row: int, series: Any = series) -> str:
            return f"series {series!r}, {unit} {row}"

        read.append(read_numbers(column, name, where))
    return np.stack(read)


def _from_matrix(
    ids: np.ndarray, times: Times, target: np.ndarray, freq: Freq
) -> tuple[Panel, Layout]:
    """Return the panel of series that share their times; `target` is `[S, n]`."""
    n_series, length = target.shape
    rows = Rows(
        series=np.repeat(np.arange(n_series), length),
        ids=ids,
        times=replace(times, values=np.tile(times.values, n_series)),
        target=target.reshape(-1),
    )
    panel, order, times = build_panel(rows, freq)
    layout = Layout(
        id_col="unique_id",
        time_col="ds",
        target_col="y",
        order=order,
        zone=times.zone,
        wall=times.wall,
    )
    return panel, layout


def _index_type(index: pd.Index) -> Any:
    return time_column_type(nw.from_native(index.to_series(), series_only=True))
