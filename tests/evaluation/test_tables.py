"""Tables as Markdown, and as cells that can be sorted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsformer.evaluation.tables import cell, grid, markdown

TABLE = pd.DataFrame(
    {"A": [1.0, 0.5], "B": [0.75, np.nan], "C (published)": [0.1, 0.2]}, index=["first", "second"]
).rename_axis(index="task")


def test_markdown_has_a_line_per_row_and_a_dash_where_nothing_is_known() -> None:
    assert markdown(TABLE, digits=2).splitlines() == [
        "| task | A | B | C (published) |",
        "| --- | --- | --- | --- |",
        "| first | 1.00 | 0.75 | 0.10 |",
        "| second | 0.50 | – | 0.20 |",
    ]


def test_markdown_keeps_bars_out_of_cells_and_decimals_out_of_large_counts() -> None:
    table = pd.DataFrame({"parameters": [1922662.0, 12.0]}, index=["a|b", "c"])
    assert markdown(table).splitlines()[2:] == [r"| a\|b | 1922662 |", "| c | 12.000 |"]


def test_a_cell_is_sorted_by_all_its_digits() -> None:
    shown = cell(1 / 3, digits=2)
    assert shown.text == "0.33"
    assert float(shown.value) == 1 / 3
    assert cell(np.nan).value == ""
    assert cell("first").value == "first"


def test_the_lowest_of_each_row_is_marked_but_no_published_one() -> None:
    marked = grid(TABLE, "scores", mark_lowest=True)
    kinds = [[one.kind for one in row] for row in marked.rows]
    assert kinds == [["", "", "best", "published"], ["", "", "", "published"]]  # one alone: no best
    assert marked.columns == ["task", "A", "B", "C (published)"]


def test_the_last_row_stands_apart_under_its_name() -> None:
    last = grid(TABLE, "scores", 1, foot=TABLE.mean().rename("mean")).foot
    assert [one.text for one in last] == ["mean", "0.8", "0.8", "0.2"]
    assert grid(TABLE, "scores").foot == ()


def test_shades_follow_the_values_and_unknown_ones_have_none() -> None:
    shaded = grid(TABLE, "scores", shade=lambda value: value / 2)
    assert [one.shade for one in shaded.rows[1]] == [None, 0.25, None, pytest.approx(0.1)]
