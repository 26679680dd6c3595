"""The units that errors count in, and what heads say about them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tsformer.models.scaled import ScaledModel
from tsformer.nn.heads import make_head
from tsformer.types import Batch

CONTEXT, HORIZON = 6, 3
LEVELS = (0.1, 0.5, 0.9)
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]


class Same(nn.Module):
    """Says the same about every window, in units of the scaled series."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(2)
        self.output = torch.randn(HORIZON, output_size, generator=generator)

    def forward(self, batch: Batch) -> Tensor:
        return self.output.expand(*batch.target.shape[:2], -1, -1)


def make_model(head: str) -> ScaledModel:
    made = make_head(head)
    return ScaledModel(Same(made.output_size), made, context_length=CONTEXT, horizon=HORIZON)


def make_batch(series_scale: Tensor | None = None) -> Batch:
    """Return windows of counts, some values missing, the second series livelier than the first."""
    generator = torch.Generator().manual_seed(1)
    rate = torch.tensor([4.0, 400.0])[:, None, None].expand(2, 2, CONTEXT + HORIZON)
    values = torch.poisson(rate, generator=generator)
    observed = torch.rand(values.shape, generator=generator) > 0.2
    values = torch.where(observed, values, 0.0)
    return Batch(
        target=values[..., :CONTEXT],
        observed=observed[..., :CONTEXT],
        future=values[..., CONTEXT:],
        future_observed=observed[..., CONTEXT:],
        series_scale=series_scale,
    )


def pinball(error: np.ndarray, level: float) -> np.ndarray:
    return 2 * np.maximum(level * error, (level - 1) * error)


ERRORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"mse": np.square, "mae": np.abs}


@pytest.mark.parametrize("head", ["mse", "mae"])
def test_with_a_series_scale_errors_count_in_its_units(head: str) -> None:
    scale = torch.tensor([[2.0, 3.0], [50.0, 70.0]])[..., None]
    model, batch = make_model(head), make_batch(scale)
    assert batch.future is not None
    assert batch.future_observed is not None
    raw, _ = model.run(batch)
    losses = []
    for place in np.ndindex(2, 2):
        known = batch.target[place][batch.observed[place]].double().numpy()
        forecast = raw[place][:, 0].double().numpy() * known.std() + known.mean()
        error = (batch.future[place].double().numpy() - forecast) / float(scale[place])
        losses.append(ERRORS[head](error)[batch.future_observed[place].numpy()])
    expected = np.concatenate(losses).mean()
    assert model.loss(batch).item() == pytest.approx(expected, rel=1e-4)


def test_with_a_series_scale_quantile_losses_count_in_its_units() -> None:
    scale = torch.tensor([[2.0, 3.0], [50.0, 70.0]])[..., None]
    model, batch = make_model("quantile"), make_batch(scale)
    assert batch.future is not None
    assert batch.future_observed is not None
    levels = model.head.levels
    quantiles = model.predict(batch, levels).quantiles
    error = ((batch.future[..., None] - quantiles) / scale[..., None]).double().numpy()
    losses = np.mean([pinball(error[..., q], level) for q, level in enumerate(levels)], axis=0)
    expected = losses[batch.future_observed.numpy()].mean()
    assert model.loss(batch).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("head", HEADS)
def test_windows_as_wide_as_their_series_count_as_they_do_without_a_series_scale(head: str) -> None:
    model, batch = make_model(head), make_batch()
    _, scale = model.run(batch)
    got = model.loss(replace(batch, series_scale=scale.scale))
    torch.testing.assert_close(got, model.loss(batch))


@pytest.mark.parametrize(
    ("head", "factor"), [("mse", 0.01), ("mae", 0.1), ("huber", 0.1), ("quantile", 0.1)]
)
def test_a_wider_series_makes_errors_smaller(head: str, factor: float) -> None:
    model = make_model(head)
    losses = [model.loss(make_batch(torch.full((2, 2, 1), scale))) for scale in (3.0, 30.0)]
    torch.testing.assert_close(losses[1], factor * losses[0])


@pytest.mark.parametrize("head", ["student_t", "normal", "laplace", "negative_binomial"])
def test_likelihoods_have_no_units(head: str) -> None:
    model = make_model(head)
    with_scale = model.loss(make_batch(torch.full((2, 2, 1), 30.0)))
    torch.testing.assert_close(with_scale, model.loss(make_batch()))


@pytest.mark.parametrize("head", ["quantile", "mse", "mae", "student_t"])
def test_the_unit_of_the_data_makes_no_difference(head: str) -> None:
    model, batch = make_model(head), make_batch(torch.full((2, 2, 1), 30.0))
    assert batch.future is not None
    assert batch.series_scale is not None
    scaled = replace(
        batch,
        target=1000 * batch.target,
        future=1000 * batch.future,
        series_scale=1000 * batch.series_scale,
    )
    torch.testing.assert_close(model.loss(scaled), model.loss(batch))


@pytest.mark.parametrize("head", HEADS)
def test_the_location_moves_all_quantiles_alike(head: str) -> None:
    model, batch = make_model(head), make_batch()
    location = model.head.location
    if location is None:
        assert head == "negative_binomial"  # no parameter of which does this
        return
    before = model.predict(batch, LEVELS)
    model.network.output = model.network.output.clone()
    model.network.output[:, location] += 2.0
    after = model.predict(batch, LEVELS)
    _, scale = model.run(batch)
    moved = 2 * scale.scale.expand_as(before.mean)
    torch.testing.assert_close(after.mean - before.mean, moved, rtol=1e-3, atol=1e-3)
    quantiles = after.quantiles - before.quantiles
    torch.testing.assert_close(
        quantiles, moved[..., None].expand_as(quantiles), rtol=1e-3, atol=1e-3
    )
