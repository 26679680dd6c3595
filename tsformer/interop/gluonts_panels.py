"""GluonTS entries become a panel: windows of one series among them, and features as covariates."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from gluonts.dataset.field_names import FieldName

from tsformer.data.columns import Times, read_numbers, read_times
from tsformer.data.grid import encode_categories
from tsformer.data.panel import Covariates, Panel, ragged_ranges
from tsformer.interop.gluonts_entries import Item

_FEATURES = {
    "static_covariates": (FieldName.FEAT_STATIC_REAL, FieldName.FEAT_STATIC_CAT),
    "past_covariates": (FieldName.PAST_FEAT_DYNAMIC_REAL, FieldName.PAST_FEAT_DYNAMIC_CAT),
    "future_covariates": (FieldName.FEAT_DYNAMIC_REAL, FieldName.FEAT_DYNAMIC_CAT),
}
KINDS = tuple(_FEATURES)


@dataclass(frozen=True, kw_only=True)
class EntryReader:
    """How entries become a panel.

    Attributes:
        covariates: for each kind, as `Panel` calls it, the names of the rows of its features:
            numbers first, then categories.
        levels: of the categories, where they are known already; covariates that are not among
            them are numbers then. None finds out.
        memory: steps at the end of each target that are kept.
        horizon: steps after it for which future covariates must be known; 0 while learning.
    """

    covariates: Mapping[str, Sequence[str]]
    levels: Mapping[str, tuple[object, ...]] | None = None
    memory: int = sys.maxsize
    horizon: int = 0

    def read(self, items: Sequence[Item], names: Sequence[Any]) -> Panel:
        """Return the entries as a panel, in their order, each from its first value on.

        Args:
            items: entries of one kind.
            names: the ids, not distinct where windows of one series are forecast.
        """
        lengths = np.array([item.length for item in items])
        kept = np.minimum(lengths, self.memory)
        begins = lengths - kept
        ends = lengths + self.horizon  # of what is known in advance
        first, last = np.zeros_like(begins), np.ones_like(begins)  # of what has no time
        times = _starts(items)
        assert times.freq is not None
        panel = Panel(
            values=_target_values(items, begins),
            offsets=np.r_[0, np.cumsum(kept)],
            ids=_as_ids(names),
            starts=times.freq.times(times.values, begins),
            freq=times.freq,
            static_covariates=self._read("static_covariates", items, first, last),
            past_covariates=self._read("past_covariates", items, begins, lengths),
            future_covariates=self._read("future_covariates", items, begins, ends),
        )
        panel = self._without_horizon(panel)
        known = panel.first_known
        leading = np.where(known < panel.lengths, known, 0)
        return panel.slice(leading, panel.lengths) if leading.any() else panel

    def _without_horizon(self, panel: Panel) -> Panel:
        """Return the panel with the future covariates of the steps to come by themselves."""
        both = panel.future_covariates
        if both is None or not self.horizon:
            return panel
        begins = panel.offsets[:-1] + self.horizon * np.arange(len(panel))
        steps = (begins + panel.lengths)[:, None] + np.arange(self.horizon)
        within = both.take(ragged_ranges(begins, panel.lengths))
        return replace(panel, future_covariates=within, coming=both.values[:, steps])

    def _read(
        self, kind: str, items: Sequence[Item], begins: np.ndarray, ends: np.ndarray
    ) -> Covariates | None:
        """Return covariates of a kind, steps `begins` to `ends` of all entries side by side."""
        names = tuple(self.covariates.get(kind, ()))
        if not names:
            return None
        spans = zip(items, begins.tolist(), ends.tolist(), strict=True)
        table = np.concatenate([_features(item, kind, names, *span) for item, *span in spans], 1)
        numbers = _names_of_numbers(items, kind, names) if self.levels is None else names
        values, levels = [], {}
        for name, row in zip(names, table, strict=True):
            known = None if self.levels is None else self.levels.get(name)
            if known is not None or name not in numbers:
                row, levels[name] = encode_categories(row, known)
            else:
                row = read_numbers(row, name, _describe(items, ends - begins))
            values.append(row)
        dtype = np.float64 if kind == "static_covariates" else np.float32
        return Covariates(names=names, values=np.stack(values, dtype=dtype), levels=levels)


def _starts(items: Sequence[Item]) -> Times:
    """Return the first time of each entry, and their frequency."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of business days
        starts = pd.PeriodIndex([item.start for item in items])
        return read_times(starts, FieldName.START, lambda row: str(items[row]))


def _as_ids(names: Sequence[Any]) -> np.ndarray:
    plain = [name if isinstance(name, str | int | float) else str(name) for name in names]
    numbers = all(isinstance(name, int) for name in plain)
    return np.array(plain, dtype=None if numbers else object)


def _target_values(items: Sequence[Item], begins: np.ndarray) -> np.ndarray:
    """Return the targets from steps `begins` on, one after the other, `[C, T]`."""
    pieces = [item.target[:, begin:] for item, begin in zip(items, begins.tolist(), strict=True)]
    where = _describe(items, np.array([piece.shape[1] for piece in pieces]))
    rows = np.concatenate(pieces, axis=1)
    return np.stack([read_numbers(row, FieldName.TARGET, where) for row in rows], dtype=np.float32)


def _describe(items: Sequence[Item], lengths: np.ndarray) -> Callable[[int], str]:
    """Return a function that names the entry of a step, counted through all entries."""
    ends = np.cumsum(lengths)
    return lambda step: str(items[int(np.searchsorted(ends, step, side="right"))])


def _names_of_numbers(items: Sequence[Item], kind: str, names: Sequence[str]) -> Sequence[str]:
    """Return the names of the rows that are numbers, the same in all entries."""
    field = _FEATURES[kind][0]
    counts = [len(_rows(item, kind, field)) for item in items]
    for item, count in zip(items, counts, strict=True):
        if count != counts[0]:
            raise ValueError(
                f"{item} has {count} rows of {field}, but {items[0]} has {counts[0]}; give all "
                "entries the same features"
            )
    return names[: counts[0]]


def _rows(item: Item, kind: str, field: str) -> np.ndarray:
    """Return a field of features, `[K, n]`; nothing where the entry lacks it."""
    if item.entry.get(field) is None:
        return np.empty((0, 0))
    values = np.asarray(item.entry[field])
    return values.reshape(-1, 1) if kind == "static_covariates" else np.atleast_2d(values)


def _features(item: Item, kind: str, names: Sequence[str], begin: int, end: int) -> np.ndarray:
    """Return all features of a kind at steps `begin` to `end`, `[K, end - begin]`.

    Raises:
        ValueError: where there are more or fewer of them than names, or they end too early.
    """
    rows = [row for field in _FEATURES[kind] for row in _rows(item, kind, field)]
    if len(rows) != len(names):
        raise ValueError(
            f"{item} has {len(rows)} rows of {' and '.join(_FEATURES[kind])} together, but "
            f"{kind}={list(names)} of the forecaster names {len(names)}; name each row, in order"
        )
    for name, row in zip(names, rows, strict=True):
        if len(row) < end:
            beyond = f" and {end - item.length} after it" if end > item.length else ""
            raise ValueError(
                f"{item}: covariate {name!r} has {len(row)} steps, but {end} are needed, "
                f"{item.length} of the target{beyond}"
            )
    return np.stack([row[begin:end] for row in rows])
