"""Columns of X are covariates that are known in advance, where the forecaster inside takes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sktime.forecasting.compose import ForecastX

from tsformer import (
    ConformalForecaster,
    EnsembleForecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
)
from tsformer import TSFormerForecaster as TSFormer
from tsformer.interop.sktime import SktimeForecaster

SMALL = {"context_length": 16, "max_steps": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
DAYS = pd.date_range("2024-01-01", periods=80, freq="D")
PROMO = np.random.default_rng(0).random(80) < 0.3
Y = pd.Series(20 + np.arange(80) % 7 + 8.0 * PROMO, index=DAYS, name="sales")
X = pd.DataFrame({"promo": PROMO, "noise": np.random.default_rng(1).normal(size=80)}, index=DAYS)


def fitted(inside: Any = None, x: pd.DataFrame = X) -> SktimeForecaster:
    return SktimeForecaster(inside or TSFormer()).fit(Y[:70], X=x[:70], fh=range(1, 11))


def patchtst(**parameters: Any) -> PatchTSTForecaster:
    return PatchTSTForecaster(horizon=10, **SMALL, **parameters)


def test_forecast_follows_what_is_known_of_the_future() -> None:
    forecaster = fitted()
    forecast = forecaster.predict(X=X[70:])
    np.testing.assert_allclose(forecast, Y[70:], atol=1)
    other = forecaster.predict(X=X[70:].assign(promo=~PROMO[70:]))
    np.testing.assert_allclose(other - forecast, np.where(PROMO[70:], -8, 8), atol=1)


def test_forecasts_with_covariates_are_those_of_the_forecaster_inside() -> None:
    rows = X.assign(y=Y).rename_axis("ds").reset_index()
    own = patchtst(future_covariates=["promo", "noise"]).fit(rows[:70])
    expected = own.predict(future_df=rows[70:])
    np.testing.assert_array_equal(fitted(patchtst()).predict(X=X), expected["mean"])


def test_forecaster_that_takes_no_covariates_ignores_them() -> None:
    naive = SeasonalNaiveForecaster(horizon=1)
    assert not SktimeForecaster(naive).get_tag("capability:exogenous")
    assert not SktimeForecaster(ConformalForecaster(forecaster=naive)).get_tag(
        "capability:exogenous"
    )
    with_x = fitted(naive).predict(X=X[70:])
    without = SktimeForecaster(naive).fit(Y[:70], fh=range(1, 11)).predict()
    pd.testing.assert_series_equal(with_x, without)


def test_forecaster_wrapped_by_another_takes_covariates() -> None:
    wrapped = ConformalForecaster(forecaster=TSFormer())
    assert SktimeForecaster(wrapped).get_tag("capability:exogenous")
    forecast = fitted(wrapped).predict(X=X[70:])
    np.testing.assert_allclose(forecast, Y[70:], atol=1)


def test_forecasters_of_an_ensemble_take_covariates() -> None:
    named = TSFormer(future_covariates=["promo"])
    forecaster = fitted(EnsembleForecaster(forecaster=named, others=[named]))
    np.testing.assert_allclose(forecaster.predict(X=X[70:]), Y[70:], atol=1)
    past = PatchTSTForecaster(horizon=10, **SMALL, past_covariates=["noise", "promo"])
    several = [
        ConformalForecaster(forecaster=past, n_windows=1),
        SeasonalNaiveForecaster(horizon=1),
    ]
    mixed = EnsembleForecaster(forecaster=past, others=several)
    assert np.isfinite(fitted(mixed).predict()).all()


def test_only_columns_that_the_forecaster_names_count() -> None:
    forecaster = fitted(TSFormer(future_covariates=["promo"]))
    forecast = forecaster.predict(X=X[70:])
    pd.testing.assert_series_equal(forecast, forecaster.predict(X=X[["promo"]][70:]))


def test_covariates_of_the_past_are_not_asked_of_the_future() -> None:
    forecaster = fitted(patchtst(past_covariates=["noise"]))
    assert forecaster.forecaster_.past_covariates == ["X['noise']"]
    assert len(forecaster.predict(X=X[["promo"]][70:])) == 10


def test_steps_between_those_asked_for_may_be_missing() -> None:
    forecaster = fitted()
    dense = forecaster.predict(X=X[70:])
    sparse = forecaster.predict(fh=[2, 9], X=X.iloc[[71, 78]])
    pd.testing.assert_series_equal(sparse, dense.iloc[[1, 8]])


def test_categories_are_covariates() -> None:
    x = pd.DataFrame({"day": np.where(PROMO, "promo", "none")}, index=DAYS)
    np.testing.assert_allclose(fitted(x=x).predict(X=x[70:]), Y[70:], atol=1)


@pytest.mark.parametrize("kind", ["period", "zone", "number"])
def test_covariates_meet_the_series_on_every_index(kind: str) -> None:
    index = {
        "period": DAYS.to_period("D"),
        "zone": DAYS.tz_localize("Europe/Berlin"),
        "number": pd.RangeIndex(80),
    }[kind]
    y, x = Y.set_axis(index), X.set_axis(index)
    forecaster = SktimeForecaster(TSFormer(season_length=7)).fit(y[:70], X=x[:70], fh=[1, 2, 10])
    np.testing.assert_allclose(forecaster.predict(X=x[70:]), y.iloc[[70, 71, 79]], atol=1)


def test_series_of_a_panel_have_covariates_of_their_own() -> None:
    keys = ["b", "a"]
    x = pd.concat({"b": X, "a": X.assign(promo=~PROMO)}, names=["shop", "day"])
    y = pd.concat({"b": Y, "a": 28 - 8.0 * X["promo"]}, names=["shop", "day"]).to_frame("sales")
    early = y.index.get_level_values("day") < DAYS[70]
    known = x[early].drop(("a", DAYS[3]))  # booleans, of which one is missing
    forecaster = SktimeForecaster(TSFormer()).fit(y[early], X=known, fh=range(1, 11))
    forecast = forecaster.predict(X=x[~early].sort_index())
    assert forecast.index.droplevel("day").unique().tolist() == keys
    np.testing.assert_allclose(forecast, y[~early], atol=1)
    with pytest.raises(ValueError, match="X has no row at 2024-03-11 .* of series 'a'"):
        forecaster.predict(X=x.loc[["b"]])


def test_covariates_may_be_forecast_too() -> None:
    forecaster = ForecastX(
        SktimeForecaster(TSFormer()), SktimeForecaster(SeasonalNaiveForecaster(horizon=1))
    )
    with pytest.warns(FutureWarning, match="remember_data"):
        forecaster = forecaster.fit(Y, X=X.astype(float), fh=[1, 3])
    assert forecaster.predict().index.tolist() == [
        pd.Timestamp("2024-03-21"),
        pd.Timestamp("2024-03-23"),
    ]


def test_updates_bring_covariates() -> None:
    forecaster = fitted().update(Y[70:75], X=X[70:75], update_params=False)
    forecast = forecaster.predict(fh=[1, 5], X=X[75:])
    np.testing.assert_allclose(forecast, Y.iloc[[75, 79]], atol=1)
    with pytest.raises(ValueError, match="X was given to one of fit and update"):
        forecaster.update(Y[75:])


def test_what_is_missing_is_named() -> None:
    forecaster = fitted()
    with pytest.raises(ValueError, match="X is needed: it brings .*'promo'.* pass X to predict"):
        forecaster.predict()
    with pytest.raises(ValueError, match=r"X lacks \[\"X\['noise'\]\"\], which fit was given"):
        forecaster.predict(X=X[["promo"]][70:])
    with pytest.raises(ValueError, match="X has no row at 2024-03-11 00:00:00; pass it for all"):
        forecaster.predict(X=X[71:])
    with pytest.raises(ValueError, match="X was not given to fit"):
        SktimeForecaster(TSFormer()).fit(Y[:70], fh=[1]).predict(X=X[70:])
    with pytest.raises(ValueError, match=r"future_covariates=\"X\['holiday'\]\" is not a column"):
        fitted(TSFormer(future_covariates=["holiday"]))
