"""The vocabulary of NanoGPT: one token per bin of a scaled value, and what is known of a series."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LONG_SEASONS = (72, 84, 90, 91, 96, 104, 120, 144, 168, 180, 182, 240, 288, 336, 360, 364, 365)


@dataclass(frozen=True, kw_only=True)
class NumberVocabulary:
    """Tokens in this order: bins, `missing`, `season unknown`, and one per known season.

    Values are standardised, `z = (x - mean) / deviation`, and binned evenly in `arcsinh(z)`: fine
    where most values are and, in proportion, far out. After the quantised values of Chronos
    (Ansari et al. 2024, section 3.1), whose bins are even in z.

    Attributes:
        n_bins: bins between `-limit` and `limit`.
        limit: of `arcsinh(z)`; 4 stands for 27 deviations.
        seasons: season lengths with a token of their own; 1 says that there is none.
    """

    n_bins: int = 1024
    limit: float = 4.0
    seasons: tuple[int, ...] = (*range(1, 61), *_LONG_SEASONS)

    @property
    def size(self) -> int:
        """Number of tokens."""
        return self.n_bins + 2 + len(self.seasons)

    @property
    def missing(self) -> int:
        """The token of a missing value."""
        return self.n_bins

    @property
    def unknown_season(self) -> int:
        """The token that says nothing about the season."""
        return self.n_bins + 1

    @property
    def per_unit(self) -> float:
        """Bins per unit of `arcsinh(z)`."""
        return self.n_bins / (2 * self.limit)

    def bins(self, standardised: Tensor) -> Tensor:
        """Return the tokens of standardised values; NaN is missing, far ones get the last bin."""
        place = (torch.asinh(standardised) + self.limit) * self.per_unit
        tokens = place.nan_to_num().floor().clamp(0, self.n_bins - 1).long()
        return torch.where(standardised.isnan(), self.missing, tokens)

    def season_tokens(self, seasons: Tensor) -> Tensor:
        """Return the token of each season length."""
        table = torch.full((max(*self.seasons, int(seasons.max())) + 1,), self.unknown_season)
        table[list(self.seasons)] = torch.arange(len(self.seasons)) + self.n_bins + 2
        return table.to(seasons.device)[seasons]

    def smooth_features(self, d_model: int, generator: torch.Generator) -> Tensor:
        """Return embeddings `[n_bins, d_model]` to begin with, in which near bins are alike.

        Waves over `arcsinh(z)` with wavelengths from the whole range down to a few bins: the order
        of the numbers need not be learned.
        """
        centres = (torch.arange(self.n_bins) + 0.5) / self.per_unit - self.limit
        span = torch.log(torch.tensor([2 * self.limit, 8 / self.per_unit]))
        share = torch.rand(d_model, generator=generator)
        wavelengths = (span[0] + (span[1] - span[0]) * share).exp()
        phases = 2 * torch.pi * torch.rand(d_model, generator=generator)
        return torch.sin(2 * torch.pi * centres[:, None] / wavelengths + phases)
