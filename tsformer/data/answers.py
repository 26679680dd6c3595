"""Frames that forecasters answered with, read back as arrays, window by window."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.columns import read_times
from tsformer.data.frame import Schema, read_panel
from tsformer.data.grid import as_python
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel

_A_LEVEL = re.compile(r"\d*\.?\d+(e-\d+)?")
_ANSWERS = ("cutoff", "variate", "mean")  # the first of them ends the columns of ids and times


@dataclass(frozen=True, kw_only=True)
class Window:
    """The forecast of one series, or of one variate of it, from one cut-off.

    Attributes:
        name: the series' id; None where the frame has no ids.
        variate: the target's name where there are several, else None.
        cutoff: the last time that was known; None in what `predict` returned.
        times: `[H]`, `datetime64[us]` or integers, as a panel has them.
        levels: `[Q]`, ascending.
        quantiles: `[H, Q]` at `levels`.
        mean: `[H]`.
        truth: `[H]`, NaN = missing; None in what `predict` returned.
    """

    name: Any
    variate: str | None
    cutoff: np.generic | None
    times: np.ndarray
    levels: tuple[float, ...]
    quantiles: np.ndarray
    mean: np.ndarray
    truth: np.ndarray | None

    @property
    def median(self) -> np.ndarray:
        """`[H]`; the mean where 0.5 is not among the levels."""
        return self.quantiles[:, self.levels.index(0.5)] if 0.5 in self.levels else self.mean


def read_windows(frame: Any, layout: Layout | None = None, name: str = "forecast") -> list[Window]:
    """Return the windows of a frame, in the order in which they first appear.

    Args:
        frame: what `predict` or `cross_validation` returned, pandas or polars, its rows in any
            order of series.
        layout: of the series that were forecast, which says by which clock times count.
        name: of the parameter, for errors.

    Raises:
        TypeError: for what is no frame.
        ValueError: for a frame without `mean`, or with times of another kind than the series'.
    """
    table = as_pandas(frame, name)
    keys = key_columns(table, name)
    times = _times(time_column(table, keys), keys[-1] if keys else "index", layout, name)
    rows: dict[str, Any] = {"id": table[keys[0]].to_numpy() if _has_ids(table, keys) else None}
    rows["variate"] = table["variate"].to_numpy() if "variate" in table else None
    has_cutoff = "cutoff" in table
    rows["cutoff"] = _times(table["cutoff"], "cutoff", layout, name) if has_cutoff else None
    quantiles = {level: column for column, level in quantile_columns(table).items()}
    values = table[[*quantiles.values()]].to_numpy(dtype=float)
    mean = table["mean"].to_numpy(dtype=float)
    truth = table[truth_column(table)].to_numpy(dtype=float) if has_cutoff else None
    windows = []
    for places in _places(rows, len(table)):
        first = places[0]
        of = {key: None if rows[key] is None else as_python(rows[key][first]) for key in rows}
        windows.append(
            Window(
                name=of["id"],
                variate=of["variate"],
                cutoff=rows["cutoff"][first] if has_cutoff else None,
                times=times[places],
                levels=tuple(quantiles),
                quantiles=values[places],
                mean=mean[places],
                truth=None if truth is None else truth[places],
            )
        )
    return windows


def read_history(df: Any, frame: Any) -> tuple[Panel, Layout]:
    """Return the series that were forecast, their columns named as in the forecast's frame.

    Args:
        df: series in any form that forecasters take.
        frame: what `predict` or `cross_validation` returned for them.
    """
    return read_panel(df, schema_like(df, as_pandas(frame, "forecast")))


def schema_like(
    df: Any, table: pd.DataFrame, target_col: str | Sequence[str] | None = None
) -> Schema:
    """Return how the columns of `df` are called, as far as its forecast tells."""
    keys = key_columns(table, "forecast")
    index = getattr(df, "index", None)
    present = {*getattr(df, "columns", ()), *(getattr(index, "names", None) or ())}
    target = target_col
    if target_col is None and "variate" in table:
        target = list(dict.fromkeys(table["variate"].tolist()))
    elif target_col is None and "cutoff" in table and truth_column(table) in present:
        target = truth_column(table)
    return Schema(
        id_col=keys[0] if _has_ids(table, keys) and keys[0] in present else None,
        time_col=keys[-1] if keys and keys[-1] in present else None,
        target_col=target,
    )


def as_pandas(frame: Any, name: str) -> pd.DataFrame:
    """Return a frame as pandas has it."""
    converted = frame.to_pandas() if hasattr(frame, "to_pandas") else frame
    if not isinstance(converted, pd.DataFrame):
        raise TypeError(
            f"{name} is of type {type(frame).__name__}; pass the frame that predict or "
            "cross_validation returned"
        )
    return converted


def key_columns(table: pd.DataFrame, name: str) -> list[str]:
    """Return the columns before the first that is an answer: ids and times.

    Raises:
        ValueError: where none is an answer, or others stand among them.
    """
    columns = list(table.columns)
    if "mean" not in columns:
        raise ValueError(
            f"{name} has no column 'mean' among {columns}; pass the frame that predict or "
            "cross_validation returned"
        )
    keys = columns[: min(columns.index(answer) for answer in _ANSWERS if answer in columns)]
    if len(keys) > 2:
        raise ValueError(
            f"{name} has the columns {keys} before its answers; pass the frame as predict or "
            "cross_validation returned it, with at most ids and times there"
        )
    return keys


def quantile_columns(table: Any) -> dict[str, float]:
    """Return the columns of a frame, pandas or polars, that are quantiles, by ascending level."""
    named = (str(name) for name in table.columns)
    found = {name: float(name) for name in named if _A_LEVEL.fullmatch(name)}
    between = {name: level for name, level in found.items() if 0 < level < 1}
    return dict(sorted(between.items(), key=lambda item: item[1]))


def truth_column(table: pd.DataFrame) -> Any:
    """Return the column of what came, which stands before the mean."""
    return table.columns[list(table.columns).index("mean") - 1]


def time_column(table: pd.DataFrame, keys: Sequence[str]) -> Any:
    """Return the times: the index where it holds some, or where there are no keys."""
    return table.index if _has_times_as_index(table) or not keys else table[keys[-1]]


def bands(levels: Sequence[float]) -> list[tuple[int, int, float]]:
    """Return the central intervals that quantiles make, the widest first.

    Returns:
        The places of both bounds in `levels`, and the share of values between them, 0 to 1.
    """
    place = {round(level, 10): number for number, level in enumerate(levels)}
    pairs = [(level, round(1 - level, 10)) for level in sorted(place) if level < 0.5]
    return [
        (place[low], place[high], round(high - low, 10)) for low, high in pairs if high in place
    ]


def by_model(frames: Any, name: str) -> dict[str, Any]:
    """Return frames by the name of their model; a single one has the empty name.

    Raises:
        ValueError: for no frame.
    """
    if not isinstance(frames, Mapping):
        return {"": frames}
    if not frames:
        raise ValueError(f"{name} is empty; pass a frame, or a dictionary of model and frame")
    return {str(model): frame for model, frame in frames.items()}


def _has_ids(table: pd.DataFrame, keys: Sequence[str]) -> bool:
    return len(keys) == 2 or (len(keys) == 1 and _has_times_as_index(table))


def _has_times_as_index(table: pd.DataFrame) -> bool:
    return isinstance(table.index, pd.DatetimeIndex | pd.PeriodIndex)


def _times(column: Any, column_name: str, layout: Layout | None, name: str) -> np.ndarray:
    """Return times by the clock of the panel that was forecast."""
    times = read_times(column, column_name, lambda row: f"row {row} of {name}")
    if layout is not None and (times.zone is None) != (layout.zone is None):
        raise ValueError(
            f"the times of {name} have the time zone {times.zone}, those of df {layout.zone}; pass "
            "the series that were forecast"
        )
    return times.on_the_wall if layout is not None and layout.wall else times.values


def _places(rows: Mapping[str, Any], n_rows: int) -> list[np.ndarray]:
    """Return the rows of each window, those of one window in their order."""
    keys = pd.DataFrame({k: v for k, v in rows.items() if v is not None}, index=range(n_rows))
    if keys.columns.empty:
        return [np.arange(n_rows)]
    codes = keys.groupby(list(keys.columns), sort=False, dropna=False, observed=True).ngroup()
    order = np.argsort(codes.to_numpy(), kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes.to_numpy()[order])) + 1)
