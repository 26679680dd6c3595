"""The frequency of a panel, read from its time stamps: gaps do not mislead it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tsformer.data.calendar import DAY, DayRule, Frequency, fixed_alias
from tsformer.data.panel import runs_of

_RULES: tuple[DayRule, ...] = ("same", "business start", "business end")
_MONTH_NAMES = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()


def infer_frequency(times: np.ndarray, series: np.ndarray) -> Frequency:
    """Return the frequency under which the steps of most series are one apart.

    Assumes `times` sorted within each series and the series one after the other. A gap makes a
    difference larger, never smaller, so the most frequent difference is the step; months are
    recognised by their day, business days by the weekends that are left out.

    Args:
        times: `[n]`, `datetime64[us]` or `int64`.
        series: `[n]`, the number of the series of each time.

    Raises:
        ValueError: where there are dates, but no series has two of them.
    """
    steps = np.diff(times.view(np.int64))
    steps = steps[(steps != 0) & (series[1:] == series[:-1])]
    if len(steps) == 0 and times.dtype.kind == "i":
        return Frequency(unit="integer", step=1)
    if len(steps) == 0:
        raise ValueError(
            "freq cannot be inferred: no series has more than one time stamp; pass freq="
        )
    if times.dtype.kind == "i":
        return Frequency(unit="integer", step=_typical_step(steps))
    if steps.min() >= 28 * DAY and (monthly := _monthly(times, _first_times(times, series))):
        return monthly
    step = _typical_step(steps)
    if step == DAY and (business := _business(times, _first_times(times, series), steps)):
        return business
    return Frequency(unit="fixed", step=step, alias=fixed_alias(step, times[0]))


def _typical_step(steps: np.ndarray) -> int:
    """Return the most frequent step, or the smallest where only that one divides all others."""
    if (steps == steps[0]).all():  # as in most tables; to count them would mean to sort them
        return int(steps[0])
    distinct, counts = np.unique(steps, return_counts=True)
    typical, smallest = int(distinct[counts.argmax()]), int(distinct[0])
    if (steps % typical).any() and not (steps % smallest).any():
        return smallest
    return typical


def _first_times(times: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Return, for each element, the first time of its series."""
    begins, lengths = runs_of(series)
    return np.repeat(times[begins], lengths)


def _monthly(times: np.ndarray, starts: np.ndarray) -> Frequency | None:
    """Return a calendar-month frequency if all times keep one rule for the day, else None."""
    months = times.astype("datetime64[M]").astype(np.int64)
    apart = months - starts.astype("datetime64[M]").astype(np.int64)
    step = int(np.gcd.reduce(apart))
    if step == 0:
        return None
    for rule in _RULES:
        candidate = settle_day(Frequency(unit="month", step=step, day_rule=rule), times, starts)
        if candidate.index(starts, times)[1].all():
            return replace(candidate, alias=_monthly_alias(step, candidate.day_rule, times))
    return None


def settle_day(frequency: Frequency, times: np.ndarray, starts: np.ndarray) -> Frequency:
    """Return a monthly frequency that gives the same days from whichever step a series begins.

    Days that are all the last of their month keep to the end of the month; else the latest day
    is remembered, if it is one that some months lack. Other frequencies come back as they are.

    Args:
        times: `[n]`, all times of a panel.
        starts: `[n]`, the first time of the series each element belongs to.
    """
    if frequency.unit != "month" or frequency.day_rule != "same":
        return frequency
    days = times.astype("datetime64[D]")
    latest = int((days - days.astype("datetime64[M]")).max().astype(np.int64)) + 1
    at_end = replace(frequency, day_rule="end")
    remembered = replace(frequency, day=latest if latest > 28 else 0)
    for candidate in (at_end, remembered):
        if candidate.index(starts, times)[1].all():
            return candidate
    return frequency


def _monthly_alias(step: int, rule: DayRule, times: np.ndarray) -> str:
    """Return pandas' alias; days in mid-month are named after the start of their month."""
    days = times.astype("datetime64[D]")
    end = rule.endswith("end")
    business = "B" if rule.startswith("business") else ""
    suffix = "E" if end else "S"
    month = int(days[0].astype("datetime64[M]").astype(np.int64)) % 12
    if step % 12 == 0:
        count, code = step // 12, f"{business}Y{suffix}-{_MONTH_NAMES[month]}"
    elif step % 3 == 0:
        anchor = _MONTH_NAMES[month % 3 + (9 if end else 0)]
        count, code = step // 3, f"{business}Q{suffix}-{anchor}"
    else:
        count, code = step, f"{business}M{suffix}"
    return code if count == 1 else f"{count}{code}"


def _business(times: np.ndarray, starts: np.ndarray, steps: np.ndarray) -> Frequency | None:
    """Return the business-day frequency if weekends were crossed and never entered, else None."""
    candidate = Frequency(unit="business", step=1, alias="B")
    weekends_crossed = (steps == 3 * DAY).any()
    if weekends_crossed and candidate.index(starts, times)[1].all():
        return candidate
    return None
