"""Long frames of forecasts as tables, a row per node of a hierarchy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tsformer.interop.summing import SummingMatrix


@dataclass(frozen=True, kw_only=True)
class NodeTable:
    """A long frame as a table of nodes and steps.

    Attributes:
        frame: the frame.
        rows: `[N, K]`, the row of each node at each step, window or sample.
    """

    frame: Any
    rows: np.ndarray

    @classmethod
    def of(cls, frame: Any, summing: SummingMatrix, name: str) -> NodeTable:
        """Return the frame as a table; ids are its first column and times its second.

        Args:
            frame: what `predict`, `predict_samples` or `cross_validation` returned.
            summing: says which nodes there must be.
            name: what the frame is called in errors.

        Raises:
            ValueError: for nodes or steps that are missing or unknown.
        """
        id_col, *others = frame.columns
        if "variate" in others:
            raise ValueError(f"{name} has several variates; reconcile the rows of one at a time")
        ids = frame[id_col].to_list()
        _refuse_other_nodes(ids, summing, name)
        keys = [others[0], *(key for key in ("cutoff", "sample") if key in others)]
        times = pd.DataFrame({key: frame[key].to_numpy() for key in keys})
        steps = times.groupby(keys, sort=False).ngroup().to_numpy()
        numbers = {node: number for number, node in enumerate(summing.nodes)}
        rows = np.full((len(summing.nodes), steps.max() + 1), -1)
        rows[[numbers[node] for node in ids], steps] = np.arange(len(ids))
        if (rows < 0).any() or rows.size != len(ids):
            node = summing.nodes[int((rows < 0).any(axis=1).argmax())]
            raise ValueError(
                f"{name}: not all nodes have the same steps, {node!r} for one; series must end at "
                "the same time, and have a row for each step"
            )
        return cls(frame=frame, rows=rows)

    def read(self, column: str) -> np.ndarray:
        """Return a column, `[N, K]`."""
        return self.frame[column].to_numpy().astype(np.float64)[self.rows]

    def write(self, columns: Mapping[str, np.ndarray]) -> Any:
        """Return the frame with other values, `[N, K]`, in these columns."""
        values = {}
        for name, table in columns.items():
            values[name] = np.empty(self.rows.size)
            values[name][self.rows] = table
        if isinstance(self.frame, pd.DataFrame):
            return self.frame.assign(**values)
        series = type(self.frame[self.frame.columns[0]])
        return self.frame.with_columns(series(name, array) for name, array in values.items())


def _refuse_other_nodes(ids: Sequence[Any], summing: SummingMatrix, name: str) -> None:
    given, known = dict.fromkeys(ids), dict.fromkeys(summing.nodes)
    missing = [node for node in known if node not in given]
    unknown = [node for node in given if node not in known]
    if missing:
        raise ValueError(
            f"{name} lacks {_listed(missing)}, of the hierarchy; every node, sums too, is a series "
            "that is forecast"
        )
    if unknown:
        raise ValueError(
            f"{name} has {_listed(unknown)}, which the hierarchy does not know; add them there, or "
            "leave them out"
        )


def _listed(nodes: Sequence[Any]) -> str:
    return ", ".join(map(repr, nodes[:5])) + (f" and {len(nodes) - 5} more" if nodes[5:] else "")
