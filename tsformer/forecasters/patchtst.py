"""PatchTST behind `fit` and `predict`."""

from __future__ import annotations

from dataclasses import dataclass

from tsformer.forecasters.defaults import default_patches
from tsformer.forecasters.trained import TrainedForecaster
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.nn.encoder import Norm


@dataclass(kw_only=True, eq=False, repr=False)
class PatchTSTForecaster(TrainedForecaster):
    """PatchTST (Nie et al. 2023), trained on all series of a panel together.

    Args:
        patch_length: steps that become one token; about a tenth of the context where None.
        stride: steps from one patch to the next; half a patch where None.
        d_model: width of a token.
        n_heads: attention heads, which share the width.
        n_layers: encoder layers.
        d_ff: width of the feed-forward layers.
        dropout: of embedding and encoder.
        norm: `"batch"`, as published, or `"layer"`.
    """

    patch_length: int | None = None
    stride: int | None = None
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 3
    d_ff: int = 128
    dropout: float = 0.2
    norm: Norm = "batch"

    def _build(self) -> ScaledModel:
        patch_length, stride = default_patches(self.context_length_)
        if self.patch_length is not None:
            patch_length, stride = self.patch_length, max(1, self.patch_length // 2)
        return patchtst(
            PatchTSTConfig(
                context_length=self.context_length_,
                horizon=self.horizon,
                patch_length=patch_length,
                stride=stride if self.stride is None else self.stride,
                d_model=self.d_model,
                n_heads=self.n_heads,
                n_layers=self.n_layers,
                d_ff=self.d_ff,
                dropout=self.dropout,
                norm=self.norm,
                head=self.head,
                levels=tuple(map(float, self.quantiles)),
            )
        )
