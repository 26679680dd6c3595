"""iTransformer behind `fit` and `predict`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tsformer.data.panel import Panel
from tsformer.forecasters.checks import positive_integer, quantile_levels
from tsformer.forecasters.search_spaces import Range, encoder_sizes
from tsformer.forecasters.trained import TrainedForecaster
from tsformer.models.itransformer import ITransformerConfig, itransformer
from tsformer.models.scaled import ScaledModel


@dataclass(kw_only=True, eq=False, repr=False)
class ITransformerForecaster(TrainedForecaster):
    """iTransformer (Liu et al. 2024): the variates of an item attend to each other.

    Args:
        d_model: width of a token, which is the whole context of a variate.
        n_heads: attention heads, which share the width.
        n_layers: encoder layers.
        d_ff: width of the feed-forward layers.
        dropout: of embedding and encoder.
        learning_rate: its highest value, the highest of those that the authors use.
    """

    learning_rate: float = 1e-3
    d_model: int = ITransformerConfig.d_model
    n_heads: int = ITransformerConfig.n_heads
    n_layers: int = ITransformerConfig.n_layers
    d_ff: int = ITransformerConfig.d_ff
    dropout: float = ITransformerConfig.dropout

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name in ("d_model", "n_heads", "n_layers", "d_ff"):
            positive_integer(name, getattr(self, name))

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        return {**super()._search_space(panel), **encoder_sizes(self)}

    def _sizes(self) -> dict[str, Any]:
        config = ITransformerConfig(
            context_length=self.context_length_,
            horizon=int(self.horizon),  # searches pass NumPy's integers
            d_model=int(self.d_model),
            n_heads=int(self.n_heads),
            n_layers=int(self.n_layers),
            d_ff=int(self.d_ff),
            dropout=float(self.dropout),
            head=self.head,
            levels=quantile_levels(self.quantiles),
        )
        return asdict(config)

    def _build(self, sizes: dict[str, Any]) -> ScaledModel:
        return itransformer(ITransformerConfig(**{**sizes, "levels": tuple(sizes["levels"])}))
