"""Columns of the caller's table as arrays: times and numbers, or an error that names the row."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.calendar import MICROSECONDS, Frequency, compact_dates, parse_frequency

LARGEST = 1e35  # beyond it, float32 has no room for a forecast and its intervals
_NOT_NUMBERS = (str, bytes, datetime.date, datetime.timedelta, np.datetime64, np.timedelta64)
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
        clock = _wall_clock(self.values, self.zone)
        before = _wall_clock(self.values - 1, self.zone) + np.timedelta64(1, "us")
        return _before_skipped_hours(clock, before) if (before < clock).any() else clock


def _wall_clock(utc: np.ndarray, zone: str) -> np.ndarray:
    local = pd.DatetimeIndex(utc).tz_localize("UTC").tz_convert(zone)
    return local.tz_localize(None).to_numpy().astype(MICROSECONDS)


def _before_skipped_hours(clock: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return clock times, moved back to the usual time of day where that was skipped.

    Where clocks go forward at midnight, a daily series has 01:00 on that day.

    Args:
        clock: `[n]`, clock times.
        before: `[n]`, what the clock would show, had it not just gone forward.
    """
    day = clock.astype("datetime64[D]")
    times_of_day, counts = np.unique(clock - day, return_counts=True)
    usual = day + times_of_day[counts.argmax()]
    skipped = (before <= usual) & (usual < clock)
    return np.where(skipped, usual, clock)


def read_times(column: Any, name: str, where: Where) -> Times:
    """Return a column of times or of whole numbers as `Times`.

    Args:
        column: a pandas series or index, or an array of datetimes, periods, dates, text or
            integers.
        name: the column's name, for errors.
        where: describes a row, for errors.
    """
    values = column.to_series() if isinstance(column, pd.Index) else pd.Series(column)
    values = values.reset_index(drop=True)
    _refuse_missing(values, name, where)
    if isinstance(values.dtype, pd.PeriodDtype):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of business days, which GluonTS uses
            stamps = values.dt.to_timestamp().to_numpy().astype(MICROSECONDS)
        return Times(values=stamps, freq=period_frequency(values.dtype.freq))
    if pd.api.types.is_bool_dtype(values.dtype):
        raise ValueError(f"column {name!r} holds booleans, not times; name it by time_col=")
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = _whole_numbers(values, name, where)
        _refuse_compact_dates(numbers, name)
        return Times(values=numbers)
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        values = _parse(values, name, where)
    zone = getattr(values.dtype, "tz", None)
    if zone is None:
        return Times(values=_in_microseconds(values))
    utc = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return Times(values=_in_microseconds(utc), zone=str(zone))


def _in_microseconds(stamps: pd.Series) -> np.ndarray:
    """Return times, none missing, in microseconds; rounded down, as NumPy does, but faster."""
    values: np.ndarray = stamps.to_numpy()
    if values.dtype == "datetime64[ns]":
        return (values.view(np.int64) // 1000).view(MICROSECONDS)
    return values.astype(MICROSECONDS)


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
        raise ValueError(
            f"Complex data not supported: column {name!r} holds complex numbers; forecast one part "
            "at a time"
        )
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
    missing = values.isna().to_numpy()
    objects = values.astype(object)
    refused = objects.map(lambda value: isinstance(value, _NOT_NUMBERS)) & ~missing
    numbers = pd.to_numeric(objects.mask(refused), errors="coerce")
    wrong = numbers.isna().to_numpy() & ~missing
    if wrong.any():
        text = objects.map(lambda value: isinstance(value, str))
        # One bad cell of a file makes text of all others.
        bad = wrong & pd.to_numeric(objects.where(text), errors="coerce").isna().to_numpy()
        row = int((bad if bad.any() else wrong).argmax())
        found = f"column {name!r} has {values.iloc[row]!r} at {where(row)}, which is not a number"
        if bad.any() and text.iloc[row]:
            raise ValueError(f"{found}; correct it, or replace it by NaN")
        raise ValueError(f"{found}; convert the column, for instance by .astype(float)")
    return numbers


def _refuse_missing(values: pd.Series, name: str, where: Where) -> None:
    missing = values.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"column {name!r} has no time at {where(int(missing.argmax()))}; drop the row"
        )


