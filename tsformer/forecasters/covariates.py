"""The parameters of forecasters that take covariates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tsformer.data.encoding import CovariateEncoder
from tsformer.data.frame import Schema
from tsformer.data.panel import Panel
from tsformer.forecasters.trained import TrainedForecaster

KINDS = ("static_covariates", "past_covariates", "future_covariates")


@dataclass(kw_only=True, eq=False, repr=False)
class CovariateForecaster(TrainedForecaster):
    """A forecaster around a network that takes covariates.

    Args:
        static_covariates: columns of `static_df`, one value per series.
        past_covariates: columns of `df` that are known up to the last value only.
        future_covariates: columns of `df` that are known beyond it, holidays for instance;
            `future_df` brings their future.
        calendar_features: let the network know where each step stands in hour, day, week, month
            and year, as far as the step is shorter than these.
    """

    static_covariates: Sequence[str] = ()
    past_covariates: Sequence[str] = ()
    future_covariates: Sequence[str] = ()
    calendar_features: bool = False

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for kind in KINDS:
            given = getattr(self, kind)
            if isinstance(given, str) or not isinstance(given, Iterable):
                raise TypeError(f"{kind}={given!r} must be a list of names")
        named = [name for kind in KINDS for name in getattr(self, kind)]
        if twice := next((name for name in named if named.count(name) > 1), None):
            raise ValueError(f"covariate {twice!r} is named twice; a column is of one kind")

    @property
    def _schema(self) -> Schema:
        kinds: Any = {kind: tuple(getattr(self, kind)) for kind in KINDS}
        return replace(super()._schema, **kinds)

    def _encoder(self, panel: Panel) -> CovariateEncoder:
        return CovariateEncoder.of(panel, calendar=self.calendar_features)

    def _covariate_sizes(self) -> dict[str, Any]:
        return {"n_covariates": self.encoder_.n_covariates, "n_static": self.encoder_.n_static}
