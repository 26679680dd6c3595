from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency, fixed_alias, parse_frequency

FIXED = ["ms", "250ms", "s", "10s", "min", "15min", "h", "6h", "D", "10D", "W-MON", "2W-THU"]
BUSINESS = ["B", "2B"]
MONTHLY = ["MS", "ME", "2MS", "5ME", "BMS", "BME"]
QUARTERLY = ["QS", "QE", "QS-FEB", "QE-JAN", "QS-OCT", "BQS", "BQE-NOV", "2QE"]
YEARLY = ["YS", "YE", "YS-APR", "YE-FEB", "YE-JUN", "BYS", "BYE-MAR", "2YS"]
ALIASES = FIXED + BUSINESS + MONTHLY + QUARTERLY + YEARLY
# The date_range of an alias begins at its first step after one of these.
ANCHORS = ["2020-01-15 00:00", "2021-04-30 05:30", "2023-02-10 23:59", "2019-12-29 00:00"]


def dates(alias: str, anchor: str, periods: int = 40) -> np.ndarray:
    return pd.date_range(anchor, periods=periods, freq=alias).to_numpy().astype("datetime64[us]")


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("alias", ALIASES)
def test_when_positions_given_then_times_are_those_of_pandas(alias: str, anchor: str) -> None:
    expected = dates(alias, anchor)
    times = parse_frequency(alias).times(expected[0], np.arange(len(expected)))
    np.testing.assert_array_equal(times, expected)
    assert times.dtype == np.dtype("datetime64[us]")


@pytest.mark.parametrize("alias", ALIASES)
def test_when_steps_follow_each_other_then_following_gives_their_times(alias: str) -> None:
    frequency = parse_frequency(alias)
    starts = dates(alias, ANCHORS[1], 3)
    first = np.array([0, 7, -2])
    expected = frequency.times(starts[:, None], first[:, None] + np.arange(5))
    found = frequency.following(starts, first, 5)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("alias", ALIASES)
def test_when_times_on_steps_then_index_is_inverse_of_times(alias: str, anchor: str) -> None:
    expected = dates(alias, anchor)
    order = np.random.default_rng(0).permutation(len(expected))
    starts = np.repeat(expected[0], len(expected))
    positions, exact = parse_frequency(alias).index(starts, expected[order])
    np.testing.assert_array_equal(positions, order)
    assert exact.all()


@pytest.mark.parametrize("alias", ALIASES)
def test_when_times_between_steps_then_marked_as_not_exact(alias: str) -> None:
    frequency = parse_frequency(alias)
    on_step = dates(alias, ANCHORS[0], 20)
    off_step = on_step + np.timedelta64(1, "us")
    starts = np.repeat(on_step[0], len(on_step))
    if frequency.step == 1 and frequency.unit == "fixed":
        pytest.skip("every microsecond is a step")
    assert not frequency.index(starts, off_step)[1].any()


def test_when_starts_differ_then_each_series_has_its_own_grid() -> None:
    frequency = parse_frequency("MS")
    starts = np.array(["2020-01-05", "2020-02-11"], dtype="datetime64[us]")
    times = frequency.times(starts[:, None], np.array([[0, 1], [12, -1]]))
    expected = [["2020-01-05", "2020-02-05"], ["2021-02-11", "2020-01-11"]]
    np.testing.assert_array_equal(times, np.array(expected, dtype="datetime64[us]"))


@pytest.mark.parametrize("alias", ["15min", "D", "W-MON", "B", "ME", "BMS", "QS-FEB", "YE-JUN"])
@given(position=st.integers(0, 2000), extra=st.integers(0, 2000))
def test_when_started_later_then_same_grid_continues(alias: str, position: int, extra: int) -> None:
    frequency = parse_frequency(alias)
    start = dates(alias, "1990-01-31", 1)[0]
    later = frequency.times(start, np.array(position))
    direct = frequency.times(start, np.array(position + extra))
    assert frequency.times(later, np.array(extra)) == direct


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (28, ["2023-01-28", "2023-02-28", "2023-03-28", "2023-04-28"]),
        (30, ["2023-01-30", "2023-02-28", "2023-03-30", "2023-04-30"]),
        (31, ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30"]),
    ],
)
def test_when_day_missing_in_month_then_last_day_stands_for_it(
    day: int, expected: list[str]
) -> None:
    frequency = Frequency(unit="month", step=1, day=day)
    wanted = np.array(expected, dtype="datetime64[us]")
    for first in range(4):  # also from the step that was moved to 28 February
        times = frequency.times(wanted[first], np.arange(4 - first))
        np.testing.assert_array_equal(times, wanted[first:])


