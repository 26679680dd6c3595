"""PatchTST: "A Time Series is Worth 64 Words", Nie et al. 2023.

Each series is normalised by itself, cut into overlapping patches, and read by a transformer
encoder; a linear map of all its tokens is the forecast. Variates share the weights and do not see
each other (channel independence). Left out is the authors' residual attention, which adds each
layer's attention scores to the next one's; added are covariates.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.models.scaled import ScaledModel
from tsformer.nn.covariates import CovariateEmbedding, CovariateReadout
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
    n_covariates: int = 0
    n_static: int = 0
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

    # what belongs to one horizon, head and set of covariates, not to all series alike
    task_parts: tuple[str, ...] = ("flatten_head", "readout", "covariates")

    def __init__(self, config: PatchTSTConfig, output_size: int) -> None:
        super().__init__()
        self.horizon, self.tokens_in_pieces = config.horizon, config.n_patches
        self.embedding = PatchEmbedding(
            config.context_length,
            config.patch_length,
            config.stride,
            config.d_model,
            config.dropout,
        )
        self.covariates = CovariateEmbedding(
            config.n_covariates,
            config.n_static,
            patch_length=config.patch_length,
            stride=config.stride,
            d_model=config.d_model,
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
        self.readout = None
        if config.n_covariates:
            self.readout = CovariateReadout(
                config.n_covariates, d_model=config.d_model, output_size=output_size
            )

    def encode(self, batch: Batch) -> tuple[Float[Tensor, "B C N D"], Bool[Tensor, "B C N"] | None]:
        """Return the encoder's tokens, and True for those with something known (None: all)."""
        tokens, known = self.embedding(batch.target, batch.observed)
        if isinstance(added := self.covariates(batch), Tensor):
            tokens = tokens + added
        flat_known = None if known is None else known.flatten(0, 1)
        encoded = self.encoder(tokens.flatten(0, 1), flat_known)  # [B * C, N, D]
        return encoded.unflatten(0, tokens.shape[:2]), known

    def forward(self, batch: Batch) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters; `batch.target` is scaled."""
        encoded, known = self.encode(batch)
        if known is not None:
            encoded = encoded * known[..., None]
        output = self.flatten_head(encoded.flatten(2)).unflatten(-1, (self.horizon, -1))
        if self.readout is None:
            return output
        return output + self.readout(batch, encoded.mean(dim=2))


def patchtst(config: PatchTSTConfig) -> ScaledModel:
    """Return an untrained PatchTST, its head chosen by `config.head`."""
    head = make_head(config.head, levels=config.levels)
    network = PatchTSTNetwork(config, head.output_size)
    return ScaledModel(network, head, context_length=config.context_length, horizon=config.horizon)
