"""What is known of the future: covariates for the steps after each series' end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np

from tsformer.data.columns import read_numbers
from tsformer.data.frame import Schema, read_panel
from tsformer.data.grid import as_python, encode_categories
from tsformer.data.layout import Layout
from tsformer.data.panel import Covariates, Panel


def read_future(
    future_df: Any, panel: Panel, layout: Layout, schema: Schema, horizon: int
) -> Panel:
    """Return the panel with the future covariates of its next `horizon` steps.

    The frame may have more rows and columns, and missing values. A category that was not known
    before is missing.

    Args:
        future_df: a long frame with the id and time columns of the series and the covariates.
        panel: the series, with the covariates' past.
        layout: how their frame looked.
        schema: names the covariates.
        horizon: H.

    Raises:
        ValueError: where the frame, a column, or a step of a series is missing.
    """
    assert panel.future_covariates is not None
    names = list(schema.future_covariates)
    keys = [name for name in (layout.id_col, layout.time_col) if name is not None]
    if future_df is None:
        raise ValueError(
            f"future_df is needed: it brings future_covariates={names} for {_steps(panel, horizon)}"
            f"; pass a frame with the columns {[*keys, *names]}"
        )
    frame = nw.from_native(future_df, eager_only=True)
    lacking = [name for name in [*keys, *names] if name not in frame.columns]
    if lacking:
        raise ValueError(f"future_df lacks the columns {lacking}; it has {frame.columns}")
    frame = _as_numbers(frame.select(keys + names), panel.future_covariates)
    marker = "_".join(frame.columns)  # a name that none of them has
    named = replace(
        schema,
        id_col=layout.id_col,
        time_col=layout.time_col,
        target_col=marker,
        freq=panel.freq,
        past_covariates=(),
        levels=None,
    )
    # the target says which steps have a row
    rows = frame.with_columns(nw.lit(0.0).alias(marker)).to_native()
    later, later_layout = read_panel(rows, named)
    if (layout.zone is None) != (later_layout.zone is None):
        raise ValueError(
            f"the times of future_df have the time zone {later_layout.zone}, those of the series "
            f"{layout.zone}; give both one, for instance by .dt.tz_localize, or none"
        )
    return replace(panel, coming=_coming(later, panel, horizon))


def _as_numbers(frame: nw.DataFrame, known: Covariates) -> nw.DataFrame:
    """Return covariates as they were read first: numbers, or the numbers of known levels."""
    columns = []
    for name in known.names:
        values = frame[name].to_numpy()
        numbers = (
            encode_categories(values, tuple(known.levels[name]))[0]
            if name in known.levels
            else read_numbers(values, name, lambda row: f"row {row} of future_df")
        )
        columns.append(nw.new_series(name, numbers, backend=frame.implementation))
    return frame.with_columns(*columns)


def _coming(later: Panel, panel: Panel, horizon: int) -> np.ndarray:
    """Return the covariates of `later` at the steps after each series' end, `[K, S, H]`."""
    assert later.future_covariates is not None
    values = later.future_covariates.values
    coming = np.full((len(values), len(panel), horizon), np.nan)
    place = {name: number for number, name in enumerate(later.ids.tolist())}
    times = panel.future_times(horizon)
    for number, name in enumerate(panel.ids.tolist()):
        needed = f"it needs {times[number, 0]} to {times[number, -1]}"
        if name not in place:
            raise ValueError(f"future_df has no row of series {as_python(name)!r}; {needed}")
        other = place[name]
        begins = np.repeat(later.starts[other], horizon)
        steps, exact = panel.freq.index(begins, times[number])
        there = exact & (steps >= 0) & (steps < later.lengths[other])
        steps = later.offsets[other] + np.where(there, steps, 0)
        there &= np.isfinite(later.values[0, steps])
        if not there.all():
            raise ValueError(
                f"future_df has no row of series {as_python(name)!r} at "
                f"{times[number, int(there.argmin())]}; {needed}"
            )
        coming[:, number] = values[:, steps]
    return coming


def _steps(panel: Panel, horizon: int) -> str:
    """Return which rows are needed, as errors say it."""
    times = panel.future_times(horizon)
    more = f" and {len(panel) - 1} other series" if len(panel) > 1 else ""
    return f"{as_python(panel.ids[0])!r} from {times[0, 0]} to {times[0, -1]}{more}"
