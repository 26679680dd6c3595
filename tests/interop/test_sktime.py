"""The sktime forecaster says what the forecaster inside says, on sktime's index."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sktime.forecasting.compose import TransformedTargetForecaster
from sktime.forecasting.model_evaluation import evaluate
from sktime.forecasting.model_selection import ForecastingGridSearchCV
from sktime.split import ExpandingWindowSplitter
from sktime.transformations.detrend import Deseasonalizer

from tsformer import (
    ConformalForecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TSFormerForecaster,
)
from tsformer.interop.sktime import SktimeForecaster

SMALL = {"context_length": 16, "max_steps": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
DAYS = pd.date_range("2024-01-01", periods=60, freq="D")
INSIDE = {
    "patchtst": PatchTSTForecaster(horizon=4, **SMALL),
    "tsformer": TSFormerForecaster(horizon=4),
    "naive": SeasonalNaiveForecaster(horizon=4),
    "conformal": ConformalForecaster(forecaster=SeasonalNaiveForecaster(horizon=4)),
}


def series(length: int = 60, seed: int = 0) -> pd.Series:
    values = np.random.default_rng(seed).normal(size=length) + 10 + np.arange(length) % 7
    return pd.Series(values, index=DAYS[:length], name="sales")


def naive(**parameters: Any) -> SktimeForecaster:
    return SktimeForecaster(SeasonalNaiveForecaster(**{"horizon": 4, **parameters}))


@pytest.fixture(params=INSIDE.values(), ids=INSIDE)
def inside(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_forecasts_are_those_of_the_forecaster_inside(inside: Any) -> None:
    y = series()
    forecaster = SktimeForecaster(inside).fit(y, fh=[1, 2, 3, 4])
    own = inside.fit(y).predict(quantiles=[0.05, 0.5, 0.95])
    mean, quantiles = forecaster.predict(), forecaster.predict_quantiles(alpha=[0.95, 0.05])
    pd.testing.assert_series_equal(mean, own["mean"].rename("sales"), check_freq=False)
    assert quantiles.columns.tolist() == [("sales", 0.95), ("sales", 0.05)]
    np.testing.assert_array_equal(quantiles, own[["0.95", "0.05"]])


def test_a_wider_interval_holds_a_narrower_one(inside: Any) -> None:
    forecaster = SktimeForecaster(inside).fit(series(), fh=[1, 3])
    intervals = forecaster.predict_interval(coverage=[0.9, 0.5])["sales"]
    wide, narrow = intervals[0.9], intervals[0.5]
    assert (wide["lower"] < narrow["lower"]).all()
    assert (narrow["lower"] < narrow["upper"]).all()
    assert (narrow["upper"] < wide["upper"]).all()


def test_horizon_is_that_of_fit_or_else_that_of_the_forecaster_inside() -> None:
    patchtst = INSIDE["patchtst"]
    assert SktimeForecaster(patchtst).fit(series(), fh=[2, 7]).forecaster_.horizon == 7
    forecaster = SktimeForecaster(patchtst).fit(series())
    assert forecaster.forecaster_.horizon == 4
    assert forecaster.predict(fh=[6]).index.tolist() == [pd.Timestamp("2024-03-06")]
    assert patchtst.horizon == 4


def test_distribution_is_normal_around_the_mean() -> None:
    forecaster = naive().fit(series(), fh=[1, 2])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Forecasters' predict_proba requires skpro")
        distribution = forecaster.predict_proba()
    np.testing.assert_allclose(distribution.mean()["sales"], forecaster.predict())


def test_missing_values_are_missing_inside() -> None:
    y = series().where(np.arange(60) % 7 != 2)
    y.iloc[-1] = np.nan
    forecast = naive().fit(y, fh=range(1, 8)).predict()
    own = SeasonalNaiveForecaster(horizon=7).fit(y).predict()
    np.testing.assert_array_equal(forecast, own["mean"])
    assert forecast.index[0] == pd.Timestamp("2024-03-01")


def test_columns_of_y_come_to_the_forecaster_together() -> None:
    y = pd.DataFrame({"a": series(), 5: 100 * series(seed=1)})
    forecaster = SktimeForecaster(INSIDE["patchtst"]).fit(y, fh=[2, 4])
    rows = y.rename(columns=str).rename_axis("ds").reset_index()
    own = PatchTSTForecaster(horizon=4, **SMALL, target_col=["a", "5"]).fit(rows).predict()
    mean, quantiles = forecaster.predict(), forecaster.predict_quantiles(alpha=[0.1, 0.9])
    assert mean.columns.tolist() == ["a", 5]
    assert quantiles.columns.tolist() == [("a", 0.1), ("a", 0.9), (5, 0.1), (5, 0.9)]
    for name in y.columns:
        wanted = own[own["variate"] == str(name)].iloc[[1, 3]]
        np.testing.assert_array_equal(mean[name], wanted["mean"])
        np.testing.assert_array_equal(quantiles[name], wanted[["0.1", "0.9"]])


def test_parameters_inside_are_set_and_forecaster_is_cloned_and_copied_by_workers() -> None:
    forecaster = SktimeForecaster(PatchTSTForecaster(horizon=4, **SMALL))
    forecaster.set_params(forecaster__max_steps=5)
    twin = forecaster.clone().fit(series(), fh=[1, 2])
    assert twin.forecaster is not forecaster.forecaster
    assert twin.forecaster.get_params() == forecaster.forecaster.get_params()
    assert twin.forecaster_.max_steps == 5
    assert not forecaster.is_fitted
    again = joblib.Parallel(n_jobs=2, prefer="processes")([joblib.delayed(copy.deepcopy)(twin)])[0]
    pd.testing.assert_series_equal(again.predict(), twin.predict())


def test_pretrained_weights_are_kept_by_clones() -> None:
    other = series(seed=5).rename_axis("ds").rename("y").reset_index()
    pretrained = PatchTSTForecaster(horizon=4, **SMALL).pretrain(other)
    forecaster = SktimeForecaster(pretrained).clone().fit(series(), fh=[1])
    assert forecaster.forecaster_.pretrained_ is pretrained.pretrained_


def test_is_evaluated_by_a_splitter() -> None:
    y = series()
    splitter = ExpandingWindowSplitter(initial_window=50, step_length=5, fh=[1, 2, 3])
    for strategy in ("refit", "update", "no-update_params"):
        found = evaluate(naive(), splitter, y, strategy=strategy, return_data=True)
        for _, fold in found.iterrows():
            known = y[: fold["cutoff"]]
            own = SeasonalNaiveForecaster(horizon=3).fit(known).predict()["mean"]
            np.testing.assert_array_equal(fold["y_pred"], own)


def test_is_searched_by_a_grid() -> None:
    splitter = ExpandingWindowSplitter(initial_window=50, step_length=5, fh=[1, 2, 3])
    grid = {"forecaster__season_length": [3, 7]}
    search = ForecastingGridSearchCV(naive(), cv=splitter, param_grid=grid, backend=None)
    search.fit(series())
    assert search.best_params_ == {"forecaster__season_length": 7}


def test_is_a_step_of_a_pipeline() -> None:
    y = series()
    season = Deseasonalizer(sp=7, model="additive")
    pipeline = TransformedTargetForecaster([season, naive(season_length=1)]).fit(y, fh=[1, 2, 7])
    rest = season.fit(y).transform(y)
    last = pd.Series(rest.iloc[-1], pipeline.predict().index)
    pd.testing.assert_series_equal(
        pipeline.predict(), season.inverse_transform(last), check_names=False, rtol=1e-5
    )
    assert (pipeline.predict_interval()["sales"][0.9].diff(axis=1)["upper"] > 0).all()


def test_nothing_is_asked_in_sample() -> None:
    with pytest.raises(NotImplementedError, match="can not perform in-sample prediction"):
        naive().fit(series(), fh=[0, 1])


def test_what_is_no_forecaster_of_tsformer_is_refused() -> None:
    with pytest.raises(TypeError, match="forecaster=3 must be a forecaster of tsformer"):
        SktimeForecaster(3).fit(series(), fh=1)


def test_sktime_does_not_warn_of_its_memory() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        naive().fit(series(), fh=1).predict()
