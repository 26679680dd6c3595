"""Self-attention for CPUs: by matrix products, a block of sequences at a time.

The fused kernel of torch is made for long sequences and wide heads. Those of a forecaster are short
and narrow, and there plain products are faster if a few things are seen to. Blocks are so small
that their weights stay in the cache, in memory that all of them share. What is in between is
computed again for the gradient, not stored. Tokens are the last axis inside, so that narrow heads
do not leave the vector units idle; the linear maps turn them. The sum of the weights is one more
row of their product with the values, so that no pass over them is needed to normalise them. And
nearly each step of a block is a single call of torch, into a view that was made before: there are
so many blocks that Python's own time counts.

A block has b sequences of N tokens, and A heads of width K.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.nn.affine import Affine
from tsformer.nn.dropout import growth, random_keep

# Of a block with more than one sequence, at most, for each core that works on it:
_WEIGHTS = 1 << 19  # of attention, 2 MB in 32 bits
_FEATURES = 1 << 17  # of queries, keys and values, 0.5 MB
_NARROW = 32  # features of a token, up to which each sequence has its own product
_HIGHEST = 2.0**64  # of a sum of weights, as they come; its reciprocal is the lowest


def add_attention(
    tokens: Float[Tensor, "B N D"],
    known: Bool[Tensor, "B N"] | None,
    *,
    n_heads: int,
    dropout: float,
    query_key_value: nn.Linear,
    output: nn.Linear,
    affine: Affine | None = None,
) -> Float[Tensor, "B N D"]:
    """Return the tokens plus what they gather, `dropout` of it left out.

    Args:
        tokens: in 32 or 64 bits.
        known: True for what may be looked at, at least one token of each sequence; None: all.
        n_heads: at least one.
        dropout: 0 in evaluation.
        query_key_value, output: linear maps with biases.
        affine: what the result goes through in forecasts, without dropout or gradient.
    """
    maps = query_key_value.weight, query_key_value.bias, output.weight, output.bias
    return _Attention.apply(tokens, known, n_heads, dropout, affine, *maps)


class _Attention(torch.autograd.Function):
    """Vaswani et al. 2017, equation 1, and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        known: Tensor | None,
        n_heads: int,
        dropout: float,
        affine: Affine | None,
        weight: Tensor,
        bias: Tensor,
        out_weight: Tensor,
        out_bias: Tensor,
    ) -> Tensor:
        kept = random_keep(tokens.shape, dropout) if dropout else None
        ctx.save_for_backward(tokens, known, weight, bias, out_weight, kept)
        ctx.n_heads, ctx.dropout, ctx.affine = n_heads, dropout, affine
        out_weight, out_bias = out_weight.T * growth(dropout), out_bias * growth(dropout)
        if affine is not None:
            out_weight, out_bias = affine.after(out_weight, out_bias)
        result = torch.empty_like(tokens, memory_format=torch.contiguous_format)
        maps = _Maps(weight, bias, n_heads)
        for block, there, x, y, passed in _blocks(maps, known, tokens, result, kept):
            block.read(maps, x, there)
            block.average(there)
            torch.addmm(out_bias, block.averages.T, out_weight, out=y)
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
        tokens, known, weight, bias, out_weight, kept = ctx.saved_tensors
        assert ctx.affine is None
        to_tokens = torch.empty_like(tokens, memory_format=torch.contiguous_format)
        maps = _Maps(weight, bias, ctx.n_heads)
        to_weight, to_bias = torch.zeros_like(maps.weight), torch.zeros_like(bias)
        to_out_weight, to_out_bias = torch.zeros_like(out_weight), bias.new_zeros(len(out_weight))
        back = out_weight.T * growth(ctx.dropout)
        blocks = _blocks(maps, known, tokens, gradient, kept, to_tokens)
        for block, there, x, direct, passed, to_x in blocks:
            to_y = direct if passed is None else torch.mul(direct, passed, out=block.to_y)
            block.read(maps, x, there)
            block.average(there)
            to_out_weight.addmm_(to_y.T, block.averages.T)
            to_out_bias += to_y.sum(dim=0)
            torch.mm(back, to_y.T, out=block.to_averages)
            block.differentiate(there)
            to_weight.addmm_(block.rows, x)
            to_bias += block.rows.sum(dim=1)
            torch.addmm(direct, block.rows.T, maps.back, out=to_x)
        to_out_weight *= growth(ctx.dropout)
        to_out_bias *= growth(ctx.dropout)
        to_weight, to_bias = maps.as_stored(to_weight), maps.as_stored(to_bias)
        to_maps = to_weight, to_bias, to_out_weight, to_out_bias
        return to_tokens, None, None, None, None, *to_maps


