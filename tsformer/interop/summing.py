"""Hierarchies: which node is the sum of which others."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class SummingMatrix:
    """What each node is the sum of.

    Attributes:
        nodes: `[N]`, the bottom nodes last.
        matrix: `[N, bottom]`, the rows of bottom nodes an identity.
    """

    nodes: tuple[Hashable, ...]
    matrix: np.ndarray

    @property
    def n_aggregates(self) -> int:
        """Number of nodes that are sums."""
        return len(self.nodes) - self.matrix.shape[1]


def read_hierarchy(hierarchy: Mapping[Any, Sequence[Any]] | Any) -> SummingMatrix:
    """Return the summing matrix of a hierarchy.

    Args:
        hierarchy: the children of each node that has some; or a frame, pandas or polars, with a row
            per node, its id first, and a column per bottom node.

    Raises:
        TypeError: for anything else.
        ValueError: for what is no hierarchy, naming a node.
    """
    if isinstance(hierarchy, Mapping):
        return _from_children(hierarchy)
    if not hasattr(hierarchy, "columns"):
        raise TypeError(
            f"hierarchy of type {type(hierarchy).__name__} cannot be read; pass the children of "
            "each node, {'total': ['a', 'b']}, or a summing matrix as a frame"
        )
    id_col, *bottom = hierarchy.columns
    ids = hierarchy[id_col].to_list()
    rows = dict(zip(ids, hierarchy[bottom].to_numpy().astype(np.float64), strict=True))
    if missing := [node for node in bottom if node not in rows]:
        raise ValueError(f"hierarchy has a column {missing[0]!r}, but no row of that node")
    nodes = (*(node for node in ids if node not in bottom), *bottom)
    summing = SummingMatrix(nodes=nodes, matrix=np.stack([rows[node] for node in nodes]))
    if not (summing.matrix[summing.n_aggregates :] == np.eye(len(bottom))).all():
        raise ValueError("the rows of hierarchy's bottom nodes must be 1 in their own column only")
    return summing


def _from_children(children: Mapping[Any, Sequence[Any]]) -> SummingMatrix:
    if not children:
        raise ValueError("hierarchy is empty; name the children of each node that has some")
    every = dict.fromkeys(child for parent in children for child in children[parent])
    bottom = [node for node in every if node not in children]
    rows = dict(zip(bottom, np.eye(len(bottom)), strict=True))

    def row(node: Any, above: tuple[Any, ...] = ()) -> np.ndarray:
        if node in above:
            raise ValueError(f"hierarchy: node {node!r} is below itself")
        if node not in rows:
            if isinstance(children[node], str) or not len(children[node]):
                raise ValueError(f"hierarchy: {node!r} needs a list of children")
            rows[node] = np.sum([row(child, (*above, node)) for child in children[node]], axis=0)
        return rows[node]

    return SummingMatrix(
        nodes=(*children, *bottom), matrix=np.stack([row(node) for node in (*children, *bottom)])
    )
