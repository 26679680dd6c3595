"""Covariates of the steps to come: found by id and time, whatever else the frame holds."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.future import read_future
from tsformer.data.panel import Panel

HORIZON = 3
NAMES = ("temperature", "weather")
SCHEMA = Schema(future_covariates=NAMES)
WEATHER = ["sun", "rain", "sun", "snow", "rain", "sun", "sun", "rain"]


def table(name: Any, start: str, length: int, freq: str = "h", begin: int = 0) -> pd.DataFrame:
    """Return `length` rows of a series from its step `begin` on; covariates tell steps apart."""
    steps = np.arange(begin, begin + length)
    times = pd.date_range(start, periods=begin + length, freq=freq)[begin:]
    return pd.DataFrame(
        {
            "unique_id": name,
            "ds": times,
            "y": np.sin(steps),
            "temperature": steps + (100.0 if name == "a" else 0.0),
            "weather": [WEATHER[step % 8] for step in steps],
        }
    )


PAST = pd.concat([table("b", "2024-01-01", 10), table("a", "2024-01-02", 7)])
FUTURE = pd.concat(
    [table("a", "2024-01-02", 3, begin=7), table("b", "2024-01-01", 3, begin=10)]
).drop(columns="y")
# by series, in order of their ids
TEMPERATURE = [[107.0, 108, 109], [10, 11, 12]]
SKY = [["rain", "sun", "rain"], ["sun", "snow", "rain"]]


def read(
    future: Any, past: Any = PAST, schema: Schema = SCHEMA, horizon: int = HORIZON
) -> tuple[np.ndarray, list[list[Any]], Panel]:
    """Return temperatures and weathers to come, `[S, H]` each, and the panel."""
    panel, layout = read_panel(past, schema)
    found = read_future(future, panel, layout, schema, horizon)
    assert panel.coming is None
    assert found.future_covariates is panel.future_covariates
    assert found.coming is not None
    levels = found.future_covariates.levels["weather"] if found.future_covariates else ()
    sky = [
        [None if np.isnan(code) else levels[int(code)] for code in row] for row in found.coming[1]
    ]
    return found.coming[0], sky, found


def test_each_series_gets_the_covariates_of_the_steps_after_its_end() -> None:
    temperature, sky, found = read(FUTURE)
    assert found.ids.tolist() == ["a", "b"]
    np.testing.assert_array_equal(temperature, TEMPERATURE)
    assert sky == SKY


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.sample(frac=1, random_state=0),
        lambda f: f.iloc[::-1],
        lambda f: pd.concat([PAST, f]),
        lambda f: pd.concat(
            [f, table("c", "2024-05-01", 4), table("b", "2024-01-01", 30, begin=13)]
        ),
        lambda f: f.assign(y=7.0, other="words", more=None),
        lambda f: f[["weather", "ds", "temperature", "unique_id"]],
        lambda f: f.astype(
            {"weather": "category", "unique_id": "category", "temperature": "int32"}
        ),
        lambda f: f.assign(ds=f["ds"].dt.strftime("%Y-%m-%d %H:%M")),
        pl.from_pandas,
    ],
    ids=range(9),
)
def test_order_and_extra_rows_and_columns_do_not_matter(change: Any) -> None:
    temperature, sky, _ = read(change(FUTURE))
    np.testing.assert_array_equal(temperature, TEMPERATURE)
    assert sky == SKY


def test_missing_values_stay_missing() -> None:
    holed = FUTURE.reset_index(drop=True)
    holed.loc[1, "temperature"] = np.nan
    holed.loc[3, "weather"] = None
    for frame in (holed, pl.from_pandas(holed), holed.convert_dtypes()):
        temperature, sky, _ = read(frame)
        np.testing.assert_array_equal(temperature, [[107, np.nan, 109], TEMPERATURE[1]])
        assert sky == [SKY[0], [None, "snow", "rain"]]


def test_categories_are_numbered_as_in_the_past_and_unknown_ones_are_missing() -> None:
    future = FUTURE.assign(weather=["snow", "fog", "snow", "sun", "sun", "aurora"])
    for frame in (future, pl.from_pandas(future), future.astype({"weather": "category"})):
        assert read(frame)[1] == [["snow", None, "snow"], ["sun", "sun", None]]


def test_yes_and_no_are_numbers_also_where_some_are_missing() -> None:
    past = PAST.assign(temperature=PAST["temperature"] > 5)
    future = FUTURE.assign(temperature=[True, None, False, False, True, None])
    expected = [[1, np.nan, 0], [0, 1, np.nan]]
    for frame in (future, pl.from_pandas(future), future.convert_dtypes()):
        np.testing.assert_array_equal(read(frame, past)[0], expected)


@pytest.mark.parametrize("horizon", [1, 2])
def test_no_more_than_the_horizon_is_needed(horizon: int) -> None:
    temperature, _, _ = read(FUTURE, horizon=horizon)
    np.testing.assert_array_equal(temperature, np.array(TEMPERATURE)[:, :horizon])
    read(FUTURE.groupby("unique_id").head(horizon), horizon=horizon)


@pytest.mark.parametrize("freq", ["15min", "D", "W-TUE", "MS", "ME", "B", "QS"])
def test_the_calendar_is_that_of_the_series(freq: str) -> None:
    past, future = (
        pd.concat([table("b", "2024-01-31", 10, freq), table("a", "2024-03-31", 7, freq)]),
        pd.concat([table("a", "2024-03-31", 3, freq, 7), table("b", "2024-01-31", 3, freq, 10)]),
    )
    temperature, _, _ = read(future.drop(columns="y"), past)
    np.testing.assert_array_equal(temperature, TEMPERATURE)


@pytest.mark.parametrize("freq", ["h", "D"])
def test_time_zones_are_those_of_the_series_also_where_clocks_change(freq: str) -> None:
    def zoned(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.copy()
        frame["ds"] = pd.date_range("2024-03-30", periods=20, freq=freq, tz="Europe/Berlin")[
            frame["temperature"].astype(int)
        ]
        return frame

    past, future = zoned(table("b", "2024-01-01", 10)), zoned(table("b", "2024-01-01", 9, begin=10))
    later = future.assign(ds=future["ds"].dt.tz_convert("UTC")) if freq == "h" else future
    for frame in (future, later, pl.from_pandas(future)):
        np.testing.assert_array_equal(read(frame, past, horizon=9)[0], [np.arange(10, 19)])
    for one, other in ((past, future), (future, past)):
        naive = other.assign(ds=other["ds"].dt.tz_localize(None))
        with pytest.raises(ValueError, match="the times of future_df have the time zone None"):
            read(naive, one)
        with pytest.raises(ValueError, match="have the time zone Europe/Berlin, those of"):
            read(one, naive)


def test_one_series_needs_no_ids_and_columns_may_have_other_names() -> None:
    past = table("b", "2024-01-01", 10).drop(columns="unique_id").rename(columns={"ds": "hour"})
    future = table("b", "2024-01-01", 3, begin=10).rename(columns={"ds": "hour"})
    schema = replace(SCHEMA, time_col="hour", target_col="y")
    temperature, _, _ = read(future.drop(columns=["unique_id", "y"]), past, schema)
    np.testing.assert_array_equal(temperature, TEMPERATURE[1:])


def test_times_may_be_whole_numbers() -> None:
    past = table("b", "2024-01-01", 10).assign(ds=np.arange(10))
    future = table("b", "2024-01-01", 3, begin=10).assign(ds=np.arange(10, 13))
    np.testing.assert_array_equal(read(future, past)[0], TEMPERATURE[1:])


@pytest.mark.parametrize(
    ("future", "message"),
    [
        (
            None,
            "future_df is needed: it brings future_covariates=['temperature', 'weather'] for 'a' "
            "from 2024-01-02T07:00:00.000000 to 2024-01-02T09:00:00.000000 and 1 other series; "
            "pass a frame with the columns ['unique_id', 'ds', 'temperature', 'weather']",
        ),
        (FUTURE.drop(columns=["ds", "weather"]), "future_df lacks the columns ['ds', 'weather']"),
        (
            FUTURE[FUTURE["unique_id"] == "a"],
            "future_df has no row of series 'b'; it needs 2024-01-01T10:00:00.000000 to "
            "2024-01-01T12:00:00.000000",
        ),
        (FUTURE.iloc[[0, 1, 3, 4, 5]], "no row of series 'a' at 2024-01-02T09:00:00"),
        (FUTURE.iloc[[1, 2, 3, 4, 5]], "no row of series 'a' at 2024-01-02T07:00:00"),
        (FUTURE.iloc[[0, 1, 2, 3, 5]], "no row of series 'b' at 2024-01-01T11:00:00"),
        (
            pd.concat(
                [FUTURE, FUTURE.iloc[:3].assign(ds=lambda f: f["ds"] + pd.Timedelta("1min"))]
            ),
            "series 'a', row 6: 2024-01-02T07:01:00.000000 is not a whole number of steps",
        ),
        (FUTURE.iloc[[0, 0, 1, 2, 3, 4, 5]], "series 'a', row 1 has the same time"),
        (
            FUTURE.assign(temperature=list("uvwxyz")),
            "column 'temperature' has 'u' at row 0 of future_df, which is not a number",
        ),
    ],
)
def test_when_something_is_missing_then_the_error_names_columns_series_and_times(
    future: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        read(future)


def test_when_all_times_are_between_the_steps_then_there_is_no_row() -> None:
    times = pd.date_range("2024-01-01 09:30", periods=6, freq="h")
    shifted = table("b", "2024-01-01", 6).assign(ds=times)
    with pytest.raises(ValueError, match="no row of series 'b' at 2024-01-01T10:00:00"):
        read(shifted, table("b", "2024-01-01", 10))


def test_the_frames_stay_as_they_are() -> None:
    past, future = PAST.copy(), FUTURE.copy()
    read(future, past)
    pd.testing.assert_frame_equal(past, PAST)
    pd.testing.assert_frame_equal(future, FUTURE)
