"""Reconciled forecasts add up; against formulas in NumPy and the library's own frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.interop.hierarchical import reconcile
from tsformer.interop.summing import read_hierarchy

library = pytest.importorskip("hierarchicalforecast.methods")

HIERARCHY = {"total": ["north", "south"], "north": ["coast", "hills"]}
BOTTOM = ["coast", "hills", "south"]
LEVELS = ["0.1", "0.5", "0.9"]
ALONE = ["bottom_up", "ols", "wls_struct"]
LEARNED = ["wls_var", "mint_cov", "mint_shrink"]


def wide(frame: pd.DataFrame, column: str = "mean", keys: Any = ("ds",)) -> pd.DataFrame:
    return frame.pivot(index=list(keys), columns="unique_id", values=column)


def assert_adds_up(table: pd.DataFrame) -> None:
    for parent, children in HIERARCHY.items():
        np.testing.assert_allclose(table[parent], table[children].sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("method", [*ALONE, *LEARNED])
def test_means_add_up_at_every_step(method: Any, make_forecast: Any, make_backtest: Any) -> None:
    forecast = make_forecast()
    answer = reconcile(forecast, HIERARCHY, method=method, backtest=make_backtest())
    assert_adds_up(wide(answer))
    assert answer.columns.tolist() == forecast.columns.tolist()
    assert answer[["unique_id", "ds"]].equals(forecast[["unique_id", "ds"]])
    assert (answer["0.1"] < answer["0.5"]).all()
    assert (answer["0.5"] < answer["0.9"]).all()


def test_bottom_up_takes_sums_of_the_bottom_nodes(make_forecast: Any) -> None:
    forecast = make_forecast()
    answer = reconcile(forecast, HIERARCHY, method="bottom_up")
    table, base = wide(answer), wide(forecast)
    pd.testing.assert_frame_equal(table[BOTTOM], base[BOTTOM])
    np.testing.assert_allclose(table["total"], base[BOTTOM].sum(axis=1))


@pytest.mark.parametrize("method", [*ALONE, *LEARNED])
def test_what_adds_up_stays(method: Any, make_forecast: Any, make_backtest: Any) -> None:
    backtest = make_backtest()
    coherent = reconcile(make_forecast(), HIERARCHY, method="bottom_up")
    answer = reconcile(coherent, HIERARCHY, method=method, backtest=backtest)
    np.testing.assert_allclose(answer["mean"], coherent["mean"], rtol=1e-6)
    if method in ALONE:  # without a backtest quantiles move as the means do, hence not at all
        answer = reconcile(coherent, HIERARCHY, method=method)
        pd.testing.assert_frame_equal(answer, coherent)


@pytest.mark.parametrize("method", ["ols", "wls_struct", "wls_var", "mint_cov"])
def test_means_are_those_of_generalised_least_squares(
    method: Any, make_forecast: Any, make_backtest: Any
) -> None:
    forecast, backtest = make_forecast(), make_backtest(n_windows=30)
    summing = read_hierarchy(HIERARCHY)
    matrix, nodes = summing.matrix, list(summing.nodes)
    errors = wide(
        backtest.assign(error=backtest["y"] - backtest["mean"]), "error", ["ds", "cutoff"]
    )
    weight = {
        "ols": np.eye(len(nodes)),
        "wls_struct": np.diag(matrix.sum(axis=1)),
        "wls_var": np.diag((errors[nodes] ** 2).mean()),
        "mint_cov": np.cov(errors[nodes].T),
    }[method]
    inverse = np.linalg.inv(weight)
    gain = np.linalg.solve(matrix.T @ inverse @ matrix, matrix.T @ inverse)
    expected = wide(forecast)[nodes].to_numpy() @ (matrix @ gain).T
    answer = reconcile(forecast, HIERARCHY, method=method, backtest=backtest)
    np.testing.assert_allclose(wide(answer)[nodes], expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["wls_var", "mint_shrink"])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_means_are_those_of_the_library_in_any_unit(
    method: Any, unit: float, make_forecast: Any, make_backtest: Any
) -> None:
    core = pytest.importorskip("hierarchicalforecast.core")
    forecast, backtest = make_forecast(), make_backtest(n_windows=30)
    summing = read_hierarchy(HIERARCHY)
    nodes = list(summing.nodes)
    matrix = pd.DataFrame(summing.matrix, columns=nodes[summing.n_aggregates :])
    matrix.insert(0, "unique_id", nodes)
    in_sample = backtest.drop(columns=["cutoff", "0.5"])
    in_sample["ds"] = in_sample.groupby("unique_id").cumcount()
    theirs = core.HierarchicalReconciliation([library.MinTrace(method)]).reconcile(
        Y_hat_df=forecast[["unique_id", "ds", "mean"]],
        S_df=matrix,
        tags={"all": np.array(nodes)},
        Y_df=in_sample,
    )
    forecast[["mean", *LEVELS]] *= unit
    backtest[["y", "mean", "0.5"]] *= unit
    ours = reconcile(forecast, HIERARCHY, method=method, backtest=backtest)
    found = wide(ours)[nodes] / unit
    np.testing.assert_allclose(found, wide(theirs, theirs.columns[-1])[nodes], rtol=1e-4)


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.7])
def test_intervals_of_a_sum_follow_from_how_errors_go_together(
    correlation: float, sums: Any, make_forecast: Any, make_backtest: Any
) -> None:
    spread, n_windows = 2.0, 2000
    generator = np.random.default_rng(2)
    covariance = [[1, correlation, 0], [correlation, 1, 0], [0, 0, 1]]
    errors = generator.multivariate_normal([0, 0, 0], covariance, n_windows)
    together = sums(dict(zip(BOTTOM, errors.T, strict=True)))
    backtest = make_backtest(n_windows, horizon=1)
    for name, error in together.items():
        rows = backtest["unique_id"] == name
        backtest.loc[rows, "mean"] = backtest.loc[rows, "y"] - error
    forecast = make_forecast(horizon=2, spread=spread)
    forecast["ds"] += pd.Timedelta(days=n_windows)
    answer = reconcile(forecast, HIERARCHY, method="bottom_up", backtest=backtest)
    width = wide(answer, "0.9") - wide(answer, "0.1")
    of_one = 2 * norm.ppf(0.9) * spread
    np.testing.assert_allclose(width[BOTTOM], of_one, rtol=2e-3)
    np.testing.assert_allclose(width["north"], of_one * np.sqrt(2 + 2 * correlation), rtol=0.06)
    np.testing.assert_allclose(width["total"], of_one * np.sqrt(3 + 2 * correlation), rtol=0.06)
    middle = wide(answer, "0.5")
    np.testing.assert_allclose(middle, wide(answer), atol=0.15 * spread)


@pytest.mark.parametrize("method", ["ols", "wls_struct", "wls_var"])
def test_errors_of_large_nodes_reach_small_ones_unless_variances_are_learned(
    method: Any, make_forecast: Any, make_backtest: Any
) -> None:
    forecast, backtest = make_forecast(), make_backtest(n_windows=60)
    large = 100.0
    for frame, columns in ((forecast, LEVELS), (backtest, ["mean"])):
        centre, rows = frame["mean" if frame is forecast else "y"], frame["unique_id"] == "total"
        for column in columns:
            spread = large * (frame[column] - centre)
            frame.loc[rows, column] = (centre + spread)[rows]
    answer = reconcile(forecast, HIERARCHY, method=method, backtest=backtest)
    width, before = (wide(f, "0.9") - wide(f, "0.1") for f in (answer, forecast))
    ratio = (width / before)["south"]
    assert (ratio > 10).all() if method != "wls_var" else (ratio < 1.1).all()


def test_skewed_forecasts_stay_skewed(make_forecast: Any, make_backtest: Any) -> None:
    forecast = make_forecast()
    forecast["0.9"] = forecast["0.5"] + 10
    answer = reconcile(forecast, HIERARCHY, method="bottom_up", backtest=make_backtest())
    above = wide(answer, "0.9") - wide(answer, "0.5")
    below = wide(answer, "0.5") - wide(answer, "0.1")
    np.testing.assert_allclose((above / below)["coast"], 10 / (2 * norm.ppf(0.9)), rtol=0.01)
    assert (above > 1.2 * below).all(axis=None)  # sums, too, if less


def test_same_seed_gives_the_same_quantiles(make_forecast: Any, make_backtest: Any) -> None:
    forecast, backtest = make_forecast(), make_backtest()
    first, again, other = (
        reconcile(forecast, HIERARCHY, backtest=backtest, random_state=seed) for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["0.9"].equals(other["0.9"])


def test_rows_may_come_in_any_order_and_kind(make_forecast: Any, make_backtest: Any) -> None:
    polars = pytest.importorskip("polars")
    forecast, backtest = make_forecast(), make_backtest()
    expected = reconcile(forecast, HIERARCHY, backtest=backtest)
    shuffled = forecast.sample(frac=1, random_state=0)
    answer = reconcile(shuffled, HIERARCHY, backtest=backtest.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(answer, expected.loc[shuffled.index], rtol=1e-9)
    other = reconcile(
        polars.from_pandas(forecast), HIERARCHY, backtest=polars.from_pandas(backtest)
    )
    assert isinstance(other, polars.DataFrame)
    pd.testing.assert_frame_equal(other.to_pandas(), expected, check_dtype=False)


def test_answers_of_a_forecaster_are_taken_as_they_come(make_series: Any) -> None:
    df = make_series()
    naive = SeasonalNaiveForecaster(horizon=4, season_length=7).fit(df)
    early = df[df["ds"] < "2024-02-15"]
    backtest = naive.cross_validation(early, n_windows=4)
    answer = reconcile(naive.predict(level=[80]), HIERARCHY, backtest=backtest)
    assert_adds_up(wide(answer))
    windows = naive.cross_validation(df, n_windows=3)
    answer = reconcile(windows, HIERARCHY, backtest=backtest)
    assert_adds_up(wide(answer, keys=["ds", "cutoff"]))
    assert answer[["ds", "cutoff", "y"]].equals(windows[["ds", "cutoff", "y"]])
    paths = naive.predict_samples(n_samples=5)
    answer = reconcile(paths, HIERARCHY, backtest=backtest)
    assert_adds_up(wide(answer, "y", ["ds", "sample"]))
    assert answer["sample"].equals(paths["sample"])


def test_summing_matrix_of_the_library_is_a_hierarchy() -> None:
    utils = pytest.importorskip("hierarchicalforecast.utils")
    days = pd.date_range("2024-01-01", periods=30).repeat(3)
    df = pd.DataFrame({"ds": days, "land": "A", "place": ["x", "y", "z"] * 30, "y": 1.0})
    df["y"] += np.random.default_rng(0).random(len(df))
    series, matrix, _ = utils.aggregate(df, [["land"], ["land", "place"]])
    naive = SeasonalNaiveForecaster(horizon=4, season_length=7).fit(series)
    forecast = naive.predict()
    forecast.loc[forecast["unique_id"] == "A", "mean"] += 3  # it added up
    answer = wide(reconcile(forecast, matrix, method="ols"))
    np.testing.assert_allclose(answer["A"], answer[["A/x", "A/y", "A/z"]].sum(axis=1))
    np.testing.assert_allclose(answer["A"] - wide(forecast)["A"], -3 / 4)
