"""Times along an axis: as fine as the span needs, and none told twice."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, num2date
from matplotlib.ticker import Formatter, MaxNLocator

from tsformer.plotting.style import TINY

_SECOND = 1 / 86_400  # in days, in which Matplotlib counts
# the least distance of labels, what they say, and what is said below the first and where it changes
_FORMS = (
    (365.0, "%Y", ""),
    (28.0, "%b", "%Y"),
    (1.0, "%d %b", "%Y"),
    (60 * _SECOND, "%H:%M", "%d %b %Y"),
    (_SECOND, "%H:%M:%S", "%d %b %Y"),
    (0.0, "%H:%M:%S.%f", "%d %b %Y"),
)
# the least span in days, and the letters of the longest label that it may have
_LETTERS = ((60, 4), (4, 6), (0, 11))


class DateLabels(Formatter):
    """Labels of two lines: the time, and below the first one, and where it changes, its date."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self.zone = zone

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of one time by itself."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Any) -> list[str]:
        """Return the labels of ticks; those that lie outside of the axis have none."""
        low, high = sorted(self.axis.get_view_interval()) if self.axis else (-np.inf, np.inf)
        step = float(np.diff(values).min()) if len(values) > 1 else 1.0
        fine, coarse = next((f, c) for least, f, c in _FORMS if step >= 0.95 * least)
        labels, before = [], None
        for value in values:
            if not low <= value <= high:
                labels.append("")
                continue
            time = num2date(value, tz=self.zone)
            label, date = time.strftime(fine), time.strftime(coarse)
            label = label[:-3] if fine.endswith("%f") else label
            labels.append(f"{label}\n{date}" if date != before and date else label)
            before = date
        return labels


class SpacedDates(AutoDateLocator):
    """Ticks at round dates, no more than there is room for.

    Those close before the first of a month, such as the 31st, are left out.
    """

    def __init__(self, zone: tzinfo | None, most: int) -> None:
        # the base class cannot keep to fewer than nine for every span, and warns then
        super().__init__(tz=zone, minticks=3, maxticks=9)
        self.most = most

    def __call__(self) -> Any:
        """Return the ticks of the axis."""
        ticks = np.asarray(super().__call__())
        steps = np.diff(ticks)
        if len(steps) >= 2:
            ticks = ticks[np.r_[steps > 0.7 * np.median(steps), True]]
        return ticks[:: -(-len(ticks) // self.most) or 1]


def time_axis(axis: Axes, times: np.ndarray, zone: str | None = None, width: float = 8.0) -> None:
    """Make the x axis one of times: dates by the clock of a zone, or whole numbers.

    Args:
        axis: to be changed.
        times: first and last time, `datetime64`, in UTC where there is a zone, or integers.
        zone: name of a time zone.
        width: of the axis, inches.
    """
    axis.tick_params(axis="x", labelsize=TINY)
    first, last = times[0], times[-1]
    if times.dtype.kind != "M":
        letters = max(len(str(first)), len(str(last)))
        axis.xaxis.set_major_locator(MaxNLocator(_most_ticks(width, letters), integer=True))
        return
    clock = None if zone is None else pd.DatetimeIndex([]).tz_localize(zone).tz
    letters = next(size for span, size in _LETTERS if last - first >= np.timedelta64(span, "D"))
    most = _most_ticks(width, letters)
    axis.xaxis.set_major_locator(SpacedDates(clock, most))
    axis.xaxis.set_major_formatter(DateLabels(clock))


def _most_ticks(width: float, letters: int) -> int:
    """Return how many labels of so many letters an axis has room for, two to nine."""
    return int(np.clip(width * 72 * 0.85 / (0.6 * TINY * letters + 8), 2, 9))


def short_labels(times: np.ndarray, between: np.timedelta64) -> list[str]:
    """Return short names of times, `[n]`, of which neighbouring ones are so far apart."""
    if times.dtype.kind == "i":
        return [str(time) for time in times]
    if between >= np.timedelta64(28, "D"):
        form = "%b %Y"
    else:
        form = "%d %b" if between >= np.timedelta64(1, "D") else "%d %b %Hh"
    return pd.DatetimeIndex(times).strftime(form).tolist()
