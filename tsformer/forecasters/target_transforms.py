"""Transforms of targets, as scikit-learn has them: a row for each step, a column for each series.

They are fitted to the past, transform the past, and turn what is forecast back. NaN is a missing
value. Any transformer of scikit-learn that works on each column by itself can stand beside them in
a pipeline, such as `StandardScaler` or `PowerTransformer`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from scipy.special import boxcox, inv_boxcox
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from tsformer.forecasters.box_cox import guerrero_lambda, likelihood_lambda
from tsformer.forecasters.checks import positive_integer

Method = Literal["likelihood", "guerrero"]

_EXPONENT = 690.0  # exp of more would come near to the largest number
_MARGIN = 0.1  # values below this part of the lowest known one count as it
_LARGEST = 1e300


@dataclass(kw_only=True, eq=False, repr=False)
class ColumnTransform(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, ABC):
    """A transformer of columns that may have missing values."""

    def _read(self, X: Any, *, reset: bool = False) -> np.ndarray:
        if not reset:
            check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=reset)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class PositiveTransform(ColumnTransform):
    """A curve that bends values above 0, to which those of each series are moved if need be.

    Args:
        offset: is added before; None for 0 where all values of a series are above 0, and
            elsewhere for what moves its lowest value to the mean distance from it.
    """

    offset: float | None = None

    @abstractmethod
    def _learn(self, values: np.ndarray) -> None:
        """Learn the curve of each column from values above 0."""

    @abstractmethod
    def _bend(self, values: np.ndarray) -> np.ndarray:
        """Return what values above 0 become."""

    @abstractmethod
    def _unbend(self, values: np.ndarray) -> np.ndarray:
        """Return what `_bend` made of it, a finite number."""

    def fit(self, X: Any, y: None = None) -> Self:
        """Find offset and curve of each column; return self.

        Raises:
            ValueError: where a given offset leaves values at or below 0.
        """
        values = self._read(X, reset=True)
        self.offset_ = _offsets(values, self.offset)
        self.floor_ = _MARGIN * np.fmin.reduce(values + self.offset_, axis=0)
        self._learn(values + self.offset_)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the curve's values; what lies far below all that was known counts as less far."""
        return self._bend(np.maximum(self._read(X) + self.offset_, self.floor_))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the values that have become `X`."""
        return self._unbend(self._read(X)) - self.offset_


@dataclass(kw_only=True, eq=False, repr=False)
class LogTransform(PositiveTransform):
    """The natural logarithm of each value and an offset: changes in proportion become equal."""

    def _learn(self, values: np.ndarray) -> None:
        """Nothing is learned but the offset."""

    def _bend(self, values: np.ndarray) -> np.ndarray:
        return np.log(values)

    def _unbend(self, values: np.ndarray) -> np.ndarray:
        return np.exp(np.minimum(values, _EXPONENT))


@dataclass(kw_only=True, eq=False, repr=False)
class BoxCoxTransform(PositiveTransform):
    """The power transform of Box & Cox (1964), `(y^lambda - 1) / lambda`, or `log y` for 0.

    Lambda lies between 0 and 2, and is 1 for a series that says nothing about it.

    Args:
        method: `"likelihood"` takes the lambda under which the values of a series are most like a
            normal sample; `"guerrero"` the one under which its seasons vary alike, whatever their
            level (Guerrero 1993).
        season_length: steps of these seasons, at least 2.
    """

    method: Method = "likelihood"
    season_length: int = 2

    def _learn(self, values: np.ndarray) -> None:
        if self.method not in get_args(Method):
            known = ", ".join(map(repr, get_args(Method)))
            raise ValueError(f"method={self.method!r} is unknown; choose one of {known}")
        if positive_integer("season_length", self.season_length) < 2:
            raise ValueError("season_length=1 has no variation; pass at least 2")
        found = [self._lambda_of(column) for column in values.T]
        self.lambda_ = np.array(found, dtype=np.float64)

    def _lambda_of(self, values: np.ndarray) -> float:
        if self.method == "guerrero":
            return guerrero_lambda(values, self.season_length)
        return likelihood_lambda(values)

    def _bend(self, values: np.ndarray) -> np.ndarray:
        return boxcox(values, self.lambda_)

    def _unbend(self, values: np.ndarray) -> np.ndarray:
        lowest = np.where(self.lambda_ > 0, -1.0 / np.maximum(self.lambda_, 1e-300), -np.inf)
        with np.errstate(over="ignore"):
            return np.minimum(inv_boxcox(np.maximum(values, lowest), self.lambda_), _LARGEST)


@dataclass(kw_only=True, eq=False, repr=False)
class Differencing(ColumnTransform):
    """Changes from `lag` steps ago, taken `order` times; what is forecast of them adds up again.

    A season and a trend are taken out by two of them in a pipeline. The end of a series, from where
    its forecasts add up, is the last known value of each phase.

    Args:
        lag: steps between the values that are compared: 1, or those of a season.
        order: how often.
    """

    along_time: ClassVar[bool] = True

    lag: int = 1
    order: int = 1

    @property
    def steps_lost(self) -> int:
        """Steps at the beginning of a series that have no change."""
        return self.lag * self.order

    def fit(self, X: Any, y: None = None) -> Self:
        """Remember the ends of the series; return self."""
        positive_integer("lag", self.lag)
        positive_integer("order", self.order)
        values, ends = self._read(X, reset=True), []
        for _ in range(self.order):
            ends.append(_last_known(values, self.lag))
            values = _changes(values, self.lag)
        self.ends_ = np.stack(ends)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the changes; those of the first `lag * order` steps are missing."""
        values = self._read(X)
        for _ in range(self.order):
            values = _changes(values, self.lag)
        return values

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return the values after the ends of the fitted series that have the changes `X`.

        Args:
            X: `[time, series]`, or `[paths, time, series]` for several ways to go on.
        """
        check_is_fitted(self)
        values = np.asarray(X, dtype=np.float64)
        if values.ndim < 2 or values.shape[-1] != self.n_features_in_:
            raise ValueError(
                f"X has the shape {values.shape}; pass [time, series] or [paths, time, series], "
                f"with the {self.n_features_in_} series that were fitted"
            )
        for end in self.ends_[::-1]:
            values = _added_up(values, end)
        return values


def _offsets(values: np.ndarray, given: Any) -> np.ndarray:
    """Return what moves each column above 0, `[series]`."""
    lowest = np.fmin.reduce(values, axis=0)
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, Real):
            raise TypeError(f"offset={given!r} must be a number, or None to have one found")
        if (lowest + float(given) <= 0).any():
            raise ValueError(
                f"offset={given} leaves the value {np.nanmin(lowest):g} at or below 0; pass a "
                "greater one, or None to have one found for each series"
            )
        return np.full(values.shape[1], float(given))
    known = np.isfinite(values)
    above = np.where(known, values - lowest, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.where(lowest > 0, 0.0, np.where(above > 0, above, 1.0) - lowest)


def _changes(values: np.ndarray, lag: int) -> np.ndarray:
    changes = np.full_like(values, np.nan)
    changes[lag:] = values[lag:] - values[:-lag]
    return changes


def _last_known(values: np.ndarray, lag: int) -> np.ndarray:
    """Return the last known value of each phase, `[lag, series]`, in order of time.

    A phase that was never seen has the last known value of any, and a column without one 0.
    """
    missing = -len(values) % lag
    seasons = np.pad(values, ((missing, 0), (0, 0)), constant_values=np.nan)
    seasons = seasons.reshape(-1, lag, values.shape[1])
    last = seasons[0]
    for season in seasons[1:]:
        last = np.where(np.isnan(season), last, season)
    if lag > 1:
        last = np.where(np.isnan(last), _last_known(values, 1), last)
    return np.nan_to_num(last) if lag == 1 else last


def _added_up(changes: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the values, `[..., time, series]`, whose changes these are, after `[lag, series]`."""
    *paths, horizon, n_series = changes.shape
    lag = len(end)
    whole = np.zeros((*paths, -(-horizon // lag) * lag, n_series))
    whole[..., :horizon, :] = changes
    seasons = whole.reshape(*paths, -1, lag, n_series).cumsum(axis=-3) + end
    return seasons.reshape(whole.shape)[..., :horizon, :]
