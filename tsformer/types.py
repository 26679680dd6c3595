"""The words that every room of the house shares: axes, batches, forecasts, models.

Axes, as they stand in shapes throughout the package:

====== ======================================================================
B      batch: the windows that are computed together
C      variate: one channel of an item (1 for a univariate series)
L      context: the last known steps, `context_length` of them
H      horizon: the steps to forecast
N      patches of one window
P      steps of one patch
D      model width, `d_model`
Q      quantile levels
K      covariates along time, calendar features and levels of categories among them
F      static covariates
S      series of a panel
T      steps of all series of a panel, one after the other
====== ======================================================================

Time is the last axis of data, `[B, C, L]`; what a network says about a step comes after it,
`[B, C, H, Q]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Windows of many series, ready for a network.

    Attributes:
        target: `[B, C, L]`, the context in raw units, 0 where nothing was observed.
        observed: `[B, C, L]`, True where `target` was observed.
        future: `[B, C, H]`, the steps after the context, 0 where unknown; None in prediction.
        future_observed: `[B, C, H]`, True where `future` is known.
        series: `[B]`, the number of the series in its panel.
        series_scale: `[B, C, 1]`, the deviation of the whole series, raw units, above 0; for
            losses that count errors in its units.
        covariates: `[B, K, L + H]`, standardised, over context and horizon, 0 where unknown.
        covariates_observed: `[B, K, L + H]`, True where `covariates` is known; what is known of
            the past only is not in the horizon.
        static: `[B, F]`, standardised static covariates, 0 where unknown.
    """

    target: Float[Tensor, "B C L"]
    observed: Bool[Tensor, "B C L"]
    future: Float[Tensor, "B C H"] | None = None
    future_observed: Bool[Tensor, "B C H"] | None = None
    series: Int[Tensor, " B"] | None = None
    series_scale: Float[Tensor, "B C 1"] | None = None
    covariates: Float[Tensor, "B K T"] | None = None
    covariates_observed: Bool[Tensor, "B K T"] | None = None
    static: Float[Tensor, "B F"] | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the same batch on `device` (Lightning moves batches by this method)."""
        moved: dict[str, Any] = {}
        for field in fields(self):
            tensor = getattr(self, field.name)
            if tensor is not None:
                moved[field.name] = tensor.to(device, non_blocking=non_blocking)
        return Batch(**moved)

    def split(self, count: int) -> list[Batch]:
        """Return the windows in so many parts, as even as can be."""
        parts: list[dict[str, Tensor]] = [{} for _ in range(count)]
        for field in fields(self):
            tensor = getattr(self, field.name)
            if tensor is not None:
                for part, piece in zip(parts, tensor.tensor_split(count), strict=True):
                    part[field.name] = piece
        return [Batch(**part) for part in parts]

    def __len__(self) -> int:
        return self.target.shape[0]


class Prediction(NamedTuple):
    """What a model says about the steps after a batch, in raw units.

    `mean` is `[B, C, H]`; `quantiles` is `[B, C, H, Q]`, ascending along Q for ascending levels.
    """

    mean: Tensor
    quantiles: Tensor


class ForecastModel(Protocol):
    """A network that can be trained and asked; it holds its own scaling and its own head."""

    context_length: int
    horizon: int

    def forward(self, batch: Batch) -> Tensor:
        """Return the head's parameters, `[B, C, H, output]`, in units of the scaled series."""
        ...

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean training loss over all known future values of the batch."""
        ...

    def predict(self, batch: Batch, levels: Sequence[float]) -> Prediction:
        """Return the mean and the quantiles at `levels`, in raw units."""
        ...


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The forecasts of a panel: one row per series and variate, in the panel's order.

    Attributes:
        mean: `[S * C, H]`, raw units.
        quantiles: `[S * C, H, Q]`, raw units, ascending along Q.
        levels: `[Q]`, the probabilities of `quantiles`, ascending.
    """

    mean: np.ndarray
    quantiles: np.ndarray
    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        n_rows, horizon = self.mean.shape
        assert self.quantiles.shape == (n_rows, horizon, len(self.levels))

    @property
    def horizon(self) -> int:
        """Number of steps ahead."""
        return int(self.mean.shape[1])

    def quantile(self, level: float) -> np.ndarray:
        """Return the quantile at one of `levels`, `[S * C, H]`."""
        return self.quantiles[:, :, self.levels.index(level)]

    def select(self, levels: Sequence[float]) -> Forecast:
        """Return the same forecast with only these levels, in their order."""
        columns = [self.levels.index(level) for level in levels]
        return Forecast(
            mean=self.mean, quantiles=self.quantiles[:, :, columns], levels=tuple(levels)
        )


@dataclass(frozen=True, kw_only=True)
class AttentionMap:
    """What the tokens of one layer look at.

    Attributes:
        layer: its number, from 0.
        name: what the network calls it.
        weights: `[S, heads, N, N]`; `[:, :, i, j]` is how much token i takes from token j, the mean
            over what the layer reads of a series: its variates, or its patches.
        times: `[S, N]`, the last time of each token; None where tokens are no patches.
        ids: `[S]`, the series.
    """

    layer: int
    name: str
    weights: np.ndarray
    times: np.ndarray | None
    ids: np.ndarray
