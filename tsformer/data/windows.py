"""Batches of windows, gathered from a panel by index arithmetic.

A window is its series and its cut-off: the number of steps of the series that are context. One
`gather` computes the positions of all steps of all windows at once; no Python runs per window.
What lies outside the series is missing, so that short series are padded on the left.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsformer.data.encoding import EncodedCovariates
from tsformer.data.panel import Panel
from tsformer.types import Batch

_PART = 1 << 20  # steps


@dataclass(frozen=True, kw_only=True)
class WindowSource:
    """A panel as tensors, ready to be cut into windows.

    Attributes:
        values: `[C, T]`, raw units, NaN = missing.
        begins, ends: `[S]`, where each series begins and ends; beyond, everything is missing.
        context_length: steps of context in each window.
        horizon: steps of future in each window; 0 in prediction.
        covariates: what goes with the target; None without any.
        series_scale: `[S, C]`, see `Batch`; None where losses do not need it.
    """

    values: Tensor
    begins: Tensor
    ends: Tensor
    context_length: int
    horizon: int
    covariates: CovariateSource | None = None
    series_scale: Tensor | None = None

    @classmethod
    def of(
        cls, panel: Panel, context_length: int, horizon: int, lengths: np.ndarray | None = None
    ) -> WindowSource:
        """Return a panel as a source of windows; the values are shared, not copied.

        `lengths`, `[S]`, ends each series earlier, as if what comes later were not known.
        """
        begins = torch.from_numpy(panel.offsets[:-1])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            values = torch.from_numpy(panel.values)  # it need not be: it is only read
        if values.shape[1] == 0:  # all series are empty, but windows need something to point at
            values = values.new_full((len(values), 1), torch.nan)
        return cls(
            values=values,
            begins=begins,
            ends=begins + torch.from_numpy(panel.lengths if lengths is None else lengths),
            context_length=context_length,
            horizon=horizon,
        )

    def to(self, device: torch.device) -> WindowSource:
        """Return the same source on a device, where its windows will be gathered."""
        return _moved(self, device)

    @property
    def n_bytes(self) -> int:
        """Memory that the values take, those of covariates included."""
        if self.covariates is None:
            return self.values.nbytes
        covariates = self.covariates
        return self.values.nbytes + covariates.values.nbytes + covariates.coming.nbytes

    def gather(self, series: Tensor, cutoffs: Tensor) -> Batch:
        """Return the windows of these series at these cut-offs.

        Args:
            series: `[B]`, numbers of series, on the device of the values.
            cutoffs: `[B]`, steps of context that each series has before its window's future;
                beyond the series' end, everything is missing.
        """
        begin, end = self.begins[series], self.ends[series]
        cut = begin + cutoffs
        windows, observed = self._cut(begin, end, cut)
        past = slice(0, self.context_length)
        future = slice(self.context_length, None)
        batch = Batch(
            target=windows[:, :, past],
            observed=observed[:, :, past],
            future=windows[:, :, future] if self.horizon else None,
            future_observed=observed[:, :, future] if self.horizon else None,
            series=series,
            series_scale=None if self.series_scale is None else self.series_scale[series, :, None],
        )
        if self.covariates is None:
            return batch
        return self.covariates.join(batch, begin[:, None], end[:, None], cut[:, None])

    def _cut(self, begin: Tensor, end: Tensor, cut: Tensor) -> tuple[Tensor, Tensor]:
        """Return the windows, 0 where missing, and True where a value is known, `[B, C, L + H]`.

        Args:
            begin, end, cut: `[B]`, where series begin and end in `values`, and contexts end.
        """
        size, length = self.context_length + self.horizon, self.values.shape[1]
        first = cut - self.context_length
        # On a GPU, looking would synchronise.
        looks = self.values.device.type == "cpu" and size <= length
        if looks and bool(((first >= begin) & (first + size <= end)).all()):
            windows = self.values.unfold(1, size, 1)[:, first].transpose(0, 1)
            if self.horizon and self._complete:  # in training, windows are cut again and again
                return windows, torch.ones_like(windows, dtype=torch.bool)
            observed = windows.isfinite()
        else:
            position = first[:, None] + torch.arange(size, device=first.device)
            inside = (position >= begin[:, None]) & (position < end[:, None])
            windows = self.values[:, position.clamp(0, length - 1)].transpose(0, 1)
            observed = inside[:, None] & windows.isfinite()
        return torch.where(observed, windows, 0.0), observed

    @cached_property
    def _complete(self) -> bool:
        """Whether no value is missing; looked at in parts, which take no memory to speak of."""
        return all(bool(part.isfinite().all()) for part in self.values.split(_PART, dim=1))


@dataclass(frozen=True, kw_only=True)
class CovariateSource:
    """Encoded covariates as tensors, ready to be cut into windows.

    Attributes:
        values: `[K, T]`, NaN = unknown; the first `coming.shape[0]` are known in the future.
        coming: `[K_future, S, H]`, after the last step of each series in `values`.
        lasts: `[S]`, where each series ends in `values`: what is held out is covered too.
        static: `[F, S]`, NaN = unknown.
        horizon: steps of the future that windows cover.
    """

    values: Tensor
    coming: Tensor
    lasts: Tensor
    static: Tensor
    horizon: int

    @classmethod
    def of(cls, panel: Panel, encoded: EncodedCovariates, horizon: int) -> CovariateSource:
        """Return the covariates of a panel as a source."""
        values = torch.from_numpy(encoded.values)
        if values.shape[1] == 0:
            values = values.new_full((len(values), 1), torch.nan)
        return cls(
            values=values,
            coming=torch.from_numpy(encoded.coming),
            lasts=torch.from_numpy(panel.offsets[1:]),
            static=torch.from_numpy(encoded.static),
            horizon=horizon,
        )

    def to(self, device: torch.device) -> CovariateSource:
        """Return the same source on a device."""
        return _moved(self, device)

    def join(self, batch: Batch, begin: Tensor, end: Tensor, cut: Tensor) -> Batch:
        """Return the batch with its covariates.

        Args:
            batch: the windows, with their series' numbers.
            begin, end, cut: `[B, 1]`, where the windows' series begin and end in `values`, and
                where their contexts end; of the past, nothing is known from `end` on.
        """
        assert batch.series is not None
        context_length = batch.target.shape[-1]
        steps = torch.arange(-context_length, self.horizon, device=cut.device)
        position = cut + steps
        last, n_future = self.lasts[batch.series, None], len(self.coming)
        windows = self.values[:, position.clamp(0, self.values.shape[1] - 1)]  # [K, B, L + H]
        windows = torch.where((position >= begin) & (position < last), windows, torch.nan)
        if n_future and self.coming.shape[-1]:
            beyond = (position - last).clamp(0, self.coming.shape[-1] - 1)
            later = self.coming[:, batch.series[:, None], beyond]
            within = (position >= last) & (position - last < self.coming.shape[-1])
            windows[:n_future] = torch.where(within, later, windows[:n_future])
        unknown = (steps >= 0) | (position >= end)
        windows[n_future:] = torch.where(unknown, torch.nan, windows[n_future:])
        windows = windows.transpose(0, 1)
        observed = windows.isfinite()
        static = self.static[:, batch.series].T
        return replace(
            batch,
            covariates=torch.where(observed, windows, 0.0),
            covariates_observed=observed,
            static=torch.where(static.isfinite(), static, 0.0),
        )


def _moved(source: Any, device: torch.device) -> Any:
    """Return a source whose tensors, and those of its parts, are on a device."""
    parts = {field.name: getattr(source, field.name) for field in fields(source)}
    kinds = Tensor | CovariateSource
    moved = {name: part.to(device) for name, part in parts.items() if isinstance(part, kinds)}
    return replace(source, **moved)


def latest_windows(panel: Panel, context_length: int) -> WindowSource:
    """Return the source whose windows, at `cutoffs = lengths`, are the ends of the series."""
    return WindowSource.of(panel, context_length, horizon=0)


@dataclass(frozen=True, kw_only=True)
class WindowRange:
    """For every series the cut-offs at which it may be cut, `first` to `last`, both included.

    `first` and `last` are `[S]`; a series with `last < first` has no window.
    """

    first: np.ndarray
    last: np.ndarray

    @cached_property
    def counts(self) -> np.ndarray:
        """`[S]`, windows of each series."""
        return np.maximum(self.last - self.first + 1, 0)

    def locate(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return series and cut-off of windows numbered through all series, `[B]` each."""
        ends, shift = self._numbering
        series = torch.searchsorted(ends, numbers, right=True)
        return series, numbers + shift[series]

    @cached_property
    def _numbering(self) -> tuple[Tensor, Tensor]:
        """Where the numbers of each series' windows end, and what makes them cut-offs, `[S]`."""
        ends = np.cumsum(self.counts)
        return torch.from_numpy(ends), torch.from_numpy(self.first - ends + self.counts)


