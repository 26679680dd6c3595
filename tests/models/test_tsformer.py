"""TSFormer: shapes, invariances, and what it can learn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tsformer.models.tsformer import LEVELS, TSFormerConfig
from tsformer.models.zero_shot import AskedTSFormer, TSFormer
from tsformer.types import Batch

SMALL = {"patch_length": 16, "d_model": 16, "n_heads": 2, "n_layers": 2, "d_ff": 24}
DECILES = tuple(round(0.1 * k, 1) for k in range(1, 10))


def make_model(seed: int = 0, *, trained: bool = True, **sizes: Any) -> TSFormer:
    torch.manual_seed(seed)
    model = TSFormer(TSFormerConfig(**{**SMALL, **sizes}))
    if trained:  # else both readouts are zero
        for linear in (model.network.readout, model.network.mixture):
            torch.nn.init.normal_(linear.weight, std=0.1)
    return model.eval()


def make_batch(length: int, *, n: int = 3, variates: int = 1, missing: float = 0.0) -> Batch:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(n, variates, length, generator=generator).cumsum(-1)
    observed = torch.rand(target.shape, generator=generator) >= missing
    return Batch(target=torch.where(observed, target, 0.0), observed=observed)


def answer(model: TSFormer, batch: Batch, horizon: int = 20, **more: Any) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        found = model.forecast(batch, DECILES, horizon, **more)
    return found.mean, found.quantiles


@pytest.mark.parametrize(("length", "horizon"), [(5, 1), (16, 16), (33, 40), (200, 7)])
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_any_context_and_any_horizon(length: int, horizon: int, missing: float) -> None:
    batch = make_batch(length, variates=2, missing=missing)
    mean, quantiles = answer(make_model(), batch, horizon)
    assert mean.shape == (3, 2, horizon)
    assert quantiles.shape == (3, 2, horizon, 9)
    assert mean.isfinite().all()
    assert (quantiles.diff(dim=-1) > 0).all()


def test_units_do_not_matter() -> None:
    model, batch = make_model(), make_batch(70, missing=0.1)
    moved = Batch(target=1000 * batch.target * batch.observed + 5, observed=batch.observed)
    for plain, other in zip(answer(model, batch), answer(model, moved), strict=True):
        assert torch.allclose(1000 * plain + 5, other, rtol=1e-3, atol=1)


@pytest.mark.parametrize(("length", "pad"), [(64, 64), (48, 16), (30, 34), (50, 14)])
@pytest.mark.parametrize("season", [1, 12, 52, 168])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_steps_before_the_first_add_nothing(
    length: int, pad: int, season: int, missing: float
) -> None:
    model, batch = make_model(), make_batch(length, n=20, missing=missing)
    target = batch.target + torch.sin(torch.arange(length) / 3)
    batch = Batch(target=target * batch.observed, observed=batch.observed)
    longer = Batch(
        target=torch.nn.functional.pad(batch.target, (pad, 0)),
        observed=torch.nn.functional.pad(batch.observed, (pad, 0)),
    )
    one, other = (answer(model, b, season_length=season)[1] for b in (batch, longer))
    assert torch.allclose(one, other, atol=1e-3)


def test_missing_values_may_be_anything() -> None:
    model, batch = make_model(), make_batch(64, missing=0.2)
    filled = Batch(target=torch.where(batch.observed, batch.target, 1e3), observed=batch.observed)
    assert torch.allclose(answer(model, batch)[1], answer(model, filled)[1], atol=1e-4)


def test_an_echo_of_a_missing_value_leaves_its_share_to_the_others() -> None:
    """Untrained, all shares are alike; the fifth step of the last season is not known."""
    wave = torch.tensor([0.0, 3.0, 1.0, 4.0, 2.0, 6.0]).repeat(20)[None, None]
    observed = torch.ones_like(wave, dtype=torch.bool)
    observed[..., -2] = False
    batch = Batch(target=torch.where(observed, wave, 0.0), observed=observed)
    model = make_model(trained=False)
    whole = Batch(target=wave, observed=torch.ones_like(observed))
    found, before = (answer(model, b, 6)[1][0, 0, :, 4] for b in (batch, whole))
    mean = batch.target.sum() / observed.sum()
    average, last = torch.tensor(2.0), torch.tensor(6.0)
    # the season's echoes are gone; left are the last value, the average and the mean
    assert found[4] == pytest.approx(float((last + average + mean) / 3), abs=0.3)
    assert torch.allclose(found[:4], before[:4], atol=0.1)


def test_series_do_not_see_each_other() -> None:
    model, batch = make_model(), make_batch(48, n=4)
    together = answer(model, batch)[1]
    alone = answer(model, Batch(target=batch.target[2:3], observed=batch.observed[2:3]))[1]
    assert torch.allclose(together[2:3], alone, atol=1e-5)


@pytest.mark.parametrize("constant", [0.0, -7.5, 1e6])
def test_a_constant_series_goes_on(constant: float) -> None:
    batch = Batch(
        target=torch.full((1, 1, 30), constant), observed=torch.ones(1, 1, 30, dtype=torch.bool)
    )
    mean, quantiles = answer(make_model(), batch)
    assert (mean == constant).all()
    assert (quantiles == constant).all()


def test_untrained_it_spreads_around_the_echoes() -> None:
    """Both readouts are zero: the anchor is the mean of all echoes and 0, errors are normal."""
    wave = torch.tensor([0.0, 3.0, 1.0, 4.0]).repeat(20)[None, None]
    batch = Batch(target=wave, observed=torch.ones_like(wave, dtype=torch.bool))
    median = answer(make_model(trained=False), batch, 4)[1][0, 0, :, 4]
    last, mean = 4.0, 2.0
    season, half = torch.tensor([0.0, 3.0, 1.0, 4.0]), torch.tensor([1.0, 4.0, 1.0, 4.0])
    expected = (last + 3 * season + half + mean) / 6
    assert torch.allclose(median, expected, atol=1e-3)


def test_the_season_of_the_calendar_is_told() -> None:
    model, batch = make_model(), make_batch(60)
    assert not torch.allclose(answer(model, batch)[0], answer(model, batch, season_length=7)[0])


def test_losses_are_pinball_losses_in_two_units() -> None:
    model = make_model()
    batch = make_batch(48)
    future = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    season = torch.ones(3, dtype=torch.long)
    series, target, counts = model.prepare(batch.target[:, 0], batch.observed[:, 0], future, season)
    assert counts.all()
    counts = counts.clone()
    counts[1, 20:] = False
    quantiles = model.network(series, 2)
    losses = torch.zeros(3, 32)
    for number, level in enumerate(LEVELS):
        error = target - quantiles[..., number]
        losses += 2 / 21 * torch.where(error > 0, level * error, (level - 1) * error)
    mean = (losses * counts).sum(dim=1) / counts.sum(dim=1)
    errors, count = model.errors(series, target, counts)
    assert torch.allclose(errors, mean / series.error[:, 0], rtol=1e-4)
    assert count.tolist() == [32, 20, 32]
    width = quantiles[..., LEVELS.index(0.95)] - quantiles[..., LEVELS.index(0.05)]
    expected = (losses * counts / width).sum() / counts.sum()
    assert torch.allclose(model.score(series, target, counts), expected, rtol=1e-4)


def test_a_wider_forecast_is_not_rewarded_for_its_width() -> None:
    """The loss is measured in widths, but its gradient is that of the loss alone."""
    model = make_model()
    batch, future = make_batch(48), torch.zeros(3, 16)
    described = model.prepare(
        batch.target[:, 0], batch.observed[:, 0], future, torch.ones(3, dtype=torch.long)
    )
    model.score(*described).backward()
    found = model.network.readout.bias.grad.clone()
    model.zero_grad()
    losses, quantiles = model._losses(*described[:2])
    width = quantiles[..., -2] - quantiles[..., 1]
    (losses / width.detach()).mean().backward()
    assert torch.allclose(found, model.network.readout.bias.grad, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_asked_for_a_horizon_it_counts_what_is_known_of_the_future(training: bool) -> None:
    model, batch = make_model(), make_batch(40)
    asked = AskedTSFormer(model, context_length=40, horizon=5, season_length=1).train(training)
    future = torch.randn(3, 1, 5, generator=torch.Generator().manual_seed(1))
    known = torch.ones_like(future, dtype=torch.bool)
    whole = Batch(
        target=batch.target, observed=batch.observed, future=future, future_observed=known
    )
    loss = asked.loss(whole)
    loss.backward()
    assert all(p.grad is not None for p in model.network.layers.parameters())
    other = torch.where(known, future, 0.0)
    known[..., 3:] = False
    other[..., 3:] = torch.nan
    part = Batch(target=batch.target, observed=batch.observed, future=other, future_observed=known)
    shorter = AskedTSFormer(model, context_length=40, horizon=3, season_length=1).train(training)
    cut = Batch(
        target=batch.target,
        observed=batch.observed,
        future=future[..., :3],
        future_observed=known[..., :3],
    )
    assert asked.loss(part).item() == pytest.approx(shorter.loss(cut).item(), rel=1e-5)
    with pytest.raises(ValueError, match="no future"):
        asked.loss(batch)


def test_embeddings_know_shapes_and_no_units() -> None:
    model, batch = make_model(), make_batch(64)
    one = model.embed(batch.target[:, 0], batch.observed[:, 0])
    assert one.shape == (3, 16)
    other = model.embed(1000 * batch.target[:, 0] - 3, batch.observed[:, 0])
    assert torch.allclose(one, other, atol=1e-2)
    assert torch.cdist(one, one).fill_diagonal_(9).min() > 10 * (one - other).norm(dim=1).max()


def test_a_single_window_does_not_decide_how_good_a_network_is() -> None:
    model = make_model()
    asked = AskedTSFormer(model, context_length=48, horizon=8, season_length=1).eval()
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(64, 1, 56, generator=generator)
    target[0, 0, :48] = 100 + 1e-3 * target[0, 0, :48]
    known = torch.ones(64, 1, 8, dtype=torch.bool)

    def loss(begin: int) -> float:
        rows = target[begin:]
        batch = Batch(
            target=rows[..., :48],
            observed=torch.ones_like(rows[..., :48], dtype=torch.bool),
            future=rows[..., 48:],
            future_observed=known[begin:],
        )
        return asked.loss(batch).item()

    assert loss(0) == pytest.approx(loss(1), abs=0.3)


@pytest.mark.parametrize("name", ["patch_length", "n_heads", "n_layers", "d_ff"])
def test_sizes_below_one_are_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=0 must be at least"):
        TSFormerConfig(**{name: 0})


def test_a_width_that_does_not_divide_is_named() -> None:
    with pytest.raises(ValueError, match="d_model=18 must be an even multiple of n_heads=4"):
        TSFormerConfig(d_model=18, n_heads=4)


def test_the_last_layer_may_read_the_horizon_alone() -> None:
    model, batch = make_model(), make_batch(64)
    season = torch.ones(3, dtype=torch.long)
    series = model._describe(batch.target[:, 0], batch.observed[:, 0], season, 32)
    every = model.network.encode(series, 2)
    assert every.shape == (3, 6, 16)
    torch.testing.assert_close(model.network.encode(series, 2, 2), every[:, -2:])


def test_products_in_bfloat16_move_forecasts_a_little() -> None:
    model, batch = make_model(d_model=64, n_heads=2), make_batch(200, n=20)
    full, halves = (answer(model, batch, halves=given)[1] for given in (False, True))
    width = full[..., -1:] - full[..., :1]
    assert not torch.equal(full, halves)
    assert float(((halves - full).abs() / width).mean()) < 0.02
