"""Endless batches of synthetic series, written in NanoGPT's tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.utils.data import IterableDataset

from tsformer.models.numbers import NumberVocabulary
from tsformer.prior import draw_series
from tsformer.prior.draws import chance, uniform


class TokenBatch(NamedTuple):
    """Sequences of tokens, `[B, 1 + T]`, and how much each token counts in the loss."""

    tokens: Tensor
    weight: Tensor


@dataclass(frozen=True, kw_only=True)
class SyntheticTokens(IterableDataset):
    """Batches of equal numbers of tokens, their lengths drawn anew from batch to batch.

    The beginning of each series, of random length, is what a forecaster would know: its mean and
    deviation scale the whole, so that what follows leaves the range of what was seen, as it does
    in a forecast. Tokens of that beginning count less in the loss.

    Attributes:
        vocabulary: see `NumberVocabulary`.
        generator: of everything drawn.
        lengths: steps of a series, with the share of batches that each length gets.
        tokens_per_batch: about.
        batches_per_draw: of one length, drawn together, since small draws cost more per series.
    """

    vocabulary: NumberVocabulary
    generator: Generator
    lengths: tuple[tuple[int, float], ...] = ((32, 0.1), (96, 0.2), (224, 0.35), (512, 0.35))
    tokens_per_batch: int = 8192
    batches_per_draw: int = 16

    def __iter__(self) -> Iterator[TokenBatch]:
        pools: dict[int, list[TokenBatch]] = {length: [] for length, _ in self.lengths}
        shares = torch.tensor([share for _, share in self.lengths])
        while True:
            number = int(torch.multinomial(shares, 1, generator=self.generator))
            length = self.lengths[number][0]
            if not pools[length]:
                pools[length] = self._pool(length)
            yield pools[length].pop()

    def _pool(self, length: int) -> list[TokenBatch]:
        size = max(1, self.tokens_per_batch // length)
        tokens, weight = self.draw(size * self.batches_per_draw, length)
        return [
            TokenBatch(*pair) for pair in zip(tokens.split(size), weight.split(size), strict=True)
        ]

    def draw(self, n: int, length: int) -> TokenBatch:
        """Return n sequences of `length` values."""
        generator, vocabulary = self.generator, self.vocabulary
        values, season = draw_series(generator, n, length)
        known = (uniform(generator, n, low=0.3, high=0.95) * length).long().clamp(min=6)
        past = torch.arange(length) < known[:, None]
        mean = (values * past).sum(dim=1, keepdim=True) / known[:, None]
        square = ((values - mean).square() * past).sum(dim=1, keepdim=True) / known[:, None]
        flat = square.sqrt() < 1e-4  # a constant beginning: its values are bin 0, as in a forecast
        standardised = (values - mean) / torch.where(flat, 1.0, square.sqrt())

        gappy = chance(generator, 0.1, n, 1)
        missing = gappy & (uniform(generator, n, length) < uniform(generator, n, 1, high=0.3))
        standardised = torch.where(missing, torch.nan, standardised)
        told = chance(generator, 0.7, n)
        season_token = torch.where(
            told, vocabulary.season_tokens(season), vocabulary.unknown_season
        )
        tokens = torch.cat([season_token[:, None], vocabulary.bins(standardised)], dim=1)
        return TokenBatch(tokens, torch.where(past, 0.5, 1.0) * ~missing)
