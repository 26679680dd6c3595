"""TSFormer with its pre-trained weights behind `fit` and `predict`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors

from tsformer import TSFormerForecaster, load, load_dataset
from tsformer.data.encoding import CovariateEncoder
from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters import tsformer
from tsformer.forecasters.regression import explain
from tsformer.forecasters.zero_shot import LONGEST_HORIZON, blocks, forecast_unseen

Make = Callable[..., Any]
WAVE = np.array([0.0, 3.0, 1.0, 4.0, 2.0, 6.0, 3.0])


def test_nothing_is_needed_but_series(make_frame: Make) -> None:
    df = make_frame()
    answer = TSFormerForecaster().predict(df, horizon=12, level=[80])
    assert list(answer.columns) == ["unique_id", "ds", "mean", "0.1", "0.5", "0.9"]
    assert len(answer) == 2 * 12
    fitted = TSFormerForecaster(horizon=12).fit(df).predict(level=[80])
    pd.testing.assert_frame_equal(answer, fitted)


def test_a_repeating_pattern_is_copied() -> None:
    values = np.tile(WAVE, 30)
    answer = TSFormerForecaster(horizon=20).predict(values)
    expected = np.resize(WAVE, 20)
    assert np.abs(answer["0.5"] - expected).mean() < 0.1 * WAVE.std()
    assert (answer["0.9"] - answer["0.1"]).mean() < 0.3 * WAVE.std()


def test_a_line_is_continued_and_noise_is_not_copied() -> None:
    line = TSFormerForecaster(horizon=10).predict(np.arange(100.0))["0.5"]
    np.testing.assert_allclose(line, np.arange(100.0, 110.0), atol=2.5)
    noise = np.random.default_rng(0).normal(size=300)
    answer = TSFormerForecaster(horizon=30).predict(noise)
    assert answer["0.5"].abs().max() < 0.7
    assert (answer["0.9"] - answer["0.1"]).mean() == pytest.approx(2 * 1.28, rel=0.25)


def test_forecasts_do_not_depend_on_what_else_is_asked(make_frame: Make) -> None:
    short, long = make_frame(ids=["short"], length=20), make_frame(ids=["long"], length=400, seed=1)
    forecaster = TSFormerForecaster(horizon=5)
    together = forecaster.predict(pd.concat([short, long])).set_index("unique_id")["mean"]
    for name, alone in (("short", short), ("long", long)):
        np.testing.assert_allclose(together[name], forecaster.predict(alone)["mean"], rtol=1e-4)


def test_blocks_hold_series_of_about_one_length() -> None:
    lengths = [5, 64, 65, 300, 3000]
    df = pd.concat(
        pd.DataFrame({"unique_id": n, "ds": np.arange(length), "y": 1.0})
        for n, length in enumerate(lengths)
    )
    panel, _ = read_panel(df, Schema())
    model = TSFormerForecaster().fit(df).model_
    found = {tuple(s.tolist()): b.context_length for s, b in blocks(model, panel, 16)}
    assert found == {(0, 1): 64, (2,): 128, (3,): 512, (4,): 2048}
    shorter = {tuple(s.tolist()): b.context_length for s, b in blocks(model, panel, 16, 100)}
    assert shorter == {(0, 1): 64, (2, 3, 4): 100}


def test_beyond_the_longest_horizon_forecasts_go_on() -> None:
    values = np.tile(WAVE, 60)
    panel, _ = read_panel(values, Schema())
    model = TSFormerForecaster().fit(values).model_
    far = forecast_unseen(model, panel, LONGEST_HORIZON + 30, (0.1, 0.5, 0.9))
    near = forecast_unseen(model, panel, LONGEST_HORIZON, (0.1, 0.5, 0.9))
    assert far.quantiles.shape == (1, LONGEST_HORIZON + 30, 3)
    np.testing.assert_allclose(far.mean[:, :LONGEST_HORIZON], near.mean, atol=1e-4)
    assert (np.diff(far.quantiles) >= 0).all()


def test_more_than_the_network_can_look_back_at_counts_as_unknown() -> None:
    values = np.r_[np.arange(900.0), np.full(2100, np.nan)]
    df = pd.DataFrame({"ds": np.arange(3000), "y": values})
    with pytest.warns(UserWarning, match="no value in their last 2048 steps"):
        answer = TSFormerForecaster(horizon=2, context_length=4000).predict(df)
    assert answer["mean"].to_numpy() == pytest.approx(449.5, rel=0.01)


def test_only_as_much_is_looked_back_at_as_is_said(make_frame: Make) -> None:
    df = make_frame(length=200)
    forecaster = TSFormerForecaster(horizon=4, context_length=48)
    changed = df.copy()
    old = changed.groupby("unique_id").cumcount() < 152
    changed.loc[old, "y"] += 100
    before, after = (forecaster.predict(data)["mean"] for data in (df, changed))
    np.testing.assert_allclose(after, before, rtol=1e-5)
    whole = TSFormerForecaster(horizon=4)
    assert not np.allclose(whole.predict(df)["mean"], whole.predict(changed)["mean"], rtol=1e-3)


@pytest.mark.parametrize("rank", [0, 2])
def test_finetuning_learns_what_the_series_share(rank: int) -> None:
    """After each value comes one of two, by a rule that no season shows."""
    generator = np.random.default_rng(0)
    coins = generator.integers(0, 2, size=(6, 150)).astype(float)
    series = np.where(np.roll(coins, 1, axis=1) > 0, 10.0, 0.0) + coins
    settings = {"horizon": 1, "adapter_rank": rank, "learning_rate": 2e-3}
    plain = TSFormerForecaster(**settings).fit(series)
    tuned = TSFormerForecaster(finetune_steps=60, **settings).fit(series)
    assert plain.fit_report_.training is None
    assert tuned.fit_report_.training.steps <= 60
    history = [loss for _, loss in tuned.fit_report_.training.history]
    assert min(history) < history[0] - 0.02
    assert tuned.model_ is not plain.model_


def test_what_training_would_spoil_is_kept_as_it_was(make_frame: Make) -> None:
    df = make_frame()
    plain = TSFormerForecaster(horizon=4).fit(df)
    spoiled = TSFormerForecaster(horizon=4, finetune_steps=3, learning_rate=5.0).fit(df)
    assert spoiled.fit_report_.training.steps > 0
    assert spoiled.model_ is plain.model_
    pd.testing.assert_frame_equal(plain.predict(), spoiled.predict())


def test_finetuning_needs_fit_and_series_that_are_long_enough(make_frame: Make) -> None:
    forecaster = TSFormerForecaster(horizon=4, finetune_steps=3)
    with pytest.raises(NotFittedError):
        forecaster.predict(make_frame())
    forecaster.set_params(freq="h").fit(make_frame(length=1))
    assert forecaster.fit_report_.remarks["too short to finetune"] == ["a", "b"]
    assert forecaster.fit_report_.training is None


def test_the_seed_alone_decides_and_nothing_else_is_drawn_from(make_frame: Make) -> None:
    df, answers = make_frame(), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        tsformer._read.cache_clear()
        tuned = TSFormerForecaster(horizon=4, finetune_steps=5, adapter_rank=2).fit(df)
        assert torch.equal(torch.get_rng_state(), before)
        answers.append(tuned.predict())
    pd.testing.assert_frame_equal(*answers, check_exact=True)


def test_held_out_steps_do_not_teach_what_a_covariate_does() -> None:
    generator = np.random.default_rng(0)
    promo = generator.integers(0, 2, 60)
    y = generator.normal(0, 0.3, 60)
    df = pd.DataFrame({"ds": np.arange(60), "y": y, "promo": promo})
    later = df.assign(y=np.where((df.index >= 50) & (promo > 0), y + 9, y))
    panels = []
    for data in (df, later):
        panel, _ = read_panel(data, Schema(future_covariates=("promo",)))
        encoder = CovariateEncoder.of(panel.head(panel.lengths - 10), calendar=False)
        panels.append(explain(panel, encoder, 0, 1, panel.lengths - 10).rest.values[0, :50])
    np.testing.assert_array_equal(*panels)


def test_others_keep_the_weights_of_the_package(make_frame: Make) -> None:
    df = make_frame()
    before = TSFormerForecaster(horizon=4).fit(df)
    kept = {name: tensor.clone() for name, tensor in before.model_.state_dict().items()}
    TSFormerForecaster(horizon=4, finetune_steps=5, learning_rate=1e-2).fit(df)
    for name, tensor in before.model_.state_dict().items():
        assert torch.equal(tensor, kept[name])


def test_weights_can_be_written_and_used_elsewhere(make_frame: Make, tmp_path: Path) -> None:
    df = make_frame()
    tuned = TSFormerForecaster(horizon=4, finetune_steps=5, learning_rate=1e-3).fit(df)
    tuned.save_weights(tmp_path / "mine.safetensors")
    other = TSFormerForecaster(horizon=4, weights=tmp_path / "mine.safetensors").predict(df)
    pd.testing.assert_frame_equal(other, tuned.predict())
    tuned.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.get_params() == tuned.get_params()
    pd.testing.assert_frame_equal(loaded.predict(), tuned.predict(), check_exact=True)
    with pytest.raises(FileNotFoundError, match="'huge' is neither a file nor one of the package"):
        TSFormerForecaster(weights="huge").predict(df)


def test_alike_series_have_near_embeddings(make_frame: Make) -> None:
    generator = np.random.default_rng(0)
    time = np.arange(120)
    rows = [
        np.sin(2 * np.pi * time / 12) * size + 0.1 * size * generator.normal(size=120)
        for size in (1, 50)
    ]
    rows += [generator.normal(size=120).cumsum() * size for size in (1, 9)]
    vectors = TSFormerForecaster().embed(np.array(rows))
    assert vectors.shape == (4, 192)
    cut = TSFormerForecaster(context_length=48)
    pd.testing.assert_frame_equal(cut.embed(np.array(rows)), cut.fit(np.array(rows)).embed())
    assert vectors.index.name == "unique_id"
    nearest = NearestNeighbors(n_neighbors=2).fit(vectors).kneighbors(return_distance=False)[:, 0]
    assert nearest.tolist() == [1, 0, 3, 2]
    fitted = TSFormerForecaster().fit(np.array(rows))
    pd.testing.assert_frame_equal(fitted.embed(), vectors)


def test_paths_of_a_random_walk_hang_together() -> None:
    walks = np.random.default_rng(0).normal(size=(8, 200)).cumsum(axis=1)
    paths = TSFormerForecaster(horizon=8).predict_samples(walks, n_samples=400)
    steps = paths.query("unique_id == 0").pivot(index="sample", columns="ds", values="y")
    assert np.corrcoef(steps, rowvar=False)[3, 4] > 0.5


def test_an_unfitted_copy_has_nothing_and_every_parameter(make_frame: Make) -> None:
    forecaster = TSFormerForecaster(horizon=3, context_length=99).fit(make_frame())
    copy = clone(forecaster)
    assert not hasattr(copy, "model_")
    assert copy.get_params() == forecaster.get_params()


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("context_length", 0, ValueError),
        ("finetune_steps", -1, ValueError),
        ("finetune_steps", 1.5, TypeError),
        ("adapter_rank", -2, ValueError),
        ("learning_rate", 0.0, ValueError),
        ("weights", 5, TypeError),
    ],
)
def test_parameters_that_cannot_be_are_named(
    parameter: str, value: Any, error: type, make_frame: Make
) -> None:
    with pytest.raises(error, match=f"{parameter}={value}"):
        TSFormerForecaster(horizon=2, **{parameter: value}).fit(make_frame())


def test_it_is_better_than_seasonal_naive_on_an_embedded_series() -> None:
    df = load_dataset("nyc_taxi")
    cv = TSFormerForecaster(horizon=48).cross_validation(df, n_windows=10)
    values = df.set_index("ds")["y"]
    naive = values.reindex(cv["ds"] - pd.Timedelta(days=7)).to_numpy()
    error, naive_error = ((cv["y"] - f).abs().mean() for f in (cv["0.5"], naive))
    assert error < naive_error


def test_precision_is_handed_on_and_checked() -> None:
    values = np.random.default_rng(0).normal(size=(3, 90)).cumsum(axis=1)
    given = {}
    for precision in ("auto", "32-true", "bf16-mixed"):
        forecaster = TSFormerForecaster(horizon=9, precision=precision)
        given[precision] = np.asarray(forecaster.predict(values)["mean"])
    assert not np.array_equal(given["32-true"], given["bf16-mixed"])
    assert any(np.array_equal(given["auto"], given[p]) for p in ("32-true", "bf16-mixed"))
    width = np.ptp(given["32-true"])
    assert np.abs(given["32-true"] - given["bf16-mixed"]).max() < 0.1 * width
    with pytest.raises(ValueError, match="precision='bf8' is unknown"):
        TSFormerForecaster(precision="bf8").fit(values)  # type: ignore[arg-type]
