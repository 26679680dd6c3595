"""Any input form becomes a `Panel`, and a `Layout` that remembers how it looked.

Long frames go through narwhals, so that pandas and polars take one path; the other forms are
read by `wide.py` and `entries.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from tsformer.data.calendar import Frequency
from tsformer.data.columns import read_numbers, read_times
from tsformer.data.entries import read_entries
from tsformer.data.grid import Rows, build_panel, encode_categories
from tsformer.data.layout import Layout, column_type, time_column_type
from tsformer.data.panel import Covariates, Panel, runs_of
from tsformer.data.wide import read_array, read_series, read_wide

_ID_NAMES = ("unique_id", "item_id")
_TIME_NAMES = ("ds", "timestamp")
_TARGET_NAMES = ("y", "target")


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What the caller said about the columns; None is found by itself.

    Attributes:
        id_col, time_col: the columns' names.
        target_col: its name, or the names of several that are forecast together.
        freq: the step between times.
        past_covariates, future_covariates: columns along time.
        static_covariates: columns of one value per series.
        levels: the levels of the categorical covariates, where they are known already; covariates
            that are not among them are numbers then. None finds out.
    """

    id_col: str | None = None
    time_col: str | None = None
    target_col: str | Sequence[str] | None = None
    freq: str | Frequency | None = None
    past_covariates: Sequence[str] = ()
    future_covariates: Sequence[str] = ()
    static_covariates: Sequence[str] = ()
    levels: Mapping[str, tuple[object, ...]] | None = None

    @property
    def variates(self) -> tuple[str, ...]:
        """The names of several targets; none where there is one."""
        if self.target_col is None or isinstance(self.target_col, str):
            return ()
        return tuple(self.target_col)


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
    if isinstance(data, pd.DataFrame) and not _is_wide(data, schema):
        data, schema = _with_index_as_columns(data, schema)
        return _read_long(nw.from_native(data), schema)
    if not isinstance(data, pd.DataFrame) and (frame := _eager_frame(data)) is not None:
        return _read_long(frame, schema)
    for parameter in ("past_covariates", "future_covariates", "target_col"):
        names = schema.variates if parameter == "target_col" else getattr(schema, parameter)
        if names:
            raise ValueError(
                f"{parameter}={list(names)} are columns of a long frame; pass one row per series "
                f"and time instead of {type(data).__name__}"
            )
    if isinstance(data, pd.DataFrame):
        return read_wide(data, schema.freq)
    if isinstance(data, pd.Series):
        return read_series(data, schema.freq)
    if isinstance(data, np.ndarray):
        return read_array(data, schema.freq)
    if hasattr(data, "tocsr"):
        raise TypeError(
            f"data of type {type(data).__name__} are sparse, and zeros are values of a series like "
            "any other; pass data.toarray()"
        )
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | Mapping):
        return read_entries(data, schema.freq)
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
    if schema.id_col is not None or schema.target_col is not None:
        return False
    return not {*_ID_NAMES, *_TARGET_NAMES, *_TIME_NAMES} & set(frame.columns)


def _with_index_as_columns(frame: pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, Schema]:
    """Return a long frame with its index among the columns, where the index means something."""
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()][0]
        raise ValueError(f"column {twice!r} comes twice; give every column its own name")
    names = {*frame.columns, *frame.index.names}
    is_time = isinstance(frame.index, pd.DatetimeIndex | pd.PeriodIndex)
    if is_time and schema.time_col is None and not names & set(_TIME_NAMES):
        schema = replace(schema, time_col=str(frame.index.name or _TIME_NAMES[0]))
        frame = frame.rename_axis(schema.time_col)
    new = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=new) if new else frame.copy(deep=False)
    frame.index = pd.RangeIndex(len(frame))
    return frame, schema


