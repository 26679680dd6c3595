"""DLinear and NLinear behind `fit` and `predict`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tsformer.data.panel import Panel
from tsformer.forecasters.checks import positive_integer, quantile_levels
from tsformer.forecasters.search_spaces import Choice, Range
from tsformer.forecasters.trained import TrainedForecaster
from tsformer.models.linear import DLinearConfig, NLinearConfig, dlinear, nlinear
from tsformer.models.scaled import ScaledModel


@dataclass(kw_only=True, eq=False, repr=False)
class NLinearForecaster(TrainedForecaster):
    """NLinear (Zeng et al. 2023): a linear map of the context, seen from its last value.

    Args:
        learning_rate: its highest value; above that of deeper networks, since what a single layer
            says moves no faster than its weights.
    """

    learning_rate: float = 5e-3

    def _sizes(self) -> dict[str, Any]:
        config = NLinearConfig(
            context_length=self.context_length_,
            horizon=int(self.horizon),  # searches pass NumPy's integers
            head=self.head,
            levels=quantile_levels(self.quantiles),
        )
        return asdict(config)

    def _build(self, sizes: dict[str, Any]) -> ScaledModel:
        return nlinear(NLinearConfig(**{**sizes, "levels": tuple(sizes["levels"])}))


@dataclass(kw_only=True, eq=False, repr=False)
class DLinearForecaster(TrainedForecaster):
    """DLinear (Zeng et al. 2023): a linear map of the trend and one of what remains.

    Args:
        kernel_size: steps of the moving average that is the trend; odd.
        learning_rate: its highest value, as for NLinear.
    """

    learning_rate: float = NLinearForecaster.learning_rate
    kernel_size: int = DLinearConfig.kernel_size

    def _check_parameters(self) -> None:
        super()._check_parameters()
        positive_integer("kernel_size", self.kernel_size)

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        kernels = dict.fromkeys([self.kernel_size, 5, 13, 25, 49])
        return {**super()._search_space(panel), "kernel_size": Choice([*kernels])}

    def _sizes(self) -> dict[str, Any]:
        config = DLinearConfig(
            context_length=self.context_length_,
            horizon=int(self.horizon),  # searches pass NumPy's integers
            kernel_size=int(self.kernel_size),
            head=self.head,
            levels=quantile_levels(self.quantiles),
        )
        return asdict(config)

    def _build(self, sizes: dict[str, Any]) -> ScaledModel:
        return dlinear(DLinearConfig(**{**sizes, "levels": tuple(sizes["levels"])}))