def _whole_numbers(values: pd.Series, name: str, where: Where) -> np.ndarray:
    numbers = values.to_numpy()
    with np.errstate(invalid="ignore"):
        whole = numbers.astype(np.int64)
    wrong = whole != numbers
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {name!r} has the time {numbers[row]} at {where(row)}; times are dates or "
            "whole numbers"
        )
    return whole


def _refuse_compact_dates(numbers: np.ndarray, name: str) -> None:
    """Raise a ValueError for dates written as numbers, which go on as counting would not.

    Within one month, 20240101, 20240102, … may be a count; 20240131, 20240201 are dates.
    """
    found = compact_dates(numbers)
    distinct = np.unique(numbers) if found else numbers[:0]
    steps, turns = np.diff(distinct), np.diff(distinct // 100) != 0
    if found is None or not turns.any():
        return
    form, a_year = found[1], 10_000 if found[1] == "%Y%m%d" else 100
    if steps[0] % a_year == 0 and (steps == steps[0]).all():
        return  # the same day of each year, to which adding leads as well
    before, after = distinct[int(turns.argmax()) :][:2]
    raise ValueError(
        f"column {name!r} has dates that are written as whole numbers, such as {before} and then "
        f'{after}; convert it by pandas.to_datetime(column.astype(str), format="{form}")'
    )


def _parse(values: pd.Series, name: str, where: Where) -> pd.Series:
    """Return text, dates or objects as a datetime series."""
    zones = {str(getattr(value, "tzinfo", None)) for value in values}
    if len(zones) > 1:
        raise _mixed_zones(name, ", ".join(sorted(zones - {"None"}) + ["none"] * ("None" in zones)))
    parsed = _to_datetime(values, name, format="ISO8601")
    if parsed.isna().all():
        parsed = _parse_other_text(values, name, where)
    wrong = parsed.isna().to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"column {name!r} has {values.iloc[row]!r} at {where(row)}, which is not a time; "
            "write it as 2024-12-31 or 2024-12-31 23:00"
        )
    return parsed


def _parse_other_text(values: pd.Series, name: str, where: Where) -> pd.Series:
    """Return text that is not ISO 8601 as a datetime series, NaT where it cannot be read."""
    month_first = _to_datetime(values, name)
    day_first = _to_datetime(values, name, dayfirst=True)
    differ = (month_first != day_first).to_numpy()
    if month_first.notna().all() and day_first.notna().all() and differ.any():
        row = int(differ.argmax())
        raise ValueError(
            f"column {name!r} has {values.iloc[row]!r} at {where(row)}, which may be "
            f"{month_first.iloc[row]:%d %B %Y} or {day_first.iloc[row]:%d %B %Y}; write it as "
            "2024-12-31, or convert it by pandas.to_datetime(column, dayfirst=True or False)"
        )
    return max(month_first, day_first, key=lambda parsed: parsed.notna().sum())


def _to_datetime(values: pd.Series, name: str, **options: Any) -> pd.Series:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pandas had to guess is checked by the caller
            parsed = pd.to_datetime(values, errors="coerce", **options)
    except (ValueError, TypeError) as error:
        raise _mixed_zones(name, str(error)) from error
    if not pd.api.types.is_datetime64_any_dtype(parsed.dtype):
        raise _mixed_zones(name, "as its texts end in different offsets")
    return parsed


def _mixed_zones(name: str, found: str) -> ValueError:
    return ValueError(
        f"column {name!r} mixes time zones ({found}); convert it to one, for instance by "
        "pandas.to_datetime(column, utc=True)"
    )
