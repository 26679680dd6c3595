"""Many series of different length in one contiguous array, with a calendar for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tsformer.data.calendar import Frequency


@dataclass(frozen=True, kw_only=True)
class Covariates:
    """Named series that go with the target, as numbers.

    Attributes:
        names: `[K]`, the columns.
        values: `[K, T]` along time or `[K, S]` per series; NaN = missing. A category is the
            number of its level.
        levels: for each categorical column its levels, in order; a level that was not known
            when they were gathered is missing.
    """

    names: tuple[str, ...]
    values: np.ndarray
    levels: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def take(self, positions: np.ndarray) -> Covariates:
        """Return the same covariates at these positions of the last axis."""
        return replace(self, values=self.values[:, positions])


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Ragged series, one after the other in contiguous memory, ordered by id.

    `values` may be a memory map: nothing here copies it as a whole.

    Attributes:
        values: `[C, T]`, float32, raw units, NaN = missing.
        offsets: `[S + 1]`, where each series begins in `values`.
        ids: `[S]`, the series' names, distinct.
        starts: `[S]`, the first time of each series, `datetime64[us]` or `int64`.
        freq: the rhythm that all series share.
        past_covariates: known up to the cut-off, `[K, T]`.
        future_covariates: known beyond it, `[K, T]`.
        static_covariates: one value per series, `[K, S]`.
        coming: the future covariates of the steps after each series' end, `[K, S, H]`.
    """

    values: np.ndarray
    offsets: np.ndarray
    ids: np.ndarray
    starts: np.ndarray
    freq: Frequency
    past_covariates: Covariates | None = None
    future_covariates: Covariates | None = None
    static_covariates: Covariates | None = None
    coming: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """`[S]`, steps of each series, missing ones included."""
        return np.diff(self.offsets)

    @property
    def known_counts(self) -> np.ndarray:
        """`[S]`, steps of each series at which something was observed."""
        before = np.r_[0, np.cumsum(np.isfinite(self.values).any(axis=0))]
        return before[self.offsets[1:]] - before[self.offsets[:-1]]

    def series(self, number: int) -> np.ndarray:
        """Return the values of one series, `[C, length]`, as a view."""
        return self.values[:, self.offsets[number] : self.offsets[number + 1]]

    def times(self, number: int) -> np.ndarray:
        """Return the time stamps of one series, `[length]`."""
        return self.freq.times(self.starts[number], np.arange(self.lengths[number]))

    def future_times(self, horizon: int) -> np.ndarray:
        """Return the time stamps of the `horizon` steps after each series' end, `[S, H]`."""
        positions = self.lengths[:, None] + np.arange(horizon)
        return self.freq.times(self.starts[:, None], positions)

    def slice(self, begin: np.ndarray | int, end: np.ndarray) -> Panel:
        """Return the steps `begin` to `end` (exclusive) of every series.

        Bounds outside a series are moved to its ends; a series may become empty.
        """
        begin = np.clip(begin, 0, self.lengths)
        end = np.clip(end, begin, self.lengths)
        positions = ragged_ranges(self.offsets[:-1] + begin, end - begin)
        kept = self if (end == self.lengths).all() else replace(self, coming=None)
        return kept._at(positions, end - begin, self.freq.times(self.starts, begin))

    def cut(self, lengths: np.ndarray, horizon: int) -> Panel:
        """Return the first `lengths` steps of every series, and the covariates that come then."""
        earlier = self.head(lengths)
        if self.future_covariates is None:
            return earlier
        steps = (self.offsets[:-1] + lengths)[:, None] + np.arange(horizon)
        return replace(earlier, coming=self.future_covariates.values[:, steps])

    def head(self, lengths: np.ndarray) -> Panel:
        """Return the first `lengths` steps of every series."""
        return self.slice(0, lengths)

    def tail(self, length: int) -> Panel:
        """Return at most the last `length` steps of every series."""
        return self.slice(self.lengths - length, self.lengths)

    def select(self, numbers: Sequence[int] | np.ndarray) -> Panel:
        """Return these series, in this order."""
        numbers = np.asarray(numbers, dtype=np.int64)  # an empty list would be of floats
        positions = ragged_ranges(self.offsets[:-1][numbers], self.lengths[numbers])
        chosen = replace(
            self,
            ids=self.ids[numbers],
            static_covariates=self.static_covariates and self.static_covariates.take(numbers),
            coming=None if self.coming is None else self.coming[:, numbers],
        )
        return chosen._at(positions, self.lengths[numbers], self.starts[numbers])

    def _at(self, positions: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> Panel:
        return replace(
            self,
            values=np.ascontiguousarray(self.values[:, positions]),
            offsets=np.r_[0, np.cumsum(lengths)],
            starts=starts,
            past_covariates=self.past_covariates and self.past_covariates.take(positions),
            future_covariates=self.future_covariates and self.future_covariates.take(positions),
        )


def ragged_ranges(begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return `begins[i], begins[i] + 1, …` for `lengths[i]` steps, for every i, in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(begins - (ends - lengths), lengths)


def concatenate(earlier: Panel, later: Panel) -> Panel:
    """Return `later`, each series preceded by what `earlier` knows of the same id before it.

    Where both have a value for a step, the later panel's counts unless it is missing; what
    `earlier` has after the later panel's end is left out. So are series of `earlier` that `later`
    lacks, and covariates along time.

    Raises:
        ValueError: where the frequencies differ or a series' times do not fit on one grid.
    """
    joined = _join(earlier, later)
    before, _ = joined.freq.index(joined.starts, later.starts)
    return joined.head(before + later.lengths)


def extend(earlier: Panel, later: Panel) -> Panel:
    """Return the series of both panels, and all steps of those they have in common.

    Where both have a value for a step, the later panel's counts unless it is missing. Ordered by
    id; covariates are left out.
    """
    names = set(later.ids.tolist())
    others = earlier.select([n for n, name in enumerate(earlier.ids) if name not in names])
    joined = _join(earlier, later)
    both = Panel(
        values=np.concatenate([others.values, joined.values], axis=1),
        offsets=np.r_[others.offsets, others.offsets[-1] + joined.offsets[1:]],
        ids=np.concatenate([others.ids, joined.ids]),
        starts=np.concatenate([others.starts, joined.starts]),
        freq=later.freq,
    )
    return both.select(np.argsort(sort_keys(both.ids), kind="stable"))


def sort_keys(ids: np.ndarray) -> np.ndarray:
    """Return what ids are ordered by: themselves, or type and text where types are mixed."""
    if ids.dtype == object and len({type(name) for name in ids}) > 1:
        return np.array([f"{type(name).__name__} {name}" for name in ids], dtype=object)
    return ids


def _join(earlier: Panel, later: Panel) -> Panel:
    """Return the series of `later`, with all steps that either panel has of them."""
    if earlier.freq.unit != later.freq.unit or earlier.freq.step != later.freq.step:
        raise ValueError(
            f"freq {later.freq.alias or later.freq.step!r} of the new data is not the fitted "
            f"{earlier.freq.alias or earlier.freq.step!r}"
        )
    known = {name: number for number, name in enumerate(earlier.ids)}
    pieces, starts = [], []
    for number, name in enumerate(later.ids):
        start, values = later.starts[number], later.series(number)
        if name in known:
            start, values = _join_series(earlier, known[name], later, number)
        starts.append(start)
        pieces.append(values)
    lengths = [piece.shape[1] for piece in pieces]
    return replace(
        later,
        values=np.concatenate(pieces, axis=1),
        offsets=np.r_[0, np.cumsum(lengths)],
        starts=np.array(starts, dtype=later.starts.dtype),
        past_covariates=None,
        future_covariates=None,
    )


def _join_series(earlier: Panel, old: int, later: Panel, new: int) -> tuple[np.generic, np.ndarray]:
    """Return start and values of one series known from both panels."""
    past, recent = earlier.series(old), later.series(new)
    begins = np.array([earlier.starts[old], later.starts[new]])
    start = begins.min()
    positions, exact = later.freq.index(np.repeat(start, 2), begins)
    if not exact.all():
        raise ValueError(
            f"series {later.ids[new]!r}: the new data begin at {begins[1]}, which is not on the "
            f"grid of the fitted data, which begin at {begins[0]}"
        )
    ends = positions + np.array([past.shape[1], recent.shape[1]])
    joined = np.full((past.shape[0], ends.max()), np.nan, dtype=np.float32)
    for values, begin, end in zip((past, recent), positions, ends, strict=True):
        np.copyto(joined[:, begin:end], values, where=np.isfinite(values))
    return start, joined
