"""The feed-forward part of a layer for CPUs: a block of tokens at a time.

Hidden features are several times as many as the tokens' own. In blocks they stay in the cache, in
memory that all blocks share; they are computed again for the gradient, not stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.nn.affine import Affine
from tsformer.nn.dropout import growth, random_keep

_HIDDEN = 1 << 18  # features in a block, for each core that works on it: 1 MB
_SUMS, _SMALL = 4, 1 << 16  # sums of a gradient, added up at last, if it has so few numbers
_gelu, _gelu_backward = torch.ops.aten.gelu.out, torch.ops.aten.gelu_backward.grad_input


def add_feed_forward(
    tokens: Float[Tensor, "*axes D"],
    *,
    dropout: float,
    widen: nn.Linear,
    narrow: nn.Linear,
    affine: Affine | None = None,
) -> Float[Tensor, "*axes D"]:
    """Return the tokens plus what becomes of them between two linear maps.

    `dropout` of the hidden features is left out, and of the result; it is 0 in evaluation. In
    forecasts, without dropout or gradient, the result may go through an `affine` map.
    """
    maps = widen.weight, widen.bias, narrow.weight, narrow.bias
    result = _FeedForward.apply(tokens.flatten(0, -2), dropout, affine, *maps)
    return result.view_as(tokens)


class _FeedForward(torch.autograd.Function):
    """Linear, GELU, dropout, linear, dropout, and their gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        dropout: float,
        affine: Affine | None,
        widen: Tensor,
        widen_bias: Tensor,
        narrow: Tensor,
        narrow_bias: Tensor,
    ) -> Tensor:
        inner = random_keep(torch.Size((len(tokens), len(widen))), dropout) if dropout else None
        outer = random_keep(tokens.shape, dropout) if dropout else None
        ctx.save_for_backward(tokens, widen, widen_bias, narrow, inner, outer)
        ctx.dropout, ctx.affine = dropout, affine
        narrow, narrow_bias = narrow.T * growth(dropout) ** 2, narrow_bias * growth(dropout)
        if affine is not None:
            narrow, narrow_bias = affine.after(narrow, narrow_bias)
        result = torch.empty_like(tokens)

        for block, x, y, kept, passed in _blocks(widen, tokens, result, inner, outer):
            torch.addmm(widen_bias, x, widen.T, out=block.hidden)
            _gelu(block.hidden, out=block.hidden)
            if kept is not None:
                block.hidden.mul_(kept)
            torch.addmm(narrow_bias, block.hidden, narrow, out=y)
            if passed is not None:
                y.mul_(passed)
            if affine is None:
                y.add_(x)
            else:
                affine.add_scaled(y, x)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, widen, widen_bias, narrow, inner, outer = ctx.saved_tensors
        assert ctx.affine is None
        to_tokens = torch.empty_like(tokens)
        sums = _SUMS if widen.numel() <= _SMALL else 1
        to_widen = widen.new_zeros(sums, *widen.shape)
        to_narrow = narrow.new_zeros(sums, *narrow.shape)
        to_widen_bias, to_narrow_bias = torch.zeros_like(widen_bias), narrow.new_zeros(len(narrow))
        back = narrow * growth(ctx.dropout) ** 2
        blocks = _blocks(widen, tokens, gradient, inner, outer, to_tokens)
        for block, x, direct, kept, passed, to_x in blocks:
            to_y = direct if passed is None else torch.mul(direct, passed, out=block.to_y)
            torch.addmm(widen_bias, x, widen.T, out=block.before)
            _gelu(block.before, out=block.hidden)
            torch.mm(to_y, back, out=block.to_hidden)
            if kept is not None:
                block.hidden.mul_(kept)
                block.to_hidden.mul_(kept)
            _add_product(to_narrow, to_y, block.hidden)
            to_narrow_bias += to_y.sum(dim=0)
            _gelu_backward(block.to_hidden, block.before, grad_input=block.to_hidden)
            _add_product(to_widen, block.to_hidden, x)
            to_widen_bias += block.to_hidden.sum(dim=0)
            torch.addmm(direct, block.to_hidden, widen, out=to_x)
        to_narrow = to_narrow.sum(dim=0).mul_(growth(ctx.dropout) ** 2)
        to_narrow_bias *= growth(ctx.dropout)
        return to_tokens, None, None, to_widen.sum(dim=0), to_widen_bias, to_narrow, to_narrow_bias


def _add_product(totals: Tensor, left: Tensor, right: Tensor) -> None:
    """Add the product of `[n, D]` and `[n, F]` over the tokens to totals, `[sums, D, F]`.

    Sums over thousands of tokens are faster in a few parts, which leave something for each core.
    """
    parts = len(totals) if len(left) % len(totals) == 0 else 1
    left, right = left.view(parts, -1, left.shape[1]), right.view(parts, -1, right.shape[1])
    totals[:parts].baddbmm_(left.mT, right)


def _blocks(widen: Tensor, tokens: Tensor, *others: Tensor | None) -> Iterator[tuple[Any, ...]]:
    """Yield a block, and the rows of the block of each tensor, `[n, D]`."""
    n, (n_hidden, d_model) = len(tokens), widen.shape
    size = min(n, max(1, torch.get_num_threads() * _HIDDEN // n_hidden))
    rows = [repeat(None) if each is None else each.split(size) for each in (tokens, *others)]
    memory = tokens.new_empty(3, size, n_hidden), tokens.new_empty(size, d_model)
    blocks = [_Block(*memory)] * (n // size)
    if n % size:
        blocks.append(_Block(*(part[..., : n % size, :] for part in memory)))
    return zip(blocks, *rows, strict=False)


class _Block:
    """Memory for the hidden features of a block of tokens, `[3, n, F]`, and for a gradient."""

    def __init__(self, hidden: Tensor, to_y: Tensor) -> None:
        self.hidden, self.before, self.to_hidden = hidden
        self.to_y = to_y
