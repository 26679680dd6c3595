"""The parameters that all forecasters share: one declaration for all that scikit-learn asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from sklearn.base import BaseEstimator

from tsformer.data.frame import Schema
from tsformer.forecasters.checks import positive_integer, quantile_levels, seed
from tsformer.forecasters.words import refuse_unknown

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(kw_only=True, eq=False, repr=False)
class SharedParameters(BaseEstimator):
    """What every forecaster can be told.

    Args:
        horizon: steps to forecast.
        quantiles: probabilities of the quantiles to report, each between 0 and 1.
        freq: pandas alias of the step between times; inferred where None.
        season_length: steps of the main season; by `freq` where None.
        id_col, time_col, target_col: columns of a long frame; found where they are called
            `unique_id, ds, y` or `item_id, timestamp, target`. Several targets, a list, are
            forecast together; answers then have a row for each, named in a column `variate`.
        random_state: seed of all that is drawn: samples, and what training draws.
    """

    horizon: int
    quantiles: Sequence[float] = DECILES
    freq: str | None = None
    season_length: int | None = None
    id_col: str | None = None
    time_col: str | None = None
    target_col: str | Sequence[str] | None = None
    random_state: int = 0

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse words of other libraries with the right one as a hint."""
        refuse_unknown(cls.__name__, kwargs, [field.name for field in fields(cls)])
        return super().__new__(cls)

    @property
    def _needs_fit(self) -> bool:
        """Whether `predict` can only be asked of a fitted forecaster."""
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = self._needs_fit
        tags.input_tags.allow_nan = True  # a missing value
        return tags

    def _check_parameters(self) -> None:
        positive_integer("horizon", self.horizon)
        quantile_levels(self.quantiles)
        seed(self.random_state)
        if self.season_length is not None:
            positive_integer("season_length", self.season_length)

    @property
    def _schema(self) -> Schema:
        several = self.target_col is not None and not isinstance(self.target_col, str)
        return Schema(
            id_col=self.id_col,
            time_col=self.time_col,
            target_col=tuple(self.target_col or ()) if several else self.target_col,
            freq=self.freq,
        )
