"""Covariates move forecasts, may be missing, and are asked for by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.forecasters.covariates import KINDS

Make = Callable[..., Any]
END = pd.Timestamp("2024-01-03")


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def assert_all_moved(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert (one["mean"] != other["mean"]).all()


def numbers(answer: pd.DataFrame) -> np.ndarray:
    return answer.drop(columns=["unique_id", "ds"]).to_numpy()


def test_answers_look_as_without_covariates(fitted: Any, future: pd.DataFrame) -> None:
    answer = fitted.predict(future_df=future)
    columns = ["unique_id", "ds", "mean", *(f"0.{k}" for k in range(1, 10))]
    assert answer.columns.tolist() == columns
    assert answer["unique_id"].tolist() == list("bbbbccccaaaa")
    assert answer["ds"].min() == END
    assert np.isfinite(numbers(answer)).all()


@pytest.mark.parametrize("name", ["promo", "sky"])
def test_what_is_known_of_the_future_moves_the_forecast(
    fitted: Any, name: str, future: pd.DataFrame
) -> None:
    usual = fitted.predict(future_df=future)
    other = future[name].map({True: False, False: True, "sun": "rain", "rain": "fog", "fog": "sun"})
    assert_all_moved(usual, fitted.predict(future_df=future.assign(**{name: other})))


@pytest.mark.parametrize("name", ["load", "mood", "promo", "sky"])
def test_what_is_known_of_the_past_moves_the_forecast(
    fitted: Any, name: str, past: pd.DataFrame, future: pd.DataFrame
) -> None:
    usual = fitted.predict(past, future)
    assert_same(usual, fitted.predict(future_df=future))
    rolled = past.assign(**{name: np.roll(past[name], 1)})
    assert (usual["mean"] != fitted.predict(rolled, future)["mean"]).any()


@pytest.mark.parametrize("change", [{"size": [9.0, 9.0, 9.0]}, {"region": ["south"] * 3}])
def test_what_is_known_of_a_series_moves_its_forecast(
    fitted: Any, change: Any, future: pd.DataFrame, static: pd.DataFrame
) -> None:
    usual = fitted.predict(future_df=future)
    answer = fitted.predict(future_df=future, static_df=static.assign(**change))
    moved = (usual["mean"] != answer["mean"]).groupby(usual["unique_id"]).all()
    assert moved.to_dict() == {"a": True, "b": "size" in change, "c": True}


def test_a_forecast_does_not_depend_on_the_other_series(
    fitted: Any, past: pd.DataFrame, future: pd.DataFrame
) -> None:
    usual = fitted.predict(future_df=future).query("unique_id == 'c'")
    alone = fitted.predict(past.query("unique_id == 'c'"), future)
    np.testing.assert_allclose(numbers(alone), numbers(usual), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ask", ["predict", "predict_samples"])
def test_when_the_future_is_left_out_then_columns_and_rows_are_named(
    fitted: Any, ask: str, future: pd.DataFrame
) -> None:
    message = (
        "future_df is needed: it brings future_covariates=['promo', 'sky'] for 'a' from "
        "2024-01-03T00:00:00.000000 to 2024-01-03T03:00:00.000000 and 2 other series; pass a "
        "frame with the columns ['unique_id', 'ds', 'promo', 'sky']"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(fitted, ask)()
    with pytest.raises(ValueError, match="no row of series 'c' at 2024-01-03T03"):
        getattr(fitted, ask)(future_df=future.drop(index=future.query("unique_id == 'c'").index[3]))


def test_panels_whose_future_is_not_known_are_refused(fitted: Any) -> None:
    with pytest.raises(ValueError, match=r"\['promo', 'sky'\] are not known for the steps to come"):
        fitted.predict_panel()
    cut = fitted.panel_.cut(fitted.panel_.lengths - 4, 4)
    assert fitted.predict_panel(cut).mean.shape == (3, 4)
    with pytest.raises(ValueError, match="for the steps to come, but for 4 of 5"):
        fitted.predict_panel(cut, horizon=5)


def test_longer_and_shorter_horizons_need_as_much_of_the_future(
    fitted: Any, future: pd.DataFrame
) -> None:
    usual = fitted.predict(future_df=future)
    first = future.groupby("unique_id").head(3)
    short = fitted.predict(future_df=first, horizon=3)
    begun = usual[usual["ds"] < END + pd.Timedelta(hours=3)]
    assert_same(short, begun.reset_index(drop=True))
    longer = fitted.predict(future_df=future, horizon=11)
    assert len(longer) == 33
    assert np.isfinite(numbers(longer)).all()
    np.testing.assert_allclose(
        numbers(longer[longer["ds"].isin(usual["ds"])]), numbers(usual), rtol=1e-5, atol=1e-6
    )
    late = future.assign(promo=future["promo"] ^ (future["ds"] >= END + pd.Timedelta(hours=8)))
    other = fitted.predict(future_df=late, horizon=11)
    same = longer["ds"] < END + pd.Timedelta(hours=8)
    assert_same(other[same], longer[same])
    assert_all_moved(other[~same], longer[~same])
    with pytest.raises(ValueError, match="no row of series 'a' at 2024-01-03T16"):
        fitted.predict(future_df=future, horizon=17)


def test_missing_values_and_unknown_categories_are_no_error(
    fitted: Any, past: pd.DataFrame, future: pd.DataFrame, static: pd.DataFrame
) -> None:
    holes = {
        name: past[name].mask(past.index % 3 == 0) for name in ("load", "mood", "promo", "sky")
    }
    future = future.assign(promo=None, sky=future["sky"].mask(future.index % 2 == 0))
    answer = fitted.predict(past.assign(**holes), future, static_df=static.assign(size=np.nan))
    assert np.isfinite(numbers(answer)).all()
    for one, other in (("hail", None), ("", np.nan)):
        unknown, missing = (
            fitted.predict(
                past.assign(mood=value),
                future.assign(sky=value),
                static_df=static.assign(region=value),
            )
            for value in (one, other)
        )
        assert_same(unknown, missing)


def test_fits_with_missing_covariates_and_without_any_value_of_one(
    make: Make, past: pd.DataFrame, future: pd.DataFrame, static: pd.DataFrame
) -> None:
    holed = past.assign(
        load=np.nan,
        mood=past["mood"].mask(past.index % 5 == 0),
        sky=None,
        promo=past["promo"].mask(past.index % 4 == 0),
    )
    static = static.assign(size=[np.nan, 1.0, 2.0], region=[None, None, "north"])
    forecaster = make().fit(holed, static_df=static)
    answer = forecaster.predict(future_df=future)
    assert np.isfinite(numbers(answer)).all()
    known_now = past.assign(promo=holed["promo"], mood=holed["mood"], load=1e6)
    assert_same(forecaster.predict(known_now, future), answer)  # nothing was learned of them


def test_the_calendar_tells_the_same_values_of_other_days_apart(
    make: Make, past: pd.DataFrame
) -> None:
    plain = dict.fromkeys(KINDS, ())
    days = past.assign(ds=pd.to_datetime("2024-01-01") + (past["ds"] - END) * 24)
    other = days.assign(ds=days["ds"] + pd.Timedelta(days=3))
    known = make(**plain, calendar_features=True).fit(days)
    assert known.encoder_.calendar == ("week", "month", "year")
    assert_all_moved(known.predict(days), known.predict(other))
    assert np.isfinite(numbers(known.predict(horizon=9))).all()
    blind = make(**plain).fit(days)
    np.testing.assert_array_equal(numbers(blind.predict(days)), numbers(blind.predict(other)))
    with pytest.raises(ValueError, match="calendar_features=True needs dates"):
        make(**plain, calendar_features=True).fit(past["y"].to_numpy())


def test_several_targets_share_covariates_even_one_called_y(
    make: Make, past: pd.DataFrame, future: pd.DataFrame
) -> None:
    renamed = {"y": "left", "load": "right", "promo": "y"}
    kinds = {"past_covariates": (), "future_covariates": ["y"], "static_covariates": ()}
    forecaster = make(**kinds, target_col=["left", "right"]).fit(past.rename(columns=renamed))
    future = future.rename(columns=renamed)
    usual = forecaster.predict(future_df=future)
    assert usual["variate"].tolist() == [*["left"] * 4, *["right"] * 4] * 3
    assert_all_moved(usual, forecaster.predict(future_df=future.assign(y=~future["y"])))


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"future_covariates": "promo"}, TypeError, "future_covariates='promo' must be a list"),
        ({"past_covariates": None}, TypeError, "past_covariates=None must be a list of names"),
        ({"past_covariates": ["promo"]}, ValueError, "covariate 'promo' is named twice"),
        ({"static_covariates": ["size", "size"]}, ValueError, "covariate 'size' is named twice"),
        ({"past_covariates": ["wind"]}, ValueError, "past_covariates='wind' is not a column"),
        ({"static_covariates": ["age"]}, ValueError, r"static_df lacks the columns \['age'\]"),
        ({"past_covariates": ["y"]}, ValueError, "column 'y' is named twice among ids"),
    ],
)
def test_wrong_names_are_refused_by_fit(
    make: Make,
    wrong: dict[str, Any],
    error: type[Exception],
    message: str,
    past: pd.DataFrame,
    static: pd.DataFrame,
) -> None:
    with pytest.raises(error, match=message):
        make(**wrong).fit(past, static_df=static)


def test_frames_that_lack_something_are_refused(
    make: Make,
    fitted: Any,
    past: pd.DataFrame,
    future: pd.DataFrame,
    static: pd.DataFrame,
    longer: pd.DataFrame,
) -> None:
    with pytest.raises(ValueError, match="static_df is needed: it brings static_covariates="):
        make().fit(past)
    with pytest.raises(ValueError, match="static_df is needed"):
        make().cross_validation(past)
    with pytest.raises(ValueError, match="future_covariates='sky' is not a column"):
        fitted.predict(past.drop(columns="sky"), future)
    with pytest.raises(ValueError, match="column 'load' has 'much' at series 'b', row 0"):
        fitted.predict(past.assign(load="much"), future)
    with pytest.raises(ValueError, match="static_df has no row of series 'c'"):
        fitted.predict(future_df=future, static_df=static[:2])
    with pytest.raises(ValueError, match="past_covariates='mood' is not a column"):
        fitted.update(longer.drop(columns="mood"))


def test_forecasters_that_take_no_covariates_have_no_such_parameter(
    past: pd.DataFrame, static: pd.DataFrame
) -> None:
    with pytest.raises(TypeError, match="has no parameter `past_covariates`"):
        SeasonalNaiveForecaster(horizon=4, past_covariates=["x"])
    forecaster = SeasonalNaiveForecaster(horizon=4).fit(past)
    with pytest.raises(ValueError, match="given no static_covariates=; .* leave static_df out"):
        forecaster.predict(static_df=static)
