"""Reconciliation says what it cannot work with, and what to do about it."""

from __future__ import annotations

import sys
from typing import Any

import pandas as pd
import pytest

from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.interop.hierarchical import reconcile

pytest.importorskip("hierarchicalforecast.methods")

HIERARCHY = {"total": ["north", "south"], "north": ["coast", "hills"]}


def test_missing_and_unknown_nodes_are_named(make_forecast: Any, make_backtest: Any) -> None:
    forecast = make_forecast()
    absent = forecast[~forecast["unique_id"].isin(["north", "hills"])]
    with pytest.raises(ValueError, match="forecast lacks 'north', 'hills', of the hierarchy"):
        reconcile(absent, HIERARCHY, method="ols")
    with pytest.raises(ValueError, match="forecast has 'south', which the hierarchy does not know"):
        reconcile(forecast, {"total": ["north"], "north": ["coast", "hills"]}, method="ols")
    with pytest.raises(ValueError, match="backtest lacks 'total'"):
        reconcile(forecast, HIERARCHY, backtest=make_backtest().query("unique_id != 'total'"))


def test_what_cannot_be_weighed_is_refused(make_forecast: Any, make_backtest: Any) -> None:
    forecast, backtest = make_forecast(), make_backtest()
    with pytest.raises(ValueError, match="method='wls_var' learns from errors; pass"):
        reconcile(forecast, HIERARCHY)
    with pytest.raises(ValueError, match="method='erm' must be one of bottom_up"):
        reconcile(forecast, HIERARCHY, method="erm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'mint_cov' needs more than 5 steps"):
        reconcile(forecast, HIERARCHY, method="mint_cov", backtest=make_backtest(1))
    with pytest.raises(ValueError, match="tells nothing of errors"):
        reconcile(forecast, HIERARCHY, backtest=backtest.assign(mean=backtest["y"]))
    with pytest.raises(ValueError, match="backtest must be what cross_validation returned"):
        reconcile(forecast, HIERARCHY, backtest=forecast)
    late = backtest.assign(ds=backtest["ds"] + pd.Timedelta(days=200))
    with pytest.raises(ValueError, match="its weights would know what is forecast"):
        reconcile(forecast, HIERARCHY, backtest=late)
    with pytest.raises(ValueError, match="not all nodes have the same steps, 'total' for one"):
        reconcile(forecast.drop(index=4), HIERARCHY, method="ols")
    with pytest.raises(ValueError, match="several variates"):
        reconcile(forecast.assign(variate="y"), HIERARCHY, method="ols")
    with pytest.raises(ValueError, match="no column 'mean'"):
        reconcile(forecast.drop(columns="mean"), HIERARCHY, method="ols")


def test_covariances_without_an_inverse_are_told(make_series: Any) -> None:
    df = make_series()
    naive = SeasonalNaiveForecaster(horizon=4, season_length=7)  # its errors add up exactly
    backtest = naive.cross_validation(df, n_windows=8)
    forecast = naive.fit(df).predict()
    with pytest.raises(ValueError, match="'mint_cov' found no weights.*take 'wls_var'"):
        reconcile(forecast, HIERARCHY, method="mint_cov", backtest=backtest)


def test_without_the_library_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, make_forecast: Any
) -> None:
    monkeypatch.setitem(sys.modules, "hierarchicalforecast.methods", None)
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[hierarchical\]'"):
        reconcile(make_forecast(), HIERARCHY, method="ols")
