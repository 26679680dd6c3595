"""Between panels and transforms: ragged series become the columns of a matrix, and columns series.

A transform sees `[time, series]` in float64, all series ending in the last row, NaN = missing. Rows
of a panel are its series, variate by variate, as in a forecast.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
from sklearn.base import OneToOneFeatureMixin, clone

from tsformer.data.panel import Panel, ragged_ranges

_BLOCK = 128  # series of one matrix, about equally long
_CLOSE = 0.01  # of a column's range: what comes back must be as near to what it was


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


@dataclass(frozen=True, kw_only=True)
class FittedTransform:
    """A transform that was fitted to some rows of a panel.

    Attributes:
        rows: `[n]`, which these are.
        steps: of the transform, each with n columns.
    """

    rows: np.ndarray
    steps: tuple[Any, ...]

    @property
    def along_time(self) -> bool:
        """Whether what is forecast has to be added up along time."""
        return any(_along_time(step) for step in self.steps)

    @classmethod
    def of(cls, transform: Any, rows: np.ndarray, values: np.ndarray) -> Self:
        """Return a copy of a transform, fitted to `values`, `[time, n]`.

        Raises:
            ValueError: where it cannot be fitted to them, or does not give them back.
        """
        steps = steps_of(clone(transform))
        for step in steps:
            if _is_function(step):
                step.set_params(check_inverse=False)  # it holds missing values to be wrong
            values = _fitted(step, values)
        return cls(rows=rows, steps=tuple(steps))

    def begin(self, values: np.ndarray) -> tuple[np.ndarray, FittedTransform]:
        """Return transformed values, `[time, n]`, and a transform whose inverse goes on from them.

        What was learned of the series stays; what adds up starts from the end of `values`.
        """
        begun = []
        for step in self.steps:
            begun.append(clone(step).fit(values) if _along_time(step) else step)
            values = _transformed(begun[-1], values)
        return values, replace(self, steps=tuple(begun))

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Return forecasts, `[n, P, H]`, in the units of the series."""
        paths = values.transpose(1, 2, 0)  # [P, H, n]
        for step in self.steps[::-1]:
            if _along_time(step):
                paths = step.inverse_transform(paths)
            else:
                flat = paths.reshape(-1, paths.shape[-1])
                paths = _undone(step, flat).reshape(paths.shape)
        return paths.transpose(2, 0, 1)


def fit_rows(transform: Any, history: Panel) -> list[FittedTransform]:
    """Return transforms that are fitted to all rows of a panel of one variate that have a value."""
    known = np.flatnonzero(history.known_counts)
    return [
        FittedTransform.of(transform, rows, columns_of(history, rows))
        for rows in _blocks(known, history.lengths[known])
    ]


def begin_rows(parts: list[FittedTransform], panel: Panel) -> tuple[Panel, list[FittedTransform]]:
    """Return a transformed panel, and transforms whose inverse goes on from its ends.

    A row that no transform was fitted to is missing in it.
    """
    apart = panel.univariate()
    values = np.full(apart.values.shape[1], np.nan, dtype=np.float32)
    begun = []
    for part in parts:
        transformed, going_on = part.begin(columns_of(apart, part.rows))
        begun.append(going_on)
        lengths = apart.lengths[part.rows]
        positions = ragged_ranges(apart.offsets[:-1][part.rows], lengths)
        steps = ragged_ranges(len(transformed) - lengths, lengths)
        columns = np.repeat(np.arange(len(lengths)), lengths)
        with np.errstate(over="ignore"):
            values[positions] = transformed[steps, columns]
    values[~np.isfinite(values)] = np.nan
    return replace(panel, values=_side_by_side(apart, values, panel.n_variates)), begun


def undo_rows(parts: list[FittedTransform], values: np.ndarray) -> np.ndarray:
    """Return forecasts of all rows, `[S * C, P, H]`, in units of the series; NaN where unfitted."""
    undone = np.full(values.shape, np.nan)
    for part in parts:
        undone[part.rows] = part.undo(values[part.rows])
    return undone


def columns_of(panel: Panel, rows: np.ndarray) -> np.ndarray:
    """Return rows of a panel of one variate as columns, `[time, n]`, with a common end."""
    some = panel.select(rows)
    longest = int(some.lengths.max())
    columns = np.full((longest, len(rows)), np.nan)
    series = np.repeat(np.arange(len(rows)), some.lengths)
    to_end = some.offsets[1:][series] - np.arange(len(series))
    columns[longest - to_end, series] = some.values[0]
    return columns


def _blocks(rows: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    order = np.argsort(lengths, kind="stable")
    for first in range(0, len(rows), _BLOCK):
        yield rows[order[first : first + _BLOCK]]


def _side_by_side(apart: Panel, values: np.ndarray, n_variates: int) -> np.ndarray:
    """Return values of rows, `[T * C]`, as the variates of series, `[C, T]`."""
    begins, lengths = apart.offsets[:-1], apart.lengths
    places = [slice(variate, None, n_variates) for variate in range(n_variates)]
    return np.stack([values[ragged_ranges(begins[k], lengths[k])] for k in places])


def _is_function(step: Any) -> bool:
    return hasattr(step, "check_inverse")  # scikit-learn's FunctionTransformer


def _along_time(step: Any) -> bool:
    return bool(getattr(step, "along_time", False))


def _fitted(step: Any, values: np.ndarray) -> np.ndarray:
    """Fit a step to values, `[time, n]`, and return what it makes of them."""
    try:
        step.fit(values)
    except ValueError as error:
        raise ValueError(f"transformer={step!r} cannot be fitted to a series: {error}") from error
    transformed = _transformed(step, values)
    if not _along_time(step):
        _refuse_one_way(step, values, transformed)
    return transformed


def _transformed(step: Any, values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # what has no image becomes missing
        transformed = np.asarray(step.transform(values), dtype=np.float64)
    if transformed.shape != values.shape:
        raise ValueError(
            f"transformer={step!r} makes {transformed.shape} of [time, series] {values.shape}; "
            "pass one that keeps every step of every series"
        )
    return np.where(np.isfinite(transformed), transformed, np.nan)


def _refuse_one_way(step: Any, values: np.ndarray, transformed: np.ndarray) -> None:
    """Raise a ValueError where the inverse is not one."""
    known = np.isfinite(transformed)
    lowest, highest = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    allowed = _CLOSE * np.maximum(highest - lowest, np.abs(highest) * 1e-3)
    away = np.abs(_undone(step, transformed) - values) > allowed + 1e-9
    if (known & away).any():
        raise ValueError(
            f"transformer={step!r} does not give back the values that it was fitted to; give it an "
            "inverse, such as inverse_func=, or pass another one"
        )


def _undone(step: Any, values: np.ndarray) -> np.ndarray:
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
