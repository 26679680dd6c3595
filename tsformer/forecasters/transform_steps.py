"""One step of a transform: what it may be, how it is fitted to columns, and how it is undone."""

from __future__ import annotations

import warnings
from typing import Any, Protocol, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin, clone

from tsformer.data.grid import as_python

_CLOSE = 0.01  # of a column's range: what comes back must be as near to what it was
_TRIFLE = 1e-9  # what rounding may change a value by, however small the others of its column are


class TargetTransform(Protocol):
    """What a step of a transform can do; `X` is `[time, series]`, NaN = missing."""

    def fit(self, X: Any, y: None = None) -> Self:
        """Learn from the past of some series, whose ends are in the last row; return self."""
        ...

    def transform(self, X: Any) -> Any:
        """Return as many steps, transformed."""
        ...

    def inverse_transform(self, X: Any) -> Any:
        """Return what transformed values are in the units of the series.

        Where the step has an attribute `along_time` that is True, these are the values after the
        end of what was fitted, and `X` may be `[paths, time, series]`; elsewhere rows are any
        values in any order.
        """
        ...


def steps_of(transform: Any) -> list[Any]:
    """Return the steps of a transform in order: those of a pipeline, or the transform itself.

    Raises:
        TypeError: for what is no transform, has no inverse, or mixes columns.
    """
    if hasattr(transform, "steps"):  # importing scikit-learn's Pipeline takes half a second
        inner = [step for _, step in transform.steps if step not in (None, "passthrough")]
        return [step for part in inner for step in steps_of(part)]
    for method in ("fit", "transform", "inverse_transform"):
        if not hasattr(transform, method) or isinstance(transform, type):
            raise TypeError(
                f"transformer={transform!r} has no {method}; pass one such as "
                "LogTransform() or StandardScaler(), or a Pipeline of several"
            )
    if not isinstance(transform, OneToOneFeatureMixin) and not _is_function(transform):
        raise TypeError(
            f"transformer={transform!r} is not known to leave columns apart, and columns are "
            "series; pass one that makes one column of each, such as StandardScaler()"
        )
    return [transform]


def adds_up(step: Any) -> bool:
    """Return whether what is forecast of a step has to be added up along time."""
    return bool(getattr(step, "along_time", False))


def counts_rows(step: Any) -> bool:
    """Return whether a step counts rows, missing ones too: it is fitted to each series alone."""
    return hasattr(step, "n_quantiles")  # scikit-learn's QuantileTransformer


def prepared(step: Any, values: np.ndarray) -> list[Any]:
    """Return an unfitted step as it suits these values, and before it what it needs.

    Quantiles are as many as there are known values at most, and all of these count. They are those
    of the scaled series, as `QuantileTransformer` holds what lies within 1e-7 to be the same.

    Args:
        step: is changed.
        values: `[time, n]`, what it will be fitted to; of one series where it counts rows.
    """
    if _is_function(step):
        step.set_params(check_inverse=False)  # it holds missing values to be wrong
    if not counts_rows(step):
        return [step]
    from sklearn.preprocessing import StandardScaler  # costs nothing: the step is of it

    n_known = max(1, int(np.isfinite(values).sum()))
    step.set_params(n_quantiles=min(step.n_quantiles, n_known), subsample=None)
    return [StandardScaler(), step]


def fit_step(step: Any, values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Fit a step to values, `[time, n]`, and return what it makes of them.

    A column of which earlier steps left nothing counts as one of zeros.

    Raises:
        ValueError: where it cannot be fitted, or has no inverse, naming the series by `ids`, `[n]`.
    """
    given = np.where(np.isfinite(values).any(axis=0), values, 0.0)
    try:
        step.fit(given)
    except ValueError as error:
        name = as_python(ids[_first_unfit(step, given)])
        raise ValueError(
            f"transformer={step!r} cannot be fitted to the series {name!r}: {error}"
        ) from error
    transformed = transformed_by(step, values)
    if not adds_up(step):
        _refuse_one_way(step, values, transformed, ids)
    return transformed


def transformed_by(step: Any, values: np.ndarray) -> np.ndarray:
    """Return what a fitted step makes of values, `[time, n]`; what has no image becomes missing."""
    with np.errstate(all="ignore"):
        transformed = np.asarray(step.transform(values), dtype=np.float64)
    if transformed.shape != values.shape:
        raise ValueError(
            f"transformer={step!r} makes {transformed.shape} of [time, series] {values.shape}; "
            "pass one that keeps every step of every series"
        )
    return np.where(np.isfinite(transformed), transformed, np.nan)


def undone_by(step: Any, values: np.ndarray) -> np.ndarray:
    """Return the inverse of values, `[rows, n]`.

    What lies beyond all that the transform can yield counts as the nearest value that has an
    inverse.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Some values in column .* are NaN")
        undone = np.array(step.inverse_transform(values), dtype=np.float64)
    beyond = np.isfinite(values) & ~np.isfinite(undone)
    for column in np.flatnonzero(beyond.any(axis=0)):
        valid = np.flatnonzero(np.isfinite(undone[:, column]))
        if len(valid):
            order = valid[np.argsort(values[valid, column])]
            outside = beyond[:, column]
            undone[outside, column] = np.interp(
                values[outside, column], values[order, column], undone[order, column]
            )
    return undone


def _is_function(step: Any) -> bool:
    return hasattr(step, "check_inverse")  # scikit-learn's FunctionTransformer


def _first_unfit(step: Any, values: np.ndarray) -> int:
    """Return the first column that a step cannot be fitted to; 0 where it is none by itself."""
    for number in range(values.shape[1]):
        try:
            clone(step).fit(values[:, [number]])
        except ValueError:
            return number
    return 0


def _refuse_one_way(
    step: Any, values: np.ndarray, transformed: np.ndarray, ids: np.ndarray
) -> None:
    """Raise a ValueError where the inverse is not one."""
    known = np.isfinite(transformed)
    lowest, highest = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    allowed = _CLOSE * np.maximum(highest - lowest, np.abs(highest) * 1e-3)
    away = np.abs(undone_by(step, transformed) - values) > allowed + _TRIFLE
    refused = (known & away).any(axis=0)
    if refused.any():
        raise ValueError(
            f"transformer={step!r} does not give back the values that it was fitted to, such as "
            f"those of the series {as_python(ids[refused.argmax()])!r}; give it an inverse, such "
            "as inverse_func=, or pass another one"
        )
