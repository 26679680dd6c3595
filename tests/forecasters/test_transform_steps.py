"""Steps of transforms that count rows, tiny series, and errors that name a series."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)

from tsformer import load
from tsformer.forecasters import (
    Differencing,
    LogTransform,
    SeasonalNaiveForecaster,
    TransformedForecaster,
)

QUANTILES = {
    "uniform": QuantileTransformer(),
    "normal": QuantileTransformer(n_quantiles=90, output_distribution="normal"),
    "sampled": QuantileTransformer(n_quantiles=10, subsample=20),
    "of differences": make_pipeline(Differencing(), QuantileTransformer()),
}


def series(name: str, length: int, scale: float = 1.0, n_missing: int = 0) -> pd.DataFrame:
    """Return a random walk after so many missing values."""
    steps = np.random.default_rng(length).normal(size=length)
    values = np.r_[np.full(n_missing, np.nan), scale * (20 + steps.cumsum())]
    times = pd.date_range("2024-01-01", periods=len(values), freq="h")
    return pd.DataFrame({"unique_id": name, "ds": times, "y": values})


def around(transformer: Any) -> TransformedForecaster:
    inside = SeasonalNaiveForecaster(horizon=4, season_length=4, quantiles=(0.1, 0.5, 0.9))
    return TransformedForecaster(forecaster=inside, transformer=clone(transformer), n_samples=20)


def rows_of(answer: pd.DataFrame, name: str) -> pd.DataFrame:
    return answer[answer["unique_id"] == name].reset_index(drop=True)


@pytest.mark.parametrize("kind", QUANTILES)
def test_quantiles_of_a_series_do_not_depend_on_longer_ones(kind: str) -> None:
    short, long = series("short", 40), series("long", 150)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecaster = around(QUANTILES[kind]).fit(pd.concat([short, long]))
        together = forecaster.predict()
        alone = around(QUANTILES[kind]).fit(short).predict()
    pd.testing.assert_frame_equal(rows_of(together, "short"), alone, rtol=1e-6)
    new = pd.concat([series("a", 30), series("b", 99)])
    pd.testing.assert_frame_equal(
        rows_of(forecaster.predict(new), "a"), forecaster.predict(series("a", 30)), rtol=1e-6
    )


@pytest.mark.parametrize("kind", QUANTILES)
def test_quantiles_of_a_series_do_not_depend_on_missing_values_before_it(kind: str) -> None:
    moved = around(QUANTILES[kind]).fit(series("a", 40, n_missing=25)).predict()
    alone = around(QUANTILES[kind]).fit(series("a", 40)).predict()
    pd.testing.assert_frame_equal(moved.drop(columns="ds"), alone.drop(columns="ds"), rtol=1e-6)


def test_quantiles_are_those_of_scikit_learn() -> None:
    values = series("a", 60)["y"].to_numpy(np.float32).astype(float)[:, None]
    for distribution in ("uniform", "normal"):
        one = QuantileTransformer(n_quantiles=60, output_distribution=distribution)
        forecaster = around(one).fit(series("a", 60))
        inside = forecaster.forecaster_.panel_.values[0]
        expected = one.fit_transform(values)[-len(inside) :, 0]
        np.testing.assert_allclose(inside, expected, atol=1e-5)
    assert forecaster.transformer.n_quantiles == 60


@pytest.mark.parametrize("kind", QUANTILES)
def test_short_constant_and_tiny_series_are_forecast_and_saved(kind: str, tmp_path: Path) -> None:
    tiny = series("tiny", 60, 1e-9)
    frames = [series("a", 60), tiny, series("one", 1), series("c", 50).assign(unique_id="c", y=7.0)]
    forecaster = around(QUANTILES[kind]).fit(pd.concat(frames))
    answer = forecaster.predict()
    numbers = answer[["mean", "0.1", "0.5", "0.9"]]
    assert np.isfinite(numbers).all(axis=None)
    np.testing.assert_allclose(numbers[answer["unique_id"] == "c"], 7.0, rtol=1e-5)
    forecaster.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load(tmp_path / "saved").predict(), answer)


@pytest.mark.parametrize("scaler", [StandardScaler(), PowerTransformer(), QuantileTransformer()])
def test_where_nothing_is_left_of_a_series_its_forecast_is_a_number(scaler: Any) -> None:
    df = pd.concat([series("a", 60), series("one", 1)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = around(make_pipeline(Differencing(), scaler)).fit(df).predict()
    assert np.isfinite(answer[["mean", "0.1", "0.5", "0.9"]]).all(axis=None)


@pytest.mark.parametrize("scale", [1e-8, 1e-12, 1e-30])
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_the_forecast_of_a_tiny_series_is_that_of_a_large_one(kind: str, scale: float) -> None:
    answers = [
        around(QUANTILES[kind])
        .fit(series("a", 80, size))
        .predict()
        .drop(columns=["unique_id", "ds"])
        for size in (1.0, scale)
    ]
    np.testing.assert_allclose(answers[1] / scale, answers[0], rtol=1e-4)
    assert (answers[0]["0.9"] > answers[0]["0.1"]).all()


@pytest.mark.parametrize("transformer", [PowerTransformer(), LogTransform(offset=1.0)])
def test_rounding_of_a_tiny_series_stops_nobody(transformer: Any) -> None:
    df = pd.concat([series("a", 60), series("tiny", 60, 1e-17)])
    answer = around(transformer).fit(df).predict()
    assert np.isfinite(answer[["mean", "0.5"]]).all(axis=None)


def cut(values: np.ndarray) -> np.ndarray:
    """Return values, those below -5 as -5: a way without a way back for some series only."""
    return np.maximum(values, -5.0)


def test_a_series_that_is_not_given_back_is_named() -> None:
    low = [series(name, 40).assign(y=lambda df: -df["y"]) for name in ("second", "third")]
    df = pd.concat([series("first", 60), *low])
    with pytest.raises(
        ValueError, match="does not give back .* those of the series 'second'; give"
    ):
        around(FunctionTransformer(cut, np.positive)).fit(df)


def test_a_series_that_a_transform_cannot_be_fitted_to_is_named() -> None:
    df = pd.concat([series("first", 60), series("second", 40).assign(y=-1.0)])
    with pytest.raises(ValueError, match=r"offset=0.5\) cannot be fitted to the series 'second': "):
        around(LogTransform(offset=0.5)).fit(df)
