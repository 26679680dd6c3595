"""DLinear and NLinear: "Are Transformers Effective for Time Series Forecasting?", Zeng et al. 2023.

Every number that the head needs is a linear function of the context: the baselines that a
transformer has to beat. Variates share the weights and do not see each other. On the authors'
networks stands what all networks here have: instance normalisation outside, and a mask of what is
missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tsformer.models.scaled import ScaledModel
from tsformer.nn.heads import AnyHead, make_head
from tsformer.types import Batch


@dataclass(frozen=True, kw_only=True)
class NLinearConfig:
    """Sizes of NLinear.

    Raises:
        ValueError: for a length below 1.
    """

    context_length: int
    horizon: int
    head: str = "quantile"
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("context_length", "horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class DLinearConfig(NLinearConfig):
    """Sizes of DLinear: those of NLinear, and the steps of its moving average.

    Raises:
        ValueError: for an even `kernel_size`, which has no step in its middle.
    """

    kernel_size: int = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ValueError(
                f"kernel_size={self.kernel_size} must be odd and at least 1, so that the moving "
                f"average has a middle; try {max(self.kernel_size, 0) + 1}"
            )


class HorizonMap(nn.Module):
    """A linear map of the context to the head's parameters of every step of the horizon.

    It begins at zero. The alternative in the authors' code, equal weights `1 / L`, takes the mean
    of the context: that is zero too in a window that was normalised, so that both begin with the
    same forecast.
    """

    def __init__(self, context_length: int, horizon: int, output_size: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.linear = nn.Linear(context_length, horizon * output_size)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, context: Float[Tensor, "B C L"]) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters."""
        return self.linear(context).unflatten(-1, (self.horizon, -1))


class NLinearNetwork(nn.Module):
    """Takes the last observed value away, maps what is left, and adds it again.

    It is added to the parameter that moves the whole forecast. A head of counts has none: there
    the map alone speaks.
    """

    location: Tensor

    def __init__(self, config: NLinearConfig, head: AnyHead) -> None:
        super().__init__()
        self.map = HorizonMap(config.context_length, config.horizon, head.output_size)
        moved = torch.arange(head.output_size) == (-1 if head.location is None else head.location)
        self.register_buffer("location", moved.float(), persistent=False)

    def forward(self, batch: Batch) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters; `batch.target` is scaled."""
        last = last_observed(batch.target, batch.observed)
        change = torch.where(batch.observed, batch.target - last, 0.0)
        return self.map(change) + last[..., None] * self.location


class DLinearNetwork(nn.Module):
    """Splits the context into trend and remainder, and adds what the map of each says."""

    def __init__(self, config: DLinearConfig, output_size: int) -> None:
        super().__init__()
        self.kernel_size = config.kernel_size
        self.trend_map = HorizonMap(config.context_length, config.horizon, output_size)
        self.remainder_map = HorizonMap(config.context_length, config.horizon, output_size)

    def forward(self, batch: Batch) -> Float[Tensor, "B C H K"]:
        """Return the head's parameters; `batch.target` is scaled."""
        trend = moving_average(batch.target, batch.observed, self.kernel_size)
        remainder = torch.where(batch.observed, batch.target - trend, 0.0)
        return self.trend_map(trend) + self.remainder_map(remainder)


def last_observed(
    values: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"]
) -> Float[Tensor, "B C 1"]:
    """Return the last value that was observed, 0 where none was. Assumes 0 where missing."""
    steps = torch.arange(values.shape[-1], device=values.device)
    last = torch.where(observed, steps, 0).amax(dim=-1, keepdim=True)
    return values.gather(-1, last)


def moving_average(
    values: Float[Tensor, "B C L"], observed: Bool[Tensor, "B C L"], kernel_size: int
) -> Float[Tensor, "B C L"]:
    """Return the mean of the observed values around each step, the edges being replicated.

    On complete data this is the authors' trend. A missing step takes no part in the means and has
    one itself, so that short gaps are bridged; it is 0 where nothing near was observed.
    """
    edges = (kernel_size // 2, kernel_size // 2)
    known = observed.to(values.dtype)
    sums = F.avg_pool1d(F.pad(values * known, edges, mode="replicate"), kernel_size, stride=1)
    counts = F.avg_pool1d(F.pad(known, edges, mode="replicate"), kernel_size, stride=1)
    return torch.where(counts > 0, sums / torch.where(counts > 0, counts, 1.0), 0.0)


def nlinear(config: NLinearConfig) -> ScaledModel:
    """Return an untrained NLinear: it forecasts the last observed value.

    The quantiles around it are those of a normal distribution as wide as the window.
    """
    head = make_head(config.head, levels=config.levels)
    network = NLinearNetwork(config, head)
    return ScaledModel(network, head, context_length=config.context_length, horizon=config.horizon)


def dlinear(config: DLinearConfig) -> ScaledModel:
    """Return an untrained DLinear: it forecasts the window's mean, as wide as the window."""
    head = make_head(config.head, levels=config.levels)
    network = DLinearNetwork(config, head.output_size)
    return ScaledModel(network, head, context_length=config.context_length, horizon=config.horizon)
