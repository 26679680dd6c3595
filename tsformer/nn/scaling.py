"""Instance normalisation: each window by its own mean and deviation.

Kim et al. 2022, "Reversible Instance Normalization for Accurate Time-Series Forecasting against
Distribution Shift" (RevIN), without its learned affine map, as PatchTST's authors use it. Data
in, data out: `(z, (loc, scale))` is returned and taken back; nothing is kept between calls.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Scale(NamedTuple):
    """Mean and deviation of each window, `[B, C, 1]` in raw units.

    `scale` is exactly 0 where the window's observed values are all the same (or none is there).
    """

    loc: Tensor
    scale: Tensor

    @property
    def divisor(self) -> Tensor:
        """The scale, with 1 in place of 0."""
        return torch.where(self.scale > 0, self.scale, 1.0)


def instance_norm(
    values: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"]
) -> tuple[Float[Tensor, "B C L"], Scale]:
    """Return the normalised windows, 0 where missing, and what undoes it.

    Args:
        values: `[B, C, L]`, raw units; what stands at missing places does not count.
        observed: `[B, C, L]`, True where a value is known.
    """
    values = torch.where(observed, values, 0.0)
    count = observed.sum(dim=-1, keepdim=True).clamp(min=1)
    # Divided by the largest value first, so that squares neither overflow nor vanish.
    highest = torch.where(observed, values, -torch.inf).amax(dim=-1, keepdim=True)
    lowest = torch.where(observed, values, torch.inf).amin(dim=-1, keepdim=True)
    varies = highest > lowest
    magnitude = values.abs().amax(dim=-1, keepdim=True)
    magnitude = torch.where(magnitude > 0, magnitude, 1.0)
    unit = values / magnitude
    mean = unit.sum(dim=-1, keepdim=True) / count
    centred = torch.where(observed, unit - mean, 0.0)
    deviation = (centred.square().sum(dim=-1, keepdim=True) / count).sqrt()
    known = torch.where(observed.any(dim=-1, keepdim=True), lowest, 0.0)
    loc = torch.where(varies, mean * magnitude, known)
    scale = torch.where(varies, deviation * magnitude, 0.0)
    z = torch.where(varies, centred / torch.where(varies, deviation, 1.0), 0.0)
    return z, Scale(loc, scale)


def normalise(values: Float[Tensor, "B C H"], scale: Scale) -> Float[Tensor, "B C H"]:
    """Return further values of the same windows, in units of their scale."""
    return (values - scale.loc) / scale.divisor