def _read_long(frame: nw.DataFrame, schema: Schema) -> tuple[Panel, Layout]:
    if len(frame) == 0:
        raise ValueError("the frame is empty; it needs at least one row")
    columns = list(frame.columns)
    id_col = _find(columns, schema.id_col, _ID_NAMES, "id_col", required=False)
    time_col = _find(columns, schema.time_col, _TIME_NAMES, "time_col")
    targets = [
        _find(columns, name, _TARGET_NAMES, "target_col")
        for name in schema.variates or (_single(schema.target_col),)
    ]
    _refuse_two_roles([id_col, time_col, *targets], schema)
    series, ids = _factorize(frame, id_col)

    def where(row: int) -> str:
        return f"series {ids.tolist()[series[row]]!r}, row {row}" if id_col else f"row {row}"

    rows = Rows(
        series=series,
        ids=ids,
        times=read_times(_plain(frame[time_col]), time_col, where),
        target=np.stack([read_numbers(_plain(frame[name]), name, where) for name in targets]),
        past_covariates=_read_covariates(frame, schema, "past_covariates", where),
        future_covariates=_read_covariates(frame, schema, "future_covariates", where),
    )
    panel, order, times = build_panel(rows, schema.freq)
    return panel, Layout(
        id_col=id_col,
        time_col=time_col,
        target_col=targets[0] if not schema.variates else _target_name(id_col),
        variates=schema.variates,
        order=order,
        backend=frame.implementation,
        id_type=column_type(frame[id_col]) if id_col else None,
        time_type=time_column_type(frame[time_col]),
        zone=times.zone,
        wall=times.wall,
    )


def _single(name: str | Sequence[str] | None) -> str | None:
    if name is None or isinstance(name, str):
        return name
    raise ValueError("target_col=[] names no column; name one or more, or leave it out")


def _refuse_two_roles(taken: list[str | None], schema: Schema) -> None:
    """Raise a ValueError for a column that is named for two things."""
    names = [name for name in taken if name is not None]
    names += [*schema.past_covariates, *schema.future_covariates]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(
            f"column {twice!r} is named twice among ids, times, targets and covariates; a column "
            "has one role"
        )


def _target_name(id_col: str | None) -> str:
    """Return what values of several targets are called together."""
    return _TARGET_NAMES[_ID_NAMES.index(id_col)] if id_col in _ID_NAMES else _TARGET_NAMES[0]


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
    codes, ids = _factorize_runs(_plain(frame[id_col]))
    if (codes < 0).any():
        row = int((codes < 0).argmax())
        raise ValueError(f"column {id_col!r} has no id in row {row}; name the series or drop it")
    return codes, np.asarray(ids, dtype=None if ids.dtype.kind in "iuf" else object)


def _factorize_runs(column: Any) -> tuple[np.ndarray, Any]:
    """Return what pandas does, in half the time where series stand one after the other."""
    begins = np.arange(len(column))
    if isinstance(column.dtype, np.dtype):
        with suppress(TypeError, ValueError):  # pd.NA or arrays: pandas says what is wrong
            begins, lengths = runs_of(np.asarray(column))
    if len(begins) > len(column) // 4:
        return pd.factorize(column)
    codes, ids = pd.factorize(column.take(begins))
    return np.repeat(codes, lengths), ids


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
    frame: nw.DataFrame, schema: Schema, parameter: str, where: Any
) -> Covariates | None:
    """Return columns by row, numbers as they are and everything else as categories."""
    names = tuple(getattr(schema, parameter))
    if not names:
        return None
    values, levels = [], {}
    for name in names:
        _find(list(frame.columns), name, (), parameter)
        numeric = frame[name].dtype.is_numeric() or frame[name].dtype == nw.Boolean
        known = None if schema.levels is None else schema.levels.get(name)
        if known is not None or (schema.levels is None and not numeric):
            codes, levels[name] = encode_categories(_plain(frame[name]), known)
            values.append(codes)
        else:
            values.append(read_numbers(_plain(frame[name]), name, where))
    return Covariates(names=names, values=np.stack(values), levels=levels)
