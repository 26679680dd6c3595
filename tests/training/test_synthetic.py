"""Batches of tokens: what is written, how it is scaled, what counts in the loss."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import Tensor

import tsformer.training.synthetic as synthetic_module
from tsformer.models.numbers import NumberVocabulary
from tsformer.prior import Draw
from tsformer.training.synthetic import SyntheticTokens, TokenBatch

NUMBERS = NumberVocabulary()


def make_data(seed: int = 0, **given: object) -> SyntheticTokens:
    generator = torch.Generator().manual_seed(seed)
    return SyntheticTokens(vocabulary=NUMBERS, generator=generator, **given)


def drawn_from(
    patch: pytest.MonkeyPatch, values: Tensor, season: Tensor, *, gaps: bool = False
) -> TokenBatch:
    """Return what is written for given series whose season is told."""
    patch.setattr(synthetic_module, "draw_series", lambda *_: Draw(values, season))
    happens = {0.1: gaps, 0.7: True}
    patch.setattr(
        synthetic_module, "chance", lambda _, share, *shape: torch.full(shape, happens[share])
    )
    return make_data().draw(*values.shape)


@pytest.mark.parametrize("length", [8, 33, 512])
def test_sequences_are_a_season_and_one_token_per_value(length: int) -> None:
    batch = make_data().draw(300, length)
    assert batch.tokens.shape == (300, 1 + length)
    assert batch.weight.shape == (300, length)
    assert batch.tokens.dtype == torch.long
    assert batch.tokens[:, 0].min() >= NUMBERS.unknown_season
    assert batch.tokens[:, 0].max() < NUMBERS.size
    assert batch.tokens[:, 1:].min() >= 0
    assert batch.tokens[:, 1:].max() <= NUMBERS.missing
    missing = batch.tokens[:, 1:] == NUMBERS.missing
    assert torch.equal(batch.weight == 0, missing)
    assert 0.005 < missing.float().mean() < 0.03  # one series in ten has gaps, 15 % on average
    unknown = (batch.tokens[:, 0] == NUMBERS.unknown_season).float().mean()
    assert unknown > 0.2  # three in ten, and those with a season of which there is no token


def test_values_are_scaled_by_what_a_forecaster_would_know(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(50, 64, generator=torch.Generator().manual_seed(1)).cumsum(dim=1) * 3 + 100
    batch = drawn_from(monkeypatch, values, torch.full((50,), 12))
    assert (batch.tokens[:, 0] == NUMBERS.season_tokens(torch.tensor([12]))).all()
    known = (batch.weight == 0.5).sum(dim=1)
    assert known.min() >= 0.3 * 64 - 1
    assert known.max() <= 0.95 * 64
    assert len(known.unique()) > 10
    for row, tokens, weight, size in zip(values, batch.tokens, batch.weight, known, strict=True):
        past = row[:size].double()
        expected = NUMBERS.bins((row.double() - past.mean()) / past.std(correction=0))
        assert (tokens[1:] - expected).abs().max() <= 1  # in single precision, at an edge
        assert torch.equal(weight, torch.where(torch.arange(64) < size, 0.5, 1.0))


def test_when_the_beginning_is_constant_then_its_values_are_in_the_middle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = torch.full((20, 40), 0.1)
    values[:, 39] = 1.1
    batch = drawn_from(monkeypatch, values, torch.ones(20, dtype=torch.long))
    middle = NUMBERS.bins(torch.zeros(1)).item()
    assert ((batch.tokens[:, 1:40] - middle).abs() <= 1).all()
    assert (batch.tokens[:, 40] == NUMBERS.bins(torch.ones(1))).all()


def test_gaps_are_missing_and_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.randn(200, 50, generator=torch.Generator().manual_seed(1))
    batch = drawn_from(monkeypatch, values, torch.full((200,), 7), gaps=True)
    missing = batch.tokens[:, 1:] == NUMBERS.missing
    assert torch.equal(batch.weight == 0, missing)
    assert missing.float().mean().item() == pytest.approx(0.15, abs=0.02)
    assert missing.float().mean(dim=1).max() < 0.5


def stream(seed: int, count: int, **given: object) -> list[TokenBatch]:
    return [*islice(iter(make_data(seed, **given)), count)]


def test_batches_hold_about_equally_many_tokens_of_lengths_as_often_as_asked() -> None:
    lengths = ((16, 0.75), (50, 0.25))
    batches = stream(0, 200, lengths=lengths, tokens_per_batch=100, batches_per_draw=3)
    shapes = [tuple(batch.tokens.shape) for batch in batches]
    assert set(shapes) == {(6, 17), (2, 51)}
    assert shapes.count((6, 17)) / 200 == pytest.approx(0.75, abs=0.1)
    assert all(batch.weight.shape == batch.tokens[:, 1:].shape for batch in batches)
    assert not any(
        torch.equal(one.tokens, other.tokens)
        for number, one in enumerate(batches[:20])
        for other in batches[:number]
    )


def test_a_series_longer_than_a_batch_is_a_batch_of_its_own() -> None:
    (batch,) = stream(0, 1, lengths=((64, 1.0),), tokens_per_batch=10, batches_per_draw=2)
    assert batch.tokens.shape == (1, 65)


def test_the_seed_decides() -> None:
    small = {"lengths": ((16, 0.5), (32, 0.5)), "tokens_per_batch": 64, "batches_per_draw": 2}
    one, same, other = (stream(seed, 10, **small) for seed in (1, 1, 2))
    for a, b in zip(one, same, strict=True):
        assert torch.equal(a.tokens, b.tokens)
        assert torch.equal(a.weight, b.weight)
    assert any(
        a.tokens.shape != b.tokens.shape or not torch.equal(a.tokens, b.tokens)
        for a, b in zip(one, other, strict=True)
    )
