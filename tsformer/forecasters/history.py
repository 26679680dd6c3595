"""New data beside what a forecaster already knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tsformer.data.calendar import Frequency
from tsformer.data.frame import Schema, read_panel
from tsformer.data.joining import extend
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.forecasters.checks import positive_integer

_KEEP_COUNTING = "an array counts from 0: pass all of it, or a frame with times"


def read_like(df: Any, schema: Schema, freq: Frequency) -> tuple[Panel, Layout]:
    """Return data on the grid of a known frequency, so that one row is enough.

    Raises:
        ValueError: where the data are not sparse, but of another frequency.
    """
    if isinstance(df, np.ndarray):  # knows no calendar
        return read_panel(df, schema)
    panel, layout = read_panel(df, replace(schema, freq=freq))
    # every other step, or fewer: n values span at least 2 n - 1 steps
    sparse = 2 * np.isfinite(panel.values).sum() <= panel.values.size + len(panel)
    if sparse and (panel.lengths > 1).any() and schema.freq is None:
        found = read_panel(df, schema)[0].freq
        if (found.unit, found.step) != (freq.unit, freq.step):
            raise ValueError(
                f"the data look like freq={found.alias or found.step!r}, but the forecaster was "
                f"fitted at {freq.alias or freq.step!r}; resample them, or fit anew"
            )
    return panel, layout


def read_training(
    df: Any, val_df: Any, val_size: int | None, schema: Schema
) -> tuple[Panel, Layout, int | np.ndarray | None]:
    """Return all rows as a panel, how `df` looked, and how many steps are held out.

    Raises:
        ValueError: for a wrong `val_size`, or where `val_df` is given besides it.
    """
    if val_size is not None and val_size != 0:
        positive_integer("val_size", val_size)
    if val_df is None:
        return *read_panel(df, schema), val_size
    if val_size is not None:
        raise ValueError("val_df and val_size exclude each other; pass one of them")
    panel, layout = read_panel(df, schema)
    later, later_layout = read_like(val_df, replace(schema, levels=panel.levels), panel.freq)
    _refuse_other_clock(layout, later_layout)
    panel, sizes = append_validation(panel, later)
    return panel, layout, sizes


def append_validation(panel: Panel, later: Panel) -> tuple[Panel, np.ndarray]:
    """Return a panel with later rows appended, and how many these are for each series.

    Raises:
        ValueError: for a series that the panel does not have, or where no row is later.
    """
    known = set(panel.ids.tolist())
    for name in later.ids.tolist():
        if name not in known:
            raise ValueError(f"val_df has the series {name!r}, which df has not")
    both = extend(panel, later)
    before, _ = both.freq.index(both.starts, _ends(panel))
    sizes = both.lengths - 1 - before
    if not sizes.any():
        raise ValueError(f"val_df has no row later than df; {_KEEP_COUNTING}, or val_size=")
    return both, sizes


def take_in(panel: Panel, layout: Layout, new: Panel, new_layout: Layout) -> tuple[Panel, Layout]:
    """Return a panel that goes on with newer rows, series not seen before being the last.

    Raises:
        ValueError: where nothing is newer.
    """
    _refuse_other_clock(layout, new_layout)
    known = dict(zip(panel.ids.tolist(), _ends(panel), strict=True))
    ends = dict(zip(new.ids.tolist(), _ends(new), strict=True))
    unseen = [name for name in new.ids[new_layout.order].tolist() if name not in known]
    if not unseen and all(end <= known[name] for name, end in ends.items()):
        raise ValueError(f"the data have no row later than the fitted ones; {_KEEP_COUNTING}")
    both = extend(panel, new)
    place = {name: number for number, name in enumerate(both.ids.tolist())}
    names = [*panel.ids[layout.order].tolist(), *unseen]
    return both, replace(layout, order=np.array([place[name] for name in names]))


def _refuse_other_clock(known: Layout, new: Layout) -> None:
    if (known.zone is None) != (new.zone is None):
        raise ValueError(
            f"the known times have the time zone {known.zone}, the new ones {new.zone}; give both "
            "one, for instance by .dt.tz_localize, or none"
        )


def _ends(panel: Panel) -> np.ndarray:
    """Return the last time of each series, `[S]`."""
    return panel.freq.times(panel.starts, panel.lengths - 1)
