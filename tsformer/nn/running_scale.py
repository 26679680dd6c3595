"""Running scales: mean and deviation so far, where instance normalisation sees whole windows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tsformer.nn.scaling import Scale, instance_norm


class Moments(NamedTuple):
    """Number, mean and deviation of values of which earlier ones may count less, one shape each."""

    weight: Tensor
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, patches: Float[Tensor, "R N P"], observed: Bool[Tensor, "R N P"]) -> Moments:
        """Return those of the known values of each patch, `[R, N]`."""
        count = observed.sum(dim=-1).to(patches.dtype)
        if patches.shape[-1] == 0:
            return cls(count, count, count)
        _, (loc, scale) = instance_norm(patches, observed)
        return cls(count, torch.where(count > 0, loc[..., 0], 0.0), scale[..., 0])

    def at(self, places: int | slice) -> Moments:
        """Return those at some places of the second axis."""
        return Moments(*(part[:, places] for part in self))

    def faded(self, share: float) -> Moments:
        """Return the same with a share of the weight."""
        return self._replace(weight=self.weight * share)

    def joined(self, other: Moments) -> Moments:
        """Return those of both (Chan et al. 1983); of equal values the deviation stays exactly 0.

        Deviations count relative to the largest number among them: their squares might overflow.
        """
        total = (self.weight + other.weight).clamp(min=torch.finfo(self.weight.dtype).tiny)
        share = other.weight / total
        change = other.mean - self.mean
        largest = torch.stack([self.deviation, other.deviation, change.abs()]).amax(dim=0)
        unit = torch.where(largest > 0, largest, 1.0)
        squares = (self.weight / total) * (self.deviation / unit).square()
        squares = squares + share * (other.deviation / unit).square()
        squares = squares + share * (self.weight / total) * (change / unit).square()
        return Moments(
            self.weight + other.weight, self.mean + share * change, unit * squares.sqrt()
        )

    @property
    def scale(self) -> Scale:
        """The scale that they give, with an axis for the values that are scaled."""
        return Scale(self.mean[..., None], self.deviation[..., None])


def running_moments(patches: Moments, before: Moments, share: float) -> Moments:
    """Return the moments before some patches and after each of them, `[R, 1 + N]`.

    Args:
        patches: `[R, N]`, those of each patch by itself.
        before: `[R]`, those of all that came before.
        share: what is left of a value's weight after a patch.
    """
    steps = [before]
    for patch in zip(*(part.unbind(dim=1) for part in patches), strict=True):
        steps.append(steps[-1].faded(share).joined(Moments(*patch)))
    return Moments(*(torch.stack(part, dim=1) for part in zip(*steps, strict=True)))
