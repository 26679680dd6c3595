from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters.attention import attention_maps
from tsformer.forecasters.trained_tsformer import TrainedTSFormerForecaster
from tsformer.models import inspection
from tsformer.types import Batch

Make = Callable[..., Any]


def test_maps_are_those_of_the_contexts_that_are_forecast_from(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame(["b", "a"])
    forecaster = make_patchtst(n_layers=2).fit(df)
    maps = attention_maps(forecaster)
    assert [(m.layer, m.name) for m in maps] == [
        (n, f"network.encoder.layers.{n}.attention") for n in (0, 1)
    ]
    context = np.stack([df.loc[df["unique_id"] == name, "y"].tail(16) for name in "ab"])
    target = torch.tensor(context, dtype=torch.float32)[:, None]
    batch = Batch(target=target, observed=torch.ones_like(target, dtype=torch.bool))
    expected = inspection.attention_maps(forecaster.model_, batch)
    for layer in maps:
        assert layer.ids.tolist() == ["a", "b"]
        np.testing.assert_allclose(layer.weights, expected[layer.layer].numpy(), atol=1e-6)
        np.testing.assert_allclose(layer.weights.sum(axis=-1), 1, rtol=1e-5)


def test_given_series_are_looked_at_instead(make_patchtst: Make, make_frame: Make) -> None:
    forecaster = make_patchtst().fit(make_frame())
    other = make_frame(["z"], length=30, seed=5, start="2025-02-01")
    (layer,) = attention_maps(forecaster, other)
    assert layer.ids.tolist() == ["z"]
    (same,) = attention_maps(forecaster, read_panel(other, Schema())[0])
    np.testing.assert_array_equal(layer.weights, same.weights)
    alone = make_patchtst().fit_panel(read_panel(other, Schema())[0])  # it knows no frame
    assert attention_maps(alone)[0].ids.tolist() == ["z"]
    assert layer.times is not None
    assert layer.times[0, -1] == other["ds"].iloc[-1].to_datetime64()


@pytest.mark.parametrize("sizes", [(16, 4, 2), (16, 5, 5), (15, 4, 3), (16, 3, 1)])
def test_tokens_of_patches_are_named_by_their_last_time(
    make_patchtst: Make, make_frame: Make, sizes: tuple[int, int, int]
) -> None:
    names = ("context_length", "patch_length", "stride")
    options = dict(zip(names, sizes, strict=True))
    df = make_frame(["a"])
    forecaster = make_patchtst(**options).fit(df)
    (layer,) = attention_maps(forecaster)
    hours = (layer.times[0] - df["ds"].iloc[-1].to_datetime64()) / np.timedelta64(1, "h")
    spans = inspection.patch_spans(*sizes)
    expected = [end - sizes[0] for _, end in spans]
    assert hours[: len(spans)].tolist() == expected
    assert (hours[len(spans) :] == 0).all()  # padding
    assert len(hours) == layer.weights.shape[-1]


def make_tsformer(**parameters: Any) -> TrainedTSFormerForecaster:
    sizes = {"context_length": 16, "patch_length": 4, "stride": 4, "d_model": 8, "n_heads": 2}
    return TrainedTSFormerForecaster(horizon=6, d_ff=8, max_steps=2, **{**sizes, **parameters})


def test_tokens_of_the_horizon_are_named_by_what_they_forecast(make_frame: Make) -> None:
    df = make_frame(["a"])
    maps = attention_maps(make_tsformer(readout="tokens").fit(df))
    assert {m.name.rpartition(".")[2] for m in maps} == {"time_attention"}
    hours = (maps[0].times[0] - df["ds"].iloc[-1].to_datetime64()) / np.timedelta64(1, "h")
    assert hours.tolist() == [-12, -8, -4, 0, 0, 4, 8]


def test_across_variates_tokens_have_no_time(make_frame: Make) -> None:
    df = make_frame(["b", "a"]).assign(other=np.arange(96) % 7, third=np.arange(96) % 5)
    forecaster = make_tsformer(target_col=["y", "other", "third"]).fit(df)
    along, across = attention_maps(forecaster)[:2]
    assert along.weights.shape == (2, 2, 5, 5)
    assert along.times is not None
    assert across.name.endswith("variate_attention")
    assert across.weights.shape == (2, 2, 3, 3)
    assert across.times is None
    np.testing.assert_allclose(across.weights.sum(axis=-1), 1, rtol=1e-5)


def test_integer_times_stay_integers(make_patchtst: Make) -> None:
    forecaster = make_patchtst().fit(np.random.default_rng(0).normal(size=50).cumsum())
    (layer,) = attention_maps(forecaster)
    assert layer.times[0, -1] == 49
    assert layer.times.dtype.kind == "i"


def test_forecasters_without_attention_are_refused(make_naive: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match="SeasonalNaiveForecaster has no network"):
        attention_maps(make_naive().fit(make_frame()))


def test_predictions_stay_what_they_were(make_patchtst: Make, make_frame: Make) -> None:
    forecaster = make_patchtst().fit(make_frame())
    before = forecaster.predict()
    attention_maps(forecaster)
    pd.testing.assert_frame_equal(forecaster.predict(), before)
