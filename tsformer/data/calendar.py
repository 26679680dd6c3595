"""Regular calendars: which step of a series a time stamp is, and which time a step has.

Everything works on whole arrays, so that a million series cost as much Python as one. Time
stamps are `datetime64[us]`, or `int64` where the series has no calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

MICROSECONDS = "datetime64[us]"
DAY, _MINUTE = 86_400_000_000, 60_000_000  # microseconds

Unit = Literal["integer", "fixed", "business", "month"]
DayRule = Literal["same", "end", "business start", "business end"]


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """The rhythm of a panel.

    Attributes:
        unit: what is counted: plain integers, microseconds, business days (Monday to Friday) or
            calendar months.
        step: units from one step to the next.
        alias: pandas' name for it, such as `"h"`, `"W-SUN"`, `"MS"`; `""` for integer time.
        day_rule: which day of its month a monthly step falls on; `"same"` is the day of the
            series' first time stamp (in shorter months, their last day).
        day: the day that `"same"` means where the first time stamp is the last of a shorter
            month: 30 for a series that is cut to begin on 28 February. 0 where it means itself.
    """

    unit: Unit
    step: int
    alias: str = ""
    day_rule: DayRule = "same"
    day: int = 0

    @property
    def season_length(self) -> int:
        """Steps of the most common season: a day below daily, a week for days, a year above.

        1 where there is none (years, integer time, steps that do not divide the season). GluonTS
        differs for days and weeks, to which it gives no season.
        """
        if self.unit == "month":
            return 12 // self.step if 12 % self.step == 0 else 1
        if self.unit == "business":
            return 5 if self.step == 1 else 1
        if self.unit == "integer":
            return 1
        return _fixed_season(self.step)

    @property
    def usual_horizon(self) -> int:
        """Steps that are usually forecast, where nobody said how many.

        48 below a day (60 below a minute), 30 days, 8 weeks, 12 months: the short horizons of
        GIFT-Eval (Aksu et al. 2024); 8 quarters and 6 years: those of the M4 competition
        (Makridakis et al. 2020). 12 steps of integer time, which says nothing of itself.
        """
        if self.unit == "integer":
            return 12
        if self.unit == "month":
            return 12 if self.step < 3 else 8 if self.step < 12 else 6
        if self.unit == "business":
            return 30 if self.step < 5 else 8
        if self.step < _MINUTE:
            return 60
        return 48 if self.step < DAY else 30 if self.step < 7 * DAY else 8

    def index(self, start: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each time's step number from its series' start, and True where it is on a step.

        Args:
            start: `[n]`, the first time of the series each element belongs to.
            times: `[n]`, not before `start`; both `datetime64[us]`, or both `int64`.
        """
        if self.unit == "business":
            first, last = start.astype("datetime64[D]"), times.astype("datetime64[D]")
            units = np.busday_count(first, last)
            exact = np.is_busday(last) & (times - last == start - first)
        elif self.unit == "month":
            units = _months(times) - _months(start)
            exact = self._month_times(start, units) == times
        else:
            units = times.view(np.int64) - start.view(np.int64)
            exact = np.ones(len(units), dtype=bool)
        steps = units // self.step
        return steps, exact & (steps * self.step == units)

    def times(self, start: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the time of each step number; `start` and `positions` broadcast.

        Assumes nothing about `positions`: they may lie beyond the end of a series.
        """
        start, positions = np.broadcast_arrays(start, positions)
        units = positions * self.step
        if self.unit == "month":
            return self._month_times(start, units)
        if self.unit == "business":
            day = start.astype("datetime64[D]")
            return (np.busday_offset(day, units) + (start - day)).astype(MICROSECONDS)
        return start + self._spans(units)

    def following(self, start: np.ndarray, first: np.ndarray, count: int) -> np.ndarray:
        """Return the times of `count` steps of each series from one on, `[n, count]`.

        What `times` does, without the step number of each.

        Args:
            start: `[n]`, the first time of each series.
            first: `[n]`, step numbers.
            count: of steps.
        """
        steps = np.arange(count)
        if self.unit in ("month", "business"):
            return self.times(start[:, None], first[:, None] + steps)
        return self.times(start, first)[:, None] + self._spans(steps * self.step)

    def _spans(self, units: np.ndarray) -> np.ndarray:
        """Return what so many units, all of one length, add to a time."""
        if self.unit == "integer":
            return units
        return units.astype(np.int64, copy=False).view("timedelta64[us]")

    def _month_times(self, start: np.ndarray, months: np.ndarray) -> np.ndarray:
        """Return the times `months` calendar months after `start`."""
        clock = start - start.astype("datetime64[D]")
        month = start.astype("datetime64[M]") + months.astype("timedelta64[M]")
        first = month.astype("datetime64[D]")
        last = (month + 1).astype("datetime64[D]") - 1
        if self.day_rule == "end":
            day = last
        elif self.day_rule == "business end":
            day = np.busday_offset(last, 0, roll="backward")
        elif self.day_rule == "business start":
            day = np.busday_offset(first, 0, roll="forward")
        else:
            day = np.minimum(first + (self._day_of_month(start) - 1), last)
        return day.astype(MICROSECONDS) + clock

    def _day_of_month(self, start: np.ndarray) -> np.ndarray:
        """Return the day of the month, 1 to 31, that series with these first times keep to."""
        month = start.astype("datetime64[M]")
        own = (start.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64) + 1
        is_last = start.astype("datetime64[D]") + 1 == (month + 1).astype("datetime64[D]")
        return np.where(is_last, np.maximum(own, self.day), own)


def parse_frequency(alias: str | pd.DateOffset) -> Frequency:
    """Return the frequency that a pandas alias names, such as `"15min"`, `"B"`, `"QS-OCT"`.

    Raises:
        ValueError: where pandas does not know it or a regular grid cannot hold it.
    """
    try:
        offset = pd.tseries.frequencies.to_offset(alias)
    except ValueError as error:
        raise ValueError(
            f"freq={alias!r} is not a pandas frequency; use one such as 'h', 'D', 'W-SUN', 'MS'"
        ) from error
    if offset is None or offset.n < 1:
        raise ValueError(f"freq={alias!r} does not name a step forward in time")
    name, step = offset.name, offset.n
    offsets = pd.tseries.offsets
    if isinstance(offset, offsets.Week):
        return Frequency(unit="fixed", step=7 * DAY * step, alias=offset.freqstr)
    if isinstance(offset, offsets.Tick):
        microseconds, rest = divmod(offset.nanos, 1000)
        if rest:
            raise ValueError(f"freq={alias!r} is finer than a microsecond; use whole microseconds")
        return Frequency(unit="fixed", step=microseconds, alias=fixed_alias(microseconds))
    if isinstance(offset, offsets.BusinessDay):
        return Frequency(unit="business", step=step, alias=offset.freqstr)
    months = _months_of(name)
    if months is None:
        raise ValueError(
            f"freq={alias!r} is not supported; resample the series to a fixed step, business "
            "days, weeks, months, quarters or years"
        )
    return Frequency(
        unit="month", step=months * step, alias=offset.freqstr, day_rule=_day_rule(name)
    )


def compact_dates(numbers: np.ndarray) -> tuple[np.ndarray, str] | None:
    """Return whole numbers such as 20240131 or 202401 as days, and their format.

    None where one of them is no such date of the years 1800 to 2200.
    """
    if len(numbers) == 0:
        return None
    for lowest, highest, form in ((18000101, 22001231, "%Y%m%d"), (180001, 220012, "%Y%m")):
        if lowest <= numbers.min() and numbers.max() <= highest:
            rest, day = np.divmod(numbers, 100) if form == "%Y%m%d" else (numbers, 1)
            year, month = np.divmod(rest, 100)
            first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
            days = first.astype("datetime64[D]") + (day - 1)
            valid = (month >= 1) & (month <= 12) & (days.astype("datetime64[M]") == first)
            return (days, form) if valid.all() else None
    return None


def _months_of(name: str) -> int | None:
    """Return the months of one step of a calendar offset, None for an unknown one."""
    code = name.split("-")[0].removeprefix("B")
    return {"MS": 1, "ME": 1, "M": 1, "QS": 3, "QE": 3, "Q": 3, "YS": 12, "YE": 12, "Y": 12}.get(
        code
    )


def _day_rule(name: str) -> DayRule:
    code = name.split("-")[0]
    if code.endswith("S"):
        return "business start" if code.startswith("B") else "same"
    return "business end" if code.startswith("B") else "end"


def _months(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64)


def _fixed_season(step: int) -> int:
    """Return the season of a fixed step in microseconds."""
    if step % (7 * DAY) == 0:
        return 52 if step == 7 * DAY else 1
    if step == DAY:
        return 7
    if step >= DAY:
        return 1
    span = DAY if step >= _MINUTE else 60 * _MINUTE  # below a minute, the hour
    return span // step if span % step == 0 else 1


def fixed_alias(step: int, anchor: np.datetime64 | None = None) -> str:
    """Return pandas' shortest alias of a step in microseconds, `"h"` rather than `"60min"`.

    Whole weeks are named by the weekday of `anchor`, and in days where there is none.
    """
    if anchor is not None and step % (7 * DAY) == 0:
        weeks = "" if step == 7 * DAY else str(step // (7 * DAY))
        return f"{weeks}W-{pd.Timestamp(anchor).day_name()[:3].upper()}"
    sizes = {"D": DAY, "h": 3_600_000_000, "min": _MINUTE, "s": 1_000_000, "ms": 1000, "us": 1}
    unit, size = next((unit, size) for unit, size in sizes.items() if step % size == 0)
    return unit if step == size else f"{step // size}{unit}"
