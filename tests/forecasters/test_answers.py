"""Answers come back in the caller's kind of frame, names and order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer import SeasonalNaiveForecaster

STEPS = 40
TIMES = pd.date_range("2024-01-01", periods=STEPS, freq="h")
FUTURE = pd.date_range(TIMES[-1], periods=5, freq="h")[1:]
VALUES = np.random.default_rng(0).normal(size=(2, STEPS)).cumsum(axis=1).astype(np.float32)
NUMBERS = ["mean", *(f"0.{decile}" for decile in range(1, 10))]
OWN = {"id_col": "shop", "time_col": "hour", "target_col": "sales"}


def long_frame(ids: Any, times: Any, *names: str) -> pd.DataFrame:
    columns = (np.repeat(ids, STEPS), np.tile(np.asarray(times), len(ids)), VALUES.reshape(-1))
    return pd.DataFrame(dict(zip(names, columns, strict=True)))


def gluonts_list() -> list[dict[str, Any]]:
    start = pd.Period(TIMES[0], freq="h")
    return [
        {"item_id": name, "start": start, "target": target}
        for name, target in zip("ab", VALUES, strict=True)
    ]


LONG = long_frame(["a", "b"], TIMES, "unique_id", "ds", "y")
OWN_LONG = long_frame(["a", "b"], TIMES, *OWN.values())
WIDE = pd.DataFrame(VALUES.T, columns=["a", "b"], index=TIMES)
COUNTED = np.arange(STEPS, STEPS + 4)

# data, parameters, leading columns of the answer, ids, times
FORMS: dict[str, tuple[Any, dict[str, str], list[str], list[Any], Any]] = {
    "unique_id": (LONG, {}, ["unique_id", "ds"], ["a", "b"], FUTURE),
    "item_id": (
        long_frame(["a", "b"], TIMES, "item_id", "timestamp", "target"),
        {},
        ["item_id", "timestamp"],
        ["a", "b"],
        FUTURE,
    ),
    "own names": (OWN_LONG, OWN, ["shop", "hour"], ["a", "b"], FUTURE),
    "integer time": (
        long_frame([7, 8], np.arange(STEPS), "unique_id", "ds", "y"),
        {},
        ["unique_id", "ds"],
        [7, 8],
        COUNTED,
    ),
    "polars": (pl.from_pandas(LONG), {}, ["unique_id", "ds"], ["a", "b"], FUTURE),
    "polars, own names": (pl.from_pandas(OWN_LONG), OWN, ["shop", "hour"], ["a", "b"], FUTURE),
    "wide": (WIDE, {}, ["unique_id", "ds"], ["a", "b"], FUTURE),
    "wide, named index": (
        WIDE.rename_axis("hour"),
        {},
        ["unique_id", "hour"],
        ["a", "b"],
        FUTURE,
    ),
    "array": (VALUES, {}, ["unique_id", "ds"], [0, 1], COUNTED),
    "gluonts": (gluonts_list(), {}, ["item_id", "timestamp"], ["a", "b"], FUTURE),
}


@pytest.fixture(scope="module")
def expected(make_forecaster: Callable[..., Any]) -> np.ndarray:
    """The numbers that every form of the same data has to give, `[8, 10]`."""
    return make_forecaster().fit(LONG).predict()[NUMBERS].to_numpy()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_series_gives_the_same_numbers_in_its_own_shape(
    make_forecaster: Callable[..., Any], expected: np.ndarray, form: str
) -> None:
    data, parameters, keys, ids, times = FORMS[form]
    answer = make_forecaster(**parameters).fit(data).predict()
    assert list(answer.columns) == [*keys, *NUMBERS]
    assert isinstance(answer, pl.DataFrame if isinstance(data, pl.DataFrame) else pd.DataFrame)
    assert list(answer[keys[0]]) == np.repeat(ids, 4).tolist()
    assert list(answer[keys[1]]) == list(times) * 2
    np.testing.assert_array_equal(
        answer.select(NUMBERS) if form.startswith("polars") else answer[NUMBERS], expected
    )


@pytest.mark.parametrize("kind", ["series", "array"])
def test_one_series_without_an_id_gets_no_id_column(
    make_forecaster: Callable[..., Any], kind: str
) -> None:
    data = pd.Series(VALUES[0], index=TIMES, name="load") if kind == "series" else VALUES[0]
    answer = make_forecaster().fit(data).predict()
    frame = make_forecaster().fit(LONG[:STEPS]).predict()
    np.testing.assert_array_equal(answer[NUMBERS], frame[NUMBERS])
    if kind == "series":
        pd.testing.assert_index_equal(answer.index, FUTURE, check_names=False, exact="equiv")
        assert list(answer.columns) == NUMBERS
    else:
        assert list(answer["ds"]) == list(COUNTED)
        assert list(answer.columns) == ["ds", *NUMBERS]


@pytest.mark.parametrize("dtype", ["int8", "category", "string"])
def test_ids_keep_their_type(make_forecaster: Callable[..., Any], dtype: str) -> None:
    ids = [3, 1] if dtype == "int8" else ["x", "w"]
    data = long_frame(ids, TIMES, "unique_id", "ds", "y").astype({"unique_id": dtype})
    answer = make_forecaster().fit(data).predict()
    assert answer["unique_id"].dtype.name == dtype
    assert answer["unique_id"].tolist() == np.repeat(ids, 4).tolist()


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-01-01", periods=STEPS, freq="h", tz="UTC"),
        pd.date_range("2024-01-01", periods=STEPS, freq="h", tz="Europe/Berlin"),
        pd.date_range("2024-03-30", periods=STEPS, freq="h", tz="Europe/Berlin"),
        pd.date_range("2024-01-01", periods=STEPS, freq="h", unit="ms"),
        pd.date_range("2024-03-20", periods=STEPS, freq="D", tz="America/New_York"),
        pd.date_range("2024-01-31", periods=STEPS, freq="ME"),
    ],
    ids=["UTC", "zone", "over the change of clocks", "ms", "days in a zone", "ends of months"],
)
def test_times_go_on_in_their_own_type_and_zone(
    make_forecaster: Callable[..., Any], times: pd.DatetimeIndex
) -> None:
    frame = pd.DataFrame({"ds": times, "y": VALUES[0]})
    answer = make_forecaster().fit(frame).predict()
    assert answer["ds"].dtype == frame["ds"].dtype
    future = pd.date_range(times[-1], periods=5, freq=times.freq)[1:]
    assert answer["ds"].tolist() == future.tolist()


def test_polars_types_are_kept(make_forecaster: Callable[..., Any]) -> None:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 2, 9), "1d", eager=True)
    ids = pl.Series(["p", "q"] * STEPS, dtype=pl.Categorical)
    frame = pl.DataFrame(
        {"item_id": ids, "timestamp": np.repeat(days, 2), "target": VALUES.T.reshape(-1)}
    )
    frame = frame.with_columns(pl.col("timestamp").cast(pl.Date))
    answer = make_forecaster().fit(frame).predict()
    assert answer.schema["item_id"] == pl.Categorical
    assert answer.schema["timestamp"] == pl.Date
    assert set(answer.select(NUMBERS).schema.values()) == {pl.Float64}


def test_numbers_are_floats_and_the_index_counts_rows(make_forecaster: Callable[..., Any]) -> None:
    answer = make_forecaster().fit(LONG.astype({"y": "float16"})).predict()
    assert (answer.dtypes[NUMBERS] == np.float64).all()
    pd.testing.assert_index_equal(answer.index, pd.RangeIndex(8))


def test_series_come_in_the_order_in_which_they_first_appeared(
    make_forecaster: Callable[..., Any],
) -> None:
    data = pd.concat([LONG[STEPS:], LONG[:STEPS]])
    forecaster = make_forecaster().fit(data)
    assert forecaster.predict()["unique_id"].drop_duplicates().tolist() == ["b", "a"]
    samples = forecaster.predict_samples(n_samples=2)
    assert samples["unique_id"].drop_duplicates().tolist() == ["b", "a"]
    assert samples.query("unique_id == 'b'")["sample"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    validated = forecaster.cross_validation(data)
    assert validated["unique_id"].drop_duplicates().tolist() == ["b", "a"]


def test_quantile_columns_ascend_and_are_named_by_their_level(
    make_forecaster: Callable[..., Any],
) -> None:
    forecaster = make_forecaster(quantiles=[0.9, 0.025]).fit(LONG)
    assert list(forecaster.predict().columns[2:]) == ["mean", "0.025", "0.5", "0.9"]
    assert list(forecaster.predict(quantiles=[0.5]).columns[2:]) == ["mean", "0.5"]
    assert list(forecaster.predict(quantiles=[]).columns[2:]) == ["mean", "0.5"]
    asked = forecaster.predict(quantiles=[0.99, 0.001, 0.3]).columns[2:]
    assert list(asked) == ["mean", "0.001", "0.3", "0.5", "0.99"]


def test_level_is_short_for_the_two_quantiles_of_a_central_interval(
    make_forecaster: Callable[..., Any],
) -> None:
    forecaster = make_forecaster().fit(LONG)
    answer = forecaster.predict(level=[80])
    assert list(answer.columns[2:]) == ["mean", "0.1", "0.5", "0.9"]
    pd.testing.assert_frame_equal(answer, forecaster.predict(quantiles=[0.1, 0.9]))
    both = forecaster.predict(level=[95, 50]).columns[2:]
    assert list(both) == ["mean", "0.025", "0.25", "0.5", "0.75", "0.975"]


def test_quantiles_do_not_depend_on_which_others_are_asked_for(
    make_forecaster: Callable[..., Any],
) -> None:
    forecaster = make_forecaster().fit(LONG)
    alone = forecaster.predict(quantiles=[0.07], horizon=9)["0.07"]
    together = forecaster.predict(quantiles=[0.01, 0.07, 0.6], horizon=9)["0.07"]
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


def test_columns_called_as_those_of_the_answer_are_refused(
    make_forecaster: Callable[..., Any],
) -> None:
    renamed = LONG.rename(columns={"y": "mean"})
    with pytest.raises(ValueError, match="the answer has a column 'mean' of its own; rename yours"):
        make_forecaster(target_col="mean").cross_validation(renamed)
    assert "mean" in make_forecaster(target_col="mean").fit(renamed).predict()
    renamed = LONG.rename(columns={"unique_id": "sample"})
    forecaster = make_forecaster(id_col="sample").fit(renamed)
    assert forecaster.predict()["sample"].unique().tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="a column 'sample' of its own"):
        forecaster.predict_samples()
    with pytest.raises(ValueError, match="a column '0.5' of its own"):
        make_forecaster(id_col="0.5").fit(LONG.rename(columns={"unique_id": "0.5"})).predict()


@pytest.mark.parametrize("times", [range(5), pd.date_range("2024", periods=5, unit="us")])
def test_when_there_is_one_sample_then_its_columns_can_be_written_to(times: Any) -> None:
    frame = pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(5.0)})
    samples = SeasonalNaiveForecaster(horizon=2).fit(frame).predict_samples(n_samples=1)
    for name in ("ds", "sample", "y"):
        samples.loc[0, name] = samples.loc[1, name]
        assert samples.loc[0, name] == samples.loc[1, name]
