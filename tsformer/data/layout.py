"""How the caller's data looked, so that answers look the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from pandas.api.extensions import ExtensionDtype

from tsformer.data.calendar import MICROSECONDS

_SIMPLE_TYPES = ["Date", "String", "Categorical"]
_SIMPLE_TYPES += [f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
# nanoseconds between these times fit into 64 bits; counted in microseconds
_FIRST, _LAST = np.array(["1678-01-01", "2262-01-01"], dtype=MICROSECONDS).view(np.int64)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the caller's data looked.

    Attributes:
        id_col: the column of ids; None where there is one series and no ids.
        time_col: the column of times; None where times are the index.
        target_col: the column of values.
        variates: the columns of values where there are several; answers then have one row for
            each, named in a column `variate`, and their values are called `target_col`.
        order: `[S]`, numbers in the panel in order of first appearance.
        backend: the kind of frame to answer with.
        id_type, time_type: column types (see `column_type`); None = as they come.
        zone, wall: see `Times`.
    """

    id_col: str | None
    time_col: str | None
    target_col: str
    order: np.ndarray
    backend: Any = nw.Implementation.PANDAS
    id_type: Any = None
    time_type: Any = None
    zone: str | None = None
    wall: bool = False
    variates: tuple[str, ...] = ()

    def write(self, ids: np.ndarray, times: np.ndarray, columns: Mapping[str, np.ndarray]) -> Any:
        """Return rows as a frame of the caller's kind.

        Args:
            ids: `[n]`, the series of each row.
            times: `[n]`, time stamps as the panel has them.
            columns: the other columns, `[n]` each; `cutoff` is written like a time.
        """
        time_name = self.time_col or "ds"
        series = [self._time_series(time_name, times)]
        if self.id_col is not None:
            series.insert(0, self._typed(self.id_col, ids, self.id_type))
        for name, values in columns.items():
            is_time = name == "cutoff"
            series.append(self._time_series(name, values) if is_time else self._typed(name, values))
        # narwhals.from_dict would lose pandas' time zones
        frame = series[0].to_frame().with_columns(*series[1:]).to_native()
        if self.time_col is None:
            frame = frame.set_index(time_name).rename_axis(None)
        return frame

    def _typed(self, name: str, values: np.ndarray, dtype: Any = None) -> nw.Series:
        given: Any = values
        if values.dtype.kind in "OUS":
            given = (
                values.astype(object, copy=False) if self.backend.is_pandas() else values.tolist()
            )
        return _cast(nw.new_series(name, given, backend=self.backend), dtype)

    def _time_series(self, name: str, times: np.ndarray) -> nw.Series:
        if times.dtype.kind == "i":
            return self._typed(name, times, self.time_type)
        if self.zone is None:
            return self._typed(name, _in_unit(times, self.time_type), self.time_type)
        index = pd.DatetimeIndex(times)
        if self.wall:
            first = np.ones(len(index), dtype=bool)
            index = index.tz_localize(self.zone, ambiguous=first, nonexistent="shift_forward")
            index = index.tz_convert("UTC").tz_localize(None)
        series = nw.new_series(name, index.to_numpy().astype(MICROSECONDS), backend=self.backend)
        series = series.dt.replace_time_zone("UTC")
        if not (self.backend.is_polars() and self.zone.startswith("UTC")):  # unknown: "UTC+01:00"
            series = series.dt.convert_time_zone(self.zone)
        return _cast(series, self.time_type)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the order as what JSON can hold."""
        return {
            **{name: getattr(self, name) for name in ("id_col", "time_col", "target_col")},
            **{name: getattr(self, name) for name in ("zone", "wall")},
            "variates": list(self.variates),
            "backend": self.backend.value,
            "id_type": _type_to_json(self.id_type),
            "time_type": _type_to_json(self.time_type),
        }

    @classmethod
    def from_json(cls, config: Mapping[str, Any], order: np.ndarray) -> Layout:
        """Return what `to_json` described."""
        types = {name: _type_from_json(config[name]) for name in ("id_type", "time_type")}
        backend = nw.Implementation(config["backend"])
        variates = tuple(config.get("variates", ()))
        return cls(**{**config, **types, "backend": backend, "variates": variates}, order=order)


def _in_unit(times: np.ndarray, dtype: Any) -> np.ndarray:
    """Return times, in microseconds, in the unit of a column type, if that is nanoseconds.

    As integers they take a seventh of the time that NumPy needs for times.
    """
    units = times.view(np.int64)
    within = len(times) > 0 and units.min() > _FIRST and units.max() < _LAST
    if within and isinstance(dtype, nw.Datetime) and dtype.time_unit == "ns":
        return (units * 1000).view("datetime64[ns]")
    return times


def column_type(column: nw.Series) -> Any:
    """Return the type of a column: narwhals' or, where that says too little, pandas' own."""
    native = getattr(column.to_native(), "dtype", None)
    if isinstance(native, pd.CategoricalDtype):
        return column.dtype  # new ids need not be among the old categories
    # pandas' own for zones too: narwhals does not know those with an underscore
    return native if isinstance(native, ExtensionDtype) else column.dtype


def time_column_type(column: nw.Series) -> Any:
    """Return the type of a column of times, None where it holds text, periods or objects."""
    kept = column_type(column)
    known = isinstance(column.dtype, nw.Datetime | nw.Date) or column.dtype.is_integer()
    return kept if known or isinstance(kept, pd.DatetimeTZDtype) else None


def _cast(series: nw.Series, dtype: Any) -> nw.Series:
    if isinstance(dtype, ExtensionDtype):
        return nw.from_native(series.to_native().astype(dtype), series_only=True)
    return series if dtype is None or series.dtype == dtype else series.cast(dtype)


def _type_to_json(dtype: Any) -> dict[str, Any] | None:
    """Return a column type by name, None for one that is not worth keeping."""
    if isinstance(dtype, nw.Datetime):
        return {"name": "Datetime", "time_unit": dtype.time_unit, "time_zone": dtype.time_zone}
    if isinstance(dtype, nw.Enum):
        return {"name": "Enum", "categories": list(dtype.categories)}
    if isinstance(dtype, ExtensionDtype):
        return {"name": "pandas", "dtype": str(dtype)}
    name = type(dtype).__name__
    return {"name": name} if name in _SIMPLE_TYPES else None


def _type_from_json(config: Mapping[str, Any] | None) -> Any:
    if config is None:
        return None
    arguments = {key: value for key, value in config.items() if key != "name"}
    if config["name"] == "pandas":
        return pd.api.types.pandas_dtype(config["dtype"])
    return getattr(nw, config["name"])(**arguments)
