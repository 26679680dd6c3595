"""PatchTST behind `fit` and `predict`: every head answers, and a signal is learned."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri

from tsformer.forecasters import PatchTSTForecaster

Make = Callable[..., Any]
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]
LEVELS = [0.01, *np.arange(0.05, 1, 0.05).round(2), 0.99]


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    """Two series of counts that every head can take."""
    generator = np.random.default_rng(0)
    values = generator.poisson([[4.0], [30.0]], size=(2, 60))
    return pd.DataFrame(
        {
            "unique_id": np.repeat(["a", "b"], 60),
            "ds": np.tile(pd.date_range("2024-01-01", periods=60, freq="D"), 2),
            "y": values.reshape(-1).astype(float),
        }
    )


@pytest.mark.parametrize("head", HEADS)
def test_every_head_gives_ascending_quantiles_around_the_series(
    make_patchtst: Make, counts: pd.DataFrame, head: str
) -> None:
    forecaster = make_patchtst(head=head, max_steps=40, learning_rate=1e-2).fit(counts)
    assert forecaster.fit_report_.training.best_loss is not None
    answer = forecaster.predict(quantiles=LEVELS, horizon=9)
    numbers = answer.drop(columns=["unique_id", "ds"])
    assert np.isfinite(numbers).all(axis=None)
    assert (np.diff(numbers.drop(columns="mean")) >= 0).all()
    assert (numbers["0.01"] < numbers["0.99"]).all()
    for name, rows in answer.groupby("unique_id"):
        values = counts.loc[counts["unique_id"] == name, "y"]
        assert rows["mean"].between(values.min(), values.max()).all()
        assert rows["0.5"].between(values.min(), values.max()).all()


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_to_lower_its_loss(
    make_patchtst: Make, counts: pd.DataFrame, head: str
) -> None:
    forecaster = make_patchtst(head=head, max_steps=30, learning_rate=1e-2, patience=None)
    history = forecaster.fit(counts).fit_report_.training.history
    assert min(loss for _, loss in history[5:]) < history[0][1]


def test_point_heads_take_their_spread_from_errors_on_held_out_windows(
    make_patchtst: Make, counts: pd.DataFrame
) -> None:
    for head in ("mse", "mae", "huber"):
        answer = make_patchtst(head=head, max_steps=20).fit(counts, val_size=20).predict()
        rows = answer[answer["unique_id"] == "b"]
        width = (rows["0.9"] - rows["0.1"]).mean() / (ndtri(0.9) - ndtri(0.1))
        assert np.sqrt(30) / 2 < width < np.sqrt(30) * 2, head  # Poisson's deviation


def test_counts_are_forecast_as_counts(make_patchtst: Make, counts: pd.DataFrame) -> None:
    answer = make_patchtst(head="negative_binomial", max_steps=20).fit(counts).predict()
    quantiles = answer.drop(columns=["unique_id", "ds", "mean"])
    assert (quantiles >= 0).all(axis=None)
    np.testing.assert_array_equal(quantiles, quantiles.round())


@pytest.mark.parametrize("options", [{"norm": "layer"}, {"patch_length": 8}, {"stride": 2}])
def test_other_sizes_and_norms_answer_otherwise(
    make_patchtst: Make, counts: pd.DataFrame, options: dict[str, Any]
) -> None:
    usual = make_patchtst().fit(counts).predict()
    answer = make_patchtst(**options).fit(counts).predict()
    assert np.isfinite(answer["mean"]).all()
    assert (answer["mean"] != usual["mean"]).all()


def test_a_patch_length_alone_brings_half_of_it_as_stride(
    make_patchtst: Make, counts: pd.DataFrame
) -> None:
    forecaster = make_patchtst(patch_length=6).fit(counts)
    assert (forecaster.sizes_["patch_length"], forecaster.sizes_["stride"]) == (6, 3)


def test_the_mean_of_a_skewed_target_lies_above_its_median(make_patchtst: Make) -> None:
    values = np.random.default_rng(0).lognormal(sigma=1.0, size=(4, 200))
    forecaster = make_patchtst(max_steps=200, learning_rate=1e-2, d_model=16).fit(values)
    levels = (np.arange(200) + 0.5) / 200
    answer = forecaster.predict(quantiles=levels)
    assert (answer["mean"] > answer["0.5"]).all()
    assert answer["mean"].mean() > 1.1 * answer["0.5"].mean()
    integral = answer[[f"{level:g}" for level in levels]].mean(axis=1)
    np.testing.assert_allclose(answer["mean"], integral, rtol=0.02)


def test_a_sawtooth_is_learned_in_seconds() -> None:
    wave = np.tile(np.arange(8.0), 32)
    began = time.perf_counter()
    forecaster = PatchTSTForecaster(
        horizon=8,
        context_length=16,
        max_steps=200,
        d_model=16,
        n_layers=1,
        d_ff=32,
        dropout=0.0,
        learning_rate=1e-2,
        random_state=0,
    ).fit(wave[:-8])
    error = -forecaster.score(wave)  # against the naive forecast: integer time has no season
    assert error < 0.1
    assert time.perf_counter() - began < 10
    inside = forecaster.predict()
    assert ((inside["0.9"] - inside["0.1"]) < 1.0).all()  # sure of itself, and rightly so
    assert np.abs(inside["0.5"] - wave[-8:]).max() < 0.5


def test_shared_patterns_are_learned_across_series_of_any_level_and_scale(
    make_patchtst: Make,
) -> None:
    wave = np.tile([0.0, 1, 3, 1], 20)
    panel = np.stack([wave, 1e6 + 1e3 * wave, 1e-6 * wave - 5e-6])
    forecaster = make_patchtst(max_steps=120, learning_rate=1e-2, d_model=16, dropout=0.0)
    answer = forecaster.fit(panel[:, :-4]).predict()["0.5"].to_numpy().reshape(3, 4)
    error = np.abs(answer - panel[:, -4:]) / panel.std(axis=1, keepdims=True)
    assert error.max() < 0.25


def test_defaults_fit_short_and_long_series_without_a_thought() -> None:
    for length in (3, 20, 90):
        values = np.random.default_rng(0).normal(size=length)
        forecaster = PatchTSTForecaster(horizon=6, max_steps=1).fit(values)
        assert forecaster.context_length_ <= 48
        assert np.isfinite(forecaster.predict()["mean"]).all()
