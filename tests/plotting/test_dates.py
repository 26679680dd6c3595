from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tsformer.plotting.dates import short_labels, time_axis
from tsformer.plotting.style import new_figure


def labels_of(times: np.ndarray, zone: str | None = None, width: float = 8.0) -> list[str]:
    figure, labels = drawn(times, zone, width)
    return labels


def drawn(times: np.ndarray, zone: str | None, width: float) -> tuple[Figure, list[str]]:
    figure = new_figure(width, 2)
    axis = figure.subplots()
    axis.plot(times, np.zeros(len(times)))
    time_axis(axis, times[[0, -1]], zone, width)
    figure.canvas.draw()
    labels = [tick.label1.get_text() for tick in axis.xaxis._update_ticks()]
    return figure, [label for label in labels if label]


def dates(start: str, periods: int, freq: str) -> np.ndarray:
    return pd.date_range(start, periods=periods, freq=freq).to_numpy().astype("datetime64[us]")


def test_years_months_days_and_hours_are_told_as_the_span_needs() -> None:
    assert labels_of(dates("2001-01-01", 60, "QS")) == [str(year) for year in range(2002, 2018, 2)]
    months = labels_of(dates("2023-11-01", 8, "MS"))
    assert months == ["Nov\n2023", "Dec", "Jan\n2024", "Feb", "Mar", "Apr", "May", "Jun"]
    days = labels_of(dates("2024-03-04", 24 * 5, "h"))
    assert days[:2] == ["04 Mar\n2024", "05 Mar"]
    hours = labels_of(dates("2024-03-04 12:00", 24, "h"))
    assert "12:00\n04 Mar 2024" in hours
    assert "00:00\n05 Mar 2024" in hours
    assert "16:00" in hours
    assert labels_of(dates("2024-03-04", 30, "s"))[0] == "00:00:00\n04 Mar 2024"


def test_the_date_is_told_once() -> None:
    labels = labels_of(dates("2024-03-04", 24 * 5, "h"))
    assert sum("2024" in label for label in labels) == 1


def test_hours_are_those_of_the_zone() -> None:
    times = dates("2024-03-04 23:00", 6, "h")  # UTC: midnight in Berlin
    assert labels_of(times, "Europe/Berlin")[0] == "00:00\n05 Mar 2024"
    assert labels_of(times, "UTC+01:00")[0] == "00:00\n05 Mar 2024"
    assert labels_of(times)[0] == "23:00\n04 Mar 2024"


def test_days_stay_days_where_clocks_change() -> None:
    times = dates("2024-03-27 23:00", 24 * 8, "h")
    labels = labels_of(times, "Europe/Berlin")
    assert len(labels) > 3
    assert all(":" not in label for label in labels)


def test_days_close_before_the_first_of_a_month_are_left_out() -> None:
    labels = labels_of(dates("2024-03-25", 12, "D"))
    assert "01 Apr" in labels
    assert "31 Mar" not in labels


@pytest.mark.parametrize("width", [2.4, 3.3, 8.0])
@pytest.mark.parametrize(
    ("periods", "freq"), [(10, "min"), (40, "h"), (12, "D"), (90, "D"), (30, "MS"), (200, "QS")]
)
def test_labels_do_not_overlap(
    assert_readable: Callable[[Figure], None], width: float, periods: int, freq: str
) -> None:
    figure, labels = drawn(dates("2024-03-20", periods, freq), None, width)
    assert_readable(figure)
    assert len(labels) >= 2


def test_integer_time_has_whole_labels() -> None:
    assert labels_of(np.arange(3)) == ["0", "1", "2"]
    assert all(label.isdecimal() for label in labels_of(np.arange(100, 250)))


def test_times_have_short_names() -> None:
    times = dates("2024-03-01 05:00", 3, "h")
    assert short_labels(times, np.timedelta64(1, "h"))[0] == "01 Mar 05h"
    assert short_labels(times, np.timedelta64(2, "D"))[0] == "01 Mar"
    assert short_labels(times, np.timedelta64(40, "D"))[0] == "Mar 2024"
    assert short_labels(np.arange(3, 5), np.timedelta64(1, "D")) == ["3", "4"]
