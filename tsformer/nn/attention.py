"""Multi-head self-attention (Vaswani et al. 2017; Phuong & Hutter 2022, algorithm 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tsformer.hardware import gains_from_products
from tsformer.nn.rms_norm import RMSNorm
from tsformer.nn.rotary import Rotary


class SelfAttention(nn.Module):
    """Every token looks at all tokens of its sequence; none is masked for being later.

    Heads can be removed from a trained one (see `prune_heads`); weights that were saved after that
    can be loaded into one that still has all heads, which then loses those that are not there.

    Args:
        d_model: width of a token.
        n_heads: heads, which share the width.
        dropout: of the attention weights.
        rotary: turn queries and keys by their positions, which `forward` then needs.
        query_key_norm: RMS-normalise queries and keys of each head, so that scores stay bounded
            (Henry et al. 2020).
        bias: whether the linear maps have one.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        dropout: float = 0.0,
        *,
        rotary: bool = False,
        query_key_norm: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")
        self.n_heads = n_heads
        self.d_head = d_model // n_heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=bias)
        self.output = nn.Linear(d_model, d_model, bias=bias)
        self.rotary = Rotary(self.d_head) if rotary else None
        self.query_norm = RMSNorm(self.d_head) if query_key_norm else nn.Identity()
        self.key_norm = RMSNorm(self.d_head) if query_key_norm else nn.Identity()

    def forward(
        self,
        tokens: Float[Tensor, "B N D"],
        known: Bool[Tensor, "B N"] | None = None,
        positions: Int[Tensor, " N"] | None = None,
        n_asked: int | None = None,
    ) -> Float[Tensor, "B asked D"]:
        """Return what tokens gathered from those that are `known` (None: all are).

        It is what the last `n_asked` of them gathered, all by default. A sequence with no known
        token attends to all of them: its result means nothing, but it is finite.
        """
        first = 0 if n_asked is None else tokens.shape[1] - n_asked
        if self.n_heads == 0:
            return self.output(tokens[:, first:, :0])
        query, key, value = self._heads(tokens, positions)
        query = query[:, :, first:]
        dropout = self.dropout if self.training else 0.0
        gathered = _attend(query, key, value, _mask(known), dropout)
        return self.output(gathered.transpose(1, 2).flatten(2))

    def attention_weights(
        self,
        tokens: Float[Tensor, "B N D"],
        known: Bool[Tensor, "B N"] | None = None,
        positions: Int[Tensor, " N"] | None = None,
    ) -> Float[Tensor, "B heads N N"]:
        """Return how much each token (third axis) takes from each other one (last axis).

        They are those that `forward` uses for the same arguments, before dropout; each row sums
        to 1.
        """
        query, key, _ = self._heads(tokens, positions)
        scores = query @ key.transpose(-2, -1) / math.sqrt(self.d_head)
        mask = _mask(known)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(dim=-1)

    def prune_heads(self, kept: Sequence[int]) -> None:
        """Remove all heads but `kept`, weights and all; they keep their order and their width.

        Without any head, what is gathered is the bias of the output alone.

        Raises:
            ValueError: for a head that is not there.
        """
        chosen = sorted(set(kept))
        if chosen and not 0 <= chosen[0] <= chosen[-1] < self.n_heads:
            raise ValueError(f"kept={chosen} must name heads from 0 to {self.n_heads - 1}")
        features = torch.arange(self.n_heads * self.d_head).view(self.n_heads, self.d_head)
        width = features.numel()
        columns = features[chosen].flatten()
        rows = torch.cat([columns, width + columns, 2 * width + columns])
        _keep_rows(self.query_key_value, rows)
        _keep_columns(self.output, columns)
        self.n_heads = len(chosen)

    def _heads(self, tokens: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each `[B, heads, N, d_head]`."""
        heads = self.query_key_value(tokens).unflatten(-1, (3, self.n_heads, self.d_head))
        query, key, value = heads.unbind(-3)  # [B, N, heads, d_head], in which memory is in order
        query, key = self.query_norm(query).transpose(1, 2), self.key_norm(key).transpose(1, 2)
        if self.rotary is not None:
            assert positions is not None
            query, key = self.rotary(query, positions), self.rotary(key, positions)
        return query, key, value.transpose(1, 2)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Load weights, after removing heads that they lack; which ones makes no difference."""
        weight = state_dict.get(f"{prefix}output.weight")
        if weight is not None and len(weight) == self.output.out_features:
            n_heads, rest = divmod(weight.shape[1], self.d_head)
            if n_heads < self.n_heads and not rest:
                self.prune_heads(range(n_heads))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """Return attention's sums; by plain products where the fused kernel's gradient is slow."""
    if not gains_from_products(query):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    scores = key @ (query.mT / math.sqrt(query.shape[-1]))  # [B, heads, keys, queries]
    if mask is not None:
        scores = scores.masked_fill(~mask.mT, -torch.inf)
    weights = F.dropout(scores.softmax(dim=-2), dropout)
    return (value.mT @ weights).mT


def _mask(known: Tensor | None) -> Tensor | None:
    """Return True for the tokens to be looked at, `[B, 1, 1, N]`; None for all."""
    if known is None:
        return None
    return something_known(known)[:, None, None, :]


def something_known(known: Bool[Tensor, "B N"]) -> Bool[Tensor, "B N"]:
    """Return True for the tokens to be looked at: all of those sequences where none is known."""
    return known | ~known.any(dim=-1, keepdim=True)


def _keep_rows(linear: nn.Linear, rows: Tensor) -> None:
    """Keep these outputs of a linear map only."""
    linear.weight = nn.Parameter(linear.weight.detach()[rows])
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[rows])
    linear.out_features = len(rows)


def _keep_columns(linear: nn.Linear, columns: Tensor) -> None:
    """Keep these inputs of a linear map only."""
    linear.weight = nn.Parameter(linear.weight.detach()[:, columns])
    linear.in_features = len(columns)
