"""iTransformer: variates without order, any number of them, and none that disturbs the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tsformer.models.itransformer import ITransformerConfig, itransformer
from tsformer.models.scaled import ScaledModel
from tsformer.types import Batch

LEVELS = (0.1, 0.5, 0.9)
CONFIG = ITransformerConfig(context_length=12, horizon=5, d_model=16, n_heads=4, d_ff=24)
HEADS = ["quantile", "mse", "mae", "huber", "student_t", "normal", "laplace", "negative_binomial"]
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def make_model(**changes: object) -> ScaledModel:
    """Return a model whose every weight matters: the output layer of a new one is zero."""
    torch.manual_seed(0)
    model = itransformer(replace(CONFIG, **changes)).eval()  # type: ignore[arg-type]
    nn.init.normal_(model.network.projection.weight, std=0.1)
    return model


def make_batch(n_batch: int = 3, n_variates: int = 4, missing: float = 0.0, seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    shape = (n_batch, n_variates, CONFIG.context_length)
    observed = torch.rand(shape, generator=generator) >= missing
    target = torch.poisson(torch.full(shape, 9.0), generator=generator)
    future_shape = (n_batch, n_variates, CONFIG.horizon)
    return Batch(
        target=torch.where(observed, target, 0.0),
        observed=observed,
        future=torch.poisson(torch.full(future_shape, 9.0), generator=generator),
        future_observed=torch.ones(future_shape, dtype=torch.bool),
    )


def variates(batch: Batch, chosen: list[int] | torch.Tensor) -> Batch:
    """Return the batch with these variates, in this order."""
    return Batch(target=batch.target[:, chosen], observed=batch.observed[:, chosen])


@settings(max_examples=25)
@given(
    order=st.integers(1, 6).flatmap(lambda n: st.permutations(range(n))),
    n_batch=st.integers(1, 4),
    missing=st.sampled_from([0.0, 0.3, 0.95]),
    seed=st.integers(0, 1000),
)
def test_reordering_the_variates_reorders_the_forecasts(
    order: list[int], n_batch: int, missing: float, seed: int
) -> None:
    model = make_model()
    batch = make_batch(n_batch, len(order), missing, seed)
    with torch.no_grad():
        torch.testing.assert_close(model(variates(batch, order)), model(batch)[:, order], **CLOSE)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_a_variate_without_any_value_is_as_if_it_were_not_there(missing: float) -> None:
    model, batch = make_model(), make_batch(missing=missing)
    observed = batch.observed.clone()
    observed[:, 1] = False
    others = [0, 2, 3]
    for stands_there in (0.0, 1e9):
        target = batch.target.clone()
        target[:, 1] = stands_there
        got = model(replace(batch, target=target, observed=observed))
        torch.testing.assert_close(got[:, others], model(variates(batch, others)), **CLOSE)
        assert got.isfinite().all()


def test_variates_see_each_other_but_windows_do_not() -> None:
    model, batch = make_model(), make_batch()
    target = batch.target.clone()
    target[0, 2] = target[0, 2].flip(-1)
    before, after = model(batch), model(replace(batch, target=target))
    assert ((after - before)[0].abs().amax(dim=(-2, -1)) > 1e-3).all()
    torch.testing.assert_close(after[1:], before[1:], **CLOSE)


def test_one_variate_alone_can_be_forecast() -> None:
    model, batch = make_model(), make_batch(missing=0.2)
    mean, quantiles = model.predict(variates(batch, [2]), LEVELS)
    assert mean.shape == (3, 1, CONFIG.horizon)
    assert quantiles.isfinite().all()


def test_the_network_equals_one_of_torchs_own_parts() -> None:
    """On complete data: embedding, post-norm layers over the variates, norm, projection."""
    model, batch = make_model(dropout=0.0), make_batch()
    network = model.network
    layers = []
    for ours in network.encoder.layers:
        theirs = nn.TransformerEncoderLayer(
            16, 4, 24, dropout=0.0, activation="gelu", batch_first=True, norm_first=False
        )
        sources = [ours.attention, ours.feed_forward, ours.attention_norm, ours.feed_forward_norm]
        copied = [tensor for part in sources for tensor in part.state_dict().values()]
        parameters = [*theirs.self_attn.parameters(), *theirs.linear1.parameters()]
        parameters += [*theirs.linear2.parameters(), *theirs.norm1.parameters()]
        parameters += [*theirs.norm2.parameters()]
        with torch.no_grad():
            for parameter, tensor in zip(parameters, copied, strict=True):
                parameter.copy_(tensor)
        layers.append(theirs)
    parts = [network.embedding.value_projection, *layers, network.norm, network.projection]
    loc = batch.target.mean(dim=-1, keepdim=True)
    z = (batch.target - loc) / batch.target.std(dim=-1, correction=0, keepdim=True)
    expected = nn.Sequential(*parts)(z).reshape(3, 4, CONFIG.horizon, model.head.output_size)
    torch.testing.assert_close(model(batch), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_every_head_gives_finite_ascending_quantiles(head: str, missing: float) -> None:
    model, batch = make_model(head=head), make_batch(missing=missing)
    mean, quantiles = model.predict(batch, LEVELS)
    assert mean.shape == (3, 4, 5)
    assert quantiles.shape == (3, 4, 5, 3)
    assert mean.isfinite().all()
    assert quantiles.isfinite().all()
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert model(batch).shape == (3, 4, 5, model.head.output_size)
    assert model.loss(batch).isfinite()


def test_each_variate_is_scaled_by_itself() -> None:
    model, batch = make_model(), make_batch(missing=0.2)
    factor = torch.tensor([1.0, 40.0, 1e-3, 7.0])[:, None]
    moved = replace(batch, target=torch.where(batch.observed, factor * (batch.target - 3), 0.0))
    expected, got = model.predict(batch, LEVELS), model.predict(moved, LEVELS)
    wanted = factor[..., None] * (expected.quantiles - 3)
    torch.testing.assert_close(got.quantiles, wanted, rtol=1e-3, atol=1e-3)


def test_what_stands_at_missing_places_has_no_influence() -> None:
    model, batch = make_model(), make_batch(missing=0.3)
    garbage = replace(batch, target=torch.where(batch.observed, batch.target, -1e9))
    assert torch.equal(
        model.predict(batch, LEVELS).quantiles, model.predict(garbage, LEVELS).quantiles
    )
    assert torch.equal(model.loss(batch), model.loss(garbage))


def test_that_a_value_is_missing_is_seen() -> None:
    """A missing step is not the same as one that has the window's mean, 0 in scaled units."""
    network, batch = make_model().network, make_batch()
    torch.nn.init.normal_(network.embedding.missing_projection.weight, std=0.1)  # 0 untrained
    z = torch.randn(3, 4, CONFIG.context_length, generator=torch.Generator().manual_seed(0))
    z[0, 1, 4] = 0.0
    observed = batch.observed.clone()
    observed[0, 1, 4] = False
    there = network(replace(batch, target=z))
    missing = network(replace(batch, target=z, observed=observed))
    assert (there - missing)[0, 1].abs().max() > 1e-3
    torch.testing.assert_close(there[1:], missing[1:], **CLOSE)


