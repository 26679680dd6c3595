"""GluonTS data sets: one dictionary per series."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.calendar import Frequency
from tsformer.data.columns import read_numbers, read_times
from tsformer.data.grid import Rows, build_panel
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel


def read_entries(data: Iterable[Any], freq: str | Frequency | None) -> tuple[Panel, Layout]:
    """Return a GluonTS data set: dictionaries with `start`, `target` and maybe `item_id`."""
    entries = list(data)
    if not entries or not all(
        isinstance(e, Mapping) and {"start", "target"} <= {*e} for e in entries
    ):
        raise TypeError(
            "an iterable is read as a GluonTS data set, so that each entry needs 'start' and "
            "'target'; for plain numbers pass a NumPy array"
        )
    pieces, stamps, names = [], [], []
    for number, entry in enumerate(entries):
        name = entry.get("item_id", number)
        target = np.asarray(entry["target"])
        if target.ndim != 1 or target.size == 0:
            raise ValueError(f"series {name!r}: target has shape {target.shape}, expected [time]")
        start = entry["start"]
        if not isinstance(start, pd.Period):
            raise ValueError(f"series {name!r}: start is {start!r}, expected a pandas Period")
        pieces.append(target)
        names.append(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of business days
            stamps.append(pd.period_range(start, periods=target.size, freq=start.freq))
    if len({stamp.freq for stamp in stamps}) > 1:
        raise ValueError("the series of the data set differ in freq; split it by freq")
    if len(set(names)) < len(names):
        raise ValueError("two series of the data set share an item_id; make them distinct")
    series = np.repeat(np.arange(len(names)), [len(piece) for piece in pieces])
    ids = (
        np.array(names) if all(isinstance(n, int) for n in names) else np.array(names, dtype=object)
    )

    def where(row: int) -> str:
        return f"series {names[series[row]]!r}, row {row}"

    rows = Rows(
        series=series,
        ids=ids,
        times=read_times(stamps[0].append(stamps[1:]), "start", where),
        target=read_numbers(np.concatenate(pieces), "target", where),
    )
    panel, order, _ = build_panel(rows, freq)
    return panel, Layout(id_col="item_id", time_col="timestamp", target_col="target", order=order)