def training_range(lengths: np.ndarray, context_length: int, horizon: int) -> WindowRange:
    """Return the cut-offs to train on.

    A long series gives full windows only. One that is too short for them gives windows padded on
    the left, down to half of what it can offer, and one shorter than the horizon a window whose
    future is known in part.
    """
    last = np.where(lengths > horizon, lengths - horizon, lengths - 1)
    first = np.minimum(context_length, (last + 1) // 2)
    return WindowRange(first=np.maximum(first, 1), last=last)


def validation_range(lengths: np.ndarray, horizon: int, sizes: np.ndarray) -> WindowRange:
    """Return the cut-offs whose future lies in the last `sizes` steps of each series.

    A part shorter than the horizon gives one window, whose future is known in part.
    """
    first = np.maximum(lengths - sizes, 1)
    last = np.where(sizes > 0, np.maximum(lengths - horizon, first), 0)
    return WindowRange(first=first, last=last)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """All windows of a source whose cut-offs lie in a range."""

    source: WindowSource
    range: WindowRange

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return int(self.range.counts.sum())

    def batch(self, numbers: Tensor) -> Batch:
        """Return the windows of these numbers, `[B]`, counted through all series."""
        device = self.source.values.device
        series, cutoffs = self.range.locate(numbers)
        return self.source.gather(series.to(device), cutoffs.to(device))

    def to(self, device: torch.device) -> Windows:
        """Return the same windows, gathered on a device."""
        return replace(self, source=self.source.to(device))


@dataclass(frozen=True, kw_only=True)
class RandomWindows:
    """An endless stream of batches of windows drawn at random, all windows equally likely.

    Every iteration draws from the one generator, so that the same seed gives the same stream.
    """

    windows: Windows
    batch_size: int
    generator: torch.Generator

    def __iter__(self) -> Iterator[Batch]:
        while True:
            size = (self.batch_size,)
            yield self.windows.batch(
                torch.randint(len(self.windows), size, generator=self.generator)
            )


@dataclass(frozen=True, kw_only=True)
class EpochWindows:
    """All windows once per iteration, in a new random order each time, or in a fixed order.

    `generator=None` keeps the order. `limit` takes that many windows: evenly spread, or drawn anew
    each time where the order is random.
    """

    windows: Windows
    batch_size: int
    generator: torch.Generator | None = None
    limit: int | None = None

    def __len__(self) -> int:
        return -(-min(len(self.windows), self.limit or len(self.windows)) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        total = len(self.windows)
        if self.generator is not None:
            numbers = torch.randperm(total, generator=self.generator)[: self.limit]
        elif self.limit is not None and total > self.limit:  # float32 would miss some of 2^24
            numbers = torch.linspace(0, total - 1, self.limit, dtype=torch.float64).round().long()
        else:
            numbers = torch.arange(total)
        for part in numbers.split(self.batch_size):
            yield self.windows.batch(part)
