"""Columns of the caller's table as arrays: times and numbers, or an error that names the row."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.calendar import MICROSECONDS, Frequency, parse_frequency

LARGEST = 1e35  # beyond it, float32 has no room for a forecast and its intervals
Where = Callable[[int], str]  # row number -> "series 'a', row 3"


@dataclass(frozen=True, kw_only=True)
class Times:
    """A time column.

    Attributes:
        values: `[n]`, `datetime64[us]` or `int64`. With a time zone: UTC, or the clock on the
            wall where `wall` says so.
        zone: the name of the time zone, None without one.
        wall: True where days, and not hours, are regular in that zone.
        freq: the frequency, where the column itself knows it (pandas periods).
    """

    values: np.ndarray
    zone: str | None = None
    wall: bool = False
    freq: Frequency | None = None

    @property
    def on_the_wall(self) -> np.ndarray:
        """The values by the clock on the wall of their time zone."""
        if self.zone is None:
            return self.values
        local = pd.DatetimeIndex(self.values).tz_localize("UTC").tz_convert(self.zone)
        return local.tz_localize(None).to_numpy().astype(MICROSECONDS)


def read_times(column: Any, name: str, where: Where) -> Times:
    """Return a column of times or of whole numbers as `Times`.

    Args:
        column: a pandas series or index, or an array of datetimes, periods, dates, text or
            integers.
        name: the column's name, for errors.
        where: describes a row, for errors.
    """
    values = pd.Series(column).reset_index(drop=True)
    _refuse_missing(values, name, where)
    if isinstance(values.dtype, pd.PeriodDtype):
        stamps = values.dt.to_timestamp().to_numpy().astype(MICROSECONDS)
        return Times(values=stamps, freq=period_frequency(values.dtype.freq))
    if pd.api.types.is_bool_dtype(values.dtype):
        raise ValueError(f"column {name!r} holds booleans, not times; name it by time_col=")
    if pd.api.types.is_numeric_dtype(values.dtype):
        return Times(values=_whole_numbers(values, name, where))
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = _parse(values, name, where)
    zone = getattr(values.dtype, "tz", None)
    if zone is None:
        return Times(values=values.to_numpy().astype(MICROSECONDS))
    utc = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return Times(values=utc.to_numpy().astype(MICROSECONDS), zone=str(zone))


def period_frequency(offset: Any) -> Frequency:
    """Return the frequency of pandas periods, whose steps are known by their first moment."""
    months = {"M": 1, "Q": 3, "Y": 12, "A": 12}
    code = offset.rule_code.split("-")[0].removesuffix("E") or offset.rule_code
    if code in months:
        alias = {"M": "MS", "Q": "QS", "Y": "YS", "A": "YS"}[code]
        alias = alias if offset.n == 1 else f"{offset.n}{alias}"
        return Frequency(unit="month", step=months[code] * offset.n, alias=alias)
    return parse_frequency(offset)


def read_numbers(column: Any, name: str, where: Where) -> np.ndarray:
    """Return a numeric column as float64, NaN = missing.

    Raises:
        ValueError: for text and other things that are not numbers, for ±inf and for values
            that float32 cannot hold with room to spare, naming the row.
    """
    values = pd.Series(column).reset_index(drop=True)
    if not pd.api.types.is_numeric_dtype(values.dtype):
        values = _numbers_from_objects(values, name, where)
    if pd.api.types.is_complex_dtype(values.dtype):
        raise ValueError(f"column {name!r} holds complex numbers; forecast one part at a time")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(invalid="ignore"):
        large = np.abs(numbers) > LARGEST
    if large.any():
        row = int(large.argmax())
        remedy = "replace it by NaN" if np.isinf(numbers[row]) else "rescale the column"
        raise ValueError(f"column {name!r} has {numbers[row]:g} at {where(row)}; {remedy}")
    return numbers


def _numbers_from_objects(values: pd.Series, name: str, where: Where) -> pd.Series:
    """Return objects that are numbers or None (Python's Decimal, say) as a float series."""
    missing = values.isna()
    text = values.map(lambda value: isinstance(value, str | bytes | datetime.date)) & ~missing
    numbers = pd.to_numeric(values.where(~text), errors="coerce")
    if isinstance(values.dtype, pd.CategoricalDtype):
        numbers = numbers.astype(float)
    wrong = (numbers.isna() & ~missing).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {name!r} has {values.iloc[row]!r} at {where(row)}, which is not a number; "
            "convert the column, for instance by .astype(float)"
        )
    return numbers


def _refuse_missing(values: pd.Series, name: str, where: Where) -> None:
    missing = values.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"column {name!r} has no time at {where(int(missing.argmax()))}; drop the row"
        )


def _whole_numbers(values: pd.Series, name: str, where: Where) -> np.ndarray:
    numbers = values.to_numpy()
    whole = numbers.astype(np.int64)
    wrong = whole != numbers
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {name!r} has the time {numbers[row]} at {where(row)}; times are dates or "
            "whole numbers"
        )
    return whole


def _parse(values: pd.Series, name: str, where: Where) -> pd.Series:
    """Return text, dates or objects as a datetime series."""
    zones = {str(value.tzinfo) for value in values if getattr(value, "tzinfo", None) is not None}
    aware = values.map(lambda value: getattr(value, "tzinfo", None) is not None)
    if len(zones) > 1 or (zones and not aware.all()):
        raise ValueError(
            f"column {name!r} mixes time zones ({', '.join(sorted(zones)) or 'none'}"
            f"{'' if aware.all() else ' and none'}); convert it to one, "
            "for instance by pandas.to_datetime(column, utc=True)"
        )
    try:
        parsed = pd.to_datetime(values, errors="coerce", format="ISO8601")
        if parsed.isna().any():
            parsed = pd.to_datetime(values, errors="coerce")
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {name!r} mixes time zones; convert it to one: {error}") from error
    wrong = parsed.isna().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {name!r} has {values.iloc[row]!r} at {where(row)}, which is not a time; "
            "write it as 2024-12-31 or 2024-12-31 23:00"
        )
    if not pd.api.types.is_datetime64_any_dtype(parsed.dtype):
        raise ValueError(f"column {name!r} mixes time zones; convert it to one")
    return parsed
