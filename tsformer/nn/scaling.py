"""Instance normalisation: each window by its own mean and deviation.

Kim et al. 2022, "Reversible Instance Normalization for Accurate Time-Series Forecasting against
Distribution Shift" (RevIN), without its learned affine map, as PatchTST's authors use it. Data
in, data out: `(z, (loc, scale))` is returned and taken back; nothing is kept between calls.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class Scale(NamedTuple):
    """Mean and deviation of each window, `[B, C, 1]` in raw units.

    `scale` is exactly 0 where the window's observed values are all the same (or none is there).
    """

    loc: Tensor
    scale: Tensor


def divisor(scale: Scale) -> Tensor:
    """Return what values are divided by, `[B, C, 1]`: the scale, with 1 in place of 0."""
    return torch.where(scale.scale > 0, scale.scale, 1.0)


def instance_norm(
    values: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"]
) -> tuple[Float[Tensor, "B C L"], Scale]:
    """Return the normalised windows, 0 where missing, and what undoes it.

    Args:
        values: `[B, C, L]`, raw units; what stands at missing places does not count.
        observed: `[B, C, L]`, True where a value is known.
    """
    # On a GPU, looking would synchronise.
    whole = observed.device.type == "cpu" and nothing_missing(observed)

    def seen(x: Tensor, otherwise: float) -> Tensor:
        return x if whole else torch.where(observed, x, otherwise)

    count: Any = values.shape[-1] if whole else observed.sum(dim=-1, keepdim=True).clamp(min=1)
    highest = seen(values, -torch.inf).amax(dim=-1, keepdim=True)
    lowest = seen(values, torch.inf).amin(dim=-1, keepdim=True)
    varies = highest > lowest
    lowest = torch.where(lowest < torch.inf, lowest, 0.0)
    # Moments within the window's range, 0 to 1: there squares neither overflow nor vanish, and
    # small changes of a large value keep their digits.
    reach = torch.where(varies, highest - lowest, 1.0)
    unit = seen((values - lowest).div_(reach), 0.0)
    mean = unit.sum(dim=-1, keepdim=True) / count
    centred = seen(unit.sub_(mean), 0.0)
    size = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    deviation = (size.square() / count).sqrt()
    loc = torch.where(varies, lowest + mean * reach, lowest)
    scale = torch.where(varies, deviation * reach, 0.0)
    return centred / torch.where(varies, deviation, 1.0), Scale(loc, scale)


def nothing_missing(observed: Bool[Tensor, "*axes"]) -> bool:
    """Return whether all is there; False where a network is compiled or traced: it cannot look."""
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return not recorded and bool(observed.all())


def arcsinh(values: Tensor) -> Tensor:
    """Return `asinh` of values below 1e18, seven times faster on a CPU than torch's.

    It takes no gradient at 0.
    """
    size = values.abs()
    return torch.copysign(
        torch.log1p(size + size.square() / (1 + (1 + size.square()).sqrt())), values
    )


def normalise(values: Float[Tensor, "*axes H"], scale: Scale) -> Float[Tensor, "*axes H"]:
    """Return further values of the same windows, in units of their scale."""
    return (values - scale.loc) / divisor(scale)
