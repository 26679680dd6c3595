"""Any input form becomes a `Panel`, and a `Layout` that remembers how it looked.

Long frames go through narwhals, so that pandas and polars take one path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from tsformer.data.calendar import Frequency
from tsformer.data.columns import Times, read_numbers, read_times
from tsformer.data.grid import Rows, build_panel, encode_categories
from tsformer.data.layout import Layout
from tsformer.data.panel import Covariates, Panel

_ID_NAMES = ("unique_id", "item_id")
_TIME_NAMES = ("ds", "timestamp")
_TARGET_NAMES = ("y", "target")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the caller said about the columns; None is found by itself."""

    id_col: str | None = None
    time_col: str | None = None
    target_col: str | None = None
    freq: str | Frequency | None = None
    past_covariates: Sequence[str] = ()
    future_covariates: Sequence[str] = ()


def read_panel(data: Any, schema: Schema) -> tuple[Panel, Layout]:
    """Return the caller's data as a panel, and how it looked.

    Args:
        data: a long frame (pandas, polars), a pandas frame with one column per series and times
            as its index, a pandas series, an array `[time]` or `[series, time]`, or a GluonTS
            data set.

    Raises:
        TypeError: for anything else.
        ValueError: for columns, times and values that cannot be used, naming series and row.
    """
    if isinstance(data, pd.Series):
        return _read_series(data, schema)
    if isinstance(data, np.ndarray):
        return _read_array(data, schema)
    if isinstance(data, pd.DataFrame) and _is_wide(data, schema):
        return _read_wide(data, schema)
    if isinstance(data, pd.DataFrame) and data.index.names != [None]:
        data = data.reset_index()
    if (frame := _eager_frame(data)) is not None:
        return _read_long(frame, schema)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | Mapping):
        return _read_gluonts(data, schema)
    raise TypeError(
        f"data of type {type(data).__name__} cannot be read; pass a pandas or polars frame, a "
        "pandas series, a NumPy array or a GluonTS data set"
    )


def _eager_frame(data: Any) -> nw.DataFrame | None:
    frame = nw.from_native(data, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError("the frame is lazy; pass df.collect()")
    return frame if isinstance(frame, nw.DataFrame) else None


def _is_wide(frame: pd.DataFrame, schema: Schema) -> bool:
    if not isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex):
        return False
    given = {schema.id_col, schema.target_col} - {None}
    named = given or {*_ID_NAMES, *_TARGET_NAMES, *_TIME_NAMES}
    return not named & set(frame.columns)


def _read_long(frame: nw.DataFrame, schema: Schema) -> tuple[Panel, Layout]:
    columns = list(frame.columns)
    id_col = _find(columns, schema.id_col, _ID_NAMES, "id_col", required=False)
    time_col = _find(columns, schema.time_col, _TIME_NAMES, "time_col")
    target_col = _find(columns, schema.target_col, _TARGET_NAMES, "target_col")
    if len(frame) == 0:
        raise ValueError("the frame is empty; it needs at least one row")
    series, ids = _factorize(frame, id_col)

    def where(row: int) -> str:
        return f"series {ids.tolist()[series[row]]!r}, row {row}" if id_col else f"row {row}"

    rows = Rows(
        series=series,
        ids=ids,
        times=read_times(_plain(frame[time_col]), time_col, where),
        target=read_numbers(_plain(frame[target_col]), target_col, where),
        past_covariates=_read_covariates(frame, schema.past_covariates, "past_covariates", where),
        future_covariates=_read_covariates(
            frame, schema.future_covariates, "future_covariates", where
        ),
    )
    panel, order, times = build_panel(rows, schema.freq)
    written_as_time = isinstance(frame[time_col].dtype, nw.Datetime | nw.Date) or (
        times.values.dtype.kind == "i"
    )
    return panel, Layout(
        id_col=id_col,
        time_col=time_col,
        target_col=target_col,
        order=order,
        backend=frame.implementation,
        id_type=frame[id_col].dtype if id_col else None,
        time_type=frame[time_col].dtype if written_as_time else None,
        zone=times.zone,
        wall=times.wall,
    )


def _find(
    columns: list[str],
    given: str | None,
    usual: Sequence[str],
    parameter: str,
    required: bool = True,
) -> Any:
    """Return the name of a column: the given one, or the first usual one that is there."""
    if given is not None:
        if given not in columns:
            raise ValueError(f"{parameter}={given!r} is not a column; there are {columns}")
        return given
    found = next((name for name in usual if name in columns), None)
    if found is None and required:
        names = " or ".join(map(repr, usual))
        raise ValueError(f"no column {names} among {columns}; name yours by {parameter}=")
    return found


def _factorize(frame: nw.DataFrame, id_col: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's series number and the ids in order of appearance."""
    if id_col is None:
        return np.zeros(len(frame), dtype=np.int64), np.array(["y"], dtype=object)
    codes, ids = pd.factorize(_plain(frame[id_col]))
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise ValueError(f"column {id_col!r} has no id in row {row}; name the series or drop it")
    return codes, np.asarray(ids, dtype=None if ids.dtype.kind in "iuf" else object)


def _plain(column: nw.Series) -> Any:
    """Return a column as pandas or NumPy has it, time zone kept."""
    native = column.to_native()
    if isinstance(native, pd.Series):
        return native
    zone = getattr(column.dtype, "time_zone", None)
    if zone is None:
        return column.to_numpy()
    utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None).to_numpy()
    return pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(zone)


