"""Static covariates: one value per series, from a frame with one row for each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd

from tsformer.data.columns import read_numbers
from tsformer.data.frame import Schema
from tsformer.data.grid import as_python, encode_categories
from tsformer.data.layout import Layout
from tsformer.data.panel import Covariates, Panel


def read_static(static_df: Any, panel: Panel, layout: Layout, schema: Schema) -> Panel:
    """Return the panel with the static covariates of its series.

    The frame may have more rows and columns, and missing values; numbers stay as they are and
    everything else is a category. A category that `schema.levels` does not know is missing.

    Args:
        static_df: a frame with the series' id column and the covariates, one row per series.
        panel: the series.
        layout: how their frame looked.
        schema: names the covariates.

    Raises:
        ValueError: where a column or the row of a series is missing, or a series has two rows.
    """
    names = list(schema.static_covariates)
    keys = [] if layout.id_col is None else [layout.id_col]
    if static_df is None:
        raise ValueError(
            f"static_df is needed: it brings static_covariates={names}; pass a frame with the "
            f"columns {[*keys, *names]} and one row per series"
        )
    frame = nw.from_native(static_df, eager_only=True)
    lacking = [name for name in [*keys, *names] if name not in frame.columns]
    if lacking:
        raise ValueError(f"static_df lacks the columns {lacking}; it has {frame.columns}")
    rows = _rows(frame, panel, keys)
    values, levels = [], {}
    for name in names:
        column = frame[name].to_numpy()
        numeric = frame[name].dtype.is_numeric() or frame[name].dtype == nw.Boolean
        known = None if schema.levels is None else schema.levels.get(name)
        if known is not None or (schema.levels is None and not numeric):
            codes, levels[name] = encode_categories(column, known)
            values.append(codes)
        else:
            values.append(read_numbers(column, name, lambda row: f"row {row} of static_df"))
    covariates = Covariates(names=tuple(names), values=np.stack(values)[:, rows], levels=levels)
    return replace(panel, static_covariates=covariates)


def _rows(frame: nw.DataFrame, panel: Panel, keys: list[str]) -> np.ndarray:
    """Return the row of each series, `[S]`."""
    if not keys:
        if len(frame) != 1:
            raise ValueError(f"static_df has {len(frame)} rows, but the data are one series")
        return np.zeros(1, dtype=np.int64)
    index = pd.Index(frame[keys[0]].to_numpy())
    if index.has_duplicates:
        twice = as_python(index[index.duplicated()][0])
        raise ValueError(f"static_df has two rows of series {twice!r}; keep one row per series")
    rows = index.get_indexer(pd.Index(panel.ids))
    if (rows < 0).any():
        name = as_python(panel.ids[int((rows < 0).argmax())])
        raise ValueError(f"static_df has no row of series {name!r}; it needs one per series")
    return rows
