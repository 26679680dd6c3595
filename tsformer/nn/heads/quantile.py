"""Quantiles by the pinball loss, non-crossing by construction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.nn.heads.levels import mean_weights, normal_quantiles, quantile_weights
from tsformer.nn.scaling import Scale, normalise
from tsformer.types import Prediction

TRAINED_LEVELS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)


class QuantileHead(nn.Module):
    """The median, and positive steps up and down from it to the other levels.

    The steps are softplus of the network's output, shifted so that an output of zero is a
    standard normal distribution. Other levels than the trained ones, and the mean, follow from
    the quantile function through the trained ones (see `levels.py`).

    The loss is twice the pinball loss (Koenker & Bassett 1978), averaged over the levels: half of
    it estimates the continuous ranked probability score.
    """

    shift: Tensor
    level_tensor: Tensor
    stretch: Tensor
    loss_power = 1

    def __init__(self, levels: Sequence[float] = TRAINED_LEVELS) -> None:
        super().__init__()
        if 0.5 not in levels or list(levels) != sorted(set(levels)):
            raise ValueError(f"levels={list(levels)} must ascend and contain 0.5")
        self.levels = tuple(levels)
        self.output_size = len(self.levels)
        self.median = self.location = self.levels.index(0.5)
        steps = normal_quantiles(self.levels).diff()
        shift = torch.cat([steps[: self.median], torch.zeros(1), steps[self.median :]])
        shift[shift > 0] = shift[shift > 0].expm1().log()  # softplus(shift) = step
        self.register_buffer("shift", shift, persistent=False)
        self.register_buffer("stretch", torch.ones(()))
        self.register_buffer("level_tensor", torch.tensor(self.levels), persistent=False)

    def quantiles(self, output: Float[Tensor, "*axes K"]) -> Float[Tensor, "*axes K"]:
        """Return ascending quantiles at `self.levels`, in units of the scaled series."""
        centre = output[..., self.median : self.median + 1]
        steps = self.stretch * F.softplus(output + self.shift)
        below = steps[..., : self.median].flip(-1).cumsum(-1).flip(-1)
        above = steps[..., self.median + 1 :].cumsum(-1)
        return torch.cat([centre - below, centre, centre + above], dim=-1)

    def loss(
        self, output: Float[Tensor, "B C H K"], target: Float[Tensor, "B C H"], scale: Scale
    ) -> Float[Tensor, "B C H"]:
        """Return twice the mean pinball loss of each step, in units of the scaled series."""
        error = normalise(target, scale)[..., None] - self.quantiles(output)
        level = self.level_tensor
        return 2 * torch.maximum(level * error, (level - 1) * error).mean(dim=-1)

    def calibrate(
        self,
        output: Float[Tensor, "M C H K"],
        target: Float[Tensor, "M C H"],
        scale: Scale,
        known: Bool[Tensor, "M C H"],
    ) -> None:
        """Widen all intervals alike, so that at least 80 % of held out values lie in theirs.

        A network is surer of itself on the series it was trained on than on what comes after. The
        factor is that of split conformal prediction for scaled quantiles (Romano et al. 2019),
        drawn towards 1 where there are few values to judge by, and never below 1: that the held
        out steps were easy says little about the next.

        Args:
            output, target, scale: of held out windows, as in `loss`.
            known: True where `target` is known.
        """
        self.stretch.fill_(1.0)
        quantiles = self.quantiles(output)
        low, high = (quantiles[..., self.levels.index(level)] for level in (0.1, 0.9))
        centre, truth = quantiles[..., self.median], normalise(target, scale)
        smallest = torch.finfo(centre.dtype).tiny  # steps may have shrunk to nothing
        below = (centre - truth) / (centre - low).clamp(min=smallest)
        above = (truth - centre) / (high - centre).clamp(min=smallest)
        reach = torch.maximum(below, above)[known].clamp(max=4.0).double()
        if len(reach):
            factor = torch.quantile(reach[:: 1 + len(reach) // 1_000_000], 0.8).clamp(min=1.0)
            self.stretch.copy_(factor ** (len(reach) / (len(reach) + 50)))

    def predict(
        self, output: Float[Tensor, "B C H K"], scale: Scale, levels: Sequence[float]
    ) -> Prediction:
        """Return mean and quantiles in raw units."""
        return spread_out(self.quantiles(output), self.levels, scale, levels)


def spread_out(
    known: Float[Tensor, "*axes H K"],
    known_levels: tuple[float, ...],
    scale: Scale,
    levels: Sequence[float],
) -> Prediction:
    """Return mean and quantiles at `levels`, raw units, from scaled ones at known levels."""
    mean = known @ mean_weights(known_levels).to(known)
    quantiles = known @ quantile_weights(known_levels, tuple(levels)).to(known)
    return Prediction(
        mean=mean * scale.scale + scale.loc,
        quantiles=quantiles * scale.scale[..., None] + scale.loc[..., None],
    )
