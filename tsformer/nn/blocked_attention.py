"""Self-attention for CPUs: by matrix products, a block of sequences at a time.

The fused kernel of torch is made for long sequences and wide heads. Those of a forecaster are short
and narrow, and there plain products are faster if four things are seen to. Blocks are so small that
their weights stay in the cache, in memory that all of them share. What is in between is computed
again for the gradient, not stored. Tokens are the last axis inside, so that narrow heads do not
leave the vector units idle; the linear maps turn them. And the sum of the weights is one more row
of their product with the values, so that no pass over them is needed to normalise them.

Inside a block of b sequences, A heads and N tokens, G is b * A, and K the width of a head.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.nn.dropout import growth, keep, random_bytes

_WEIGHTS = 1 << 19  # of attention in a block: 2 MB
_HIGHEST = 64.0  # of the scores' size; powers of 2 up to this one can be summed as they are


def add_attention(
    tokens: Float[Tensor, "B N D"],
    known: Bool[Tensor, "B N"] | None,
    *,
    n_heads: int,
    dropout: float,
    query_key_value: nn.Linear,
    output: nn.Linear,
) -> Float[Tensor, "B N D"]:
    """Return the tokens plus what they gather, `dropout` of it left out.

    Args:
        tokens: in 32 or 64 bits.
        known: True for what may be looked at, at least one token of each sequence; None: all.
        n_heads: at least one.
        dropout: 0 in evaluation.
        query_key_value, output: linear maps with biases.
    """
    maps = query_key_value.weight, query_key_value.bias, output.weight, output.bias
    return _Attention.apply(tokens, known, n_heads, dropout, *maps)


class _Attention(torch.autograd.Function):
    """Vaswani et al. 2017, equation 1, and its gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        tokens: Tensor,
        known: Tensor | None,
        n_heads: int,
        dropout: float,
        weight: Tensor,
        bias: Tensor,
        out_weight: Tensor,
        out_bias: Tensor,
    ) -> Tensor:
        drawn = random_bytes(tokens.shape) if dropout else None
        ctx.save_for_backward(tokens, known, weight, bias, out_weight, drawn)
        ctx.n_heads, ctx.dropout = n_heads, dropout
        out_weight, out_bias = out_weight * growth(dropout), out_bias * growth(dropout)
        result = torch.empty_like(tokens, memory_format=torch.contiguous_format)
        room = _Room(tokens, weight, bias, n_heads)
        for part in room.parts:
            x, y = tokens[part].flatten(0, 1), result[part].flatten(0, 1)
            there = None if known is None else known[part]
            heads = room.read(x, there)
            sums = torch.bmm(heads.value, room.weigh(heads, there))
            torch.addmm(out_bias, room.average(sums).T, out_weight.T, out=y)
            if drawn is not None:
                y.mul_(keep(drawn[part].flatten(0, 1), dropout, torch.empty_like(y)))
            y.add_(x)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        tokens, known, weight, bias, out_weight, drawn = ctx.saved_tensors
        to_tokens = torch.empty_like(tokens, memory_format=torch.contiguous_format)
        to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        to_out_weight, to_out_bias = torch.zeros_like(out_weight), bias.new_zeros(len(out_weight))
        out_weight = out_weight * growth(ctx.dropout)
        room = _Room(tokens, weight, bias, ctx.n_heads)
        for part in room.parts:
            x, to_x, to_y = (each[part].flatten(0, 1) for each in (tokens, to_tokens, gradient))
            direct = to_y
            there = None if known is None else known[part]
            if drawn is not None:
                kept = keep(drawn[part].flatten(0, 1), ctx.dropout, torch.empty_like(to_y))
                to_y = kept.mul_(to_y)
            heads = room.read(x, there)
            weights = room.weigh(heads, there)
            sums = torch.bmm(heads.value, weights)
            to_out_weight.addmm_(to_y.T, room.average(sums).T)
            to_out_bias += to_y.sum(dim=0)
            to_sums = room.to_sums(torch.mm(out_weight.T, to_y.T), sums)
            to_rows = room.to_rows(heads, weights, to_sums, there)
            to_weight.addmm_(to_rows, x)
            to_bias += to_rows.sum(dim=1)
            torch.addmm(direct, to_rows.T, weight, out=to_x)
        to_out_weight *= growth(ctx.dropout)
        to_out_bias *= growth(ctx.dropout)
        return to_tokens, None, None, None, to_weight, to_bias, to_out_weight, to_out_bias


class _Heads(NamedTuple):
    """Queries for powers of 2 and keys, `[G, K, N]`; values above ones, `[G, K + 1, N]`."""

    query: Tensor
    key: Tensor
    value: Tensor


