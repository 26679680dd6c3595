"""iTransformer: "Inverted Transformers Are Effective for Time Series Forecasting", Liu et al. 2024.

The axes change places: the whole context of a variate is one token, attention runs over the
variates and learns how they depend on each other, the feed-forward layers work on each series by
itself. Variates have no positions: their order means nothing, and their number may change from
call to call.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.models.scaled import ScaledModel
from tsformer.nn.dropout import Dropout
from tsformer.nn.encoder import Encoder
from tsformer.nn.heads import make_head
from tsformer.types import Batch


@dataclass(frozen=True, kw_only=True)
class ITransformerConfig:
    """Sizes of the network; the defaults are the paper's, scaled down to a few variates.

    Raises:
        ValueError: for sizes that do not fit together.
    """

    context_length: int
    horizon: int
    d_model: int = 128
    n_heads: int = 8
    n_layers: int = 2
    d_ff: int = 128
    dropout: float = 0.1
    head: str = "quantile"
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("context_length", "horizon", "d_model", "n_heads", "n_layers", "d_ff"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.d_model % self.n_heads:
            raise ValueError(f"d_model={self.d_model} must be a multiple of n_heads={self.n_heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and below 1")


class VariateEmbedding(nn.Module):
    """The whole scaled context of a variate as one vector.

    Which steps are missing enters through a projection of its own without a bias, so that on
    complete data this is the published embedding.
    """

    def __init__(self, context_length: int, d_model: int, dropout: float) -> None:
        super().__init__()
        self.value_projection = nn.Linear(context_length, d_model)
        self.missing_projection = nn.Linear(context_length, d_model, bias=False)
        nn.init.zeros_(self.missing_projection.weight)  # trained on complete data, gaps say nothing
        self.dropout = Dropout(dropout)

    def forward(
        self, z: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"]
    ) -> tuple[Float[Tensor, "B C D"], Bool[Tensor, "B C"] | None]:
        """Return the tokens, and True for those with at least one known step.

        The second is None where nothing is missing, which spares the network all masking.
        """
        tokens = self.value_projection(z)
        if bool(observed.all()):
            return self.dropout(tokens), None
        tokens = tokens + self.missing_projection((~observed).to(z.dtype))
        return self.dropout(tokens), observed.any(dim=-1)


class ITransformerNetwork(nn.Module):
    """The network between normalisation and head."""

    def __init__(self, config: ITransformerConfig, output_size: int) -> None:
        super().__init__()
        self.horizon = config.horizon
        self.embedding = VariateEmbedding(config.context_length, config.d_model, config.dropout)
        self.encoder = Encoder(
            config.d_model,
            config.n_heads,
            n_layers=config.n_layers,
            d_ff=config.d_ff,
            dropout=config.dropout,
            norm="layer",
        )
        self.norm = nn.LayerNorm(config.d_model)
        self.projection = nn.Linear(config.d_model, config.horizon * output_size)
        # Untrained, it forecasts the window's mean, as uncertain as the window is wide.
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)

    def forward(self, batch: Batch) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters; `batch.target` is scaled.

        A variate without any known value is not seen by the others.
        """
        tokens, known = self.embedding(batch.target, batch.observed)
        encoded = self.norm(self.encoder(tokens, known))  # [B, C, D]
        return self.projection(encoded).unflatten(-1, (self.horizon, -1))


def itransformer(config: ITransformerConfig) -> ScaledModel:
    """Return an untrained iTransformer, its head chosen by `config.head`."""
    head = make_head(config.head, levels=config.levels)
    network = ITransformerNetwork(config, head.output_size)
    return ScaledModel(network, head, context_length=config.context_length, horizon=config.horizon)
