"""Hierarchies: what each node is the sum of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.interop.summing import read_hierarchy


def test_rows_say_which_bottom_nodes_are_summed() -> None:
    summing = read_hierarchy({"north": ["coast", "hills"], "total": ["north", "south"]})
    assert summing.nodes == ("north", "total", "coast", "hills", "south")
    assert summing.n_aggregates == 2
    np.testing.assert_array_equal(summing.matrix[:2], [[1, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(summing.matrix[2:], np.eye(3))


def test_node_may_be_part_of_several() -> None:
    summing = read_hierarchy({"private": ["goods", "services"], "serving": ["services", "state"]})
    np.testing.assert_array_equal(summing.matrix[:2], [[1, 1, 0], [0, 1, 1]])


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frame_may_have_its_rows_in_any_order(kind: str) -> None:
    rows = {"unique_id": ["b", "total", "a"], "a": [0, 1, 1], "b": [1, 1, 0]}
    frame = (
        pd.DataFrame(rows) if kind == "pandas" else pytest.importorskip("polars").DataFrame(rows)
    )
    summing = read_hierarchy(frame)
    assert summing.nodes == ("total", "a", "b")
    np.testing.assert_array_equal(summing.matrix, [[1, 1], [1, 0], [0, 1]])


@pytest.mark.parametrize(
    ("hierarchy", "message"),
    [
        ({"a": ["b"], "b": ["a"]}, "'a' is below itself"),
        ({"a": "bc"}, "'a' needs a list of children"),
        ({}, "hierarchy is empty"),
        (pd.DataFrame({"unique_id": ["t", "a"], "a": [1, 1], "b": [1, 0]}), "no row of that node"),
        (pd.DataFrame({"unique_id": ["t", "a"], "a": [1, 2]}), "1 in their own column only"),
    ],
)
def test_what_is_no_hierarchy_is_refused(hierarchy: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_hierarchy(hierarchy)
    with pytest.raises(TypeError, match="of type list cannot be read"):
        read_hierarchy(["a", "b"])
