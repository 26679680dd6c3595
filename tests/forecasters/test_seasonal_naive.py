"""The seasonal naive forecast against a loop, and against the book."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from tsformer.forecasters import SeasonalNaiveForecaster

Make = Callable[..., Any]


def by_loop(values: np.ndarray, season: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return forecasts and their deviations, one step after the other."""
    known = np.isfinite(values)
    point = np.empty(horizon)
    for step in range(horizon):
        place = len(values) + step
        while place >= len(values) or (place >= 0 and not known[place]):
            place -= season
        point[step] = values[place] if place >= 0 else values[known][-1]
    for lag in (season, 1):
        changes = np.array([values[t] - values[t - lag] for t in range(lag, len(values))])
        changes = changes[np.isfinite(changes)]
        if len(changes):
            break
    sigma = np.sqrt(np.mean(changes**2)) if len(changes) else 0.0
    return point, sigma * np.sqrt(np.arange(horizon) // season + 1)


numbers = st.one_of(st.none(), st.floats(-100, 100, width=32))


@given(st.lists(numbers, min_size=1, max_size=20), st.integers(1, 6), st.integers(1, 9))
def test_forecasts_and_intervals_are_those_of_a_loop(
    drawn: list[float | None], season: int, horizon: int
) -> None:
    values = np.array([np.nan if value is None else value for value in drawn], dtype=float)
    if not np.isfinite(values).any():
        return
    values = values[np.isfinite(values).argmax() :]
    forecaster = SeasonalNaiveForecaster(horizon=horizon, season_length=season, quantiles=[0.1])
    answer = forecaster.fit(values).predict()
    point, deviation = by_loop(values, season, horizon)
    np.testing.assert_allclose(answer["mean"], point, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(answer["0.5"], point, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(answer["0.1"], point + deviation * ndtri(0.1), rtol=1e-4, atol=1e-4)


def test_monthly_data_repeat_the_last_year(make_frame: Make) -> None:
    df = make_frame(["a"], 40, freq="MS")
    answer = SeasonalNaiveForecaster(horizon=15).fit(df).predict()
    expected = df["y"].to_numpy()[np.r_[-12:0, -12:-9]]
    np.testing.assert_allclose(answer["mean"], expected, rtol=1e-6)


def test_panels_are_forecast_series_by_series(make_naive: Make, make_frame: Make) -> None:
    df = pd.concat([make_frame(["b"], 30), make_frame(["a"], 9), make_frame(["c"], 1)])
    answer = make_naive(horizon=6).fit(df).predict()
    for name, rows in df.groupby("unique_id"):
        point, deviation = by_loop(rows["y"].to_numpy(), 4, 6)
        found = answer[answer["unique_id"] == name]
        np.testing.assert_allclose(found["mean"], point, rtol=1e-6)
        np.testing.assert_allclose(found["0.9"] - found["mean"], deviation * ndtri(0.9), rtol=1e-5)


def test_variance_of_paths_grows_by_one_sigma_squared_per_season(
    make_naive: Make, make_frame: Make
) -> None:
    forecaster = make_naive(horizon=12).fit(make_frame(["a"]))
    paths = forecaster.predict_samples(n_samples=4000)
    steps = paths.pivot(index="sample", columns="ds", values="y").to_numpy()
    variance = steps.var(axis=0).reshape(3, 4).mean(axis=1)
    np.testing.assert_allclose(variance / variance[0], [1, 2, 3], rtol=0.07)
    spread = forecaster.predict(quantiles=[0.1])
    sigma = (spread["0.1"] - spread["mean"]).to_numpy() / ndtri(0.1)
    np.testing.assert_allclose(steps.std(axis=0), sigma, rtol=0.07)
    np.testing.assert_allclose(steps.mean(axis=0), spread["mean"], atol=4 * sigma.max() / 63)


def test_each_season_of_a_path_starts_from_the_one_before(
    make_naive: Make, make_frame: Make
) -> None:
    paths = make_naive(horizon=8).fit(make_frame(["a"])).predict_samples(n_samples=4000)
    steps = paths.pivot(index="sample", columns="ds", values="y").to_numpy()
    correlation = np.corrcoef(steps, rowvar=False)
    np.testing.assert_allclose(np.diag(correlation, 4), np.sqrt(1 / 2), atol=0.04)
    np.testing.assert_allclose(np.diag(correlation, 1), 0, atol=0.06)  # phases know nothing


def test_only_max_history_steps_are_looked_at(make_naive: Make, make_frame: Make) -> None:
    df = make_frame(["a"])
    short = make_naive(max_history=10).fit(df)
    pd.testing.assert_frame_equal(short.predict(), make_naive().fit(df.tail(10)).predict())
    pd.testing.assert_frame_equal(short.predict(df), short.predict())


@pytest.mark.parametrize("freq", ["h", "D", "W", "MS", "QS", "YS", "30min", "B"])
def test_the_season_follows_from_the_frequency(make_frame: Make, freq: str) -> None:
    expected = {"h": 24, "D": 7, "W": 52, "MS": 12, "QS": 4, "YS": 1, "30min": 48, "B": 5}
    forecaster = SeasonalNaiveForecaster(horizon=2).fit(make_frame(["a"], 60, freq=freq))
    assert forecaster.season_length_ == expected[freq]
