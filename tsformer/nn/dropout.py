"""Dropout (Srivastava et al. 2014) that draws a byte for each feature, not a number.

On a CPU, drawing the numbers for dropout takes longer than the matrix products of a small network.
A random 64-bit number holds eight bytes, and a byte decides well enough whether a feature is kept.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.cores import chance, in_pieces
from tsformer.hardware import gains_from_bytes

_BYTES = 8  # of a random number
_VALUES = 256  # of a byte


class Dropout(nn.Module):
    """As torch's; the rate is rounded to a multiple of 1/256 where bytes are drawn, not to 0 or 1.

    Args:
        rate: share of the features that become 0, at least 0 and below 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    @property
    def present_rate(self) -> float:
        """The rate, or 0 in evaluation mode."""
        return self.rate if self.training else 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Return x with some features 0, and the others larger; in evaluation mode x itself."""
        if self.present_rate == 0:
            return x
        if not (in_pieces() or gains_from_bytes(x)):  # pieces have a chance of their own
            return F.dropout(x, self.rate)
        return _Dropped.apply(x, self.rate)

    def extra_repr(self) -> str:
        """Return the rate."""
        return f"{self.rate:g}"


class _Dropped(torch.autograd.Function):
    """Features times what is kept of them; the gradient needs no more than the bytes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rate: float) -> Tensor:
        kept = random_keep(x.shape, rate)
        ctx.save_for_backward(kept)
        ctx.rate = rate
        return kept.to(x.dtype).mul_(x).mul_(growth(rate))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return kept.to(gradient.dtype).mul_(gradient).mul_(growth(ctx.rate)), None


def random_keep(shape: torch.Size, rate: float) -> Tensor:
    """Return a byte for each feature, 1 where it is kept, drawn by `chance`."""
    count = -(-shape.numel() // _BYTES)
    numbers = torch.empty(count, dtype=torch.int64, device="cpu").random_(
        -(2**63), None, generator=chance()
    )
    drawn = numbers.view(torch.uint8)[: shape.numel()].view(shape)
    return drawn.ge_(_dropped(rate))


def growth(rate: float) -> float:
    """Return by what the features that are kept are multiplied, so that their mean stays."""
    if rate == 0:
        return 1.0
    return _VALUES / (_VALUES - _dropped(rate))


def _dropped(rate: float) -> int:
    """Return how many of a byte's values drop a feature."""
    return min(max(round(rate * _VALUES), 1), _VALUES - 1)
