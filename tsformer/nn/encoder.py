"""The transformer encoder of PatchTST: post-norm, with batch or layer normalisation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.hardware import (
    attention_gains_from_blocks,
    attention_gains_from_sums,
    feed_forward_gains_from_blocks,
)
from tsformer.nn.adapters import LowRankAdapter
from tsformer.nn.affine import Affine
from tsformer.nn.attention import SelfAttention, something_known
from tsformer.nn.batch_norm import TokenBatchNorm
from tsformer.nn.blocked_attention import add_attention
from tsformer.nn.blocked_feed_forward import add_feed_forward
from tsformer.nn.dropout import Dropout
from tsformer.nn.feed_forward import FeedForward
from tsformer.nn.rms_norm import RMSNorm
from tsformer.nn.short_attention import add_short_attention


class TokenLayerNorm(nn.LayerNorm):
    """Layer normalisation with the same signature."""

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return each token normalised over its own features."""
        return super().forward(tokens)


class TokenRMSNorm(RMSNorm):
    """Root mean square normalisation (Zhang & Sennrich 2019) with the same signature."""

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return each token divided by the root mean square of its own features."""
        return super().forward(tokens)


def make_norm(norm: str, d_model: int) -> nn.Module:
    """Return the normalisation of this name.

    Raises:
        ValueError: for an unknown name.
    """
    if norm == "batch":
        return TokenBatchNorm(d_model)
    if norm == "layer":
        return TokenLayerNorm(d_model)
    if norm == "rms":
        return TokenRMSNorm(d_model)
    raise ValueError(f"norm={norm!r} is unknown; choose 'batch', 'layer' or 'rms'")


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each added to its input and normalised after."""

    def __init__(self, d_model: int, n_heads: int, *, d_ff: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.attention = SelfAttention(d_model, n_heads)
        self.attention_norm = make_norm(norm, d_model)
        self.feed_forward = FeedForward(d_model, d_ff, dropout)
        self.feed_forward_norm = make_norm(norm, d_model)
        self.dropout = Dropout(dropout)

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return the tokens after one layer."""
        return self._with_feed_forward(self._with_attention(tokens, known), known)

    def _with_attention(self, tokens: Tensor, known: Tensor | None) -> Tensor:
        norm, rate = self.attention_norm, self.dropout.present_rate
        add = self._fast_attention(tokens)
        if add is None:
            return norm(tokens + self.dropout(self.attention(tokens, known)), known)
        affine = _as_affine(norm, rate)
        result = add(
            tokens,
            None if known is None else something_known(known),
            n_heads=self.attention.n_heads,
            dropout=rate,
            query_key_value=self.attention.query_key_value,
            output=self.attention.output,
            affine=affine,
        )
        return norm(result, known) if affine is None else result

    def _fast_attention(self, tokens: Tensor) -> Callable[..., Tensor] | None:
        """Return what adds attention, and faster than its modules do; None if they are faster."""
        n_heads, width = self.attention.n_heads, self.attention.d_head
        if not (n_heads and _is_plain(self.attention) and _is_plain(self.dropout)):
            return None
        if attention_gains_from_sums(tokens, width):
            return add_short_attention
        return add_attention if attention_gains_from_blocks(tokens) else None

    def _with_feed_forward(self, tokens: Tensor, known: Tensor | None) -> Tensor:
        norm, rate = self.feed_forward_norm, self.dropout.present_rate
        plain = _is_plain(self.feed_forward) and _is_plain(self.dropout)
        if not (plain and feed_forward_gains_from_blocks(tokens)):
            return norm(tokens + self.dropout(self.feed_forward(tokens)), known)
        affine = _as_affine(norm, rate)
        widen, narrow = self.feed_forward.maps
        result = add_feed_forward(tokens, dropout=rate, widen=widen, narrow=narrow, affine=affine)
        return norm(result, known) if affine is None else result


def _as_affine(norm: nn.Module, dropout: float) -> Affine | None:
    """Return what a normalisation does to each feature, in forecasts; None if it does more."""
    if dropout or torch.is_grad_enabled() or not isinstance(norm, TokenBatchNorm):
        return None
    inner = norm.norm
    fixed = type(inner) is nn.BatchNorm1d and inner.affine and inner.running_mean is not None
    plain = fixed and not norm.training and not inner.training and _is_plain(norm)
    return Affine.of(inner) if plain else None


def _is_plain(module: nn.Module) -> bool:
    """Return whether it may be passed by: nobody listens, and no adapter is in it."""
    if (
        isinstance(module, LowRankAdapter)
        or module._forward_pre_hooks
        or module._forward_hooks
        or module._backward_pre_hooks
        or module._backward_hooks
    ):
        return False
    return all(_is_plain(part) for part in module._modules.values() if part is not None)


class Encoder(nn.Module):
    """A stack of encoder layers."""

    def __init__(
        self, d_model: int, n_heads: int, *, n_layers: int, d_ff: int, dropout: float, norm: str
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, n_heads, d_ff=d_ff, dropout=dropout, norm=norm)
            for _ in range(n_layers)
        )

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return the tokens after all layers."""
        for layer in self.layers:
            tokens = layer(tokens, known)
        return tokens
