from __future__ import annotations

import datetime
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.data.columns import LARGEST, period_frequency, read_numbers, read_times

DAYS = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[us]")


def where(row: int) -> str:
    return f"place {row}"


def numbers(column: Any) -> np.ndarray:
    return read_numbers(column, "y", where)


def times(column: Any) -> np.ndarray:
    return read_times(column, "ds", where).values


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (np.array([1, 2], dtype=np.uint8), [1, 2]),
        (np.array([0.5, np.nan], dtype=np.float16), [0.5, np.nan]),
        (pd.array([1, None, 3], dtype="Int64"), [1, np.nan, 3]),
        (pd.array([1.5, None], dtype="Float32"), [1.5, np.nan]),
        (pd.array([True, None, False], dtype="boolean"), [1, np.nan, 0]),
        ([True, False], [1, 0]),
        (np.array([True, None, False], dtype=object), [1, np.nan, 0]),
        (np.array([Decimal("1.25"), None, 2], dtype=object), [1.25, np.nan, 2]),
        (np.array([None, None], dtype=object), [np.nan, np.nan]),
        (pd.Categorical([3, 1, 3]), [3, 1, 3]),
        (pd.arrays.SparseArray([1.0, np.nan]), [1, np.nan]),
        (pd.Series([1, 2], index=[9, 9]), [1, 2]),
        (pd.Series([1, None], dtype="int64[pyarrow]"), [1, np.nan]),
        ([], []),
    ],
)
def test_when_column_holds_numbers_then_read_as_float64(column: Any, expected: list[float]) -> None:
    read = numbers(column)
    assert read.dtype == np.float64
    np.testing.assert_array_equal(read, np.array(expected, dtype=float))


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        ("high", "'high'"),
        ("1.5", "'1.5'"),
        (b"1", "b'1'"),
        ([1], "[1]"),
        (datetime.date(2024, 1, 1), "datetime.date(2024, 1, 1)"),
        (datetime.timedelta(1), "datetime.timedelta(days=1)"),
        (datetime.time(1), "datetime.time(1, 0)"),
    ],
)
def test_when_value_is_not_a_number_then_error_shows_it_and_its_row(wrong: Any, shown: str) -> None:
    column = pd.Series([1.0, None, wrong, wrong], dtype=object)
    message = re.escape(f"column 'y' has {shown} at place 2, which is not a number")
    with pytest.raises(ValueError, match=message):
        numbers(column)


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(DAYS),
        pd.Series(DAYS).dt.tz_localize("UTC"),
        pd.Series(DAYS - DAYS[0]),
        pd.Series(pd.period_range("2024", periods=3, freq="M")),
        pd.Series(["a", "b", "c"], dtype="category"),
        pd.Series(["a", "b", "c"], dtype="string"),
    ],
)
def test_when_whole_column_is_no_number_then_error_names_first_row(column: pd.Series) -> None:
    with pytest.raises(ValueError, match="column 'y' has .* at place 0, which is not a number"):
        numbers(column)


def test_when_numbers_are_complex_then_error() -> None:
    with pytest.raises(ValueError, match="column 'y' holds complex numbers"):
        numbers([1 + 2j])


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_when_value_infinite_then_error_names_row_and_remedy(infinite: float) -> None:
    with pytest.raises(ValueError, match="column 'y' has -?inf at place 1; replace it by NaN"):
        numbers([np.nan, infinite, 1.0])


@pytest.mark.parametrize("sign", [1, -1])
def test_when_value_too_large_for_float32_then_error_and_the_largest_is_read(sign: int) -> None:
    np.testing.assert_array_equal(numbers([sign * LARGEST]), [sign * LARGEST])
    with pytest.raises(ValueError, match=r"has -?1.01e\+35 at place 1; rescale the column"):
        numbers([1.0, sign * 1.01 * LARGEST])


@pytest.mark.parametrize(
    "column",
    [
        DAYS,
        DAYS.astype("datetime64[s]"),
        pd.DatetimeIndex(DAYS),
        [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2), datetime.date(2024, 1, 3)],
        [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2), pd.Timestamp(2024, 1, 3)],
        ["2024-01-01", "2024-01-02", "2024-01-03"],
        ["2024-01-01", "2024-01-02 00:00", "2024-01-03T00:00:00"],
        ["20240101", "20240102", "20240103"],
        ["1/13/2024", "1/14/2024", "1/15/2024"],
        ["13.01.2024", "14.01.2024", "15.01.2024"],
        ["12/01/2024", "13/01/2024", "14/01/2024"],
        ["Jan 13 2024", "Jan 14 2024", "Jan 15 2024"],
        pd.Series(DAYS).astype("timestamp[us][pyarrow]"),
        pd.period_range("2024-01-01", periods=3, freq="D"),
    ],
)
def test_when_column_holds_times_then_days_in_microseconds(column: Any) -> None:
    read = times(column)
    assert read.dtype == np.dtype("datetime64[us]")
    np.testing.assert_array_equal(np.diff(read), np.full(2, np.timedelta64(1, "D")))
    assert read[0].astype("datetime64[M]") == np.datetime64("2024-01")


