"""iTransformer behind `fit` and `predict`: all that a forecaster does, and a season learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsformer import load
from tsformer.forecasters.itransformer import ITransformerForecaster

Make = Callable[..., Any]
HEADS = ["quantile", "mae", "student_t"]  # one of each kind
SHARED = {"horizon": 4, "season_length": 4}
SMALL = {"context_length": 16, "max_steps": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}


def make(**parameters: Any) -> ITransformerForecaster:
    return ITransformerForecaster(**{**SHARED, **SMALL, **parameters})


@pytest.mark.parametrize("head", HEADS)
def test_every_head_answers_and_survives_saving(
    head: str, make_frame: Make, tmp_path: Path
) -> None:
    df = make_frame()
    df.loc[df.index % 7 == 3, "y"] = np.nan
    forecaster = make(head=head).fit(df)
    answer = forecaster.predict(horizon=9, quantiles=[0.1, 0.9])
    assert len(answer) == 2 * 9
    assert np.isfinite(answer["mean"]).all()
    assert (np.diff(answer[["0.1", "0.5", "0.9"]]) > 0).all()
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is type(forecaster)
    assert loaded.get_params() == forecaster.get_params()
    again = loaded.predict(horizon=9, quantiles=[0.1, 0.9])
    pd.testing.assert_frame_equal(again, answer, check_exact=True)


def test_counts_are_forecast_as_counts() -> None:
    counts = np.random.default_rng(0).poisson([[4.0], [30.0]], size=(2, 60)).astype(float)
    answer = make(head="negative_binomial", max_steps=20).fit(counts).predict()
    quantiles = answer[["0.1", "0.5", "0.9"]].to_numpy()
    assert (quantiles >= 0).all()
    np.testing.assert_array_equal(quantiles, quantiles.round())
    assert answer["mean"][:4].between(1, 10).all()
    assert answer["mean"][4:].between(15, 50).all()


def test_a_clone_that_is_fitted_answers_the_same(make_frame: Make) -> None:
    forecaster = make().fit(make_frame())
    copy = clone(forecaster)
    assert not hasattr(copy, "model_")
    answer = copy.fit(make_frame()).predict()
    pd.testing.assert_frame_equal(answer, forecaster.predict(), check_exact=True)


def test_series_are_items_of_their_own_and_do_not_see_each_other(make_frame: Make) -> None:
    df = make_frame(["b", "a", "c"])
    forecaster = make().fit(df)
    alone = forecaster.predict(df[df["unique_id"] == "a"])["mean"].to_numpy()
    together = forecaster.predict(df).query("unique_id == 'a'")["mean"].to_numpy()
    np.testing.assert_allclose(alone, together, rtol=1e-5)


def test_targets_of_one_item_see_each_other(make_frame: Make) -> None:
    df = make_frame()
    df["z"] = make_frame(seed=1)["y"]
    forecaster = make(target_col=["y", "z"], max_steps=10).fit(df)
    before = forecaster.predict(df).set_index("variate")["mean"]
    after = forecaster.predict(df.assign(z=-df["z"])).set_index("variate")["mean"]
    assert np.isfinite(before).all()
    assert (after["y"] != before["y"]).all()
    df["z"] = np.where(df.groupby("unique_id").cumcount() < 30, df["z"], np.nan)  # no value lately
    other = df.assign(z=df["z"] ** 2)
    with pytest.warns(UserWarning, match="no value in their last 16 steps"):
        hidden, same = (forecaster.predict(data).query("variate == 'y'") for data in (df, other))
    pd.testing.assert_frame_equal(hidden, same)


def test_a_repeating_pattern_is_learned_in_a_few_steps() -> None:
    """The window's mean, which an untrained network forecasts, misses by two on average."""
    wave = np.tile(np.arange(8.0), 32)
    options = {"max_steps": 100, "learning_rate": 1e-2, "d_model": 16, "d_ff": 32, "dropout": 0.0}
    answer = make(horizon=8, season_length=8, **options).fit(wave[:-8]).predict()
    assert np.abs(wave[-8:] - wave.mean()).mean() == 2.0
    assert np.abs(answer["0.5"] - wave[-8:]).mean() < 0.3


@pytest.mark.parametrize(
    ("parameter", "value", "error", "message"),
    [
        ("n_heads", 3, ValueError, "d_model=8 must be a multiple of n_heads=3"),
        ("n_layers", 0, ValueError, "n_layers=0 must be at least 1"),
        ("d_ff", 2.5, TypeError, "d_ff=2.5 must be a whole number"),
        ("dropout", 1.0, ValueError, "dropout=1.0 must be at least 0 and below 1"),
    ],
)
def test_sizes_that_cannot_be_are_named(
    parameter: str, value: Any, error: type[Exception], message: str, make_frame: Make
) -> None:
    with pytest.raises(error, match=message):
        make(**{parameter: value}).fit(make_frame())


@pytest.mark.parametrize(
    "options", [{"d_model": 16}, {"n_layers": 2}, {"d_ff": 16}, {"dropout": 0.0}]
)
def test_every_size_reaches_the_network(options: dict[str, Any], make_frame: Make) -> None:
    usual, other = make().fit(make_frame()), make(**options).fit(make_frame())
    assert (usual.predict()["mean"] != other.predict()["mean"]).all()


def test_the_number_of_heads_reaches_the_network(make_frame: Make) -> None:
    """A single variate attends to itself alone, with whatever heads: the forecast cannot tell."""
    forecaster = make(n_heads=4).fit(make_frame())
    assert forecaster.model_.network.encoder.layers[0].attention.n_heads == 4


def test_defaults_fit_short_and_long_series_without_a_thought() -> None:
    for length in (3, 20, 90):
        values = np.random.default_rng(0).normal(size=length)
        forecaster = ITransformerForecaster(horizon=6, max_steps=1).fit(values)
        assert np.isfinite(forecaster.predict()["mean"]).all()
