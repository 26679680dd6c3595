"""Rows in any order become a `Panel`: sorted, on a regular grid, gaps filled as missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.calendar import DAY, Frequency, parse_frequency
from tsformer.data.columns import Times
from tsformer.data.infer_frequency import infer_frequency, settle_day
from tsformer.data.panel import Covariates, Panel, runs_of, sort_keys

_HOUR = 3_600_000_000  # microseconds
_MOST_STEPS_PER_ROW = 1000  # a grid emptier than this comes from a wrong freq or a wrong date


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A long table as arrays, one element per row of the caller's, in the caller's order.

    Attributes:
        series: `[n]`, the number of the series in `ids`.
        ids: `[S]`, the names of the series in order of first appearance.
        times: `[n]` time stamps.
        target: `[n]`, or `[C, n]` of several variates, float64, NaN = missing.
        past_covariates, future_covariates: `[K, n]` numbers by row.
    """

    series: np.ndarray
    ids: np.ndarray
    times: Times
    target: np.ndarray
    past_covariates: Covariates | None = None
    future_covariates: Covariates | None = None

    def describe(self, row: int) -> str:
        """Return how errors call a row."""
        return f"series {as_python(self.ids[self.series[row]])!r}, row {row}"


@dataclass(frozen=True)
class _Sorted:
    """Rows sorted by series and time; `begins` and `counts` are `[S]`, for each series."""

    order: np.ndarray
    series: np.ndarray
    times: np.ndarray
    starts: np.ndarray = field(repr=False)
    begins: np.ndarray = field(repr=False)
    counts: np.ndarray = field(repr=False)


def build_panel(rows: Rows, freq: str | Frequency | None) -> tuple[Panel, np.ndarray, Times]:
    """Return the panel (series ordered by id), its order of first appearance, and its times.

    The order is `[S]`: the panel's number of the first series of the caller's table, then of the
    second, and so on. The times are the rows' own, on the clock that makes them regular.

    Raises:
        ValueError: for duplicate times, times off the grid, or a frequency that cannot be found.
    """
    rank = _rank(rows.ids)
    known = _known_frequency(rows.times, freq)
    times, table = _regular_clock(rows, rank[rows.series], known)
    frequency = known or infer_frequency(table.times, table.series)
    if isinstance(freq, str):
        frequency = settle_day(frequency, table.times, table.starts)
    position, exact = frequency.index(table.starts, table.times)
    _refuse_off_grid(rows, table, exact, frequency)
    begins, ends = table.begins, table.begins + table.counts - 1
    lengths = position[ends] + 1
    _refuse_empty_grid(rows, table, lengths, ends, frequency)
    offsets = np.r_[0, np.cumsum(lengths)]
    places = offsets[:-1][table.series] + position

    complete = offsets[-1] == len(places)  # each row then stands where it belongs

    def scatter(values: np.ndarray) -> np.ndarray:
        if complete:
            return np.take(values, table.order, axis=1).astype(np.float32, copy=False)
        grid = np.full((len(values), offsets[-1]), np.nan, dtype=np.float32)
        grid[:, places] = values[:, table.order]
        return grid

    def scatter_covariates(covariates: Covariates | None) -> Covariates | None:
        return covariates and replace(covariates, values=scatter(covariates.values))

    panel = Panel(
        values=scatter(np.atleast_2d(rows.target)),
        offsets=offsets,
        ids=rows.ids[np.argsort(rank)],
        starts=table.times[begins],
        freq=frequency,
        past_covariates=scatter_covariates(rows.past_covariates),
        future_covariates=scatter_covariates(rows.future_covariates),
    )
    return _without_leading_gaps(panel), rank, times


def as_python(value: Any) -> Any:
    """Return a NumPy scalar as Python's own, so that errors show `'a'` and not `np.str_('a')`."""
    return value.item() if isinstance(value, np.generic) else value


def _rank(ids: np.ndarray) -> np.ndarray:
    """Return each id's place when sorted."""
    rank = np.empty(len(ids), dtype=np.int64)
    rank[np.argsort(sort_keys(ids), kind="stable")] = np.arange(len(ids))
    return rank


