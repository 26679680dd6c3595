"""TSFormer behind `fit` and `predict`: all that a forecaster does, and patterns learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsformer import load
from tsformer.forecasters import TrainedTSFormerForecaster

Make = Callable[..., Any]
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace"]
SHARED = {"horizon": 4, "season_length": 4}
SMALL = {"context_length": 18, "max_steps": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}


def make(**parameters: Any) -> TrainedTSFormerForecaster:
    return TrainedTSFormerForecaster(**{**SHARED, **SMALL, **parameters})


def together(df: pd.DataFrame) -> pd.DataFrame:
    """Return a frame of one item whose two targets are the series `a` and `b` of `df`."""
    wide = df.pivot(index="ds", columns="unique_id", values="y").reset_index()
    return wide.assign(unique_id="both")[["unique_id", "ds", "a", "b"]]


@pytest.mark.parametrize(
    ("head", "readout"), [*((head, "flat") for head in HEADS), ("quantile", "tokens")]
)
def test_every_head_answers_and_survives_saving(
    head: str, readout: str, make_frame: Make, tmp_path: Path
) -> None:
    df = make_frame()
    df.loc[df.index % 7 == 3, "y"] = np.nan
    forecaster = make(head=head, readout=readout, seasonal=True).fit(df)
    answer = forecaster.predict(horizon=9, quantiles=[0.1, 0.9])
    assert len(answer) == 2 * 9
    assert np.isfinite(answer["mean"]).all()
    assert (np.diff(answer[["0.1", "0.5", "0.9"]]) > 0).all()
    forecaster.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is TrainedTSFormerForecaster
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


def test_series_do_not_see_each_other_but_several_targets_do(make_frame: Make) -> None:
    df = make_frame()
    forecaster = make(max_steps=20).fit(df)
    moved = df.copy()
    moved.loc[moved["unique_id"] == "b", "y"] *= -2
    before, after = (
        forecaster.predict(data).query("unique_id == 'a'")["mean"] for data in (df, moved)
    )
    np.testing.assert_allclose(after, before, rtol=1e-5)
    options = {"target_col": ["a", "b"], "max_steps": 20}
    for across, sees in ((True, True), (False, False)):
        jointly = make(across_variates=across, **options).fit(together(df))
        before, after = (
            jointly.predict(together(data)).query("variate == 'a'")["mean"] for data in (df, moved)
        )
        assert np.allclose(after, before, rtol=1e-5) != sees


def test_a_target_that_is_not_known_for_one_item_is_forecast_all_the_same(
    make_frame: Make,
) -> None:
    frame = together(make_frame())
    frame = pd.concat([frame, frame.assign(unique_id="half", b=np.nan)])
    with pytest.warns(UserWarning, match="'b' of 'half'"):
        answer = make(target_col=["a", "b"]).fit(frame).predict()
    assert np.isfinite(answer["mean"]).all()
    assert len(answer) == 2 * 2 * 4


@pytest.mark.parametrize("readout", ["flat", "tokens"])
def test_a_repeating_pattern_is_learned_in_a_few_steps(readout: str) -> None:
    """The window's mean, which an untrained network forecasts, misses by two on average."""
    wave = np.tile(np.arange(8.0), 32)
    options = {"max_steps": 100, "learning_rate": 1e-2, "d_model": 16, "d_ff": 32, "dropout": 0.0}
    answer = make(horizon=8, readout=readout, **options).fit(wave[:-8]).predict()
    assert np.abs(wave[-8:] - wave.mean()).mean() == 2.0
    assert np.abs(answer["0.5"] - wave[-8:]).mean() < 0.3


def test_with_a_season_a_repeating_pattern_needs_no_learning() -> None:
    wave = np.tile([0.0, 3.0, 1.0, 4.0], 20)
    still = {"max_steps": 1, "learning_rate": 1e-12}
    answer = make(seasonal=True, **still).fit(wave[:-4]).predict()
    np.testing.assert_allclose(answer["0.5"], wave[-4:], atol=1e-4)
    plain = make(**still).fit(wave[:-4]).predict()
    np.testing.assert_allclose(plain["0.5"], wave[-20:-4].mean(), atol=0.2)


def test_the_units_of_the_loss_change_what_is_learned_but_not_how_it_is_judged() -> None:
    generator = np.random.default_rng(0)
    calm = generator.normal(0, 0.1, size=40)
    values = np.concatenate([calm, generator.normal(0, 10.0, size=40), calm])
    still = {"max_steps": 1, "learning_rate": 1e-12}
    by_window, by_series = (
        make(loss_units=u, max_steps=9).fit(values) for u in ("window", "series")
    )
    assert not np.allclose(by_window.predict()["mean"], by_series.predict()["mean"], rtol=1e-3)
    judged = [
        make(loss_units=units, **still).fit(values).fit_report_.training.best_loss
        for units in ("window", "series")
    ]
    assert judged[0] == judged[1]
    with pytest.raises(ValueError, match="loss_units='steps' must be 'window' or 'series'"):
        make(loss_units="steps").fit(values)


@pytest.mark.parametrize(
    ("parameter", "value", "error", "message"),
    [
        ("n_heads", 3, ValueError, "d_model=8 must be an even multiple of n_heads=3"),
        ("n_layers", 0, ValueError, "n_layers=0 must be at least 1"),
        ("d_ff", 2.5, TypeError, "d_ff=2.5 must be a whole number"),
        ("patch_length", 0, ValueError, "patch_length=0 must be at least 1"),
        ("patch_length", 19, ValueError, "patch_length=19 and context_length=18 must ascend"),
        ("dropout", 1.0, ValueError, "dropout=1.0 must be at least 0 and below 1"),
        ("norm", "group", ValueError, "norm='group' is unknown"),
    ],
)
def test_sizes_that_cannot_be_are_named(
    parameter: str, value: Any, error: type[Exception], message: str, make_frame: Make
) -> None:
    with pytest.raises(error, match=message):
        make(**{parameter: value}).fit(make_frame())


@pytest.mark.parametrize(
    "options",
    [
        {"patch_length": 5},
        {"stride": 1},
        {"d_model": 16},
        {"n_heads": 1},
        {"n_layers": 2},
        {"d_ff": 16},
        {"dropout": 0.0},
        {"norm": "rms"},
        {"readout": "tokens"},
    ],
    ids=str,
)
def test_every_size_reaches_the_network(options: dict[str, Any], make_frame: Make) -> None:
    usual = make().fit(make_frame())
    changed = make(**options).fit(make_frame())
    assert {name: changed.sizes_[name] for name in options} == options
    assert (changed.predict()["mean"] != usual.predict()["mean"]).all()


def test_defaults_fit_short_and_long_series_without_a_thought() -> None:
    for length in (3, 20, 90):
        values = np.random.default_rng(0).normal(size=length)
        forecaster = TrainedTSFormerForecaster(horizon=6, max_steps=1).fit(values)
        assert forecaster.context_length_ <= 48
        assert np.isfinite(forecaster.predict()["mean"]).all()
