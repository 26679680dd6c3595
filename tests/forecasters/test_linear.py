"""DLinear and NLinear behind `fit` and `predict`: every head answers, a season is learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsformer import load
from tsformer.forecasters.linear import DLinearForecaster, NLinearForecaster
from tsformer.forecasters.search_spaces import search_space

Make = Callable[..., Any]
KINDS = {"dlinear": DLinearForecaster, "nlinear": NLinearForecaster}
SMALL = {"horizon": 4, "season_length": 4, "context_length": 16, "max_steps": 3}
HEADS = ["quantile", "mae", "student_t"]  # one of each kind
each_kind = pytest.mark.parametrize("kind", KINDS)


def make(kind: str, **parameters: Any) -> Any:
    return KINDS[kind](**{**SMALL, **parameters})


@each_kind
@pytest.mark.parametrize("head", HEADS)
def test_every_head_answers_and_survives_saving(
    kind: str, head: str, make_frame: Make, tmp_path: Path
) -> None:
    df = make_frame()
    df.loc[df.index % 7 == 3, "y"] = np.nan
    forecaster = make(kind, head=head).fit(df)
    answer = forecaster.predict(horizon=9, quantiles=[0.1, 0.9])
    numbers = answer[["0.1", "0.5", "0.9"]]
    assert len(answer) == 2 * 9
    assert np.isfinite(answer["mean"]).all()
    assert (np.diff(numbers) > 0).all()
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is type(forecaster)
    assert loaded.get_params() == forecaster.get_params()
    again = loaded.predict(horizon=9, quantiles=[0.1, 0.9])
    pd.testing.assert_frame_equal(again, answer, check_exact=True)


@each_kind
def test_counts_are_forecast_as_counts(kind: str) -> None:
    counts = np.random.default_rng(0).poisson([[4.0], [30.0]], size=(2, 60)).astype(float)
    answer = make(kind, head="negative_binomial", max_steps=20).fit(counts).predict()
    quantiles = answer[["0.1", "0.5", "0.9"]].to_numpy()
    assert (quantiles >= 0).all()
    np.testing.assert_array_equal(quantiles, quantiles.round())
    assert answer["mean"][:4].between(1, 10).all()
    assert answer["mean"][4:].between(15, 50).all()


@each_kind
def test_a_clone_that_is_fitted_answers_the_same(kind: str, make_frame: Make) -> None:
    forecaster = make(kind).fit(make_frame())
    copy = clone(forecaster)
    assert not hasattr(copy, "model_")
    answer = copy.fit(make_frame()).predict()
    pd.testing.assert_frame_equal(answer, forecaster.predict(), check_exact=True)


@each_kind
def test_a_repeating_pattern_is_learned_in_a_few_steps(kind: str) -> None:
    """The window's mean, which untrained DLinear forecasts, misses by two on average."""
    wave = np.tile(np.arange(8.0), 32)
    options = {"context_length": 24, "max_steps": 100, "learning_rate": 5e-2}
    answer = make(kind, horizon=8, season_length=8, **options).fit(wave[:-8]).predict()
    assert np.abs(wave[-8:] - wave.mean()).mean() == 2.0
    assert np.abs(answer["0.5"] - wave[-8:]).mean() < 0.2
    assert (answer["0.9"] - answer["0.1"]).mean() < 2.0  # it begins with 5.9


@each_kind
def test_a_line_is_continued(kind: str) -> None:
    line = np.arange(120.0)
    forecaster = make(kind, max_steps=100, learning_rate=5e-2).fit(line[:-4])
    assert np.abs(forecaster.predict()["0.5"] - line[-4:]).max() < 0.5  # the naive one misses by 4


@each_kind
def test_targets_of_one_item_do_not_see_each_other(kind: str, make_frame: Make) -> None:
    df = make_frame()
    df["z"] = make_frame(seed=1)["y"]
    forecaster = make(kind, target_col=["y", "z"]).fit(df)
    before = forecaster.predict(df).set_index("variate")["mean"]
    after = forecaster.predict(df.assign(z=-df["z"])).set_index("variate")["mean"]
    np.testing.assert_allclose(after["y"], before["y"], rtol=1e-6)
    assert (after["z"] != before["z"]).all()


def test_the_kernel_size_reaches_the_network(make_frame: Make) -> None:
    usual, other = (make("dlinear", kernel_size=k).fit(make_frame()) for k in (25, 3))
    assert other.model_.network.kernel_size == 3
    assert (usual.predict()["mean"] != other.predict()["mean"]).all()


@pytest.mark.parametrize(
    ("kernel_size", "error", "message"),
    [
        (4, ValueError, "kernel_size=4 must be odd"),
        (0, ValueError, "kernel_size=0 must be at least 1"),
        (2.5, TypeError, "kernel_size=2.5 must be a whole number"),
    ],
)
def test_kernel_sizes_that_cannot_be_are_named(
    kernel_size: Any, error: type[Exception], message: str, make_frame: Make
) -> None:
    with pytest.raises(error, match=message):
        make("dlinear", kernel_size=kernel_size).fit(make_frame())


@each_kind
def test_defaults_fit_short_and_long_series_without_a_thought(kind: str) -> None:
    for length in (3, 20, 90):
        values = np.random.default_rng(0).normal(size=length)
        forecaster = KINDS[kind](horizon=6, max_steps=1).fit(values)
        assert np.isfinite(forecaster.predict()["mean"]).all()


def test_the_search_space_of_dlinear_holds_its_kernels(make_frame: Make) -> None:
    df = make_frame()
    assert search_space(make("dlinear", kernel_size=7), df)["kernel_size"].values[0] == 7
    assert "kernel_size" not in search_space(make("nlinear"), df)
