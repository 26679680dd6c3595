"""Heads: what the last axis of a network means, its loss and its quantiles.

A head works in raw units: it takes the network's output together with the window's `Scale`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from tsformer.nn.heads.distribution import DISTRIBUTIONS, DistributionHead
from tsformer.nn.heads.point import POINT_LOSSES, PointHead
from tsformer.nn.heads.quantile import TRAINED_LEVELS, QuantileHead
from tsformer.nn.scaling import Scale
from tsformer.types import Prediction

__all__ = [
    "TRAINED_LEVELS",
    "AnyHead",
    "DistributionHead",
    "Head",
    "PointHead",
    "QuantileHead",
    "make_head",
]


class Head(Protocol):
    """The contract of all heads."""

    output_size: int
    location: int | None  # which of the parameters moves all quantiles alike; None: no such one
    loss_power: int  # how the loss grows with the unit of the values; 0: not at all

    def loss(self, output: Tensor, target: Tensor, scale: Scale) -> Tensor:
        """Return the loss of each step, `[B, C, H]`, for targets in raw units.

        `output` is `[B, C, H, output_size]`; `target` is `[B, C, H]`, finite also where unknown.
        """
        ...

    def predict(self, output: Tensor, scale: Scale, levels: Sequence[float]) -> Prediction:
        """Return mean and quantiles in raw units."""
        ...


AnyHead = QuantileHead | PointHead | DistributionHead


def make_head(head: str, *, levels: Sequence[float] = ()) -> AnyHead:
    """Return the head of this name.

    Args:
        head: `"quantile"`; `"mse"`, `"mae"` or `"huber"` for a point; `"student_t"`, `"normal"`,
            `"laplace"` or `"negative_binomial"` for a distribution.
        levels: quantile levels to train besides the usual ones.

    Raises:
        ValueError: for an unknown name.
    """
    if head == "quantile":
        return QuantileHead(sorted({*TRAINED_LEVELS, *levels}))
    if head in POINT_LOSSES:
        return PointHead(head)
    if head in DISTRIBUTIONS:
        return DistributionHead(head)
    known = ", ".join(map(repr, ["quantile", *POINT_LOSSES, *DISTRIBUTIONS]))
    raise ValueError(f"head={head!r} is unknown; choose one of {known}")