class _Maps:
    """The linear map to queries, keys and values, head by head: `[A * 3 * K, D]`, and back.

    Queries come out so large that scores are exponents of 2. The gradients that a block computes
    are those of queries and keys but for a factor, which `back` has, from them to the tokens.
    """

    def __init__(self, weight: Tensor, bias: Tensor, n_heads: int) -> None:
        self.n_heads, self.width = n_heads, len(weight) // (3 * n_heads)
        root = math.sqrt(self.width)
        scales = weight.new_tensor([math.log2(math.e) / root, 1.0, 1.0])[:, None]
        self.factors = weight.new_tensor([1 / root, math.log(2), 1.0])[:, None]
        by_head = weight.reshape(3, n_heads, -1).transpose(0, 1).contiguous()  # [A, 3, K * D]
        self.weight = (by_head * scales).view(weight.shape)
        self.bias = (bias.reshape(3, n_heads, -1).transpose(0, 1) * scales).reshape(-1, 1)
        self.weight_with_ones = self._with_ones(self.weight, 0.0)
        self.bias_with_ones = self._with_ones(self.bias, 1.0)
        self.back = (by_head * self.factors).view(weight.shape)

    def _with_ones(self, rows: Tensor, value: float) -> Tensor:
        """Return rows of the map with another one for each head, which gives ones."""
        by_head = rows.view(self.n_heads, -1, rows.shape[1])
        return F.pad(by_head, (0, 0, 0, 1), value=value).flatten(0, 1)

    def as_stored(self, gradient: Tensor) -> Tensor:
        """Return the gradient of weights or biases from that of a block."""
        parts = gradient.view(self.n_heads, 3, -1) * self.factors
        return parts.transpose(0, 1).reshape(gradient.shape)


