"""Calendar features: where each step stands in the cycles of clock and calendar."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsformer.data.calendar import Frequency

_DAY = 86_400_000_000  # microseconds
_MONTH = 28 * _DAY


def _within(unit: str, length: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda times: (times - times.astype(f"datetime64[{unit}]")).astype(np.int64) / length


def _weekday(times: np.ndarray) -> np.ndarray:
    days = times.astype("datetime64[D]").astype(np.int64) + 3  # 1 January 1970 was a Thursday
    return (days % 7) / 7


def _day_of_month(times: np.ndarray) -> np.ndarray:
    return (times.astype("datetime64[D]") - times.astype("datetime64[M]")).astype(np.int64) / 31


def _time_of_year(times: np.ndarray) -> np.ndarray:
    return (times.astype("datetime64[D]") - times.astype("datetime64[Y]")).astype(np.int64) / 365.25


# Each with the shortest step that has at least two phases of it, and what places a time in it.
_CYCLES: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "minute": (60_000_000, _within("m", 60_000_000)),
    "hour": (3_600_000_000, _within("h", 3_600_000_000)),
    "day": (_DAY, _within("D", _DAY)),
    "week": (7 * _DAY, _weekday),
    "month": (_MONTH, _day_of_month),
    "year": (365 * _DAY, _time_of_year),
}


def cycles(freq: Frequency) -> tuple[str, ...]:
    """Return the cycles that a step is shorter than, from the shortest on; none without dates."""
    if freq.unit == "integer":
        return ()
    lengths = {"month": _MONTH, "business": _DAY, "fixed": 1}
    step = freq.step * lengths[freq.unit]
    # of the cycles below it, a step of an hour sees one phase only
    return tuple(name for name, (length, _) in _CYCLES.items() if 2 * step <= length)


def calendar_features(times: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Return sine and cosine of each time's phase in each cycle, `[2 * cycles, ...]`, float32."""
    waves = []
    for name in names:
        phase = 2 * np.pi * _CYCLES[name][1](times)
        waves += [np.sin(phase), np.cos(phase)]
    return np.stack(waves).astype(np.float32) if waves else np.empty((0, *times.shape), np.float32)
