"""The feed-forward part of a layer for CPUs: a block of tokens at a time.

Hidden features are several times as many as the tokens' own. In blocks they stay in the cache, in
memory that all blocks share; they are computed again for the gradient, not stored.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.nn.dropout import growth, keep, random_bytes

_HIDDEN = 1 << 19  # features in a block: 2 MB
_gelu, _gelu_backward = torch.ops.aten.gelu.out, torch.ops.aten.gelu_backward.grad_input


def add_feed_forward(
    tokens: Float[Tensor, "*axes D"], *, dropout: float, widen: nn.Linear, narrow: nn.Linear
) -> Float[Tensor, "*axes D"]:
    """Return the tokens plus what becomes of them between two linear maps.

    `dropout` of the hidden features is left out, and of the result; it is 0 in evaluation.
    """
    maps = widen.weight, widen.bias, narrow.weight, narrow.bias
    result = _FeedForward.apply(tokens.flatten(0, -2), dropout, *maps)
    return result.view_as(tokens)


class _FeedForward(torch.autograd.Function):
    """Linear, GELU, dropout, linear, dropout, and their gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        dropout: float,
        widen: Tensor,
        widen_bias: Tensor,
        narrow: Tensor,
        narrow_bias: Tensor,
    ) -> Tensor:
        inner = random_bytes(torch.Size((len(tokens), len(widen)))) if dropout else None
        outer = random_bytes(tokens.shape) if dropout else None
        ctx.save_for_backward(tokens, widen, widen_bias, narrow, inner, outer)
        ctx.dropout = dropout
        narrow, narrow_bias = narrow * growth(dropout) ** 2, narrow_bias * growth(dropout)
        result = torch.empty_like(tokens)
        room = _Room(tokens, len(widen))
        for part in room.parts:
            x, y = tokens[part], result[part]
            before, hidden, mask, _ = room.of(x)
            torch.addmm(widen_bias, x, widen.T, out=before)
            _gelu(before, out=hidden)
            if inner is not None:
                hidden.mul_(keep(inner[part], dropout, mask))
            torch.addmm(narrow_bias, hidden, narrow.T, out=y)
            if outer is not None:
                y.mul_(keep(outer[part], dropout, torch.empty_like(y)))
            y.add_(x)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, widen, widen_bias, narrow, inner, outer = ctx.saved_tensors
        to_tokens = torch.empty_like(tokens)
        to_widen, to_widen_bias = torch.zeros_like(widen), torch.zeros_like(widen_bias)
        to_narrow, to_narrow_bias = torch.zeros_like(narrow), narrow.new_zeros(len(narrow))
        narrow = narrow * growth(ctx.dropout) ** 2
        room = _Room(tokens, len(widen))
        for part in room.parts:
            x, to_y = tokens[part], gradient[part]
            before, hidden, mask, to_hidden = room.of(x)
            if outer is not None:
                to_y = keep(outer[part], ctx.dropout, torch.empty_like(to_y)).mul_(to_y)
            torch.addmm(widen_bias, x, widen.T, out=before)
            _gelu(before, out=hidden)
            torch.mm(to_y, narrow, out=to_hidden)
            if inner is not None:
                kept = keep(inner[part], ctx.dropout, mask)
                hidden.mul_(kept)
                to_hidden.mul_(kept)
            to_narrow.addmm_(to_y.T, hidden)
            to_narrow_bias += to_y.sum(dim=0)
            to_before = _gelu_backward(to_hidden, before, grad_input=to_hidden)
            to_widen.addmm_(to_before.T, x)
            to_widen_bias += to_before.sum(dim=0)
            torch.addmm(gradient[part], to_before, widen, out=to_tokens[part])
        to_narrow *= growth(ctx.dropout) ** 2
        to_narrow_bias *= growth(ctx.dropout)
        return to_tokens, None, to_widen, to_widen_bias, to_narrow, to_narrow_bias


class _Room:
    """How the tokens are cut into blocks, and memory for the hidden features of a block."""

    def __init__(self, tokens: Tensor, width: int) -> None:
        size = min(len(tokens), max(1, _HIDDEN // width))
        self.parts = [slice(first, first + size) for first in range(0, len(tokens), size)]
        self.memory = tokens.new_empty(4, size, width)

    def of(self, block: Tensor) -> Tensor:
        """Return four pieces of memory, `[n, F]`, for the n tokens of a block."""
        return self.memory[:, : len(block)]