def _known_frequency(times: Times, freq: str | Frequency | None) -> Frequency | None:
    """Return the frequency that the caller or the times themselves name.

    Periods know their own first moments, also where the caller names their last by `freq="ME"`.
    """
    known = parse_frequency(freq) if isinstance(freq, str) else freq or times.freq
    if known is None:
        return None
    if (known.unit == "integer") != (times.values.dtype.kind == "i"):
        found = "whole numbers" if times.values.dtype.kind == "i" else "dates"
        raise ValueError(f"freq={known.alias or known.step!r} does not fit times that are {found}")
    if times.freq and (times.freq.unit, times.freq.step) == (known.unit, known.step):
        return times.freq
    return known


def _regular_clock(
    rows: Rows, series: np.ndarray, known: Frequency | None
) -> tuple[Times, _Sorted]:
    """Return the times on the clock by which they are regular, and the rows sorted by them.

    Hours are regular in UTC, days and longer steps by the clock on the wall.
    """
    times = rows.times
    table = _sort(series, times.values)
    _refuse_duplicates(rows, table)
    if times.zone is None:
        return times, table
    by_utc = known or infer_frequency(table.times, table.series)
    if by_utc.unit == "fixed" and not _is_days(by_utc.step):
        return times, table
    times = replace(times, values=times.on_the_wall, wall=True)
    table = _sort(series, times.values)
    _refuse_duplicates(rows, table)  # this clock shows some hours twice
    return times, table


def _is_days(step: int) -> bool:
    """Return whether microseconds are whole days, give or take the hour of a changed clock."""
    return step >= DAY - _HOUR and (step + _HOUR) % DAY <= 2 * _HOUR


def _sort(series: np.ndarray, times: np.ndarray) -> _Sorted:
    same, moments = series[1:] == series[:-1], times.view(np.int64)
    if ((series[1:] > series[:-1]) | (same & (moments[1:] >= moments[:-1]))).all():
        order = np.arange(len(series))  # as most tables come
    else:
        order = np.lexsort((moments, series))
        series, times = series[order], times[order]
    begins, counts = runs_of(series)
    return _Sorted(order, series, times, np.repeat(times[begins], counts), begins, counts)


def _refuse_duplicates(rows: Rows, table: _Sorted) -> None:
    moments = table.times.view(np.int64)
    same = (moments[1:] == moments[:-1]) & (table.series[1:] == table.series[:-1])
    if same.any():
        place = int(same.argmax())
        first, second = sorted(table.order[place : place + 2])
        alone = "; where these are several series, name their column by id_col="
        raise ValueError(
            f"{rows.describe(int(second))} has the same time, {table.times[place]}, as row "
            f"{first}; drop duplicates or aggregate them, for instance by a groupby"
            f"{alone if len(rows.ids) == 1 else ''}"
        )


def _refuse_off_grid(rows: Rows, table: _Sorted, exact: np.ndarray, frequency: Frequency) -> None:
    if exact.all():
        return
    place = int((~exact).argmax())
    raise ValueError(
        f"{rows.describe(int(table.order[place]))}: {table.times[place]} is not a whole number of "
        f"steps of freq={frequency.alias or frequency.step!r} after the series' first time, "
        f"{table.starts[place]}; pass the right freq=, or resample"
    )


def _refuse_empty_grid(
    rows: Rows, table: _Sorted, lengths: np.ndarray, ends: np.ndarray, frequency: Frequency
) -> None:
    if lengths.sum() <= _MOST_STEPS_PER_ROW * len(table.series) + 100_000:
        return
    longest = int(lengths.argmax())
    raise ValueError(
        f"series {as_python(rows.ids[rows.series[table.order[ends[longest]]]])!r} would span "
        f"{lengths[longest]:,} steps of freq={frequency.alias or frequency.step!r}, nearly all "
        f"missing (up to {table.times[ends[longest]]}); check its dates or pass the right freq="
    )


def _without_leading_gaps(panel: Panel) -> Panel:
    """Return the panel with each series starting at its first value; all-missing ones stay."""
    first = panel.first_known
    leading = np.where(first < panel.lengths, first, 0)
    return panel.slice(leading, panel.lengths) if leading.any() else panel


def encode_categories(column: Any, levels: tuple[object, ...] | None) -> tuple[np.ndarray, tuple]:
    """Return a categorical column as the numbers of its levels, and those levels.

    With `levels` given (remembered from `fit`), a value that is not among them is NaN.
    """
    values = pd.Series(column).reset_index(drop=True)
    if levels is None:
        levels = tuple(sorted(values.dropna().unique().tolist(), key=str))
    codes = pd.Categorical(values, categories=list(levels)).codes.astype(np.float64)
    return np.where(codes < 0, np.nan, codes), levels
