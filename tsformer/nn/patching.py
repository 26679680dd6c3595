"""Patches: a few neighbouring steps become one token (Nie et al. 2023, section 3.1)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.nn.dropout import Dropout
from tsformer.nn.scaling import nothing_missing


def patch_count(context_length: int, patch_length: int, stride: int) -> int:
    """Return the number of patches of a context, the one with end padding included."""
    return (context_length - patch_length) // stride + 2


def patch(values: Tensor, patch_length: int, stride: int) -> Tensor:
    """Return overlapping patches; the last value is repeated `stride` times at the end.

    Args:
        values: `[B, C, L]` of any type.

    Returns:
        `[B, C, N, P]`, a view into the padded values.
    """
    padding = values[..., -1:].expand(*values.shape[:-1], stride)
    return torch.cat([values, padding], dim=-1).unfold(-1, patch_length, stride)


class PatchEmbedding(nn.Module):
    """Patches of the scaled series as vectors, plus learned positions unless left out.

    Which steps of a patch are missing enters through a projection of its own without a bias, so
    that on complete data this is the published embedding.
    """

    def __init__(
        self,
        context_length: int,
        patch_length: int,
        stride: int,
        d_model: int,
        dropout: float,
        *,
        positions: bool = True,
    ) -> None:
        super().__init__()
        self.patch_length = patch_length
        self.stride = stride
        self.value_projection = nn.Linear(patch_length, d_model)
        self.missing_projection = nn.Linear(patch_length, d_model, bias=False)
        nn.init.zeros_(self.missing_projection.weight)  # trained on complete data, gaps say nothing
        n_patches = patch_count(context_length, patch_length, stride)
        position = torch.empty(n_patches, d_model).uniform_(-0.02, 0.02)
        self.position = nn.Parameter(position) if positions else None
        self.dropout = Dropout(dropout)

    def forward(
        self, z: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"]
    ) -> tuple[Float[Tensor, "B C N D"], Bool[Tensor, "B C N"] | None]:
        """Return the tokens, and True for those with at least one known step.

        The second is None where nothing is missing, which spares the network all masking.
        """
        tokens = self.value_projection(patch(z, self.patch_length, self.stride))
        if self.position is not None:
            tokens = tokens + self.position
        if nothing_missing(observed):
            return self.dropout(tokens), None
        known = patch(observed, self.patch_length, self.stride)
        tokens = tokens + self.missing_projection((~known).to(z.dtype))
        return self.dropout(tokens), known.any(dim=-1)
