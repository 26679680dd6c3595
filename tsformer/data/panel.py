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

    def __post_init__(self) -> None:
        assert len(self.values) == len(self.names)

    def take(self, positions: np.ndarray) -> Covariates:
        """Return the same covariates at these positions of the last axis."""
        return replace(self, values=self.values[:, positions])


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Ragged series, one after the other in contiguous memory, ordered by id.

    `values` may be a memory map: only `changes`, and `univariate` of several variates, copy it as a
    whole.

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
    def n_variates(self) -> int:
        """C, the variates of each series."""
        return self.values.shape[0]

    @property
    def lengths(self) -> np.ndarray:
        """`[S]`, steps of each series, missing ones included."""
        return np.diff(self.offsets)

    @property
    def levels(self) -> dict[str, tuple[object, ...]]:
        """The levels of all categorical covariates, by name."""
        kinds = (self.past_covariates, self.future_covariates, self.static_covariates)
        return {name: known for kind in kinds if kind for name, known in kind.levels.items()}

    @property
    def known_counts(self) -> np.ndarray:
        """`[S]`, steps of each series at which something was observed."""
        return self._sums(np.isfinite(self.values).any(axis=0), np.int64)

    @property
    def first_known(self) -> np.ndarray:
        """`[S]`, the step of each series at which something is first observed, else its length."""
        begins = self.offsets[:-1][self.lengths > 0]
        if np.isfinite(self.values[:, begins]).any(axis=0).all():  # as in most panels
            return np.zeros(len(self), dtype=np.int64)
        known = np.flatnonzero(np.isfinite(self.values).any(axis=0))
        known = np.r_[known, self.values.shape[1]]
        first = known[np.searchsorted(known, self.offsets[:-1])]
        return np.minimum(first, self.offsets[1:]) - self.offsets[:-1]

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of each series' finite values, `[S]`, of `[T]`; NaN where none is."""
        finite = np.isfinite(values)
        whole = finite.all()
        total = self._sums(values if whole else np.where(finite, values, 0.0), np.float64)
        count = self.lengths if whole else self._sums(finite, np.int64)
        with np.errstate(invalid="ignore"):
            return total / count

    def changes(self, lag: int) -> np.ndarray:
        """Return values less those of `lag` steps earlier, `[C, T]`; NaN where there are none."""
        values, changes = self.values, np.empty(self.values.shape)
        np.subtract(values[:, lag:], values[:, :-lag], out=changes[:, lag:], dtype=np.float64)
        changes[:, ragged_ranges(self.offsets[:-1], np.minimum(self.lengths, lag))] = np.nan
        return changes

    def series(self, number: int) -> np.ndarray:
        """Return the values of one series, `[C, length]`, as a view."""
        return self.values[:, self.offsets[number] : self.offsets[number + 1]]

    def times(self, number: int) -> np.ndarray:
        """Return the time stamps of one series, `[length]`."""
        return self.freq.times(self.starts[number], np.arange(self.lengths[number]))

    def future_times(self, horizon: int) -> np.ndarray:
        """Return the time stamps of the `horizon` steps after each series' end, `[S, H]`."""
        return self.freq.following(self.starts, self.lengths, horizon)

    def slice(self, begin: np.ndarray | int, end: np.ndarray) -> Panel:
        """Return the steps `begin` to `end` (exclusive) of every series.

        Bounds outside a series are moved to its ends; a series may become empty. Where all steps
        are asked for, it is this panel itself.
        """
        begin = np.clip(begin, 0, self.lengths)
        end = np.clip(end, begin, self.lengths)
        if not begin.any() and (end == self.lengths).all():
            return self
        kept = self if (end == self.lengths).all() else replace(self, coming=None)
        starts = self.freq.times(self.starts, begin)
        return kept._at(self.offsets[:-1] + begin, end - begin, starts)

    def cut(self, lengths: np.ndarray, horizon: int) -> Panel:
        """Return the first `lengths` steps of every series, and the covariates that come then.

        Assumes that every series has `horizon` more steps.
        """
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
        coming = None if self.coming is None else self.coming[:, numbers]
        begins, lengths = self.offsets[:-1][numbers], self.lengths[numbers]
        return self._of(numbers, coming)._at(begins, lengths, self.starts[numbers])

    def excerpts(self, numbers: np.ndarray, ends: np.ndarray, length: int, horizon: int) -> Panel:
        """Return at most `length` steps before these ends of these series, which may come again.

        What `cut` and `tail` do, for many ends of a series at once; a piece is named as its series.

        Args:
            numbers, ends: `[E]`, series and steps of them; `horizon` more must be there.
            length: steps to keep of each.
            horizon: steps of which the future covariates are kept.
        """
        begins = np.maximum(ends - length, 0)
        coming = None
        if self.future_covariates is not None:
            steps = (self.offsets[numbers] + ends)[:, None] + np.arange(horizon)
            coming = self.future_covariates.values[:, steps]
        starts = self.freq.times(self.starts[numbers], begins)
        first = self.offsets[numbers] + begins
        return self._of(numbers, coming)._at(first, ends - begins, starts)

    def univariate(self) -> Panel:
        """Return every variate as a series of its own, named as its series was.

        Those of one series stand together, in their order; each keeps the series' covariates.
        """
        n_variates = self.n_variates
        if n_variates == 1:
            return self
        rows = np.repeat(np.arange(len(self)), n_variates)
        begins, lengths = self.offsets[:-1][rows], self.lengths[rows]
        variates = np.repeat(np.tile(np.arange(n_variates), len(self)), lengths)
        coming = None if self.coming is None else self.coming[:, rows]
        values = self.values[variates, ragged_ranges(begins, lengths)][None]
        apart = self._of(rows, coming)._at(begins, lengths, self.starts[rows])
        return replace(apart, values=values)

    def without_covariates(self) -> Panel:
        """Return the targets alone."""
        return replace(
            self,
            past_covariates=None,
            future_covariates=None,
            static_covariates=None,
            coming=None,
        )

    def joined(self) -> Panel | None:
        """Return all series as the variates of one, None where they do not run side by side.

        Covariates are left out.
        """
        side_by_side = (self.lengths == self.lengths[0]) & (self.starts == self.starts[0])
        if self.n_variates > 1 or not side_by_side.all():
            return None
        values = self.values.reshape(len(self), -1)
        return Panel(
            values=values,
            offsets=np.array([0, values.shape[1]]),
            ids=self.ids[:1],
            starts=self.starts[:1],
            freq=self.freq,
        )

    def _sums(self, values: np.ndarray, dtype: type) -> np.ndarray:
        """Return each series' sum of `[T]` values, `[S]`."""
        filled = self.lengths > 0
        sums: np.ndarray = np.zeros(len(self), dtype)
        if filled.any():
            sums[filled] = np.add.reduceat(values, self.offsets[:-1][filled], dtype=dtype)
        return sums

    def _of(self, numbers: np.ndarray, coming: np.ndarray | None) -> Panel:
        """Return what is said of these series once, beside the steps of all."""
        static = self.static_covariates and self.static_covariates.take(numbers)
        return replace(self, ids=self.ids[numbers], static_covariates=static, coming=coming)

    def _at(self, begins: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> Panel:
        """Return series that are so many of the steps from there on, `[S]` each."""

        def cut(covariates: Covariates | None) -> Covariates | None:
            return covariates and replace(
                covariates, values=_cut(covariates.values, begins, lengths)
            )

        return replace(
            self,
            values=_cut(self.values, begins, lengths),
            offsets=np.r_[0, np.cumsum(lengths)],
            starts=starts,
            past_covariates=cut(self.past_covariates),
            future_covariates=cut(self.future_covariates),
        )


def _cut(values: np.ndarray, begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return so many steps of `[K, T]` from each beginning on, one piece after the other."""
    if len(lengths) and lengths[0] > 0 and (lengths == lengths[0]).all():  # without positions
        pieces = np.lib.stride_tricks.sliding_window_view(values, lengths[0], axis=1)[:, begins]
        return np.ascontiguousarray(pieces).reshape(len(values), len(begins) * int(lengths[0]))
    return np.ascontiguousarray(values[:, ragged_ranges(begins, lengths)])


def runs_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where equal values that stand together begin, and how many, of `[n]`, n > 0."""
    begins = np.flatnonzero(np.r_[True, values[1:] != values[:-1]])
    return begins, np.diff(np.r_[begins, len(values)])


def ragged_ranges(begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return `begins[i], begins[i] + 1, …` for `lengths[i]` steps, for every i, in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(begins - (ends - lengths), lengths)


def sort_keys(ids: np.ndarray) -> np.ndarray:
    """Return what ids are ordered by: themselves, or type and text where types are mixed."""
    if ids.dtype == object and len({type(name) for name in ids}) > 1:
        return np.array([f"{type(name).__name__} {name}" for name in ids], dtype=object)
    return ids
