"""What the same phase of earlier seasons says: a learned average over seasons."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_RATE = 10.0  # a few weights that all windows share learn faster than a network's many
_LEAST = 1e-30  # share of a weight; less counts as nothing, or gradients would overflow


class SeasonalAverage(nn.Module):
    """Forecasts each step by averages of the seasons before it: of their levels, of their shapes.

    One weight per season ahead and season back, shared by all phases: the cross-period forecast of
    SparseTSF (Lin et al. 2024). Level and shape have weights of their own, for a level is best
    known by the last season and a shape by many. Where SparseTSF has a linear map, averages are
    convex, so that missing values simply leave their weight to the others.

    Args:
        context_length, horizon: L and H.
        season_length: steps of a season, at most L.
    """

    def __init__(self, context_length: int, horizon: int, season_length: int) -> None:
        super().__init__()
        self.season_length = min(season_length, context_length)
        self.horizon = horizon
        back = torch.arange(float(context_length // self.season_length))
        n_ahead = -(-horizon // self.season_length)
        self.shape_logits = nn.Parameter((-0.1 * back / _RATE).repeat(n_ahead, 1))
        self.level_logits = nn.Parameter((-1.0 * back / _RATE).repeat(n_ahead, 1))

    def forward(
        self, z: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"]
    ) -> Float[Tensor, "B C H"]:
        """Return level plus shape; 0, the window's mean, where nothing was observed."""
        seasons = self._seasons(z)  # [B, C, back, season]
        if bool(observed.all()):
            levels, present = seasons.mean(dim=-1, keepdim=True), None
            shapes, weight = seasons - levels, None
        else:
            weight = self._seasons(observed.to(z.dtype))
            count = weight.sum(dim=-1, keepdim=True)
            levels, present = seasons.sum(dim=-1, keepdim=True) / count.clamp(min=1), count > 0
            shapes = (seasons - levels) * weight
        level = _average(self.level_logits, levels, present)
        shape = _average(self.shape_logits, shapes, weight)
        return (level + shape).flatten(-2)[..., : self.horizon]

    def _seasons(self, values: Tensor) -> Tensor:
        """Return the seasons, the last one first, `[B, C, back, season]`."""
        n_back = self.shape_logits.shape[1]
        whole = values[..., -n_back * self.season_length :]
        return whole.unflatten(-1, (n_back, self.season_length)).flip(-2)


def _average(logits: Tensor, values: Tensor, known: Tensor | None) -> Tensor:
    """Return averages over seasons back of what is known, `[B, C, ahead, …]`; 0 where nothing is.

    Unknown values are 0.
    """
    weights = (_RATE * logits).softmax(dim=-1)
    total = weights @ values
    if known is None:
        return total
    share = (weights @ known.to(values.dtype)).float()  # may be far too small for half precision
    return torch.where(share > _LEAST, total.float() / share.clamp(min=_LEAST), 0.0)