def test_when_times_are_in_nanoseconds_then_rounded_down_also_before_1970() -> None:
    given = np.array([-1, -1000, -1001, 0, 999, 10**18 + 1], dtype="datetime64[ns]")
    times = read_times(pd.Series(given), "ds", str)
    np.testing.assert_array_equal(times.values, given.astype("datetime64[us]"))


@pytest.mark.parametrize(
    ("column", "first"),
    [
        (["2024Q1", "2024Q2"], "2024-01-01"),
        (["2024", "2025"], "2024-01-01"),
        (["2024-03", "2024-04"], "2024-03-01"),
        (["Mar 2024", "Apr 2024"], "2024-03-01"),
    ],
)
def test_when_text_names_months_or_years_then_their_first_day(
    column: list[str], first: str
) -> None:
    assert times(column)[0] == np.datetime64(first)


@pytest.mark.parametrize(
    "column",
    [[3, 1, 2], np.array([3, 1, 2], np.uint8), [3.0, 1.0, 2.0], pd.array([3, 1, 2], "Int64")],
)
def test_when_times_are_whole_numbers_then_int64(column: Any) -> None:
    read = times(column)
    assert read.dtype == np.int64
    assert read.tolist() == [3, 1, 2]


@pytest.mark.parametrize("wrong", [1.5, np.inf, 1e300])
def test_when_numeric_time_is_not_whole_then_error_names_row(wrong: float) -> None:
    message = re.escape(f"column 'ds' has the time {wrong} at place 1; times are dates or whole")
    with pytest.raises(ValueError, match=message):
        times([1.0, wrong])


@pytest.mark.parametrize(
    "column",
    [[DAYS[0], pd.NaT], ["2024-01-01", None], [1.0, np.nan], pd.array([1, None], dtype="Int64")],
)
def test_when_time_missing_then_error_names_row(column: Any) -> None:
    with pytest.raises(ValueError, match="column 'ds' has no time at place 1; drop the row"):
        times(column)


@pytest.mark.parametrize(
    "column",
    [
        ["2024-01-01", "soon"],
        ["2024-01-01", "2024-13-01"],
        ["13.01.2024", "soon"],
        ["2024-01-01 00:00", "soon", "2024-01-03"],
    ],
)
def test_when_text_is_no_time_then_error_shows_it_and_its_row(column: list[str]) -> None:
    message = f"column 'ds' has '{column[1]}' at place 1, which is not a time; write it as 2024"
    with pytest.raises(ValueError, match=message):
        times(column)


def test_when_day_and_month_could_be_swapped_then_error_shows_both() -> None:
    message = "'01/02/2024' at place 1, which may be 02 January 2024 or 01 February 2024"
    with pytest.raises(ValueError, match=message):
        times(["01/01/2024", "01/02/2024", "01/03/2024"])


@pytest.mark.parametrize("column", [[True, False], np.array([True, False], dtype=object)])
def test_when_times_are_booleans_then_error(column: Any) -> None:
    with pytest.raises(ValueError, match="column 'ds' h"):
        times(column)


UTC = datetime.UTC
PLUS_ONE = datetime.timezone(datetime.timedelta(hours=1))


@pytest.mark.parametrize(
    ("column", "named"),
    [
        ([datetime.datetime(2024, 1, 1, tzinfo=UTC), datetime.datetime(2024, 1, 2)], "UTC, none"),
        (
            [
                datetime.datetime(2024, 1, 1, tzinfo=UTC),
                datetime.datetime(2024, 1, 2, tzinfo=PLUS_ONE),
            ],
            "UTC, UTC+01:00",
        ),
        (["2024-01-01T00:00+01:00", "2024-01-02T00:00+02:00"], "different offsets"),
        (["2024-01-01T00:00", "2024-01-02T00:00Z"], "different offsets"),
    ],
)
def test_when_time_zones_are_mixed_then_error_offers_utc(column: list[Any], named: str) -> None:
    message = f"column 'ds' mixes time zones.*{re.escape(named)}.*utc=True"
    with pytest.raises(ValueError, match=message):
        times(column)


@pytest.mark.parametrize(
    ("column", "zone"),
    [
        (pd.date_range("2024-01-01", periods=3, tz="Asia/Tokyo"), "Asia/Tokyo"),
        (pd.date_range("2024-01-01", periods=3, tz="Asia/Tokyo").astype(object), "Asia/Tokyo"),
        (["2024-01-01T00:00Z", "2024-01-02T00:00Z", "2024-01-03T00:00Z"], "UTC"),
        (["2024-01-01T09:00+09:00", "2024-01-02T09:00+09:00"], "UTC+09:00"),
    ],
)
def test_when_times_have_a_zone_then_utc_inside_and_zone_kept(column: Any, zone: str) -> None:
    read = read_times(column, "ds", where)
    expected = pd.to_datetime(list(column), utc=True).tz_localize(None).to_numpy()
    np.testing.assert_array_equal(read.values, expected)
    assert (read.zone, read.wall, read.freq) == (zone, False, None)