class _Room:
    """How the batch is cut into blocks, and memory for what is computed of a block."""

    def __init__(self, tokens: Tensor, weight: Tensor, bias: Tensor, n_heads: int) -> None:
        n_batch, self.n_tokens, _ = tokens.shape
        self.n_heads, self.width = n_heads, len(weight) // (3 * n_heads)
        size = min(n_batch, max(1, _WEIGHTS // (self.n_tokens**2 * n_heads)))
        self.parts = [slice(first, first + size) for first in range(0, n_batch, size)]
        scale = weight.new_ones(3, n_heads * self.width, 1)
        scale[0] = math.log2(math.e) / math.sqrt(self.width)
        self.weight, self.bias = weight * scale.flatten(0, 1), bias[:, None] * scale.flatten(0, 1)

        groups, columns = size * n_heads, size * self.n_tokens
        self.rows = tokens.new_empty(len(weight), columns)
        self.averages = tokens.new_empty(len(weight) // 3, columns)
        self.query = tokens.new_empty(groups, self.width, self.n_tokens)
        self.key = torch.empty_like(self.query)
        self.value = tokens.new_empty(groups, self.width + 1, self.n_tokens)
        self.weights = tokens.new_empty(groups, self.n_tokens, self.n_tokens)
        self.to_scores = torch.empty_like(self.weights)

    def by_head(self, rows: Tensor) -> Tensor:
        """Return `[A * K, b * N]` as `[b, A, K, N]`, the same memory."""
        return (
            rows.unflatten(0, (self.n_heads, -1)).unflatten(-1, (-1, self.n_tokens)).movedim(2, 0)
        )

    def read(self, x: Tensor, known: Tensor | None) -> _Heads:
        """Return what the tokens `[b * N, D]` ask, offer and tell; what is not known tells 0."""
        rows = torch.addmm(self.bias, self.weight, x.T, out=self.rows[:, : len(x)])
        query, key, value = (self.by_head(third) for third in rows.chunk(3))
        n_groups = len(query) * self.n_heads
        heads = _Heads(self.query[:n_groups], self.key[:n_groups], self.value[:n_groups])
        heads.query.view_as(query).copy_(query)
        heads.key.view_as(key).copy_(key)
        heads.value[:, :-1].view(value.shape).copy_(value)
        heads.value[:, -1] = 1.0
        if known is not None:
            heads.value.view(-1, self.n_heads, self.width + 1, self.n_tokens).mul_(
                known[:, None, None]
            )
        return heads

    def weigh(self, heads: _Heads, known: Tensor | None) -> Tensor:
        """Return attention's weights before they are normalised, `[G, N, N]`, keys first."""
        query, key, _ = heads
        weights = torch.bmm(key.mT, query, out=self.weights[: len(query)])
        lowest, highest = torch.aminmax(weights)
        if max(-float(lowest), float(highest)) > _HIGHEST:
            if known is not None:
                hidden = ~known.repeat_interleave(self.n_heads, dim=0)
                weights.masked_fill_(hidden[:, :, None], -torch.inf)
            weights -= weights.amax(dim=1, keepdim=True)
        return weights.exp2_()

    def average(self, sums: Tensor) -> Tensor:
        """Return what is gathered, `[A * K, b * N]`: sums, `[G, K + 1, N]`, by their last row."""
        averages = self.averages[:, : len(sums) // self.n_heads * self.n_tokens]
        sums = sums.view(-1, self.n_heads, self.width + 1, self.n_tokens)
        torch.div(sums[..., :-1, :], sums[..., -1:, :], out=self.by_head(averages))
        return averages

    def to_sums(self, to_averages: Tensor, sums: Tensor) -> Tensor:
        """Return the gradient of the sums from that of the averages."""
        to_sums, total = torch.empty_like(sums), sums[:, -1:]
        upper, lower = to_sums[:, :-1], to_sums[:, -1:]
        by_head = self.by_head(to_averages)
        torch.div(by_head, total.view(*by_head.shape[:2], 1, -1), out=upper.view(by_head.shape))
        torch.sum(upper * sums[:, :-1], dim=1, keepdim=True, out=lower).div_(total).neg_()
        return to_sums

    def to_rows(
        self, heads: _Heads, weights: Tensor, to_sums: Tensor, known: Tensor | None
    ) -> Tensor:
        """Return the gradient of queries (unscaled), keys and values, `[3 * A * K, b * N]`."""
        query, key, value = heads
        to_scores = torch.bmm(value.mT, to_sums, out=self.to_scores[: len(query)]).mul_(weights)
        rows = self.rows[:, : len(query) // self.n_heads * self.n_tokens]  # they have been read
        to_query, to_key, to_value = (self.by_head(third) for third in rows.chunk(3))
        shape = to_query.shape
        torch.mul(torch.bmm(key, to_scores).view(shape), 1 / math.sqrt(self.width), out=to_query)
        torch.mul(torch.bmm(query, to_scores.mT).view(shape), math.log(2), out=to_key)
        to_value.copy_(torch.bmm(to_sums[:, :-1], weights.mT).view(shape))
        if known is not None:
            to_value.mul_(known[:, None, None])
        return rows