def _blocks(
    maps: _Maps, known: Tensor | None, tokens: Tensor, *others: Tensor | None
) -> Iterator[tuple[Any, ...]]:
    """Yield a block, what is known there as 1 and 0, `[b, 1, 1, N]`, and rows, `[b * N, D]`."""
    n_batch, n_tokens, d_model = tokens.shape
    weights, features = maps.n_heads * n_tokens**2, len(maps.weight) * n_tokens
    n_cores = torch.get_num_threads()
    size = min(n_cores * _WEIGHTS // weights, n_cores * _FEATURES // features)
    size = min(n_batch, max(1, size))
    there = None if known is None else known.to(tokens.dtype)[:, None, None].split(size)
    rows = [
        repeat(None) if each is None else each.flatten(0, 1).split(size * n_tokens)
        for each in (tokens, *others)
    ]
    sizes = n_tokens, maps.n_heads, maps.width, d_model
    memory = tokens.new_empty(sum(math.prod(shape) for shape in _shapes(size, *sizes)))
    block = _Block(memory, size, *sizes)
    blocks = [block] * (n_batch // size)
    if n_batch % size:
        blocks.append(_Block(memory, n_batch % size, *sizes))
    return zip(blocks, repeat(None) if there is None else there, *rows, strict=False)


def _shapes(b: int, n: int, a: int, k: int, d: int) -> list[tuple[int, ...]]:
    """Return what a block has room for."""
    return [
        (b, a, 3 * k + 1, n),  # heads; they come first, so that ones stay where they are
        (b * a, n, n),  # weights, keys first
        (b, a, k + 1, n),  # sums
        (3 * a * k, b * n),  # rows, of which heads are made
        (a * k, b * n),  # averages
        (b * n, d),  # and the gradients: of the result,
        (a * k, b * n),  # of averages,
        (b, a, k + 1, n),  # of sums,
        (b * a, n, n),  # of scores,
        (b, a, k, n),  # of queries, keys or values
    ]


class _Block:
    """What is computed of b sequences, in all the views of a piece of memory that are needed.

    Queries, keys and values come head by head, and ones below the values; so the sums of the
    values, by the weights, have the totals of the weights below them.
    """

    def __init__(self, memory: Tensor, b: int, n: int, a: int, k: int, d: int) -> None:
        shapes = _shapes(b, n, a, k, d)
        counts = [math.prod(shape) for shape in shapes]
        parts = memory[: sum(counts)].split(counts)
        heads, self.weights, sums, self.rows, self.averages, *gradients = (
            part.view(shape) for part, shape in zip(parts, shapes, strict=True)
        )
        self.to_y, self.to_averages, to_sums, self.to_scores, self.to_part = gradients

        def by_head(rows: Tensor) -> Tensor:  # [A * x, b * N] as [b, A, x, N]
            return rows.view(a, -1, b, n).movedim(2, 0)

        self.per_sequence = heads.flatten(1, 2) if d <= _NARROW else None
        self.features, self.ones = heads[:, :, :-1], heads[:, :, -1]
        self.values_and_ones = heads[:, :, 2 * k :]
        self.ones.fill_(1.0)
        self.query, self.key, self.value = heads.flatten(0, 1).split([k, k, k + 1], dim=1)
        self.sums, self.gathered, self.totals = sums.flatten(0, 1), sums[:, :, :-1], sums[:, :, -1:]
        self.rows_by_head, self.averages_by_head = by_head(self.rows), by_head(self.averages)
        self.to_averages_by_head = by_head(self.to_averages)
        self.to_query, self.to_key, self.to_value = self.rows_by_head.split(k, dim=2)
        self.to_sums = to_sums.flatten(0, 1)
        self.to_gathered, self.to_totals = to_sums[:, :, :-1], to_sums[:, :, -1]

    def read(self, maps: _Maps, x: Tensor, there: Tensor | None) -> None:
        """Compute queries, keys and values of tokens `[b * N, D]`; what is not there tells 0."""
        if self.per_sequence is not None:
            tokens = x.view(len(self.per_sequence), -1, x.shape[1]).mT
            weight = maps.weight_with_ones.expand(len(tokens), -1, -1)
            torch.baddbmm(maps.bias_with_ones, weight, tokens, out=self.per_sequence)
        else:
            torch.addmm(maps.bias, maps.weight, x.T, out=self.rows)
            self.features.copy_(self.rows_by_head)
            if there is not None:
                self.ones.fill_(1.0)
        if there is not None:
            self.values_and_ones.mul_(there)

    def average(self, there: Tensor | None) -> None:
        """Compute the averages of the values, `[A * K, b * N]`."""
        torch.bmm(self.key.mT, self.query, out=self.weights).exp2_()
        torch.bmm(self.value, self.weights, out=self.sums)
        lowest, highest = torch.aminmax(self.totals)
        if not (float(lowest) > 1 / _HIGHEST and float(highest) < _HIGHEST):  # or not a number
            self._sum_shifted(there)
        torch.div(self.gathered, self.totals, out=self.averages_by_head)

    def _sum_shifted(self, there: Tensor | None) -> None:
        """Compute weights and sums once more, the highest weight of each query 1."""
        torch.bmm(self.key.mT, self.query, out=self.weights)
        if there is not None:
            scores = self.weights.view(*self.gathered.shape[:2], *self.weights.shape[1:])
            scores.masked_fill_(there.mT == 0, -torch.inf)
        self.weights.sub_(self.weights.amax(dim=1, keepdim=True)).exp2_()
        torch.bmm(self.value, self.weights, out=self.sums)

    def differentiate(self, there: Tensor | None) -> None:
        """Compute the gradient of queries, keys and values, as rows, from that of the averages."""
        torch.div(self.to_averages_by_head, self.totals, out=self.to_gathered)
        products = torch.linalg.vecdot(self.to_gathered, self.averages_by_head, dim=2)
        torch.neg(products, out=self.to_totals)
        torch.bmm(self.value.mT, self.to_sums, out=self.to_scores).mul_(self.weights)
        self._product(self.key, self.to_scores, self.to_query)
        self._product(self.query, self.to_scores.mT, self.to_key)
        self._product(self.to_sums[:, :-1], self.weights.mT, self.to_value)
        if there is not None:  # its weight may be so high that 0 times it is not a number
            self.to_value.masked_fill_(there == 0, 0.0)

    def _product(self, left: Tensor, right: Tensor, result: Tensor) -> None:
        torch.bmm(left, right, out=self.to_part.flatten(0, 1))
        result.copy_(self.to_part)
