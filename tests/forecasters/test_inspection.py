"""Heads and patches of fitted forecasters, and forecasters with fewer heads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from tsformer import load
from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters.inspection import (
    head_importance,
    held_out_windows,
    patch_importance,
    prune_heads,
)
from tsformer.models import inspection
from tsformer.models.inspection import mean_loss

Make = Callable[..., Any]
SIZES = {"n_layers": 2, "n_heads": 4, "d_model": 8}


@pytest.fixture(scope="module")
def df(make_frame: Make) -> pd.DataFrame:
    return make_frame(["b", "a"], 60)


@pytest.fixture(scope="module")
def fitted(make_patchtst: Make, df: pd.DataFrame) -> Any:
    """Return a forecaster whose last layer is large, so that every head matters."""
    forecaster = make_patchtst(**SIZES, head="mse", max_steps=3, patience=None).fit(df)
    torch.manual_seed(0)
    for parameter in forecaster.model_.network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return forecaster


def heads_of(forecaster: Any) -> list[int]:
    layers = inspection.attention_layers(forecaster.model_)
    return [layer.n_heads for layer in layers.values()]


def test_the_windows_are_those_that_fit_held_out(make_patchtst: Make, df: pd.DataFrame) -> None:
    forecaster = make_patchtst(head="mse", max_steps=3).fit(df, val_size=9)
    judged = held_out_windows(forecaster, df, 9, 512)
    assert sum(len(batch) for batch in judged) == 2 * (9 - 4 + 1)
    best = forecaster.fit_report_.training.best_loss
    assert mean_loss(forecaster.model_, judged) == pytest.approx(best, rel=1e-5)
    assert sum(len(batch) for batch in held_out_windows(forecaster, df, 9, 5)) == 5


def test_a_panel_is_judged_as_the_frame_is(fitted: Any, df: pd.DataFrame) -> None:
    panel, _ = read_panel(df, Schema())
    pd.testing.assert_frame_equal(head_importance(fitted, df), head_importance(fitted, panel))


def test_every_head_has_a_row_with_its_layer(fitted: Any, df: pd.DataFrame) -> None:
    frame = head_importance(fitted, df)
    assert list(frame.columns) == ["layer", "name", "head", "importance"]
    expected = [(layer, head) for layer in range(2) for head in range(4)]
    assert list(zip(frame["layer"], frame["head"], strict=True)) == expected
    assert frame["name"].iloc[-1] == "network.encoder.layers.1.attention"
    judged = held_out_windows(fitted, df, None, 512)
    complete = mean_loss(fitted.model_, judged)
    for row in frame.iloc[[1, 6]].itertuples():
        without = prune_heads(fitted, heads=[(row.layer, row.head)])
        rise = mean_loss(without.model_, judged) - complete
        assert row.importance == pytest.approx(rise, abs=1e-5)
        assert row.importance != 0


@pytest.mark.parametrize(("share", "left"), [(0.0, 8), (0.25, 6), (0.5, 4), (1.0, 0)])
def test_the_least_important_share_is_pruned(
    fitted: Any, df: pd.DataFrame, share: float, left: int
) -> None:
    before = fitted.predict()
    pruned = prune_heads(fitted, share=share, df=df)
    assert sum(heads_of(pruned)) == left
    assert heads_of(fitted) == [4, 4]
    pd.testing.assert_frame_equal(fitted.predict(), before)
    least = head_importance(fitted, df).nsmallest(8 - left, "importance")
    pairs = list(zip(least["layer"].tolist(), least["head"].tolist(), strict=True))
    named = prune_heads(fitted, heads=pairs, df=df)
    pd.testing.assert_frame_equal(pruned.predict(), named.predict())
    judged = held_out_windows(fitted, df, None, 512)
    losses = [mean_loss(one.model_, judged) for one in (fitted, pruned)]
    assert (losses[0] == losses[1]) == (left == 8)


@pytest.mark.parametrize("heads", [[(0, 1), (1, 0), (1, 3)], [(1, head) for head in range(4)]])
def test_a_pruned_forecaster_is_saved_as_it_is(
    fitted: Any, df: pd.DataFrame, tmp_path: Path, heads: list[tuple[int, int]]
) -> None:
    pruned = prune_heads(fitted, heads=heads)
    pruned.save(tmp_path / "pruned")
    fitted.save(tmp_path / "whole")
    again = load(tmp_path / "pruned")
    assert heads_of(again) == heads_of(pruned) != heads_of(fitted)
    pd.testing.assert_frame_equal(again.predict(), pruned.predict())
    pd.testing.assert_frame_equal(again.predict(df=df), pruned.predict(df=df))
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("pruned", "whole")]
    assert sizes[0] < sizes[1]
    assert again.get_params() == fitted.get_params()


def test_what_is_left_can_be_trained_on(make_patchtst: Make, df: pd.DataFrame) -> None:
    forecaster = make_patchtst(**SIZES).fit(df)
    heads = [(0, 0), *[(1, head) for head in range(4)]]
    pruned = prune_heads(forecaster, heads=heads)
    before = [tensor.clone() for tensor in pruned.model_.network.parameters()]
    pruned.set_params(warm_start=True, max_steps=1, learning_rate=1e-3).fit(df)
    assert heads_of(pruned) == [3, 0]
    after = list(pruned.model_.network.parameters())
    assert [tensor.shape for tensor in after] == [tensor.shape for tensor in before]
    moved = [
        float((b - a).detach().abs().max()) for a, b in zip(before, after, strict=True) if a.numel()
    ]
    assert 0 < max(moved) < 0.01  # trained on, not anew
    pruned.set_params(warm_start=False).fit(df)
    assert heads_of(pruned) == [4, 4]


def test_intervals_are_calibrated_again(make_patchtst: Make, df: pd.DataFrame) -> None:
    forecaster = make_patchtst(**SIZES).fit(df)
    forecaster.model_.head.stretch.fill_(9.0)
    assert prune_heads(forecaster, heads=[(0, 0)]).model_.head.stretch == 9
    assert prune_heads(forecaster, heads=[(0, 0)], df=df).model_.head.stretch < 5
    assert forecaster.model_.head.stretch == 9


def test_patches_are_the_networks_own_unless_told(fitted: Any, df: pd.DataFrame) -> None:
    own = patch_importance(fitted, df)
    length, stride = (fitted.sizes_[name] for name in ("patch_length", "stride"))
    assert list(own.columns) == ["patch", "first_step", "last_step", "importance"]
    assert (own["first_step"].diff()[1:] == stride).all()
    assert own["first_step"].iloc[0] == 1 - 16
    assert own["last_step"].iloc[-1] == 0
    assert (own["last_step"] - own["first_step"] + 1).iloc[:-1].eq(length).all()
    halves = patch_importance(fitted, df, patch_length=8)
    assert halves["first_step"].tolist() == [-15, -7]
    assert halves["last_step"].tolist() == [-8, 0]
    whole = patch_importance(fitted, df, patch_length=99)
    assert whole[["first_step", "last_step"]].to_numpy().tolist() == [[-15, 0]]
    model, judged = fitted.model_, held_out_windows(fitted, df, None, 512)
    expected = inspection.patch_importance(model, judged, patch_length=8, stride=8)
    np.testing.assert_allclose(halves["importance"], expected.numpy())


def test_networks_without_patches_are_judged_by_usual_ones(
    make_frame: Make, df: pd.DataFrame
) -> None:
    from tsformer.forecasters.defaults import default_patches
    from tsformer.forecasters.linear import NLinearForecaster

    forecaster = NLinearForecaster(horizon=4, context_length=16, max_steps=2).fit(df)
    frame = patch_importance(forecaster, df)
    length, stride = default_patches(16)
    assert frame["first_step"].iloc[:2].tolist() == [-15, -15 + stride]
    assert frame["last_step"].iloc[0] == -16 + length
    with pytest.raises(ValueError, match="NLinearForecaster has no attention heads"):
        head_importance(forecaster, df)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "share=None and heads=None: pass one of them"),
        ({"share": 0.5, "heads": []}, r"share=0.5 and heads=\[\]: pass one of them"),
        ({"share": 0.5}, "share= needs df="),
        ({"share": 1.5, "df": True}, "share=1.5 must lie between 0 and 1"),
        (
            {"heads": [(0, 4)]},
            r"heads holds \(0, 4\), .* layers have \[4, 4\] heads",
        ),
    ],
)
def test_what_cannot_be_pruned_is_said(
    fitted: Any, df: pd.DataFrame, options: dict[str, Any], message: str
) -> None:
    if "df" in options:
        options = {**options, "df": df}
    with pytest.raises(ValueError, match=message):
        prune_heads(fitted, **options)


def test_short_series_and_other_forecasters_are_refused(
    fitted: Any, make_naive: Make, make_patchtst: Make, make_frame: Make, df: pd.DataFrame
) -> None:
    with pytest.raises(ValueError, match="no series is long enough .* horizon=4"):
        head_importance(fitted, make_frame(length=5))
    with pytest.raises(ValueError, match="SeasonalNaiveForecaster has no network"):
        patch_importance(make_naive().fit(df), df)
    with pytest.raises(NotFittedError):
        prune_heads(make_patchtst(), heads=[])
