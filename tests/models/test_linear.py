"""DLinear and NLinear against loops in NumPy, with and without missing values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tsformer.models.linear import (
    DLinearConfig,
    NLinearConfig,
    dlinear,
    last_observed,
    moving_average,
    nlinear,
)
from tsformer.models.scaled import ScaledModel
from tsformer.nn.heads import make_head
from tsformer.nn.scaling import Scale
from tsformer.types import Batch

L, H = 20, 5
LEVELS = (0.1, 0.5, 0.9)
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]
SIZES: dict[str, Any] = {"context_length": L, "horizon": H}
KINDS: dict[str, Callable[..., ScaledModel]] = {
    "nlinear": lambda **changes: nlinear(NLinearConfig(**{**SIZES, **changes})),
    "dlinear": lambda **changes: dlinear(DLinearConfig(**{**SIZES, "kernel_size": 7, **changes})),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


def make_model(kind: str, **changes: Any) -> ScaledModel:
    """Return a model whose every weight matters: those of a new one are zero."""
    model = KINDS[kind](**changes).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def make_batch(n_batch: int = 3, n_variates: int = 2, missing: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(1)
    shape = (n_batch, n_variates, L)
    observed = torch.rand(shape, generator=generator) >= missing
    target = torch.poisson(torch.full(shape, 9.0), generator=generator)
    future_shape = (n_batch, n_variates, H)
    return Batch(
        target=torch.where(observed, target, 0.0),
        observed=observed,
        future=torch.poisson(torch.full(future_shape, 9.0), generator=generator),
        future_observed=torch.ones(future_shape, dtype=torch.bool),
    )


def mean_around(values: np.ndarray, kernel_size: int) -> np.ndarray:
    """Return the moving average of one series, NaN = missing, step by step."""
    answer = np.zeros(len(values))
    for step in range(len(values)):
        places = [step + k for k in range(-(kernel_size // 2), kernel_size // 2 + 1)]
        near = np.array([values[min(max(place, 0), len(values) - 1)] for place in places])
        if np.isfinite(near).any():
            answer[step] = np.nanmean(near)
    return answer


def expected_forecast(kind: str, model: ScaledModel, series: np.ndarray) -> np.ndarray:
    """Return the point forecast of one series, NaN = missing, in raw units."""

    def mapped(name: str, context: np.ndarray) -> np.ndarray:
        linear = model.network.get_submodule(name).linear
        weight, bias = (p.detach().double().numpy() for p in (linear.weight, linear.bias))
        return np.array([sum(weight[h] * context) + bias[h] for h in range(H)])

    z = (series - np.nanmean(series)) / np.nanstd(series)
    if kind == "nlinear":
        last = [value for value in z if np.isfinite(value)][-1]
        scaled = mapped("map", np.nan_to_num(z - last)) + last
    else:
        trend = mean_around(z, 7)
        scaled = mapped("trend_map", trend) + mapped("remainder_map", np.nan_to_num(z - trend))
    return np.nanmean(series) + np.nanstd(series) * scaled


@each_kind
@pytest.mark.parametrize("missing", [0.0, 0.5])
def test_the_point_forecast_equals_a_loop_in_numpy(kind: str, missing: float) -> None:
    model, batch = make_model(kind, head="mse"), make_batch(missing=missing)
    got = model.predict(batch, LEVELS).quantiles[..., 1].detach().numpy()
    series = torch.where(batch.observed, batch.target, torch.nan).double().numpy()
    for number in np.ndindex(3, 2):
        expected = expected_forecast(kind, model, series[number])
        np.testing.assert_allclose(got[number], expected, rtol=1e-4, atol=1e-4)


@settings(max_examples=40)
@given(data=st.data(), length=st.integers(1, 30), half=st.integers(0, 20))
def test_the_moving_average_is_that_of_what_was_observed(
    data: st.DataObject, length: int, half: int
) -> None:
    number = st.one_of(st.just(np.nan), st.floats(-10, 10, width=32))
    series = np.array(data.draw(st.lists(number, min_size=length, max_size=length)))
    observed = torch.from_numpy(np.isfinite(series))[None, None]
    values = torch.from_numpy(np.nan_to_num(series)).float()[None, None]
    got = moving_average(values, observed, 2 * half + 1)[0, 0].numpy()
    np.testing.assert_allclose(got, mean_around(series, 2 * half + 1), rtol=1e-4, atol=1e-4)


def test_the_moving_average_of_a_line_is_the_line_where_no_edge_is_near() -> None:
    line = torch.arange(30.0)[None, None]
    trend = moving_average(line, torch.ones_like(line, dtype=torch.bool), 9)[0, 0]
    torch.testing.assert_close(trend[4:-4], line[0, 0, 4:-4])
    assert (trend[:4] > line[0, 0, :4]).all()  # replicated edges bend it inwards
    assert (trend[-4:] < line[0, 0, -4:]).all()


def test_the_last_observed_value_is_found_past_missing_ones() -> None:
    observed = torch.tensor([[[1, 1, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]]], dtype=torch.bool)
    values = torch.where(observed, torch.arange(1.0, 13).reshape(1, 4, 3), 0.0)
    assert last_observed(values, observed).flatten().tolist() == [3.0, 5.0, 7.0, 0.0]


@pytest.mark.parametrize("head", HEADS[:-1])
def test_the_output_called_location_moves_the_whole_forecast(head: str) -> None:
    made = make_head(head, levels=LEVELS)
    scale = Scale(torch.full((2, 1, 1), 3.0), torch.full((2, 1, 1), 4.0))
    output = torch.randn(2, 1, H, made.output_size, generator=torch.Generator().manual_seed(0))
    before = made.predict(output, scale, LEVELS)
    moved = output.clone()
    moved[..., made.location] += 0.5
    after = made.predict(moved, scale, LEVELS)
    torch.testing.assert_close(after.mean, before.mean + 2.0)
    torch.testing.assert_close(after.quantiles, before.quantiles + 2.0)


def test_counts_have_no_location() -> None:
    assert make_head("negative_binomial").location is None


@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_untrained_nlinear_forecasts_the_last_observed_value(missing: float) -> None:
    batch = make_batch(missing=missing)
    forecast = KINDS["nlinear"]().predict(batch, LEVELS)
    pairs = zip(batch.target.flatten(0, 1), batch.observed.flatten(0, 1), strict=True)
    last = torch.stack([values[known][-1] for values, known in pairs])
    last = last.reshape(3, 2, 1).expand(-1, -1, H)
    torch.testing.assert_close(forecast.quantiles[..., 1], last, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(forecast.mean, last, rtol=1e-4, atol=1e-4)


def test_untrained_dlinear_forecasts_the_mean_as_uncertain_as_the_window_is_wide() -> None:
    batch = make_batch()
    mean, quantiles = KINDS["dlinear"]().predict(batch, LEVELS)
    loc = batch.target.mean(dim=-1, keepdim=True)
    deviation = batch.target.std(dim=-1, correction=0, keepdim=True)
    torch.testing.assert_close(mean, loc.expand_as(mean))
    expected = loc[..., None] + deviation[..., None] * torch.tensor([-1.2816, 0.0, 1.2816])
    torch.testing.assert_close(quantiles, expected.expand_as(quantiles), rtol=1e-3, atol=1e-3)


@each_kind
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_every_head_gives_finite_ascending_quantiles(kind: str, head: str, missing: float) -> None:
    model, batch = make_model(kind, head=head), make_batch(missing=missing)
    mean, quantiles = model.predict(batch, LEVELS)
    assert mean.shape == (3, 2, H)
    assert quantiles.shape == (3, 2, H, 3)
    assert mean.isfinite().all()
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert model(batch).shape == (3, 2, H, model.head.output_size)
    assert model.loss(batch).isfinite()


@each_kind
def test_each_variate_of_each_window_is_forecast_by_itself(kind: str) -> None:
    model, batch = make_model(kind), make_batch(missing=0.3)
    alone = Batch(target=batch.target[1:2, 1:], observed=batch.observed[1:2, 1:])
    torch.testing.assert_close(
        model.predict(alone, LEVELS).quantiles, model.predict(batch, LEVELS).quantiles[1:2, 1:]
    )


@each_kind
@pytest.mark.parametrize("head", ["quantile", "mse", "student_t"])
def test_shifting_and_stretching_the_series_does_so_to_the_forecast(kind: str, head: str) -> None:
    model, batch = make_model(kind, head=head), make_batch(missing=0.2)
    moved = replace(batch, target=torch.where(batch.observed, 40 * batch.target - 7, 0.0))
    expected, got = model.predict(batch, LEVELS), model.predict(moved, LEVELS)
    torch.testing.assert_close(got.quantiles, 40 * expected.quantiles - 7, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(got.mean, 40 * expected.mean - 7, rtol=1e-4, atol=1e-3)


@each_kind
def test_what_stands_at_missing_places_has_no_influence(kind: str) -> None:
    model, batch = make_model(kind), make_batch(missing=0.3)
    garbage = replace(batch, target=torch.where(batch.observed, batch.target, -1e9))
    assert torch.equal(
        model.predict(batch, LEVELS).quantiles, model.predict(garbage, LEVELS).quantiles
    )
    assert torch.equal(model.loss(batch), model.loss(garbage))


@each_kind
def test_windows_that_are_constant_or_empty_stay_finite(kind: str) -> None:
    model, batch = make_model(kind), make_batch()
    constant = replace(batch, target=torch.full_like(batch.target, 7.25))
    assert (model.predict(constant, LEVELS).quantiles == 7.25).all()
    empty = Batch(target=torch.zeros_like(batch.target), observed=torch.zeros_like(batch.observed))
    assert model.predict(empty, LEVELS).quantiles.isfinite().all()


@each_kind
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_loss_reaches_every_weight_from_the_beginning(kind: str, missing: float) -> None:
    model = KINDS[kind]()
    model.loss(make_batch(missing=missing)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad.reshape(len(parameter), -1).abs().sum(dim=1) > 0).all(), name


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("dlinear", {"kernel_size": 24}, "kernel_size=24 must be odd and at least 1.*try 25"),
        ("dlinear", {"kernel_size": -1}, "kernel_size=-1 must be odd and at least 1.*try 1"),
        ("dlinear", {"horizon": 0}, "horizon=0 must be at least 1"),
        ("nlinear", {"context_length": 0}, "context_length=0 must be at least 1"),
        ("nlinear", {"head": "median"}, "head='median' is unknown"),
    ],
)
def test_sizes_that_cannot_be_are_named(kind: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        KINDS[kind](**changes)