def test_windows_that_are_constant_or_empty_stay_finite() -> None:
    model, batch = make_model(), make_batch()
    constant = replace(batch, target=torch.full_like(batch.target, 7.25))
    assert (model.predict(constant, LEVELS).quantiles == 7.25).all()
    empty = Batch(target=torch.zeros_like(batch.target), observed=torch.zeros_like(batch.observed))
    assert model.predict(empty, LEVELS).quantiles.isfinite().all()


def test_the_loss_reaches_every_weight() -> None:
    model = make_model(dropout=0.0).train()
    model.loss(make_batch(missing=0.3)).backward()
    for name, parameter in model.named_parameters():
        if name.endswith("query_key_value.bias"):
            continue  # the keys' bias cancels in the softmax
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_untrained_it_forecasts_the_mean_as_uncertain_as_the_window_is_wide() -> None:
    batch = make_batch()
    mean, quantiles = itransformer(CONFIG).eval().predict(batch, LEVELS)
    loc = batch.target.mean(dim=-1, keepdim=True)
    deviation = batch.target.std(dim=-1, correction=0, keepdim=True)
    torch.testing.assert_close(mean, loc.expand_as(mean))
    expected = loc[..., None] + deviation[..., None] * torch.tensor([-1.2816, 0.0, 1.2816])
    torch.testing.assert_close(quantiles, expected.expand_as(quantiles), rtol=1e-3, atol=1e-3)


def test_a_variate_is_learned_from_another() -> None:
    """Each variate goes on with the other's last value, which only attention can tell."""
    torch.manual_seed(0)
    model = itransformer(replace(CONFIG, head="mse", dropout=0.0, n_layers=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(80):
        target = torch.randn(32, 2, CONFIG.context_length)
        known = torch.ones_like(target, dtype=torch.bool)
        future = target.flip(1)[..., -1:].expand(-1, -1, CONFIG.horizon)
        batch = Batch(target=target, observed=known, future=future, future_observed=known[..., -5:])
        loss = model.loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.9  # the variance of a value that the own past says nothing about
    assert sum(losses[-10:]) / 10 < 0.6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, "d_model=16 must be a multiple of n_heads=3"),
        ({"n_layers": 0}, "n_layers=0 must be at least 1"),
        ({"context_length": 0}, "context_length=0 must be at least 1"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"head": "median"}, "head='median' is unknown"),
    ],
)
def test_sizes_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        itransformer(replace(CONFIG, **changes))  # type: ignore[arg-type]
