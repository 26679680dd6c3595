"""Self-attention for CPUs where sequences are short and heads narrow: by sums of products.

With ten tokens and heads of four features, matrices are so small that calling a product of two of
them takes longer than the product. Here a sum over tokens or features is an elementwise call of
torch for each of its terms, for all sequences and heads at once; sequences are the last axis, so
that vector units have long rows to work on.

There are B sequences of N tokens, and A heads of width K.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import repeat
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.nn.affine import Affine
from tsformer.nn.dropout import growth, random_keep

_WEIGHTS = 1 << 19  # of attention, 2 MB in 32 bits; with more of them sequences come in pieces


def add_short_attention(
    tokens: Float[Tensor, "B N D"],
    known: Bool[Tensor, "B N"] | None,
    *,
    n_heads: int,
    dropout: float,
    query_key_value: nn.Linear,
    output: nn.Linear,
    affine: Affine | None = None,
) -> Float[Tensor, "B N D"]:
    """Return the tokens plus what they gather, for the arguments of `add_attention` of blocks."""
    maps = query_key_value.weight, query_key_value.bias, output.weight, output.bias
    size = max(1, _WEIGHTS // (n_heads * tokens.shape[1] ** 2))
    known_pieces = repeat(None) if known is None else known.split(size)
    results = [
        _ShortAttention.apply(*piece, n_heads, dropout, affine, *maps)
        for piece in zip(tokens.split(size), known_pieces, strict=False)
    ]
    return results[0] if len(results) == 1 else torch.cat(results)


class _ShortAttention(torch.autograd.Function):
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
        n_batch, n_tokens, _ = tokens.shape
        x = _as_rows(tokens)
        heads = torch.addmm(bias[:, None], weight, x.T)
        heads = heads.view(3, n_heads, -1, n_tokens, n_batch)  # [3, A, K, N, B]
        query, key, value = heads
        query.mul_(math.log2(math.e) / math.sqrt(query.shape[1]))  # scores are exponents of 2

        pairs = _features(key, of_keys=True), _features(query, of_keys=False)
        weights = _sum(*pairs)  # [A, keys, queries, B]
        if known is not None:
            weights.masked_fill_(~known.T[:, None], -torch.inf)
        weights.sub_(weights.amax(dim=1, keepdim=True)).exp2_()
        weights.div_(weights.sum(dim=1, keepdim=True))
        averages = _sum(_keys(weights), _tokens(value)).view(-1, len(x))  # [A * K, N * B]

        out_weight, out_bias = out_weight.T * growth(dropout), out_bias * growth(dropout)
        kept = random_keep(tokens.shape, dropout) if dropout else None
        ctx.save_for_backward(x, heads, weights, averages, weight, out_weight, kept)
        ctx.growth, ctx.affine = growth(dropout), affine
        if affine is not None:
            out_weight, out_bias = affine.after(out_weight, out_bias)
        gathered = _as_tokens(torch.addmm(out_bias, averages.T, out_weight), n_tokens)
        if affine is not None:
            return torch.addcmul(gathered, tokens, affine.scale)
        return tokens + gathered if kept is None else torch.addcmul(tokens, gathered, kept)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, heads, weights, averages, weight, out_weight, kept = ctx.saved_tensors
        query, key, value = heads
        assert ctx.affine is None
        to_gathered = _as_rows(gradient if kept is None else gradient * kept)
        to_out_weight = (to_gathered.T @ averages.T).mul_(ctx.growth)
        to_out_bias = to_gathered.sum(dim=0).mul_(ctx.growth)
        to_averages = (out_weight @ to_gathered.T).view_as(value)

        to_heads = torch.empty_like(heads)
        to_query, to_key, to_value = to_heads
        _sum(_queries(weights), _tokens(to_averages), out=to_value)
        to_scores = torch.empty_like(weights)
        to_scores.copy_((to_averages * averages.view_as(value)).sum(dim=1, keepdim=True).neg_())
        _add(to_scores, _features(value, of_keys=True), _features(to_averages, of_keys=False))
        to_scores.mul_(weights)
        _sum(_keys(to_scores), _tokens(key), out=to_query).div_(math.sqrt(key.shape[1]))
        _sum(_queries(to_scores), _tokens(query), out=to_key).mul_(math.log(2))

        rows = to_heads.view(-1, len(x))
        to_tokens = gradient + _as_tokens(rows.T @ weight, gradient.shape[1])
        to_maps = rows @ x, rows.sum(dim=1), to_out_weight, to_out_bias
        return to_tokens, None, None, None, None, *to_maps


def _as_rows(tokens: Tensor) -> Tensor:
    """Return `[B, N, D]` as `[N * B, D]`."""
    return tokens.transpose(0, 1).reshape(-1, tokens.shape[-1])


def _as_tokens(rows: Tensor, n_tokens: int) -> Tensor:
    """Return `[N * B, D]` as `[B, N, D]`."""
    return rows.unflatten(0, (n_tokens, -1)).transpose(0, 1)


def _features(heads: Tensor, *, of_keys: bool) -> Iterable[Tensor]:
    """Return each feature of `[A, K, N, B]`: `[A, N, 1, B]` of keys, `[A, 1, N, B]` of queries."""
    return heads.unsqueeze(3 if of_keys else 2).unbind(1)


def _tokens(heads: Tensor) -> Iterable[Tensor]:
    """Return each token of `[A, K, N, B]`, as `[A, K, 1, B]`."""
    return heads.unsqueeze(3).unbind(2)


def _keys(weights: Tensor) -> Iterable[Tensor]:
    """Return each key of `[A, keys, queries, B]`, as `[A, 1, queries, B]`."""
    return weights.unsqueeze(1).unbind(2)


def _queries(weights: Tensor) -> Iterable[Tensor]:
    """Return each query of `[A, keys, queries, B]`, as `[A, 1, keys, B]`."""
    return weights.unsqueeze(1).unbind(3)


def _sum(left: Iterable[Tensor], right: Iterable[Tensor], out: Tensor | None = None) -> Tensor:
    """Return the sum of the products of pairs, in `out` if it is given."""
    first, *left = left
    other, *right = right
    return _add(torch.mul(first, other, out=out), left, right)


def _add(total: Tensor, left: Iterable[Tensor], right: Iterable[Tensor]) -> Tensor:
    """Add the products of pairs to a total, which is returned."""
    for one, other in zip(left, right, strict=True):
        total.addcmul_(one, other)
    return total
