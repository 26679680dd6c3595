"""Odd data get a sound forecast, wrong data an error that says what and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

Make = Callable[..., Any]
NUMBERS = ["mean", *(f"0.{decile}" for decile in range(1, 10))]


def assert_sound(answer: pd.DataFrame, rows: int) -> None:
    assert len(answer) == rows
    assert np.isfinite(answer[NUMBERS]).all(axis=None)
    assert (np.diff(answer[NUMBERS[1:]]) >= 0).all()


@pytest.mark.parametrize(
    "empty",
    [
        pd.DataFrame({"unique_id": [], "ds": pd.to_datetime([]), "y": []}),
        np.array([]),
        pd.Series([], dtype=float),
        pd.DataFrame(index=pd.DatetimeIndex([])),
    ],
    ids=["long", "array", "series", "wide"],
)
def test_empty_data_are_refused(make_forecaster: Make, make_frame: Make, empty: Any) -> None:
    with pytest.raises(ValueError, match=r"is empty|at least one value"):
        make_forecaster().fit(empty)
    with pytest.raises(ValueError, match=r"is empty|at least one value"):
        make_forecaster().fit(make_frame()).predict(empty)


@pytest.mark.parametrize("data", [{"y": [1.0]}, "series.csv", 3.0, None, [1, 2, 3]])
def test_what_is_no_data_is_refused_by_its_type(make_forecaster: Make, data: Any) -> None:
    with pytest.raises(TypeError, match=r"cannot be read|pass a NumPy array"):
        make_forecaster().fit(data)


def test_one_point_is_forecast_as_what_it_is(make_forecaster: Make, make_frame: Make) -> None:
    answer = make_forecaster().fit(np.array([3.5])).predict()
    assert (answer[NUMBERS] == 3.5).all(axis=None)
    one = make_frame().groupby("unique_id").head(1)
    answer = make_forecaster(freq="h").fit(one).predict(horizon=6)
    assert_sound(answer, 12)
    np.testing.assert_allclose(answer["mean"], np.repeat(one["y"], 6), rtol=1e-6)
    samples = make_forecaster(freq="h").fit(one).predict_samples(n_samples=2)
    np.testing.assert_allclose(samples["y"], np.repeat(one["y"], 8), rtol=1e-6)


@pytest.mark.parametrize("head", ["quantile", "mse", "student_t", "negative_binomial"])
def test_every_head_bears_one_point_and_two(make_patchtst: Make, head: str) -> None:
    for values in ([3.0], [3.0, 5.0], [3.0, 3.0, 3.0]):
        assert_sound(make_patchtst(head=head).fit(np.array(values)).predict(), 4)


def test_one_dated_point_needs_a_frequency(make_forecaster: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match=r"freq cannot be inferred.*pass freq="):
        make_forecaster().fit(make_frame(length=1))


def test_a_point_beside_longer_series_is_forecast_with_them(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = pd.concat([make_frame(["long"]), make_frame(["point"], 1)])
    answer = make_forecaster().fit(df).predict()
    assert_sound(answer, 8)
    rows = answer[answer["unique_id"] == "point"]
    np.testing.assert_allclose(rows["mean"], df["y"].iloc[-1], rtol=1e-6)


@pytest.mark.parametrize("length", [2, 3, 5, 9, 15, 17, 20])
def test_series_shorter_than_the_context_are_forecast(
    make_forecaster: Make, make_frame: Make, length: int
) -> None:
    answer = make_forecaster().fit(make_frame(length=length)).predict(horizon=9)
    assert_sound(answer, 18)


def test_when_all_values_are_missing_then_error(make_forecaster: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match=r"no series has a value that is not missing \('a', 'b'\)"):
        make_forecaster().fit(make_frame().assign(y=np.nan))


@pytest.mark.parametrize("constant", [0.0, 7.25, -3.0, 1e30, 1e-30, 2.0**-149, -1e35])
def test_a_constant_is_forecast_exactly_and_without_doubt(
    make_forecaster: Make, make_frame: Make, constant: float
) -> None:
    df = make_frame().assign(y=constant)
    df.loc[[3, 60], "y"] = np.nan
    forecaster = make_forecaster().fit(df)
    assert forecaster.fit_report_.remarks["constant"] == ["a", "b"]
    answer = forecaster.predict(horizon=9)
    assert (answer[NUMBERS] == float(np.float32(constant))).all(axis=None)
    samples = forecaster.predict_samples(n_samples=3)
    assert (samples["y"] == float(np.float32(constant))).all()
    assert forecaster.score(df) == 0


def test_a_constant_beside_others_stays_itself(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame(["walk", "flat"])
    df.loc[df["unique_id"] == "flat", "y"] = 5.0
    answer = make_forecaster().fit(df).predict()
    flat = answer["unique_id"] == "flat"
    assert (answer.loc[flat, NUMBERS] == 5.0).all(axis=None)
    assert (answer.loc[~flat, "0.1"] < answer.loc[~flat, "0.9"]).all()


def test_two_values_in_turn_are_forecast_near_them(make_forecaster: Make) -> None:
    values = np.random.default_rng(0).choice([0.0, 1.0], size=60)
    answer = make_forecaster().fit(values).predict()
    assert_sound(answer, 4)
    assert answer["0.5"].between(-1, 2).all()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e36])
def test_infinite_values_are_refused_with_their_place(
    make_forecaster: Make, make_frame: Make, value: float
) -> None:
    df = make_frame()
    df.loc[50, "y"] = value
    with pytest.raises(ValueError, match=r"column 'y' has .* at series 'a', row 50"):
        make_forecaster().fit(df)
    with pytest.raises(ValueError, match=r"column 'y' has .* at series 'a', row 50"):
        make_forecaster().fit(make_frame()).predict(df)


def test_text_is_refused_with_its_place(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame().astype({"y": object})
    df.loc[50, "y"] = "many"
    with pytest.raises(ValueError, match=r"'many' at series 'a', row 50, which is not a number"):
        make_forecaster().fit(df)


def test_duplicate_times_are_refused_with_both_rows(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    df = pd.concat([df, df.iloc[[50]]], ignore_index=True)
    with pytest.raises(ValueError, match=r"series 'a', row 96 has the same time, .*, as row 50"):
        make_forecaster().fit(df)


def test_missing_ids_and_times_are_refused(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame()
    with pytest.raises(ValueError, match="column 'unique_id' has no id in row 7"):
        make_forecaster().fit(df.assign(unique_id=df["unique_id"].mask(df.index == 7)))
    with pytest.raises(ValueError, match="column 'ds' has no time at series 'b', row 7"):
        make_forecaster().fit(df.assign(ds=df["ds"].mask(df.index == 7)))


def test_mixed_time_zones_are_refused(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame(["a"])
    here, there = (df["ds"].dt.tz_localize(zone) for zone in ("Europe/Berlin", "Asia/Tokyo"))
    mixed = df.assign(ds=pd.concat([here[:20].astype(object), there[20:].astype(object)]))
    with pytest.raises(ValueError, match="mixes time zones"):
        make_forecaster().fit(mixed)
    partly = df.assign(ds=pd.concat([here[:20].astype(object), df["ds"][20:].astype(object)]))
    with pytest.raises(ValueError, match="mixes time zones"):
        make_forecaster().fit(partly)


def test_unknown_columns_are_refused_with_those_there_are(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame().rename(columns={"y": "sales"})
    with pytest.raises(
        ValueError, match=r"no column 'y' or 'target' among .*'sales'.* target_col="
    ):
        make_forecaster().fit(df)
    with pytest.raises(ValueError, match=r"no column 'y' or 'target'"):
        make_forecaster().fit(make_frame()).predict(df)
    extra = make_frame().assign(colour="red", note=None)
    pd.testing.assert_frame_equal(
        make_forecaster().fit(extra).predict(), make_forecaster().fit(make_frame()).predict()
    )


@pytest.mark.parametrize("kind", ["Int64", "boolean", "float16", "object"])
def test_numbers_of_any_type_are_numbers(
    make_forecaster: Make, make_frame: Make, kind: str
) -> None:
    df = make_frame()
    df["y"] = (df["y"] > 0).astype(float)
    expected = make_forecaster().fit(df).predict()
    answer = make_forecaster().fit(df.astype({"y": kind})).predict()
    pd.testing.assert_frame_equal(answer, expected)


def test_a_failed_fit_is_no_fit(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = make_forecaster()
    with pytest.raises(ValueError, match="no series has a value"):
        forecaster.fit(make_frame().assign(y=np.nan))
    with pytest.raises(ValueError, match="not fitted"):
        forecaster.predict()
