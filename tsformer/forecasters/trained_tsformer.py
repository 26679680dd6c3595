"""TSFormer behind `fit` and `predict`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from tsformer.forecasters.checks import check_patch_encoder, quantile_levels
from tsformer.forecasters.defaults import default_patches
from tsformer.forecasters.pretraining import PretrainedForecaster
from tsformer.models.scaled import ScaledModel
from tsformer.models.trained_tsformer import TrainedTSFormerConfig, trained_tsformer


@dataclass(kw_only=True, eq=False, repr=False)
class TrainedTSFormerForecaster(PretrainedForecaster):
    """TSFormer, our own patch transformer, trained on all series of a panel together.

    Args:
        patch_length: steps that become one token; about a sixth of the context where None.
        stride: steps from one patch to the next; half a patch where None.
        d_model: width of a token.
        n_heads: attention heads, which share the width.
        n_layers: layers.
        d_ff: width of the gated feed-forward parts.
        dropout: of embedding and layers.
        norm: `"batch"`, the best for one data set; `"rms"` or `"layer"`.
        across_variates: let the variates of an item see each other.
        readout: `"flat"`, one linear map of all tokens to the horizon; `"tokens"`, a token for each
            patch of the horizon, for weights that serve any.
        seasonal: add the forecast to an average of earlier seasons.
    """

    patch_length: int | None = None
    stride: int | None = None
    d_model: int = TrainedTSFormerConfig.d_model
    n_heads: int = TrainedTSFormerConfig.n_heads
    n_layers: int = TrainedTSFormerConfig.n_layers
    d_ff: int = TrainedTSFormerConfig.d_ff
    dropout: float = TrainedTSFormerConfig.dropout
    norm: str = TrainedTSFormerConfig.norm
    across_variates: bool = TrainedTSFormerConfig.across_variates
    readout: Literal["flat", "tokens"] = TrainedTSFormerConfig.readout
    seasonal: bool = False

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_patch_encoder(self)

    def _sizes(self) -> dict[str, Any]:
        patch_length, stride = default_patches(self.context_length_)
        if self.patch_length is not None:
            patch_length, stride = self.patch_length, max(1, self.patch_length // 2)
        config = TrainedTSFormerConfig(
            context_length=self.context_length_,
            horizon=int(self.horizon),
            patch_length=int(patch_length),
            stride=int(stride if self.stride is None else self.stride),
            d_model=int(self.d_model),
            n_heads=int(self.n_heads),
            n_layers=int(self.n_layers),
            d_ff=int(self.d_ff),
            dropout=float(self.dropout),
            norm=self.norm,
            across_variates=bool(self.across_variates),
            readout=self.readout,
            season_length=int(self.season_length_) if self.seasonal else 0,
            head=self.head,
            levels=quantile_levels(self.quantiles),
            **self._covariate_sizes(),
        )
        sizes = self._sizes_as_learned(asdict(config))
        if sizes["season_length"]:  # also where it is pre-training that asked for seasons
            sizes["season_length"] = int(self.season_length_)
        return sizes

    def _build(self, sizes: dict[str, Any]) -> ScaledModel:
        return trained_tsformer(
            TrainedTSFormerConfig(**{**sizes, "levels": tuple(sizes["levels"])})
        )
