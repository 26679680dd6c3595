"""Self-supervised pre-training: hide patches of a series, and learn to fill them in.

Nie et al. 2023, section 3.2, after masked language modelling: patches that do not overlap, a share
of them hidden at random, and a linear map that reconstructs them from the encoder's tokens.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.nn.patching import patch, patch_count
from tsformer.nn.scaling import divisor, instance_norm, normalise
from tsformer.types import Batch


class PatchEncoder(Protocol):
    """What can be pre-trained: a network that makes a token of each patch."""

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the tokens, `[B, C, N, D]`, and True for those with something known."""
        ...


class MaskedModel(nn.Module):
    """A network together with the task of filling in hidden patches.

    Args:
        network: makes a token of each patch of a batch whose target is scaled.
        d_model: D.
        patch_length: P, also the step from one patch to the next.
        share: of the patches that are hidden.

    Raises:
        ValueError: for a share that leaves nothing to hide or nothing to see.
    """

    def __init__(
        self, network: nn.Module, *, d_model: int, patch_length: int, share: float = 0.4
    ) -> None:
        super().__init__()
        if not 0 < share < 1:
            raise ValueError(f"mask_share={share} must lie between 0 and 1")
        self.network: PatchEncoder = network  # type: ignore[assignment]
        self.patch_length = patch_length
        self.share = share
        self.reconstruction = nn.Linear(d_model, patch_length)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean squared error of the hidden values, in units of the window's deviation.

        What is hidden is drawn anew for each batch in training, and always the same otherwise, so
        that losses of held out windows can be compared.
        """
        length = batch.target.shape[-1]
        hidden = self._draw(batch)
        shown = batch.observed & ~self._by_step(hidden, length)
        z, scale = instance_norm(batch.target, shown)  # by all values, it would tell of the hidden
        _, unit = instance_norm(batch.target, batch.observed)
        seen = Batch(
            target=z,
            observed=shown,
            covariates=batch.covariates,
            covariates_observed=batch.covariates_observed,
            static=batch.static,
        )
        tokens, _ = self.network.encode(seen)
        error = self.reconstruction(tokens) - self._patches(normalise(batch.target, scale))
        error = error * (scale.scale / divisor(unit))[..., None]
        counts = self._patches(batch.observed & (scale.scale > 0)) & hidden[..., None]
        counts = counts & self._within(length).to(counts.device)
        return torch.where(counts, error.square(), 0.0).sum() / counts.sum().clamp(min=1)

    def _draw(self, batch: Batch) -> Bool[Tensor, "B C N"]:
        """Return which patches are hidden; never one that holds nothing but end padding."""
        length = batch.target.shape[-1]
        n_patches = patch_count(length, self.patch_length, self.patch_length)
        n_real = -(-length // self.patch_length)
        generator = None if self.training else torch.Generator().manual_seed(len(batch))
        noise = torch.rand(*batch.target.shape[:2], n_real, generator=generator)
        n_hidden = min(max(1, round(self.share * n_real)), n_real - 1)
        hidden = noise.argsort(dim=-1).argsort(dim=-1) < n_hidden
        return F.pad(hidden, (0, n_patches - n_real)).to(batch.target.device)

    def _patches(self, values: Tensor) -> Tensor:
        """Return the patches that the network sees, `[B, C, N, P]`."""
        return patch(values, self.patch_length, self.patch_length)

    def _within(self, length: int) -> Bool[Tensor, "N P"]:
        """Return which steps of the patches are no end padding."""
        n_patches = patch_count(length, self.patch_length, self.patch_length)
        return (torch.arange(n_patches * self.patch_length) < length).unflatten(0, (n_patches, -1))

    def _by_step(self, hidden: Tensor, length: int) -> Bool[Tensor, "B C L"]:
        """Return which steps of the context lie in hidden patches."""
        return hidden.repeat_interleave(self.patch_length, dim=-1)[..., :length]
