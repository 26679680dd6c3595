from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency, parse_frequency
from tsformer.data.infer_frequency import infer_frequency, settle_day

ALIASES = (
    "ms 250ms s 10s min 15min h 6h D 2D W-MON W-SUN 2W-THU 4W-FRI B MS ME 2MS 2ME BMS BME "
    "QS QE QS-FEB QE-JAN QS-OCT BQS BQE-NOV YS YE YS-APR YE-FEB YE-JUN BYS BYE-MAR 2YS"
).split()
STEPS = 40


def dates(alias: str, anchor: str) -> np.ndarray:
    return pd.date_range(anchor, periods=STEPS, freq=alias).to_numpy().astype("datetime64[us]")


def with_gaps(n: int, share: float, seed: int) -> np.ndarray:
    """Return True for the steps that are kept: the first, the last and a random part."""
    kept = np.random.default_rng(seed).random(n) >= share
    kept[[0, -1]] = True
    return kept


@pytest.mark.parametrize("share", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("anchor", ["2023-02-10 05:00", "2021-04-30", "2020-01-01"])
@pytest.mark.parametrize("alias", ALIASES)
def test_when_steps_missing_at_random_then_frequency_is_found(
    alias: str, anchor: str, share: float
) -> None:
    expected, all_times = parse_frequency(alias), dates(alias, anchor)
    times = all_times[with_gaps(STEPS, share, seed=3)]
    found = infer_frequency(times, np.zeros(len(times), dtype=int))
    assert (found.unit, found.step) == (expected.unit, expected.step)
    np.testing.assert_array_equal(found.times(times[0], np.arange(STEPS)), all_times)


@pytest.mark.parametrize("anchor", ["2023-02-10", "2021-04-30", "2020-01-01"])
@pytest.mark.parametrize("alias", ALIASES)
def test_when_frequency_found_then_pandas_continues_by_its_alias(alias: str, anchor: str) -> None:
    times = dates(alias, anchor)
    found = infer_frequency(times, np.zeros(STEPS, dtype=int))
    again = pd.date_range(times[0], periods=STEPS, freq=found.alias)
    np.testing.assert_array_equal(again.to_numpy(), times)


@pytest.mark.parametrize("first", ["2023-01-31", "2023-02-28", "2024-02-29", "2023-04-30"])
def test_when_series_starts_at_any_month_end_then_every_later_start_gives_the_same_days(
    first: str,
) -> None:
    times = dates("ME", first)
    found = infer_frequency(times, np.zeros(STEPS, dtype=int))
    for begin in range(12):
        np.testing.assert_array_equal(
            found.times(times[begin], np.arange(STEPS - begin)), times[begin:]
        )


@pytest.mark.parametrize("day", [2, 15, 28, 29, 30])
def test_when_day_in_mid_month_then_every_later_start_gives_the_same_days(day: int) -> None:
    months = [pd.Timestamp(2023, 1, day) + pd.DateOffset(months=n) for n in range(STEPS)]
    times = np.array(months, dtype="datetime64[us]")
    found = infer_frequency(times, np.zeros(STEPS, dtype=int))
    assert (found.unit, found.step) == ("month", 1)
    for begin in range(14):
        np.testing.assert_array_equal(
            found.times(times[begin], np.arange(STEPS - begin)), times[begin:]
        )


def test_when_series_keep_different_days_of_the_month_then_each_keeps_its_own() -> None:
    days = [5, 17, 31]
    columns = [
        [pd.Timestamp(2023, 1, day) + pd.DateOffset(months=n) for n in range(STEPS)] for day in days
    ]
    times = np.array(columns, dtype="datetime64[us]")
    found = infer_frequency(times.ravel(), np.repeat([0, 1, 2], STEPS))
    np.testing.assert_array_equal(found.times(times[:, :1], np.arange(STEPS)), times)
    np.testing.assert_array_equal(found.times(times[:, 1:2], np.arange(STEPS - 1)), times[:, 1:])


def test_when_series_differ_in_start_and_gaps_then_the_common_step_is_found() -> None:
    pieces = [
        dates("h", start)[with_gaps(STEPS, 0.5, n)] for n, start in enumerate(["2020", "2021"])
    ]
    series = np.repeat([0, 1], [len(piece) for piece in pieces])
    assert infer_frequency(np.concatenate(pieces), series).alias == "h"


@given(step=st.integers(1, 1000), start=st.integers(-1000, 1000), seed=st.integers(0, 99))
def test_when_time_is_integer_then_step_is_found(step: int, start: int, seed: int) -> None:
    times = (start + step * np.arange(STEPS))[with_gaps(STEPS, 0.3, seed)]
    found = infer_frequency(times, np.zeros(len(times), dtype=int))
    assert found == Frequency(unit="integer", step=step)


def test_when_most_steps_are_doubled_then_the_smallest_that_divides_all_is_found() -> None:
    times = np.array([0, 2, 4, 6, 7, 9, 11])
    assert infer_frequency(times, np.zeros(7, dtype=int)).step == 1


def test_when_a_step_fits_no_other_then_the_most_frequent_is_found() -> None:
    times = np.array([0, 10, 20, 30, 37, 47, 57])
    assert infer_frequency(times, np.zeros(7, dtype=int)).step == 10


def test_when_weekends_are_never_entered_then_business_days_and_else_days() -> None:
    weekdays = dates("B", "2024-01-01")
    series = np.zeros(STEPS, dtype=int)
    assert infer_frequency(weekdays, series).alias == "B"
    saturday = np.sort(np.r_[weekdays, np.datetime64("2024-01-06", "us")])
    assert infer_frequency(saturday, np.zeros(STEPS + 1, dtype=int)).alias == "D"


def test_when_only_one_week_is_seen_then_days() -> None:
    assert infer_frequency(dates("B", "2024-01-01")[:5], np.zeros(5, dtype=int)).alias == "D"


def test_when_time_appears_twice_then_the_others_decide() -> None:
    times = np.repeat(dates("h", "2024-01-01"), 2)
    assert infer_frequency(times, np.zeros(len(times), dtype=int)).alias == "h"


def test_when_no_series_has_two_dates_then_error_asks_for_freq() -> None:
    times = np.array(["2024-01-01", "2024-01-02"], dtype="datetime64[us]")
    with pytest.raises(ValueError, match="freq cannot be inferred.*pass freq="):
        infer_frequency(times, np.array([0, 1]))


def test_when_no_series_has_two_integers_then_step_is_one() -> None:
    found = infer_frequency(np.array([4, 9]), np.array([0, 1]))
    assert found == Frequency(unit="integer", step=1)


@pytest.mark.parametrize(
    ("days", "rule", "day"),
    [
        (["2023-01-31", "2023-02-28"], "end", 0),
        (["2023-01-30", "2023-02-28"], "same", 30),
        (["2023-01-15", "2023-02-15"], "same", 0),
    ],
)
def test_when_caller_names_month_starts_then_days_are_read_from_the_times(
    days: list[str], rule: str, day: int
) -> None:
    times = np.array(days, dtype="datetime64[us]")
    settled = settle_day(parse_frequency("MS"), times, np.repeat(times[0], 2))
    assert (settled.day_rule, settled.day, settled.alias) == (rule, day, "MS")


@pytest.mark.parametrize("alias", ["h", "B", "ME", "BMS"])
def test_when_frequency_has_no_free_day_then_it_is_left_alone(alias: str) -> None:
    times = dates(alias, "2024-01-31")
    assert settle_day(parse_frequency(alias), times, times) == parse_frequency(alias)
