"""New data beside what a forecaster already knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tsformer.data.calendar import Frequency
from tsformer.data.frame import Schema, read_panel
from tsformer.data.grid import as_python
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel, extend


def read_like(df: Any, schema: Schema, freq: Frequency) -> tuple[Panel, Layout]:
    """Return data on the grid of a known frequency, so that one row is enough.

    Raises:
        ValueError: where the data are not sparse, but of another frequency.
    """
    if isinstance(df, np.ndarray):  # knows no calendar
        return read_panel(df, schema)
    panel, layout = read_panel(df, replace(schema, freq=freq))
    sparse = 2 * np.isfinite(panel.values).sum() <= panel.values.size > 2
    if sparse and schema.freq is None:
        found = read_panel(df, schema)[0].freq
        if found.step != freq.step:
            raise ValueError(
                f"the data look like freq={found.alias or found.step!r}, but the forecaster was "
                f"fitted at {freq.alias or freq.step!r}; resample them, or fit anew"
            )
    return panel, layout


def append_validation(panel: Panel, later: Panel) -> tuple[Panel, np.ndarray]:
    """Return a panel with later rows appended, and how many these are for each series.

    Raises:
        ValueError: for a series that the panel does not have.
    """
    strangers = later.ids[~np.isin(later.ids, panel.ids)]
    if len(strangers):
        name = as_python(strangers[0])
        raise ValueError(f"val_df has the series {name!r}, which df has not")
    both = extend(panel, later)
    return both, both.lengths - panel.lengths
