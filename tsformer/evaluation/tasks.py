"""Tasks: series, cut-offs and truth under one of three protocols.

- `rolling` (GIFT-Eval, Aksu et al. 2024): non-overlapping windows at the end of each series; a
  model learns from what comes before the first one, and forecasts each from all that precedes it.
- `last` (Chronos, Ansari et al. 2024; fev): one window, the last horizon of each series.
- `ltsf` (Informer, Zhou et al. 2021, and its successors): fixed numbers of rows to train, to
  validate and to test on, values standardised by the training part, a window at every test row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.datasets import load_dataset
from tsformer.data.frame import Schema, read_panel
from tsformer.data.grid import as_python
from tsformer.data.panel import Panel, ragged_ranges
from tsformer.evaluation.suite import ResampleSpec, TaskSpec

_STEPS_AT_ONCE = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Some of a task's windows, one row for each of a series or, where these were joined, variate.

    Attributes:
        history: what precedes each window.
        truth: `[W, H]`, NaN = missing.
        series: `[W]`, the number of the series.
        names: `[W]`, its name.
    """

    history: Panel
    truth: np.ndarray
    series: np.ndarray
    names: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task with its data.

    Attributes:
        spec: what it was made from.
        panel: all series, whole.
        training: where what a model may learn from ends in each series, `[S]`.
        val_size: how many of these are held out for validation; None leaves it to the model.
        cutoffs: `[windows, S]`, steps before each window.
        variates: the names of series that were joined to one.
    """

    spec: TaskSpec
    panel: Panel
    training: np.ndarray
    val_size: int | None
    cutoffs: np.ndarray
    variates: tuple[str, ...] = ()

    def joined(self) -> Task:
        """Return the task with its series as variates of one item, if they run side by side."""
        together = self.panel.joined()
        if together is None or len(self.panel) == 1:
            return self
        return replace(
            self,
            panel=together,
            training=self.training[:1],
            cutoffs=self.cutoffs[:, :1],
            variates=tuple(str(as_python(name)) for name in self.panel.ids),
        )

    @property
    def n_starred(self) -> int | None:
        """How many windows, a row per series or variate, fill batches (see `TaskSpec.batch`)."""
        if self.spec.batch is None:
            return None
        whole = len(self.cutoffs) // self.spec.batch * self.spec.batch
        return whole * len(self.panel) * self.panel.n_variates

    @property
    def training_panel(self) -> Panel:
        """What a model may learn from; series without any of it are left out."""
        rows = self.training - (self.val_size or 0)
        unseen = np.floor((1 - self.spec.training_share) * rows).astype(np.int64)
        learned = self.panel.slice(unseen, self.training)
        return learned.select(np.flatnonzero(learned.lengths > 0))

    def windows(self, memory: int | None = None) -> Iterator[Windows]:
        """Yield all windows, cut-off by cut-off, as many at once as fit into memory well.

        Args:
            memory: steps of history that are needed; None for all.
        """
        n_windows, n_series = self.cutoffs.shape
        series = np.tile(np.arange(n_series), n_windows)
        cutoffs = self.cutoffs.reshape(-1)
        steps = np.minimum(cutoffs, memory or cutoffs.max())
        parts = np.cumsum(steps * self.panel.n_variates) // _STEPS_AT_ONCE
        for part in np.unique(parts):
            chosen = np.flatnonzero(parts == part)
            yield self._windows(series[chosen], cutoffs[chosen], memory)

    def _windows(self, series: np.ndarray, cutoffs: np.ndarray, memory: int | None) -> Windows:
        begin = np.maximum(cutoffs - memory, 0) if memory else np.zeros_like(cutoffs)
        history = _spans(self.panel, series, begin, cutoffs)
        horizon = self.spec.horizon
        positions = self.panel.offsets[:-1][series] + cutoffs
        n_variates = self.panel.n_variates
        truth = self.panel.values[:, positions[:, None] + np.arange(horizon)]  # [C, W, H]
        return Windows(
            history=history,
            truth=truth.transpose(1, 0, 2).reshape(-1, horizon).astype(np.float64),
            series=(series[:, None] * n_variates + np.arange(n_variates)).reshape(-1),
            names=np.tile(self.variates, len(series)) if self.variates else self.panel.ids[series],
        )


def load_task(spec: TaskSpec) -> Task:
    """Return a task with its data.

    Raises:
        DatasetUnavailableError: where the data cannot be had.
    """
    frame = _chosen(load_dataset(spec.dataset), spec)
    if spec.resample is not None:
        frame = resample(frame, spec.resample)
    panel, _ = read_panel(frame, Schema())
    if spec.protocol == "ltsf":
        return _long_term(spec, panel)
    windows = 1 if spec.protocol == "last" else spec.windows or _gift_windows(panel, spec.horizon)
    first = panel.lengths - windows * spec.horizon
    if (first < 1).any():
        short = panel.ids[int((first < 1).argmax())]
        raise ValueError(f"task {spec.name!r}: series {short!r} is shorter than its windows")
    cutoffs = first + spec.horizon * np.arange(windows)[:, None]
    return Task(spec=spec, panel=panel, training=first, val_size=None, cutoffs=cutoffs)


def _chosen(frame: pd.DataFrame, spec: TaskSpec) -> pd.DataFrame:
    """Return the rows that a task takes."""
    if spec.series is not None:
        frame = frame[frame["unique_id"] == spec.series]
        if frame.empty:
            raise ValueError(f"task {spec.name!r}: {spec.dataset} has no series {spec.series!r}")
    if spec.every > 1:
        frame = frame[frame.groupby("unique_id", sort=False).cumcount() % spec.every == 0]
    return frame


def _gift_windows(panel: Panel, horizon: int) -> int:
    return min(max(1, math.ceil(0.1 * int(panel.lengths.min()) / horizon)), 20)


def _long_term(spec: TaskSpec, panel: Panel) -> Task:
    """Return a task in which each series is standardised by its training part."""
    if spec.split is None:
        raise ValueError(f"task {spec.name!r}: protocol 'ltsf' needs split: [train, val, test]")
    train, validation, test = spec.split
    total = train + validation + test
    panel = panel.head(np.full(len(panel), total))
    if (panel.lengths < total).any():
        raise ValueError(f"task {spec.name!r}: the series are shorter than split={spec.split}")
    values = panel.values.reshape(len(panel), total).astype(np.float64)
    mean = values[:, :train].mean(axis=1, keepdims=True)
    deviation = values[:, :train].std(axis=1, keepdims=True)
    scaled = ((values - mean) / deviation).astype(np.float32)
    panel = replace(panel, values=scaled.reshape(1, -1))
    first = train + validation
    cutoffs = np.arange(first, total - spec.horizon + 1)[:, None]
    return Task(
        spec=spec,
        panel=panel,
        training=np.full(len(panel), first),
        val_size=validation,
        cutoffs=np.broadcast_to(cutoffs, (len(cutoffs), len(panel))),
    )


def resample(frame: pd.DataFrame, spec: ResampleSpec) -> pd.DataFrame:
    """Return a long frame aggregated over bins; an incomplete first or last one is dropped."""
    step = frame["ds"].diff().median()
    pieces = []
    for name, group in frame.groupby("unique_id", sort=False):
        bins = group.set_index("ds")["y"].resample(spec.freq)
        total, count = bins.agg(spec.how), bins.count().to_numpy()
        size = _bin_span(total.index, spec.freq) / step
        whole = slice(int(count[0] < size[0]), len(total) - int(count[-1] < size[-1]))
        total = total.iloc[whole]
        pieces.append(pd.DataFrame({"unique_id": name, "ds": total.index, "y": total.to_numpy()}))
    return pd.concat(pieces, ignore_index=True)


def _bin_span(labels: Any, freq: str) -> Any:
    """Return how long each bin is; those of weeks are labelled by their last day."""
    if freq.startswith("W"):
        return np.full(len(labels), pd.Timedelta(days=7))
    return (labels + pd.tseries.frequencies.to_offset(freq)) - labels


def _spans(panel: Panel, series: np.ndarray, begin: np.ndarray, end: np.ndarray) -> Panel:
    """Return a panel of spans of series, which may come from one series many times."""
    positions = ragged_ranges(panel.offsets[:-1][series] + begin, end - begin)
    return Panel(
        values=panel.values[:, positions],
        offsets=np.r_[0, np.cumsum(end - begin)],
        ids=panel.ids[series],
        starts=panel.freq.times(panel.starts[series], begin),
        freq=panel.freq,
    )