def test_when_day_in_mid_month_then_remembered_day_does_not_count() -> None:
    start = np.datetime64("2023-02-15", "us")
    times = Frequency(unit="month", step=1, day=31).times(start, np.array([1, 2]))
    np.testing.assert_array_equal(times, np.array(["2023-03-15", "2023-04-15"], "datetime64[us]"))


def test_when_time_is_integer_then_steps_are_counted() -> None:
    frequency = Frequency(unit="integer", step=5)
    np.testing.assert_array_equal(frequency.times(np.array(7), np.arange(3)), [7, 12, 17])
    found = frequency.following(np.array([7, 1]), np.array([0, 2]), 2)
    np.testing.assert_array_equal(found, [[7, 12], [11, 16]])
    positions, exact = frequency.index(np.array([7, 7, 7]), np.array([7, 17, 18]))
    assert positions.tolist() == [0, 2, 2]
    assert exact.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("alias", "season"),
    [
        ("ms", 3_600_000),
        ("s", 3600),
        ("10s", 360),
        ("7s", 1),
        ("min", 1440),
        ("15min", 96),
        ("7min", 1),
        ("h", 24),
        ("2h", 12),
        ("5h", 1),
        ("12h", 2),
        ("D", 7),
        ("2D", 1),
        ("7D", 52),
        ("W-WED", 52),
        ("2W-WED", 1),
        ("B", 5),
        ("2B", 1),
        ("MS", 12),
        ("BME", 12),
        ("2ME", 6),
        ("5MS", 1),
        ("QE-NOV", 4),
        ("2QS", 2),
        ("YS", 1),
        ("3YE", 1),
    ],
)
def test_when_season_asked_then_a_day_week_or_year_in_steps(alias: str, season: int) -> None:
    assert parse_frequency(alias).season_length == season


def test_when_time_is_integer_then_no_season() -> None:
    assert Frequency(unit="integer", step=1).season_length == 1


@pytest.mark.parametrize(
    ("aliases", "horizon"),
    [
        ("250ms s 30s", 60),
        ("min 15min h 6h", 48),
        ("D 2D B", 30),
        ("W-SUN 2W-THU 5B", 8),
        ("MS ME BMS 2MS", 12),
        ("QS QE-NOV 2QS", 8),
        ("YS YE-JUN 2YS", 6),
    ],
)
def test_when_nobody_said_how_far_then_as_gift_eval_and_m4_do(aliases: str, horizon: int) -> None:
    assert {parse_frequency(alias).usual_horizon for alias in aliases.split()} == {horizon}


def test_when_time_is_integer_then_a_dozen_steps_whatever_their_size() -> None:
    assert {Frequency(unit="integer", step=step).usual_horizon for step in (1, 1000)} == {12}


@pytest.mark.parametrize("alias", ["fortnight", "", "MSX", "W-FOO", "D-MON"])
def test_when_alias_unknown_then_error_names_it_and_gives_examples(alias: str) -> None:
    with pytest.raises(ValueError, match=f"freq='{alias}' is not a pandas frequency; use one such"):
        parse_frequency(alias)


@pytest.mark.parametrize("alias", ["SME", "SMS", "CBMS", "WOM-1MON", "bh"])
def test_when_alias_has_no_regular_grid_then_error_offers_resampling(alias: str) -> None:
    with pytest.raises(ValueError, match=f"freq='{alias}.*is not supported; resample"):
        parse_frequency(alias)


@pytest.mark.parametrize("alias", ["-1h", "0D", "-2MS"])
def test_when_alias_steps_backwards_then_error(alias: str) -> None:
    with pytest.raises(ValueError, match=f"freq='{alias}' does not name a step forward"):
        parse_frequency(alias)


@pytest.mark.parametrize("alias", ["ns", "500ns", "1500ns"])
def test_when_step_finer_than_microseconds_then_error(alias: str) -> None:
    with pytest.raises(ValueError, match=f"freq='{alias}' is finer than a microsecond"):
        parse_frequency(alias)


@pytest.mark.parametrize(
    ("alias", "shortest"),
    [("60min", "h"), ("24h", "D"), ("1h30min", "90min"), ("1000ms", "s"), ("W", "W-SUN")],
)
def test_when_alias_can_be_shorter_then_shortest_is_kept(alias: str, shortest: str) -> None:
    assert parse_frequency(alias).alias == shortest


@pytest.mark.parametrize("alias", ["W-MON", "2W-MON", "D", "90min", "us"])
def test_when_step_named_then_pandas_reads_the_same_step(alias: str) -> None:
    step = parse_frequency(alias).step
    monday = np.datetime64("2024-01-01", "us")
    assert fixed_alias(step, monday) == alias
    assert parse_frequency(fixed_alias(step)).step == step
