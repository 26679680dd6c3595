"""Rotary position embedding (Su et al. 2021): queries and keys turned by an angle per step."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Rotary(nn.Module):
    """Turns pairs of features by `position * rate`, so that a product depends on distance alone.

    Args:
        d_head: features of a head; even.
        longest: the longest wavelength, in steps, divided by 2 pi.
    """

    rates: Tensor

    def __init__(self, d_head: int, longest: float = 10_000.0) -> None:
        super().__init__()
        if d_head % 2:
            raise ValueError(f"d_head={d_head} must be even: rotary positions turn pairs")
        rates = longest ** -(torch.arange(0, d_head, 2) / d_head)
        self.register_buffer("rates", rates, persistent=False)

    def forward(
        self, heads: Float[Tensor, "*axes N K"], positions: Int[Tensor, " N"]
    ) -> Float[Tensor, "*axes N K"]:
        """Return queries or keys, `[..., N, d_head]`, turned by their positions."""
        angles = positions[:, None] * self.rates  # [N, d_head / 2]
        cosine, sine = angles.cos().to(heads.dtype), angles.sin().to(heads.dtype)
        left, right = heads.chunk(2, dim=-1)
        return torch.cat([left * cosine - right * sine, left * sine + right * cosine], dim=-1)
