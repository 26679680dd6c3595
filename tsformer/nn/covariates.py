"""Covariates in a network: added to tokens, and read once more where each step is forecast."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.nn.patching import patch
from tsformer.types import Batch


class CovariateEmbedding(nn.Module):
    """What the covariates of a token's steps, and those of its series, add to the token.

    Args:
        n_covariates, n_static: K and F; either may be 0.
        patch_length, stride: of the context's patches.
        d_model: D.
    """

    def __init__(
        self, n_covariates: int, n_static: int, *, patch_length: int, stride: int, d_model: int
    ) -> None:
        super().__init__()
        self.sizes = patch_length, stride
        # nothing is added at first: an adapted network begins as it was
        self.by_patch = _zeros(2 * n_covariates * patch_length, d_model) if n_covariates else None
        self.by_series = _zeros(n_static, d_model) if n_static else None

    def forward(self, batch: Batch) -> Float[Tensor, "B 1 N D"] | float:
        """Return what is added to the context's tokens, of every variate; 0 without covariates."""
        added: Tensor | float = 0.0
        if self.by_patch is not None:
            assert batch.covariates is not None and batch.covariates_observed is not None
            context = slice(0, batch.target.shape[-1])
            values = patch(batch.covariates[..., context], *self.sizes)  # [B, K, N, P]
            known = patch(batch.covariates_observed[..., context], *self.sizes).to(values.dtype)
            both = torch.cat([values, known], dim=1).transpose(1, 2).flatten(2)
            added = self.by_patch(both)[:, None]
        if self.by_series is not None:
            assert batch.static is not None
            added = added + self.by_series(batch.static)[:, None, None]
        return added


class CovariateReadout(nn.Module):
    """What the covariates of a step of the horizon change in its forecast.

    Each step sees its own, beside a summary of the context.

    Args:
        n_covariates: K.
        d_model: D.
        output_size: what a head takes per step.
        d_hidden: width between.
    """

    def __init__(
        self, n_covariates: int, *, d_model: int, output_size: int, d_hidden: int = 32
    ) -> None:
        super().__init__()
        self.by_step = nn.Linear(2 * n_covariates, d_hidden)
        self.by_summary = nn.Linear(d_model, d_hidden, bias=False)
        self.output = _zeros(d_hidden, output_size)

    def forward(self, batch: Batch, summary: Float[Tensor, "B C D"]) -> Float[Tensor, "B C H O"]:
        """Return what is added to the head's parameters.

        Args:
            batch: with the covariates of context and horizon.
            summary: what the tokens say of the series as a whole.
        """
        assert batch.covariates is not None and batch.covariates_observed is not None
        horizon = slice(batch.target.shape[-1], None)
        values = batch.covariates[..., horizon]
        known = batch.covariates_observed[..., horizon].to(values.dtype)
        steps = self.by_step(torch.cat([values, known], dim=1).transpose(1, 2))  # [B, H, hidden]
        hidden = nn.functional.gelu(steps[:, None] + self.by_summary(summary)[:, :, None])
        return self.output(hidden)


def _zeros(n_inputs: int, n_outputs: int) -> nn.Linear:
    linear = nn.Linear(n_inputs, n_outputs, bias=False)
    nn.init.zeros_(linear.weight)
    return linear
