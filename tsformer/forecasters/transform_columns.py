"""Between panels and transforms: ragged series become the columns of a matrix, and columns series.

A transform sees `[time, series]` in float64, all series ending in the last row, NaN = missing. Rows
of a panel are its series, variate by variate, as in a forecast.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import clone

from tsformer.data.panel import Panel, ragged_ranges
from tsformer.forecasters.transform_steps import (
    adds_up,
    counts_rows,
    fit_step,
    prepared,
    steps_of,
    transformed_by,
    undone_by,
)

_BLOCK = 128  # series of one matrix, about equally long


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
        return any(adds_up(step) for step in self.steps)

    @classmethod
    def of(cls, transform: Any, rows: np.ndarray, history: Panel) -> Self:
        """Return a copy of a transform, fitted to rows of a panel of one variate.

        Raises:
            ValueError: where it cannot be fitted to them, or does not give them back.
        """
        values, steps = columns_of(history, rows), []
        for step in steps_of(clone(transform)):
            for part in prepared(step, values):
                values = fit_step(part, values, history.ids[rows])
                steps.append(part)
        return cls(rows=rows, steps=tuple(steps))

    def begin(self, values: np.ndarray) -> tuple[np.ndarray, FittedTransform]:
        """Return transformed values, `[time, n]`, and a transform whose inverse goes on from them.

        What was learned of the series stays; what adds up starts from the end of `values`.
        """
        begun = []
        for step in self.steps:
            begun.append(clone(step).fit(values) if adds_up(step) else step)
            values = transformed_by(begun[-1], values)
        return values, replace(self, steps=tuple(begun))

    def undo(self, values: np.ndarray) -> np.ndarray:
        """Return forecasts, `[n, P, H]`, in the units of the series."""
        paths = values.transpose(1, 2, 0)  # [P, H, n]
        for step in self.steps[::-1]:
            if adds_up(step):
                paths = step.inverse_transform(paths)
            else:
                flat = paths.reshape(-1, paths.shape[-1])
                paths = undone_by(step, flat).reshape(paths.shape)
        return paths.transpose(2, 0, 1)


def fit_rows(transform: Any, history: Panel) -> list[FittedTransform]:
    """Return transforms that are fitted to all rows of a panel of one variate that have a value."""
    known = np.flatnonzero(history.known_counts)
    alone = any(counts_rows(step) for step in steps_of(transform))
    blocks = known[:, None] if alone else _blocks(known, history.lengths[known])
    return [FittedTransform.of(transform, rows, history) for rows in blocks]


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
        yield np.sort(rows[order[first : first + _BLOCK]])


def _side_by_side(apart: Panel, values: np.ndarray, n_variates: int) -> np.ndarray:
    """Return values of rows, `[T * C]`, as the variates of series, `[C, T]`."""
    begins, lengths = apart.offsets[:-1], apart.lengths
    places = [slice(variate, None, n_variates) for variate in range(n_variates)]
    return np.stack([values[ragged_ranges(begins[k], lengths[k])] for k in places])
