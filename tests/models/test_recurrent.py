"""The recurrent transformer: windows at once and series as they come are the same function."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tsformer.models.recurrent import RecurrentConfig
from tsformer.models.streaming import RecurrentModel, recurrent
from tsformer.types import Batch, Prediction

LEVELS = (0.1, 0.5, 0.9)
CONFIG = RecurrentConfig(
    context_length=24, horizon=5, patch_length=4, d_model=16, n_heads=2, d_ff=24
)
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]


def make_model(**changes: object) -> RecurrentModel:
    """Return a model whose every weight matters: the output layer of a new one is zero."""
    torch.manual_seed(0)
    model = recurrent(replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]
    nn.init.normal_(model.network.output.weight, std=0.1)
    return model


def make_batch(n_batch: int = 3, length: int = 24, missing: float = 0.0, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    shape = (n_batch, 2, length)
    observed = torch.rand(shape, generator=generator) >= missing
    target = torch.poisson(torch.full(shape, 9.0), generator=generator)
    future_shape = (n_batch, 2, CONFIG.horizon)
    return Batch(
        target=torch.where(observed, target, 0.0),
        observed=observed,
        future=torch.poisson(torch.full(future_shape, 9.0), generator=generator),
        future_observed=torch.ones(future_shape, dtype=torch.bool),
    )


def streamed(model: RecurrentModel, batch: Batch, parts: list[int]) -> Prediction:
    """Return forecasts from the end of windows that were read part by part, `[R, 1, H]`."""
    values, observed = batch.target.flatten(0, 1), batch.observed.flatten(0, 1)
    state, at = model.network.start(values), 0
    for n_patches in parts:
        end = at + n_patches * CONFIG.patch_length
        state = model.read(state, values[:, at:end], observed[:, at:end])
        at = end
    return model.ask(state, values[:, at:], observed[:, at:], LEVELS)


@settings(max_examples=20, deadline=None)
@given(
    parts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    missing=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 1000),
)
def test_the_recurrent_form_agrees_with_the_parallel_one(
    parts: list[int], missing: float, seed: int
) -> None:
    length = sum(parts) * CONFIG.patch_length
    batch = make_batch(2, length, missing, seed)
    model = make_model()
    whole = model.predict(batch, LEVELS)
    for one, other in zip(streamed(model, batch, parts), whole, strict=True):
        torch.testing.assert_close(one[:, 0], other.flatten(0, 1), atol=1e-5, rtol=1e-5)


def test_long_series_are_read_as_short_ones() -> None:
    model, length = make_model(), 150 * CONFIG.patch_length
    batch = make_batch(1, length)
    one, other = streamed(model, batch, [150]), streamed(model, batch, [1] * 150)
    torch.testing.assert_close(one.mean, other.mean, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("n_known", [0, 1, 3])
def test_forecasts_from_within_a_window_are_those_from_what_precedes_them(n_known: int) -> None:
    model, batch = make_model(), make_batch()
    output, scale = model._outputs(batch, n_known, n_asked=3)
    for back in range(3):
        end = 24 - back * CONFIG.patch_length
        first = (24 - n_known) % CONFIG.patch_length
        part = Batch(target=batch.target[..., first:end], observed=batch.observed[..., first:end])
        n_patches = (end - first) // CONFIG.patch_length
        expected = model.read_head(
            output[:, [2 - back]], scale._make(s[:, [2 - back]] for s in scale), LEVELS
        )
        found = streamed(model, part, [n_patches])
        torch.testing.assert_close(found.mean, expected.mean, atol=1e-5, rtol=1e-5)


def test_in_training_the_loss_is_that_of_all_forecasts_of_the_later_half() -> None:
    model, batch = make_model(dropout=0.0, norm="rms", head="mse", patch_length=1), make_batch()
    found = model.train().loss(batch)
    series = torch.cat([batch.target, batch.future], dim=-1)  # type: ignore[list-item]
    losses = []
    for end in range(13, 25):
        part = Batch(
            target=series[..., :end],
            observed=torch.ones(3, 2, end, dtype=torch.bool),
            future=series[..., end : end + 5],
            future_observed=torch.ones(3, 2, 5, dtype=torch.bool),
        )
        losses.append(model.eval().loss(part))
    torch.testing.assert_close(found, torch.stack(losses).mean(), atol=1e-5, rtol=1e-5)


def test_how_much_of_a_patch_is_known_is_drawn_in_training_only() -> None:
    model, batch = make_model(dropout=0.0, norm="rms"), make_batch()
    assert len({model.train().loss(batch).item() for _ in range(30)}) == 4
    assert len({model.eval().loss(batch).item() for _ in range(5)}) == 1


def test_losses_in_units_of_the_series_weigh_by_them() -> None:
    model, batch = (
        make_model(head="mse", patch_length=1, norm="rms", dropout=0.0).train(),
        make_batch(),
    )
    units = replace(batch, series_scale=torch.full((3, 2, 1), 2.0))
    halved = replace(batch, series_scale=torch.full((3, 2, 1), 4.0))
    torch.testing.assert_close(model.loss(units), 4 * model.loss(halved))


@pytest.mark.parametrize("head", HEADS)
def test_every_head_learns_and_answers(head: str) -> None:
    model, batch = make_model(head=head).train(), make_batch(missing=0.2)
    model.loss(batch).backward()
    for name, weight in model.network.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    answer = model.eval().predict(batch, LEVELS)
    assert answer.mean.shape == (3, 2, 5)
    assert answer.quantiles.isfinite().all()
    assert (answer.quantiles.diff(dim=-1) >= 0).all()


def test_a_flat_series_is_forecast_as_it_is() -> None:
    model = make_model()
    batch = Batch(target=torch.full((1, 1, 24), 0.3), observed=torch.ones(1, 1, 24).bool())
    answer = model.predict(batch, LEVELS)
    assert (answer.mean == torch.tensor(0.3)).all()
    assert (answer.quantiles == torch.tensor(0.3)).all()


def test_patches_of_which_nothing_is_known_leave_no_trace_before_a_series_begins() -> None:
    model, batch = make_model(), make_batch()
    unknown = torch.zeros(3, 2, 8)
    padded = Batch(
        target=torch.cat([unknown, batch.target], dim=-1),
        observed=torch.cat([unknown.bool(), batch.observed], dim=-1),
    )
    one, other = model.predict(padded, LEVELS), model.predict(batch, LEVELS)
    torch.testing.assert_close(one.mean, other.mean, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"patch_length": 25}, "patch_length=25 must be from 1 to context_length=24"),
        ({"n_heads": 3}, "d_model=16 must be an even multiple of n_heads=3"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"norm": "none"}, "norm='none' is unknown"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_model(**sizes)
