"""What is known later never reaches a forecast, nor what it learns from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

Make = Callable[..., Any]
END = pd.Timestamp("2024-01-03")


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def assert_all_moved(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert (one["mean"] != other["mean"]).all()


@pytest.mark.parametrize("refit", [False, True])
def test_covariates_of_the_past_after_a_cutoff_never_reach_its_forecast(
    make: Make, refit: bool, past: pd.DataFrame, static: pd.DataFrame
) -> None:
    forecaster = make()
    honest = forecaster.cross_validation(past, static_df=static, n_windows=2, refit=refit)
    first, second = honest["cutoff"].unique()
    for cutoff in (first, second):
        after = past["ds"] > cutoff
        poisoned = past.assign(
            y=past["y"].mask(after, 1e6),
            load=past["load"].mask(after, 1e6),
            mood=past["mood"].mask(after, "afraid"),  # comes before the others when sorted
        )
        answer = forecaster.cross_validation(poisoned, static_df=static, n_windows=2, refit=refit)
        until = honest["cutoff"] <= cutoff
        assert_same(answer[until].drop(columns="y"), honest[until].drop(columns="y"))
        if cutoff == first:  # or else nothing was poisoned at all
            assert_all_moved(answer[~until], honest[~until])


def test_covariates_of_the_future_reach_the_forecasts_that_may_know_them(
    make: Make, past: pd.DataFrame, static: pd.DataFrame
) -> None:
    forecaster = make()
    honest = forecaster.cross_validation(past, static_df=static, n_windows=2)
    first, second = honest["cutoff"].unique()
    after = past["ds"] > second
    changed = past.assign(promo=past["promo"] ^ after, sky=past["sky"].mask(after, "aurora"))
    answer = forecaster.cross_validation(changed, static_df=static, n_windows=2)
    until = honest["cutoff"] == first
    assert_same(answer[until], honest[until])
    assert_all_moved(answer[~until], honest[~until])


def test_how_covariates_become_numbers_is_learned_from_the_training_part(
    make: Make, past: pd.DataFrame, static: pd.DataFrame
) -> None:
    held_out = past["ds"] >= END - pd.Timedelta(hours=10)
    later = past.assign(
        load=past["load"].mask(held_out, 1e6),
        promo=past["promo"].astype(float).mask(held_out, -50.0),
        mood=past["mood"].mask(held_out, "afraid"),
        sky=past["sky"].mask(held_out, "aurora"),
    )
    honest, poisoned = (
        make(max_steps=1).fit(df, static_df=static, val_size=10).encoder_ for df in (past, later)
    )
    assert [column.size for column in (*honest.past, *honest.future)] == [1, 2, 1, 3]
    for kind in ("past", "future"):
        for one, other in zip(getattr(honest, kind), getattr(poisoned, kind), strict=True):
            assert (one.loc, one.scale, one.size) == (other.loc, other.scale, other.size)
    known = past.loc[~held_out, "load"].astype("f4").astype(float)
    assert honest.past[0].loc == pytest.approx(known.mean())
    assert honest.past[0].scale == pytest.approx(known.std(ddof=0))


def test_what_the_last_horizon_held_of_the_past_only_teaches_nothing(
    make: Make, past: pd.DataFrame, static: pd.DataFrame, longer: pd.DataFrame, after: pd.DataFrame
) -> None:
    last = past["ds"] >= END - pd.Timedelta(hours=4)
    other = past.assign(load=past["load"].mask(last, -77.0), mood=past["mood"].mask(last, "wild"))
    one, two = (make().fit(df, static_df=static, val_size=4) for df in (past, other))
    assert_same(
        one.predict(longer, horizon=1, future_df=after),
        two.predict(longer, horizon=1, future_df=after),
    )


def test_rows_held_out_by_hand_are_the_same_as_by_number(
    make: Make, past: pd.DataFrame, future: pd.DataFrame, static: pd.DataFrame
) -> None:
    held_out = past["ds"] >= END - pd.Timedelta(hours=10)
    df = past.assign(
        mood=past["mood"].mask(held_out, "wild"), sky=past["sky"].mask(held_out, "sun")
    )
    by_hand = make().fit(df[~held_out], val_df=df[held_out], static_df=static)
    by_number = make().fit(df, val_size=10, static_df=static)
    assert_same(by_hand.predict(future_df=future), by_number.predict(future_df=future))
