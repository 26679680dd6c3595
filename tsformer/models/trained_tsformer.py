"""TSFormer: our own patch transformer, for one or several variates, with covariates.

The context is cut into patches. Their tokens look at each other along time within a variate and,
in turns, across the variates of an item; then either one linear map of them all, or one token for
each patch of the horizon, is the forecast. It may be added to an average of earlier seasons.

From elsewhere: patches (PatchTST, Nie et al. 2023), attention across variates (iTransformer, Liu
et al. 2024, and, in turns with time, Chronos-2, Ansari et al. 2025), rotary positions (Su et al.
2021), normalisation before each part and gated feed-forward (Shazeer 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tsformer.models.scaled import ScaledModel
from tsformer.nn.attention import SelfAttention
from tsformer.nn.covariates import CovariateEmbedding, CovariateReadout
from tsformer.nn.dropout import Dropout
from tsformer.nn.encoder import make_norm
from tsformer.nn.feed_forward import GatedFeedForward
from tsformer.nn.heads import make_head
from tsformer.nn.patching import PatchEmbedding, patch_count
from tsformer.nn.readout import FlatReadout, TokenReadout
from tsformer.nn.seasonal import SeasonalAverage
from tsformer.types import Batch


@dataclass(frozen=True, kw_only=True)
class TrainedTSFormerConfig:
    """Sizes of the network.

    Attributes:
        season_length: steps of a season whose average the forecast is added to; 0 for none.
        readout: `"flat"`, best for one horizon; `"tokens"`, one network for any.

    Raises:
        ValueError: for sizes that do not fit together.
    """

    context_length: int
    horizon: int
    patch_length: int = 16
    stride: int = 8
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 128
    dropout: float = 0.2
    norm: str = "batch"
    across_variates: bool = True
    readout: Literal["flat", "tokens"] = "flat"
    season_length: int = 0
    n_covariates: int = 0
    n_static: int = 0
    head: str = "quantile"
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.patch_length <= self.context_length:
            raise ValueError(
                f"stride={self.stride}, patch_length={self.patch_length} and "
                f"context_length={self.context_length} must ascend from 1"
            )
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model={self.d_model} must be an even multiple of n_heads={self.n_heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and below 1")
        if self.readout not in ("flat", "tokens"):
            raise ValueError(f"readout={self.readout!r} must be 'flat' or 'tokens'")

    @property
    def n_patches(self) -> int:
        """N, the one that the end padding adds included."""
        return patch_count(self.context_length, self.patch_length, self.stride)


class TrainedTSFormerLayer(nn.Module):
    """Attention along time, attention across variates, feed-forward, each added to its input."""

    def __init__(self, config: TrainedTSFormerConfig) -> None:
        super().__init__()
        width, n_heads = config.d_model, config.n_heads
        self.time_norm = make_norm(config.norm, width)
        self.time_attention = SelfAttention(
            width, n_heads, rotary=True, query_key_norm=True, bias=False
        )
        self.across_variates = config.across_variates
        if config.across_variates:
            self.variate_norm = make_norm(config.norm, width)
            self.variate_attention = SelfAttention(width, n_heads, query_key_norm=True, bias=False)
        self.feed_forward_norm = make_norm(config.norm, width)
        self.feed_forward = GatedFeedForward(width, config.d_ff)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        tokens: Float[Tensor, "B C N D"],
        known: Bool[Tensor, "B C N"] | None,
        positions: Int[Tensor, " N"],
    ) -> Float[Tensor, "B C N D"]:
        """Return the tokens after one layer; a lone variate has no others to look at."""
        n_batch, n_variates = tokens.shape[:2]
        tokens = tokens.flatten(0, 1)  # [B * C, N, D]
        by_time = None if known is None else known.flatten(0, 1)
        gathered = self.time_attention(self.time_norm(tokens, by_time), by_time, positions)
        tokens = tokens + self.dropout(gathered)
        if self.across_variates and n_variates > 1:
            by_patch = tokens.unflatten(0, (n_batch, -1)).transpose(1, 2).flatten(0, 1)
            beside = None if known is None else known.transpose(1, 2).flatten(0, 1)
            gathered = self.variate_attention(self.variate_norm(by_patch, beside), beside)
            gathered = gathered.unflatten(0, (n_batch, -1)).transpose(1, 2).flatten(0, 1)
            tokens = tokens + self.dropout(gathered)
        worked = self.feed_forward(self.feed_forward_norm(tokens, by_time))
        return (tokens + self.dropout(worked)).unflatten(0, (n_batch, -1))


class TrainedTSFormerNetwork(nn.Module):
    """The network between normalisation and head."""

    # what belongs to one horizon, head and set of covariates, not to all series alike
    task_parts: tuple[str, ...] = ("seasonal", "readout", "step_readout", "covariates")

    def __init__(
        self, config: TrainedTSFormerConfig, output_size: int, location: int | None
    ) -> None:
        super().__init__()
        sizes = {"patch_length": config.patch_length, "d_model": config.d_model}
        steps = {"horizon": config.horizon, "output_size": output_size}
        self.embedding = PatchEmbedding(
            config.context_length,
            **sizes,
            stride=config.stride,
            dropout=config.dropout,
            positions=False,
        )
        self.covariates = CovariateEmbedding(
            config.n_covariates, config.n_static, **sizes, stride=config.stride
        )
        self.layers = nn.ModuleList(TrainedTSFormerLayer(config) for _ in range(config.n_layers))
        self.norm = make_norm(config.norm, config.d_model)
        self.readout: FlatReadout | TokenReadout = (
            FlatReadout(config.n_patches, config.d_model, **steps)
            if config.readout == "flat"
            else TokenReadout(**sizes, **steps)
        )
        self.step_readout = None
        if config.n_covariates:
            self.step_readout = CovariateReadout(
                config.n_covariates, d_model=config.d_model, output_size=output_size
            )
        self.tokens_in_pieces = config.n_patches
        self.location = location
        self.seasonal = None
        if config.season_length and location is not None:
            self.seasonal = SeasonalAverage(
                config.context_length, config.horizon, config.season_length
            )

    def encode(self, batch: Batch) -> tuple[Float[Tensor, "B C N D"], Bool[Tensor, "B C N"] | None]:
        """Return the tokens of context and horizon, and True for those that say something."""
        tokens, known = self.embedding(batch.target, batch.observed)
        tokens = tokens + self.covariates(batch)
        n_context, queries = tokens.shape[2], self.readout.queries()
        if queries is not None:
            tokens = torch.cat([tokens, queries.expand(*tokens.shape[:2], -1, -1)], dim=2)
            known = None if known is None else F.pad(known, (0, len(queries)), value=True)
        positions = torch.arange(-n_context, tokens.shape[2] - n_context, device=tokens.device)
        for layer in self.layers:
            tokens = layer(tokens, known, positions)
        flat_known = None if known is None else known.flatten(0, 1)
        return self.norm(tokens.flatten(0, 1), flat_known).view_as(tokens), known

    def forward(self, batch: Batch) -> Float[Tensor, "B C H O"]:
        """Return the head's parameters; `batch.target` is scaled."""
        tokens, known = self.encode(batch)
        if known is not None:
            tokens = tokens * known[..., None]
        output = self.readout(tokens, known)
        if self.step_readout is not None:
            output = output + self.step_readout(batch, tokens.mean(dim=2))
        if self.seasonal is None or self.location is None:
            return output
        average = self.seasonal(batch.target, batch.observed)
        centre = F.one_hot(torch.tensor(self.location), output.shape[-1]).to(output)
        return output + average[..., None] * centre


def trained_tsformer(config: TrainedTSFormerConfig) -> ScaledModel:
    """Return an untrained TSFormer, its head chosen by `config.head`."""
    head = make_head(config.head, levels=config.levels)
    network = TrainedTSFormerNetwork(config, head.output_size, head.location)
    return ScaledModel(network, head, context_length=config.context_length, horizon=config.horizon)
