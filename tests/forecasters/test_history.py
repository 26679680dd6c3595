"""New data beside fitted ones: updates, validation rows, and data of another rhythm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tsformer.forecasters import RecurrentForecaster

Make = Callable[..., Any]


def split(df: pd.DataFrame, steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the first `steps` steps of every series, and the others."""
    early = df.groupby("unique_id").cumcount() < steps
    return df[early], df[~early]


def weights(forecaster: Any) -> dict[str, torch.Tensor]:
    return forecaster.model_.state_dict()


def assert_same_weights(one: Any, other: Any) -> None:
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def test_updated_forecasts_are_those_from_the_joined_data(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    known, newer = split(df, 40)
    forecaster = make_forecaster().fit(known)
    expected = forecaster.predict(df)
    answer = forecaster.update(newer).predict()
    if isinstance(forecaster, RecurrentForecaster):  # the same sums, in another order
        pd.testing.assert_frame_equal(answer, expected, rtol=1e-5, atol=1e-5)
    else:
        pd.testing.assert_frame_equal(answer, expected, check_exact=True)
    assert answer["ds"].min() == df["ds"].max() + pd.Timedelta(hours=1)


def test_an_update_learns_nothing(make_patchtst: Make, make_frame: Make) -> None:
    known, newer = split(make_frame(), 40)
    forecaster = make_patchtst().fit(known)
    before = {name: value.clone() for name, value in weights(forecaster).items()}
    forecaster.update(newer)
    assert all(torch.equal(before[name], value) for name, value in weights(forecaster).items())


def test_row_by_row_updates_equal_one_of_all_rows(make_forecaster: Make, make_frame: Make) -> None:
    known, newer = split(make_frame(), 45)
    step_by_step, at_once = make_forecaster().fit(known), make_forecaster().fit(known)
    for _, rows in newer.groupby("ds"):
        step_by_step.update(rows)
    expected = at_once.update(newer).predict()
    pd.testing.assert_frame_equal(step_by_step.predict(), expected)


def test_new_series_appear_after_the_others_in_their_own_order(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster = make_forecaster().fit(make_frame(["m", "c"]))
    new = make_frame(["z", "a"], 20, seed=3)
    answer = forecaster.update(new).predict()
    assert answer["unique_id"].unique().tolist() == ["m", "c", "z", "a"]
    alone = forecaster.predict(new)
    rows = answer[answer["unique_id"].isin(["z", "a"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows, alone, atol=1e-5)  # the batch is another one


def test_series_that_an_update_leaves_out_stay_where_they_are(
    make_forecaster: Make, make_frame: Make
) -> None:
    known, newer = split(make_frame(), 40)
    forecaster = make_forecaster().fit(known)
    before = forecaster.predict().query("unique_id == 'b'")
    answer = forecaster.update(newer[newer["unique_id"] == "a"]).predict()
    pd.testing.assert_frame_equal(answer.query("unique_id == 'b'"), before)
    ends = answer.groupby("unique_id")["ds"].max()
    assert ends["a"] - ends["b"] == pd.Timedelta(hours=8)


def test_steps_between_fit_and_update_are_missing(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame()
    known, newer = split(df, 40)
    gap = newer[newer["ds"] >= newer["ds"].min() + pd.Timedelta(hours=3)]
    forecaster = make_forecaster().fit(known)
    expected = forecaster.predict(pd.concat([known, gap]))
    answer = forecaster.update(gap).predict()
    key = ["unique_id", "ds"]
    pd.testing.assert_frame_equal(
        answer.sort_values(key).reset_index(drop=True),
        expected.sort_values(key).reset_index(drop=True),
    )


def test_an_update_without_newer_rows_is_refused_and_changes_nothing(
    make_forecaster: Make, make_frame: Make
) -> None:
    known, _ = split(make_frame(), 40)
    forecaster = make_forecaster().fit(known)
    before = forecaster.predict()
    for nothing_new in (known, split(known, 20)[0]):
        with pytest.raises(ValueError, match="no row later than the fitted ones"):
            forecaster.update(nothing_new)
    pd.testing.assert_frame_equal(forecaster.predict(), before)


def test_arrays_are_updated_by_the_whole_array(make_forecaster: Make) -> None:
    values = np.random.default_rng(0).normal(size=60)
    forecaster = make_forecaster().fit(values[:40])
    with pytest.raises(ValueError, match="an array counts from 0: pass all of it"):
        forecaster.update(values[40:])
    answer = forecaster.update(values).predict()
    assert answer["ds"].tolist() == [60, 61, 62, 63]


def test_validation_rows_equal_a_tail_held_out(make_patchtst: Make, make_frame: Make) -> None:
    df = make_frame()
    known, later = split(df, 40)
    given = make_patchtst(max_steps=4).fit(known, val_df=later)
    tail = make_patchtst(max_steps=4).fit(df, val_size=8)
    assert_same_weights(given, tail)
    assert given.fit_report_.training.history == tail.fit_report_.training.history
    assert len(given.fit_report_.training.history) == 4
    pd.testing.assert_frame_equal(given.predict(), tail.predict())


def test_validation_rows_may_repeat_the_training_rows(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame()
    known, later = split(df, 40)
    assert_same_weights(
        make_patchtst().fit(known, val_df=df), make_patchtst().fit(known, val_df=later)
    )
    values = df["y"].to_numpy()
    assert_same_weights(
        make_patchtst().fit(values[:80], val_df=values), make_patchtst().fit(values, val_size=16)
    )


def test_one_validation_row_per_series_is_enough(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame()
    known, later = split(df, 47)
    forecaster = make_forecaster().fit(known, val_df=later)
    assert forecaster.predict()["ds"].min() == df["ds"].max() + pd.Timedelta(hours=1)


def test_series_without_validation_rows_are_trained_on_whole(
    make_patchtst: Make, make_frame: Make
) -> None:
    known, later = split(make_frame(), 40)
    forecaster = make_patchtst().fit(known, val_df=later[later["unique_id"] == "a"])
    assert forecaster.fit_report_.training.best_loss is not None
    ends = forecaster.predict().groupby("unique_id")["ds"].min()
    assert ends["a"] - ends["b"] == pd.Timedelta(hours=8)


def test_validation_rows_that_do_not_fit_are_refused(
    make_forecaster: Make, make_frame: Make
) -> None:
    known, later = split(make_frame(), 40)
    with pytest.raises(ValueError, match="val_df has the series 'z', which df has not"):
        make_forecaster().fit(known, val_df=make_frame(["z"]))
    with pytest.raises(ValueError, match="val_df has no row later than df"):
        make_forecaster().fit(known, val_df=split(known, 20)[0])
    with pytest.raises(ValueError, match="val_df has no row later than df"):
        make_forecaster().fit(known["y"].to_numpy(), val_df=later["y"].to_numpy())
    with pytest.raises(ValueError, match="exclude each other"):
        make_forecaster().fit(known, val_df=later, val_size=4)


@pytest.mark.parametrize("val_size", [-1, 1.5, True, "4"])
def test_val_size_is_a_number_of_steps(
    make_forecaster: Make, make_frame: Make, val_size: Any
) -> None:
    with pytest.raises((TypeError, ValueError), match="val_size"):
        make_forecaster().fit(make_frame(), val_size=val_size)


@pytest.mark.parametrize("other", ["2h", "3h", "D", "MS", "30min", "7min"])
def test_data_of_another_frequency_are_refused(
    make_forecaster: Make, make_frame: Make, other: str
) -> None:
    forecaster = make_forecaster().fit(make_frame())
    for ask in (forecaster.predict, forecaster.update, forecaster.score):
        with pytest.raises(ValueError, match=r"freq='h'|fitted at 'h'"):
            ask(make_frame(length=20, freq=other, start="2024-02-01"))


@pytest.mark.parametrize(("fitted", "other"), [("B", "BMS"), ("MS", "QS"), ("D", "2D"), ("W", "D")])
def test_frequencies_of_the_calendar_are_told_apart(
    make_naive: Make, make_frame: Make, fitted: str, other: str
) -> None:
    forecaster = make_naive().fit(make_frame(freq=fitted))
    with pytest.raises(ValueError, match=r"fitted at|whole number of steps"):
        forecaster.predict(make_frame(length=20, freq=other))


def test_dates_and_numbered_steps_are_told_apart(make_forecaster: Make, make_frame: Make) -> None:
    dated = make_frame()
    counted = dated.assign(ds=dated.groupby("unique_id").cumcount())
    with pytest.raises(ValueError, match="times that are whole numbers"):
        make_forecaster().fit(dated).predict(counted)
    with pytest.raises(ValueError, match="times that are dates"):
        make_forecaster().fit(counted).predict(dated)


def test_times_with_and_without_a_zone_do_not_go_on_from_each_other(
    make_forecaster: Make, make_frame: Make
) -> None:
    known, newer = split(make_frame(), 40)
    there = newer.assign(ds=newer["ds"].dt.tz_localize("Asia/Tokyo"))
    with pytest.raises(ValueError, match=r"the time zone None, the new ones Asia/Tokyo"):
        make_forecaster().fit(known).update(there)
    with pytest.raises(ValueError, match=r"the time zone None, the new ones Asia/Tokyo"):
        make_forecaster().fit(known, val_df=there)
    zoned = known.assign(ds=known["ds"].dt.tz_localize("Asia/Tokyo"))
    in_utc = there.assign(ds=there["ds"].dt.tz_convert("UTC"))
    expected = make_forecaster().fit(zoned).update(there).predict()
    pd.testing.assert_frame_equal(make_forecaster().fit(zoned).update(in_utc).predict(), expected)


def test_sparse_data_of_the_same_frequency_are_welcome(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    forecaster = make_forecaster().fit(df)
    sparse = df[df["ds"].dt.hour.isin([0, 1, 9, 20])]
    answer = forecaster.predict(sparse)
    explicit = df.assign(y=df["y"].where(df["ds"].dt.hour.isin([0, 1, 9, 20])))
    full = forecaster.predict(explicit[explicit["ds"] <= sparse["ds"].max()])
    pd.testing.assert_frame_equal(answer, full)
    assert len(forecaster.predict(df.groupby("unique_id").tail(1))) == 8
