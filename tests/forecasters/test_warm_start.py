"""`fit` restarts, unless `warm_start` continues."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

Make = Callable[..., Any]


def weights(forecaster: Any) -> dict[str, torch.Tensor]:
    return dict(forecaster.model_.network.state_dict())


def same_weights(one: Any, other: Any) -> bool:
    pairs = zip(weights(one).values(), weights(other).values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_fit_always_restarts(make_patchtst: Make, make_frame: Make) -> None:
    df, other = make_frame(), make_frame(["z"], 70, freq="D", seed=5)
    forecaster = make_patchtst(context_length=None).fit(other)
    assert same_weights(forecaster.fit(df), make_patchtst(context_length=None).fit(df))


def test_a_warm_start_begins_with_the_weights_of_the_last_fit(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame()
    forecaster = make_patchtst(max_steps=10, learning_rate=1e-2).fit(df)
    before = {name: value.clone() for name, value in weights(forecaster).items()}
    still = {"max_steps": 1, "learning_rate": 1e-12}
    forecaster.set_params(warm_start=True, **still).fit(df)
    for name, parameter in forecaster.model_.network.named_parameters():
        torch.testing.assert_close(parameter.data, before[name], rtol=0, atol=1e-8)
    cold = make_patchtst(max_steps=10, learning_rate=1e-2).fit(df)
    cold.set_params(**still).fit(df)
    assert not same_weights(cold, forecaster)
    assert same_weights(cold, make_patchtst(**still).fit(df))


def test_a_warm_start_goes_on_improving(make_patchtst: Make) -> None:
    wave = np.tile([0.0, 3, 1, 4, 1, 5, 9, 2], 12)
    forecaster = make_patchtst(max_steps=30, learning_rate=1e-2, d_model=16).fit(wave)
    first = forecaster.fit_report_.training
    forecaster.set_params(warm_start=True, learning_rate=3e-3)
    second = forecaster.fit(wave).fit_report_.training
    assert second.history[0][1] < 1.05 * first.best_loss < first.history[0][1]
    assert second.best_loss < 0.9 * first.best_loss


def test_a_warm_start_on_more_data_keeps_the_context_length(
    make_patchtst: Make, make_frame: Make
) -> None:
    df = make_frame(length=60)
    few = df.groupby("unique_id").head(24)
    forecaster = make_patchtst(context_length=None, warm_start=True).fit(few)
    before = forecaster.context_length_
    assert forecaster.fit(df).context_length_ == before
    assert make_patchtst(context_length=None).fit(df).context_length_ > before


@pytest.mark.parametrize("change", [{"d_model": 16}, {"horizon": 5}, {"head": "mse"}])
def test_a_warm_start_with_other_sizes_is_refused(
    make_patchtst: Make, make_frame: Make, change: dict[str, Any]
) -> None:
    forecaster = make_patchtst(warm_start=True).fit(make_frame())
    with pytest.raises(ValueError, match="warm_start=True needs the horizon, the head and"):
        forecaster.set_params(**change).fit(make_frame())


def test_forecasts_leave_a_network_as_it_is_though_nothing_was_trained(
    make_patchtst: Make, make_frame: Make
) -> None:
    forecaster = make_patchtst(freq="h").fit(make_frame()).set_params(warm_start=True)
    forecaster.fit(make_frame().groupby("unique_id").head(1))
    assert not forecaster.model_.training
    pd.testing.assert_frame_equal(
        forecaster.predict(make_frame()), forecaster.predict(make_frame())
    )
