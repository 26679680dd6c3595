"""Days are regular by the clock on the wall, hours in UTC; answers are in the caller's zone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.frame import Schema, read_panel

STEPS, AHEAD = 60, 20
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
HOURS = ["15min", "h", "2h", "12h"]
DAYS = ["D", "B", "W-SUN", "MS", "ME", "QS"]


def frame_of(times: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"ds": times, "y": np.arange(len(times), dtype=float)})


def written(data: Any, horizon: int, **schema: Any) -> Any:
    """Return an answer of `horizon` steps to one series."""
    panel, layout = read_panel(data, Schema(**schema))
    times = panel.future_times(horizon).reshape(-1)
    return layout.write(np.repeat(panel.ids, horizon), times, {"mean": np.zeros(horizon)})


@pytest.mark.parametrize("start", ["2024-02-15", "2024-09-29"])  # before clocks change, both ways
@pytest.mark.parametrize("alias", HOURS + DAYS)
@pytest.mark.parametrize("zone", ZONES)
def test_when_clocks_change_within_history_and_horizon_then_times_are_those_of_pandas(
    zone: str, alias: str, start: str
) -> None:
    steps = pd.date_range(start, periods=STEPS + AHEAD, freq=alias, tz=zone)
    past, future = steps[:STEPS], steps[STEPS:]
    kept = np.random.default_rng(0).random(STEPS) > 0.3
    kept[[0, -1]] = True
    panel, _ = read_panel(frame_of(past[kept]), Schema())
    expected = np.where(kept, np.cumsum(kept) - 1.0, np.nan)
    np.testing.assert_array_equal(panel.values, [expected])
    answer = written(frame_of(past[kept]), AHEAD)
    assert answer["ds"].dtype == past.dtype
    assert list(answer["ds"]) == list(future)


@pytest.mark.parametrize("alias", ["h", "D", "ME"])
def test_when_frequency_is_named_then_the_same_times(alias: str) -> None:
    steps = pd.date_range("2024-03-20", periods=STEPS, freq=alias, tz="Europe/Berlin")
    assert list(written(frame_of(steps[:20]), 40, freq=alias)["ds"]) == list(steps[20:])


@pytest.mark.parametrize("alias", ["h", "D"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_when_frame_is_of_polars_then_zone_and_unit_are_kept(unit: Any, alias: str) -> None:
    steps = pd.date_range("2024-10-20", periods=STEPS, freq=alias, tz="Europe/Berlin")
    frame = pl.from_pandas(frame_of(steps[:20])).with_columns(pl.col("ds").dt.cast_time_unit(unit))
    answer = written(frame, 40)
    assert answer["ds"].dtype == pl.Datetime(unit, "Europe/Berlin")
    assert answer["ds"].to_list() == list(steps[20:])


@pytest.mark.parametrize("alias", ["h", "D"])
def test_when_times_are_the_index_then_zone_is_kept(alias: str) -> None:
    steps = pd.date_range("2024-03-20", periods=STEPS, freq=alias, tz="Europe/Berlin")
    series = pd.Series(np.zeros(20), index=steps[:20])
    assert list(written(series, 40).index) == list(steps[20:])
    wide = written(series.to_frame("a"), 40)
    assert wide["ds"].dtype == steps.dtype
    assert list(wide["ds"]) == list(steps[20:])


def test_when_daily_midnight_is_skipped_then_the_day_counts_and_the_answer_shows_one_o_clock() -> (
    None
):
    days = pd.date_range("2023-04-10", periods=30)  # in Cairo, clocks go forward on the 28th
    local = days.tz_localize("Africa/Cairo", nonexistent="shift_forward")
    panel, _ = read_panel(frame_of(local), Schema())
    np.testing.assert_array_equal(panel.values, [np.arange(30)])
    answer = written(frame_of(local[:10]), 20)
    assert list(answer["ds"]) == list(local[10:])
    assert answer["ds"][8].hour == 1


@pytest.mark.parametrize(
    ("first", "second", "alias", "wall"),
    [
        ("2024-03-31 00:00", "2024-04-01 00:00", "D", True),  # 23 hours apart
        ("2024-10-27 00:00", "2024-10-28 00:00", "D", True),  # 25 hours apart
        ("2024-03-31 01:00", "2024-03-31 03:00", "h", False),  # 1 hour apart
        ("2024-03-30 18:00", "2024-03-31 07:00", "12h", False),
    ],
)
def test_when_only_two_times_are_known_then_a_changed_clock_does_not_mislead(
    first: str, second: str, alias: str, wall: bool
) -> None:
    times = pd.DatetimeIndex([first, second]).tz_localize("Europe/Berlin")
    panel, layout = read_panel(frame_of(times), Schema())
    assert (panel.freq.alias, layout.wall) == (alias, wall)
    assert panel.lengths.tolist() == [2]


def test_when_both_hours_of_a_repeated_one_are_there_then_both_count() -> None:
    times = pd.date_range("2024-10-27 00:00", periods=2, freq="h", tz="UTC")
    local = times.tz_convert("Europe/Berlin")  # 02:00 twice
    panel, _ = read_panel(frame_of(local), Schema())
    assert (panel.freq.alias, panel.values.tolist()) == ("h", [[0.0, 1.0]])


@pytest.mark.parametrize("backend", [pd.DataFrame, pl.from_pandas], ids=["pandas", "polars"])
def test_when_text_ends_in_an_offset_then_answer_names_the_same_moments(backend: Any) -> None:
    text = pd.DataFrame({"ds": [f"2024-01-0{day}T06:00+05:30" for day in (1, 2)], "y": 0.0})
    answer = written(backend(text), 2)
    moments = pd.to_datetime(list(answer["ds"]), utc=True)
    expected = pd.to_datetime(["2024-01-03T06:00+05:30", "2024-01-04T06:00+05:30"], utc=True)
    assert list(moments) == list(expected)


def test_when_series_are_in_one_zone_then_each_has_its_own_time_of_day() -> None:
    zone = "Europe/Berlin"
    early = pd.date_range("2024-03-25 06:00", periods=14, tz=zone)
    late = pd.date_range("2024-03-25 18:00", periods=14, tz=zone)
    frame = pd.concat([frame_of(early).assign(unique_id="a"), frame_of(late).assign(unique_id="b")])
    panel, _ = read_panel(frame, Schema())
    np.testing.assert_array_equal(panel.values, [np.tile(np.arange(14), 2)])
    np.testing.assert_array_equal(panel.times(1), late.tz_localize(None).to_numpy())
