"""Batch normalisation of a trained network: a factor and a shift for each feature.

The map before it can take in both, so that forecasts do without a pass over all tokens.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn


@dataclass
class Affine:
    """A factor and a shift for each feature, `[D]`; neither takes a gradient."""

    scale: Tensor
    shift: Tensor
    _repeated: Tensor | None = field(default=None, init=False)

    @classmethod
    def of(cls, norm: nn.BatchNorm1d) -> Affine:
        """Return what a batch normalisation does in evaluation mode."""
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
        return cls(scale, norm.bias.detach() - norm.running_mean * scale)

    def after(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return a linear map, `[in, D]` and `[D]`, whose results come scaled and shifted."""
        return weight * self.scale, bias * self.scale + self.shift

    def add_scaled(self, total: Float[Tensor, "n D"], x: Float[Tensor, "n D"]) -> None:
        """Add x to a total, scaled but not shifted."""
        if self._repeated is None or self._repeated.shape != x.shape:
            # torch is slow where it repeats short rows
            self._repeated = self.scale.expand_as(x).contiguous()
        total.addcmul_(x, self._repeated)