def test_when_clock_on_the_wall_asked_then_that_of_the_zone() -> None:
    index = pd.date_range("2024-03-30", periods=48, freq="h", tz="Europe/Berlin")
    read = read_times(index, "ds", where)
    np.testing.assert_array_equal(read.on_the_wall, index.tz_localize(None).to_numpy())


def test_when_midnight_is_skipped_then_the_wall_shows_it_nevertheless() -> None:
    days = pd.date_range("2023-04-25", periods=6)  # in Cairo, clocks go forward on the 28th
    index = days.tz_localize("Africa/Cairo", nonexistent="shift_forward")
    assert index[3].hour == 1
    np.testing.assert_array_equal(read_times(index, "ds", where).on_the_wall, days.to_numpy())


def test_when_hour_after_midnight_is_meant_then_the_wall_is_not_moved() -> None:
    index = pd.date_range("2023-04-25 01:00", periods=6, tz="Africa/Cairo")
    wall = read_times(index, "ds", where).on_the_wall
    np.testing.assert_array_equal(wall, index.tz_localize(None).to_numpy())


@pytest.mark.parametrize(
    ("freq", "unit", "step", "alias"),
    [
        ("M", "month", 1, "MS"),
        ("2M", "month", 2, "2MS"),
        ("Q", "month", 3, "QS"),
        ("Q-NOV", "month", 3, "QS"),
        ("Y", "month", 12, "YS"),
        ("3Y", "month", 36, "3YS"),
        pytest.param(
            *("B", "business", 1, "B"),
            marks=pytest.mark.filterwarnings("ignore:Period:FutureWarning"),
        ),
        ("W-SUN", "fixed", 7 * 86_400_000_000, "W-SUN"),
        ("h", "fixed", 3_600_000_000, "h"),
        ("15min", "fixed", 900_000_000, "15min"),
    ],
)
def test_when_times_are_periods_then_their_frequency_is_known(
    freq: str, unit: str, step: int, alias: str
) -> None:
    periods = pd.period_range("2024-01-01", periods=30, freq=freq)
    found = period_frequency(periods.freq)
    assert (found.unit, found.step, found.alias) == (unit, step, alias)
    read = read_times(periods, "ds", where)
    assert read.freq == found
    np.testing.assert_array_equal(found.times(read.values[0], np.arange(30)), read.values)


@pytest.mark.parametrize(
    ("column", "form"),
    [
        ([20240130, 20240131, 20240201], "%Y%m%d"),
        ([20240201, 20240131], "%Y%m%d"),
        ([20240131, 20240229, 20240331], "%Y%m%d"),
        ([20240101, 20240201, 20240301], "%Y%m%d"),
        ([202312, 202401], "%Y%m"),
        (np.array([202309, 202312, 202403], np.int32), "%Y%m"),
        (pd.array([20240131, 20240201], "Int64"), "%Y%m%d"),
        ([20240131.0, 20240201.0], "%Y%m%d"),
    ],
)
def test_when_dates_are_written_as_numbers_then_error_names_the_remedy(
    column: Any, form: str
) -> None:
    remedy = f'pandas.to_datetime(column.astype(str), format="{form}")'
    with pytest.raises(ValueError, match=f"column 'ds' has dates.*{re.escape(remedy)}"):
        times(column)


@pytest.mark.parametrize(
    "column",
    [
        range(20240101, 20240141),
        range(20240101, 20240130),
        range(20240000, 20250000),
        range(202301, 202400),
        [202301, 202401, 202501],
        [20191231, 20201231, 20211231],
        [1990, 1991, 1992],
        [1, 2, 3],
        [20240131],
        [20240131, 20240131],
        [180000, 180001, 180101],
        [17991231, 18000101],
        [202412, 20250101],
    ],
)
def test_when_numbers_count_then_they_are_no_dates(column: Any) -> None:
    assert times(list(column)).tolist() == list(column)


@pytest.mark.parametrize("kind", [object, "string"])
def test_when_one_cell_makes_text_of_a_column_then_that_cell_is_named(kind: Any) -> None:
    column = pd.Series(["0.0", None, "1e3", "n/a-x", "2", "worse"], dtype=kind)
    message = "column 'y' has 'n/a-x' at place 3, which is not a number; correct it, or replace it"
    with pytest.raises(ValueError, match=message):
        numbers(column)


def test_when_all_text_is_numbers_then_the_text_is_blamed_as_such() -> None:
    with pytest.raises(ValueError, match=r"has '1' at place 0.*convert the column.*astype\(float"):
        numbers(pd.Series(["1", "2.5", None]))