def _read_covariates(
    frame: nw.DataFrame, names: Sequence[str], parameter: str, where: Any
) -> Covariates | None:
    """Return columns by row, numbers as they are and everything else as categories."""
    if not names:
        return None
    values, levels = [], {}
    for name in names:
        _find(list(frame.columns), name, (), parameter)
        if frame[name].dtype.is_numeric() or frame[name].dtype == nw.Boolean:
            values.append(read_numbers(_plain(frame[name]), name, where))
        else:
            codes, levels[name] = encode_categories(_plain(frame[name]), None)
            values.append(codes)
    return Covariates(names=tuple(names), values=np.stack(values), levels=levels)


def _read_wide(frame: pd.DataFrame, schema: Schema) -> tuple[Panel, Layout]:
    if frame.size == 0:
        raise ValueError("the frame is empty; it needs at least one row and one column")
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"column {twice!r} comes twice; give every series its own name")
    ids = np.asarray(frame.columns)
    times = read_times(frame.index, "index", lambda row: f"row {row}")
    columns = [frame.iloc[:, number] for number in range(frame.shape[1])]
    target = _stack_numbers(columns, [*map(str, ids)], ids, "row")
    panel, layout = _from_matrix(ids, times, target, schema)
    layout = replace(layout, id_col="unique_id", time_col=str(frame.index.name or "ds"))
    return panel, _with_index_type(layout, frame.index)


def _read_series(series: pd.Series, schema: Schema) -> tuple[Panel, Layout]:
    if len(series) == 0:
        raise ValueError("the series is empty; it needs at least one value")
    if isinstance(series.index, pd.MultiIndex):
        raise ValueError("a series with a MultiIndex cannot be read; pass series.reset_index()")
    name = str(series.name if series.name is not None else "y")
    times = read_times(series.index, "index", lambda row: f"row {row}")
    target = read_numbers(series, name, lambda row: f"row {row}")[None]
    panel, layout = _from_matrix(np.array([name], dtype=object), times, target, schema)
    layout = replace(layout, id_col=None, time_col=None, target_col=name)
    return panel, _with_index_type(layout, series.index)


def _read_array(array: np.ndarray, schema: Schema) -> tuple[Panel, Layout]:
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"an array of shape {array.shape} cannot be read; pass [time] or [series, time] with "
            "at least one value"
        )
    matrix = np.atleast_2d(array)
    numbers = np.arange(len(matrix))
    target = _stack_numbers([*matrix], ["array"] * len(matrix), numbers, "step")
    times = Times(values=np.arange(matrix.shape[1]))
    panel, layout = _from_matrix(numbers, times, target, schema)
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
    ids: np.ndarray, times: Times, target: np.ndarray, schema: Schema
) -> tuple[Panel, Layout]:
    """Return the panel of series that share their times; `target` is `[S, n]`."""
    n_series, length = target.shape
    rows = Rows(
        series=np.repeat(np.arange(n_series), length),
        ids=ids,
        times=replace(times, values=np.tile(times.values, n_series)),
        target=target.reshape(-1),
    )
    panel, order, times = build_panel(rows, schema.freq)
    layout = Layout(
        id_col="unique_id",
        time_col="ds",
        target_col="y",
        order=order,
        zone=times.zone,
        wall=times.wall,
    )
    return panel, layout


def _with_index_type(layout: Layout, index: pd.Index) -> Layout:
    dtype = nw.from_native(pd.Series(index), series_only=True).dtype
    return replace(layout, time_type=dtype) if isinstance(dtype, nw.Datetime) else layout


def _read_gluonts(data: Iterable[Any], schema: Schema) -> tuple[Panel, Layout]:
    """Return a GluonTS data set: dictionaries with `start`, `target` and maybe `item_id`."""
    entries = list(data)
    if not entries or not all(
        isinstance(e, Mapping) and {"start", "target"} <= {*e} for e in entries
    ):
        raise TypeError(
            "an iterable is read as a GluonTS data set, so that each entry needs 'start' and "
            "'target'; for plain numbers pass a NumPy array"
        )
    pieces, stamps, names = [], [], []
    for number, entry in enumerate(entries):
        name = entry.get("item_id", number)
        target = np.asarray(entry["target"])
        if target.ndim != 1 or target.size == 0:
            raise ValueError(f"series {name!r}: target has shape {target.shape}, expected [time]")
        start = entry["start"]
        if not isinstance(start, pd.Period):
            raise ValueError(f"series {name!r}: start is {start!r}, expected a pandas Period")
        pieces.append(target)
        names.append(name)
        stamps.append(pd.period_range(start, periods=target.size, freq=start.freq))
    if len({stamp.freq for stamp in stamps}) > 1:
        raise ValueError("the series of the data set differ in freq; split it by freq")
    if len(set(names)) < len(names):
        raise ValueError("two series of the data set share an item_id; make them distinct")
    series = np.repeat(np.arange(len(names)), [len(piece) for piece in pieces])
    ids = (
        np.array(names) if all(isinstance(n, int) for n in names) else np.array(names, dtype=object)
    )

    def where(row: int) -> str:
        return f"series {names[series[row]]!r}, row {row}"

    rows = Rows(
        series=series,
        ids=ids,
        times=read_times(stamps[0].append(stamps[1:]), "start", where),
        target=read_numbers(np.concatenate(pieces), "target", where),
    )
    panel, order, _ = build_panel(rows, schema.freq)
    return panel, Layout(id_col="item_id", time_col="timestamp", target_col="target", order=order)


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, Mapping) and {"start", "target"} <= set(entry)
