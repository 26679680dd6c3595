"""Newer values: with what was learned, or learning anew; also values that were there before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from sktime.split import SlidingWindowSplitter

from tsformer import PatchTSTForecaster, RecurrentForecaster, SeasonalNaiveForecaster
from tsformer.interop.sktime import SktimeForecaster

SMALL = {"context_length": 16, "max_steps": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
Y = pd.Series(
    np.random.default_rng(0).normal(size=60).cumsum(),
    index=pd.period_range("2020-01", periods=60, freq="M"),
    name="y",
)


def naive() -> SktimeForecaster:
    return SktimeForecaster(SeasonalNaiveForecaster(horizon=2, season_length=1))


@pytest.mark.parametrize("kind", [PatchTSTForecaster, RecurrentForecaster])
def test_update_without_parameters_goes_on_with_what_was_learned(kind: Any) -> None:
    inside = kind(horizon=2, **SMALL)
    forecaster = SktimeForecaster(inside).fit(Y[:40], fh=[1, 2])
    learned = forecaster.forecaster_
    forecaster.update(Y[40:50], update_params=False)
    assert forecaster.forecaster_ is learned
    own = inside.fit(Y[:40]).update(Y[40:50]).predict()["mean"]
    np.testing.assert_array_equal(forecaster.predict(), own)
    assert forecaster.predict().index.tolist() == Y.index[50:52].tolist()


def test_update_with_parameters_learns_from_all_values() -> None:
    inside = PatchTSTForecaster(horizon=2, **SMALL)
    forecaster = SktimeForecaster(inside).fit(Y[:40], fh=[1, 2]).update(Y[40:50])
    anew = SktimeForecaster(inside).fit(Y[:50], fh=[1, 2])
    pd.testing.assert_series_equal(forecaster.predict(), anew.predict())


def test_update_may_pass_the_times_that_fit_was_asked_for() -> None:
    forecaster = naive().fit(Y[:40], fh=Y.index[40:45]).update(Y[40:50])
    assert forecaster.forecaster_.horizon == 2  # its own
    with pytest.raises(NotImplementedError, match="can not perform in-sample prediction"):
        forecaster.predict()


@pytest.mark.parametrize("update_params", [True, False])
def test_forecaster_follows_values_back_and_forth(update_params: bool) -> None:
    forecaster = naive().fit(Y[:40], fh=[1])
    for begin, end in [(10, 20), (20, 21), (21, 30), (25, 45), (45, 46)]:
        forecaster.update(Y[begin:end], update_params=update_params)
        forecast = forecaster.predict()
        assert forecast.index[0] == Y.index[end]
        np.testing.assert_allclose(forecast, Y.iloc[end - 1], rtol=1e-6)


def test_forecasts_of_a_sliding_window_know_nothing_later() -> None:
    forecaster = naive().fit(Y[:40], fh=[1])
    splitter = SlidingWindowSplitter(fh=[1], window_length=5, step_length=1)
    forecast = forecaster.update_predict(Y, cv=splitter, update_params=False)
    np.testing.assert_allclose(forecast, Y.shift(1).loc[forecast.index], rtol=1e-6)
    assert forecaster.cutoff[0] == Y.index[39]


def test_some_series_of_a_panel_are_updated_and_new_ones_come() -> None:
    y = pd.concat({"b": Y, "a": Y + 100, "c": Y + 200}, names=["shop", "month"]).to_frame()
    shop, month = y.index.get_level_values("shop"), y.index.get_level_values("month")
    forecaster = naive().fit(y[(month < Y.index[40]) & (shop != "c")], fh=[1])
    later = y[(month < Y.index[50]) & (shop == "a")]
    forecaster.update(later, update_params=False)
    forecaster.update(y[(month < Y.index[30]) & (shop == "c")], update_params=False)
    forecast = forecaster.predict()["y"]
    expected = {"b": Y.iloc[39], "a": Y.iloc[49] + 100, "c": Y.iloc[29] + 200}
    np.testing.assert_allclose(forecast.droplevel("month")[list(expected)], [*expected.values()])
    assert forecast.index.get_level_values("month").tolist() == [
        Y.index[{"b": 40, "a": 50, "c": 30}[name]] for name in forecast.index.droplevel("month")
    ]
    assert set(forecaster.forecaster_.predict()["instance"]) == set(expected)  # they are taken in


def test_series_of_a_panel_go_back() -> None:
    y = pd.concat({"b": Y, "a": Y + 100}, names=["shop", "month"]).to_frame()
    month = y.index.get_level_values("month")
    forecaster = naive().fit(y[month < Y.index[40]], fh=[1])
    forecaster.update(y[month < Y.index[20]], update_params=False)
    forecast = forecaster.predict()["y"].droplevel("month")
    np.testing.assert_allclose(forecast[["b", "a"]], [Y.iloc[19], Y.iloc[19] + 100])
