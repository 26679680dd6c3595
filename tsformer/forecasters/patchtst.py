"""PatchTST behind `fit` and `predict`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from tsformer.data.windows import Windows
from tsformer.forecasters.checks import check_patch_encoder, quantile_levels
from tsformer.forecasters.defaults import default_patches
from tsformer.forecasters.pretraining import PretrainedForecaster
from tsformer.models.masked import MaskedModel
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.training.settings import TrainingReport


@dataclass(kw_only=True, eq=False, repr=False)
class PatchTSTForecaster(PretrainedForecaster):
    """PatchTST (Nie et al. 2023), trained on all series of a panel together.

    Args:
        patch_length: steps that become one token; about a sixth of the context where None.
        stride: steps from one patch to the next; half a patch where None.
        d_model: width of a token.
        n_heads: attention heads, which share the width.
        n_layers: encoder layers.
        d_ff: width of the feed-forward layers.
        dropout: of embedding and encoder.
        norm: `"batch"`, as published, or `"layer"`.
        mask_share: of the patches that `pretrain` hides and learns to fill in; its patches do not
            overlap.
    """

    patch_length: int | None = None
    stride: int | None = None
    d_model: int = PatchTSTConfig.d_model
    n_heads: int = PatchTSTConfig.n_heads
    n_layers: int = PatchTSTConfig.n_layers
    d_ff: int = PatchTSTConfig.d_ff
    dropout: float = PatchTSTConfig.dropout
    norm: str = PatchTSTConfig.norm
    mask_share: float = 0.4

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_patch_encoder(self)

    def _sizes(self) -> dict[str, Any]:
        patch_length, stride = default_patches(self.context_length_)
        if self.patch_length is not None:
            patch_length, stride = self.patch_length, max(1, self.patch_length // 2)
        config = PatchTSTConfig(
            context_length=self.context_length_,
            horizon=int(self.horizon),  # searches pass NumPy's integers
            patch_length=int(patch_length),
            stride=int(stride if self.stride is None else self.stride),
            d_model=int(self.d_model),
            n_heads=int(self.n_heads),
            n_layers=int(self.n_layers),
            d_ff=int(self.d_ff),
            dropout=float(self.dropout),
            norm=self.norm,
            head=self.head,
            levels=quantile_levels(self.quantiles),
            **self._covariate_sizes(),
        )
        return self._sizes_as_learned(asdict(config))

    def _pretraining_sizes(self) -> dict[str, Any]:
        sizes = self._sizes()
        if self.stride is not None and self.stride != sizes["patch_length"]:
            raise ValueError(
                f"pretrain hides patches that do not overlap, so stride={self.stride} must be "
                f"patch_length={sizes['patch_length']}, or None"
            )
        if sizes["patch_length"] == sizes["context_length"]:
            raise ValueError(
                f"pretrain hides some patches of several, but patch_length={sizes['patch_length']} "
                f"is all of context_length={sizes['context_length']}; make it at most half of that"
            )
        return {**sizes, "stride": sizes["patch_length"]}

    def _pretrain(
        self, model: ScaledModel, training: Windows, validation: Windows
    ) -> TrainingReport:
        sizes = {name: self.sizes_[name] for name in ("d_model", "patch_length")}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            masked: Any = MaskedModel(model.network, **sizes, share=self.mask_share)
            # a hidden patch is nothing but its position: from small ones, learning begins late
            nn.init.normal_(masked.network.embedding.position)
        return super()._pretrain(masked, training, validation)

    def _build(self, sizes: dict[str, Any]) -> ScaledModel:
        return patchtst(PatchTSTConfig(**{**sizes, "levels": tuple(sizes["levels"])}))
