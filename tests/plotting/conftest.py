"""Small series with forecasts of known quantiles, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

Make = Callable[..., Any]


@pytest.fixture(scope="session")
def make_frame() -> Make:
    """Return a function that makes a long frame of random walks; the same call, the same frame."""

    def make(
        ids: Sequence[Any] = ("b", "a"), length: int = 40, freq: str = "D", zone: str | None = None
    ) -> pd.DataFrame:
        values = np.random.default_rng(0).normal(size=(len(ids), length)).cumsum(axis=1)
        times = pd.date_range("2024-01-01", periods=length, freq=freq, tz=zone)
        return pd.DataFrame(
            {
                "unique_id": np.repeat(list(ids), length),
                "ds": np.concatenate([times] * len(ids)) if zone is None else [*times] * len(ids),
                "y": values.reshape(-1),
            }
        )

    return make


@pytest.fixture(scope="session")
def texts() -> Callable[[Figure], list[Text]]:
    """Return a function that draws a figure and lists all texts on it."""

    def drawn(figure: Figure) -> list[Text]:
        figure.canvas.draw()
        found = [*figure.texts, *(text for legend in figure.legends for text in legend.texts)]
        for axis in figure.axes:
            found += [*axis.texts, axis.title, axis._left_title]
            if axis.axison:
                for which in (axis.xaxis, axis.yaxis):
                    found += [which.label, which.offsetText]
                    found += [tick.label1 for tick in which._update_ticks()]
        return [text for text in found if text.get_text().strip() and text.get_visible()]

    return drawn


@pytest.fixture(scope="session")
def assert_readable(texts: Callable[[Figure], list[Text]]) -> Callable[[Figure], None]:
    """Return a function that fails where texts touch each other or leave the figure."""

    def check(figure: Figure) -> None:
        shown = texts(figure)
        assert shown
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
        width, height = figure.bbox.width, figure.bbox.height
        for words, box in boxes:
            inside = box.x0 >= -1 and box.y0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1
            assert inside, f"{words!r} is outside of the figure"
        for (one, box), (other, second) in combinations(boxes, 2):
            apart = box.x1 <= second.x0 or second.x1 <= box.x0
            apart = apart or box.y1 <= second.y0 or second.y1 <= box.y0
            assert apart, f"{one!r} and {other!r} overlap"

    return check


@pytest.fixture(scope="session")
def line() -> Callable[[Axes, str], np.ndarray]:
    """Return a function that gives what the line with a label shows, `[2, n]`."""

    def values(axis: Axes, label: str) -> np.ndarray:
        found = [line for line in axis.lines if line.get_label() == label]
        assert len(found) == 1, f"{len(found)} lines are called {label!r}"
        return np.array([axis.convert_xunits(found[0].get_xdata()), found[0].get_ydata()], float)

    return values


@pytest.fixture(scope="session")
def fan() -> Callable[[Axes], dict[str, np.ndarray]]:
    """Return a function that gives lower and upper bound of each interval, `[2, H]`."""

    def bounds(axis: Axes) -> dict[str, np.ndarray]:
        found = {}
        for polygon in axis.collections:
            (path,) = polygon.get_paths()
            corners = path.vertices
            # first corner, lower bounds, last corner, upper bounds backwards, first corner
            half = (len(corners) - 3) // 2
            low, high = corners[1 : half + 1, 1], corners[half + 2 : -1, 1][::-1]
            found[polygon.get_label()] = np.stack([np.minimum(low, high), np.maximum(low, high)])
        return found

    return bounds
