"""Tables as Markdown, and as cells of a page that can be sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a page.

    Attributes:
        text: what is read.
        value: what is sorted by; empty where unknown.
        kind: `best`, `published` or nothing.
        shade: how strongly it is coloured, 0 … 1; None for not at all.
    """

    text: str
    value: str = ""
    kind: str = ""
    shade: float | None = None


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table of a page: its head, its rows, and a last row that is not sorted."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    foot: Sequence[Cell] = ()


def markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """Return a Markdown table; its first column is the index."""
    header = [str(table.index.name or ""), *map(str, table.columns)]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for name, *values in table.itertuples():
        cells = [str(name), *(number_text(value, digits) for value in values)]
        lines.append("| " + " | ".join(text.replace("|", r"\|") for text in cells) + " |")
    return "\n".join(lines)


def number_text(value: Any, digits: int) -> str:
    """Return a number with so many decimals, a dash where it is unknown; other things as text.

    Whole numbers from a thousand on, such as those of parameters, have none.
    """
    if isinstance(value, float):
        digits = 0 if abs(value) >= 1000 and value.is_integer() else digits
        return "–" if np.isnan(value) else f"{value:.{digits}f}"
    return str(value)


def cell(value: Any, digits: int = 3, kind: str = "", shade: float | None = None) -> Cell:
    """Return a cell that shows a value and is sorted by it."""
    unknown = isinstance(value, float) and np.isnan(value)
    raw = "" if unknown else repr(float(value)) if isinstance(value, float) else str(value)
    return Cell(text=number_text(value, digits), value=raw, kind=kind, shade=shade)


def grid(
    table: pd.DataFrame,
    caption: str,
    digits: int = 3,
    *,
    foot: pd.Series | None = None,
    shade: Callable[[float], float] | None = None,
    mark_lowest: bool = False,
) -> Grid:
    """Return a table as a grid, its index as the first column.

    Args:
        table: numbers; whole ones are shown without decimals where their column holds no others.
        caption: what it is, for those who cannot see it.
        digits: decimals.
        foot: a last row, which is named by the name of the series.
        shade: how strongly a value is coloured.
        mark_lowest: mark the lowest value of each row, published ones aside.
    """
    columns = [str(name) for name in table.columns]
    kinds = ["published" if name.endswith("(published)") else "" for name in columns]

    def cells(name: Any, values: Sequence[Any]) -> list[Cell]:
        own = [v for v, kind in zip(values, kinds, strict=True) if not kind and not np.isnan(v)]
        lowest = min(own) if mark_lowest and len(own) > 1 else None
        return [
            cell(str(name)),
            *(
                cell(
                    value,
                    digits,
                    "best" if not kind and lowest is not None and value == lowest else kind,
                    None if shade is None or np.isnan(value) else shade(value),
                )
                for value, kind in zip(values, kinds, strict=True)
            ),
        ]

    rows = [cells(name, values) for name, *values in table.itertuples()]
    last = () if foot is None else cells(foot.name, [float(foot[name]) for name in table.columns])
    head = [str(table.index.name or ""), *columns]
    return Grid(caption=caption, columns=head, rows=rows, foot=last)
