"""TSFormer: one network for series it has never seen, of any length and for any horizon.

A prior-data fitted network (Müller et al. 2022): trained on nothing but synthetic series, what it
learns is inference under the prior that `tsformer.prior` writes down. Context and horizon are cut
into patches, right-aligned, whose tokens all look at each other; those of the horizon are read
out. Beside the values, each patch is told its echoes (see `nn/echoes.py`): a forecast is a mixture
of them plus quantiles in units of their error, so that noise-free seasons are copied precisely.

From elsewhere: patches (PatchTST, Nie et al. 2023), all of the horizon in one pass (masked
encoders such as Moirai, Woo et al. 2024), rotary positions (Su et al. 2021), RMS normalisation
(Zhang & Sennrich 2019), gated feed-forward (Shazeer 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.models.description import N_CHANNELS, N_FACTS, Described
from tsformer.nn.attention import SelfAttention
from tsformer.nn.echoes import N_ECHOES
from tsformer.nn.feed_forward import GatedFeedForward
from tsformer.nn.heads.quantile import QuantileHead
from tsformer.nn.rms_norm import RMSNorm

_FURTHEST = 9.0  # `sinh` of it is some four thousand
LEVELS = (0.01, *(round(0.05 * k, 2) for k in range(1, 20)), 0.99)


@dataclass(frozen=True, kw_only=True)
class TSFormerConfig:
    """Sizes of the network.

    Raises:
        ValueError: for sizes below 1, or a width that does not divide into heads.
    """

    patch_length: int = 32
    d_model: int = 192
    n_heads: int = 6
    n_layers: int = 4
    d_ff: int = 384
    longest_context: int = 2048

    def __post_init__(self) -> None:
        for name, least in (("patch_length", 4), ("n_heads", 1), ("n_layers", 1), ("d_ff", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} must be at least {least}")
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model={self.d_model} must be an even multiple of n_heads={self.n_heads}"
            )


class TSFormerLayer(nn.Module):
    """Attention and feed-forward, each added to its input, which is normalised before."""

    def __init__(self, config: TSFormerConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.d_model)
        self.attention = SelfAttention(
            config.d_model, config.n_heads, rotary=True, query_key_norm=True, bias=False
        )
        self.feed_forward_norm = RMSNorm(config.d_model)
        self.feed_forward = GatedFeedForward(config.d_model, config.d_ff)

    def forward(
        self, tokens: Tensor, known: Tensor, positions: Tensor, n_asked: int | None = None
    ) -> Tensor:
        """Return the last `n_asked` tokens, by default all `[B, N + M, D]`, after one layer."""
        n_asked = tokens.shape[1] if n_asked is None else n_asked
        gathered = self.attention(self.attention_norm(tokens), known, positions, n_asked)
        tokens = tokens[:, -n_asked:] + gathered
        return tokens + self.feed_forward(self.feed_forward_norm(tokens))


class TSFormerNetwork(nn.Module):
    """The network between description and head."""

    def __init__(self, config: TSFormerConfig) -> None:
        super().__init__()
        width, steps = config.d_model, config.patch_length
        self.config = config
        self.head = QuantileHead(LEVELS)
        self.patch_in = nn.Linear(N_CHANNELS * steps, 2 * width)
        self.patch_out = nn.Linear(2 * width, width, bias=False)
        self.patch_direct = nn.Linear(N_CHANNELS * steps, width, bias=False)
        self.facts = nn.Linear(N_FACTS, width)
        self.layers = nn.ModuleList(TSFormerLayer(config) for _ in range(config.n_layers))
        self.norm = RMSNorm(width)
        self.readout = nn.Linear(width, steps * self.head.output_size)
        self.mixture = nn.Linear(width, 1 + N_ECHOES)
        for linear in (self.readout, self.mixture):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def encode(
        self, series: Described, n_horizon: int, n_asked: int | None = None
    ) -> Float[Tensor, "B asked D"]:
        """Return the last `n_asked` tokens after all layers, by default context and horizon."""
        tokens = self.patch_direct(series.patches)
        tokens = tokens + self.patch_out(F.silu(self.patch_in(series.patches)))
        tokens = tokens + self.facts(series.facts)[:, None]
        n_tokens = tokens.shape[1]
        positions = torch.arange(n_tokens, device=tokens.device) - (n_tokens - n_horizon)
        for layer in self.layers[:-1]:
            tokens = layer(tokens, series.known, positions)
        return self.norm(self.layers[-1](tokens, series.known, positions, n_asked))

    def forward(self, series: Described, n_horizon: int) -> Float[Tensor, "B H K"]:
        """Return the quantiles at `LEVELS`, ascending, in units of the scaled series.

        They are a mixture of the echoes and the mean, plus errors in units of the echoes' own,
        through `sinh`: an error may be a thousand times as large, where echoes are of no use.
        """
        asked = self.encode(series, n_horizon, n_horizon)
        output = self.readout(asked).float().unflatten(-1, (self.config.patch_length, -1))
        logits = self.mixture(asked).float()
        told, valid = (  # [B, M, P, 5]
            echo.unflatten(-1, (n_horizon, -1)).permute(0, 2, 3, 1)
            for echo in (series.told, series.valid)
        )
        there = F.pad(valid, (0, 1), value=True)  # the mean, 0, always is
        shares = logits[:, :, None].masked_fill(~there, -torch.inf).softmax(dim=-1)
        anchor = (shares[..., :N_ECHOES] * told).sum(dim=-1)
        errors = self.head.quantiles(output.flatten(1, 2)).clamp(-_FURTHEST, _FURTHEST).sinh()
        return anchor.flatten(1)[..., None] + series.error[..., None] * errors
