"""PatchTST: "A Time Series is Worth 64 Words", Nie et al. 2023.

Each series is normalised by itself, cut into overlapping patches, and read by a transformer
encoder; a linear map of all its tokens is the forecast. Variates share the weights and do not see
each other (channel independence). Left out is the authors' residual attention, which adds each
layer's attention scores to the next one's.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from tsformer.models.scaled import ScaledModel
from tsformer.nn.encoder import Encoder
from tsformer.nn.heads import make_head
from tsformer.nn.patching import PatchEmbedding, patch_count
from tsformer.types import Batch


@dataclass(frozen=True, kw_only=True)
class PatchTSTConfig:
    """Sizes of the network; the defaults are the paper's for large data, but narrower.

    Raises:
        ValueError: for sizes that do not fit together.
    """

    context_length: int
    horizon: int
    patch_length: int = 16
    stride: int = 8
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 3
    d_ff: int = 128
    dropout: float = 0.2
    norm: str = "batch"
    head: str = "quantile"
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.patch_length > self.context_length:
            raise ValueError(
                f"patch_length={self.patch_length} is longer than "
                f"context_length={self.context_length}"
            )
        if not 1 <= self.stride <= self.patch_length:
            raise ValueError(
                f"stride={self.stride} must lie between 1 and patch_length={self.patch_length}, "
                "or steps of the series would be skipped"
            )
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model={self.d_model} must be a multiple of n_heads={self.n_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and below 1")

    @property
    def n_patches(self) -> int:
        """N, the one that the end padding adds included."""
        return patch_count(self.context_length, self.patch_length, self.stride)


class PatchTSTNetwork(nn.Module):
    """The network between normalisation and head."""

    def __init__(self, config: PatchTSTConfig, output_size: int) -> None:
        super().__init__()
        self.horizon = config.horizon
        self.embedding = PatchEmbedding(
            config.context_length,
            config.patch_length,
            config.stride,
            config.d_model,
            config.dropout,
        )
        self.encoder = Encoder(
            config.d_model,
            config.n_heads,
            n_layers=config.n_layers,
            d_ff=config.d_ff,
            dropout=config.dropout,
            norm=config.norm,
        )
        self.flatten_head = nn.Linear(
            config.n_patches * config.d_model, config.horizon * output_size
        )
        # Untrained, it forecasts the window's mean, as uncertain as the window is wide.
        nn.init.zeros_(self.flatten_head.weight)
        nn.init.zeros_(self.flatten_head.bias)

    def forward(self, batch: Batch) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters; `batch.target` is scaled."""
        tokens, known = self.embedding(batch.target, batch.observed)
        n_batch, n_variates = tokens.shape[:2]
        flat_known = None if known is None else known.flatten(0, 1)
        encoded = self.encoder(tokens.flatten(0, 1), flat_known)  # [B * C, N, D]
        if flat_known is not None:
            encoded = encoded * flat_known[..., None]
        output = self.flatten_head(encoded.flatten(1))
        return output.reshape(n_batch, n_variates, self.horizon, -1)


def patchtst(config: PatchTSTConfig) -> ScaledModel:
    """Return an untrained PatchTST, its head chosen by `config.head`."""
    head = make_head(config.head, levels=config.levels)
    network = PatchTSTNetwork(config, head.output_size)
    return ScaledModel(network, head, context_length=config.context_length, horizon=config.horizon)
