"""What is drawn on a figure."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text


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
def words(texts: Callable[[Figure], list[Text]]) -> Callable[[Figure], list[str]]:
    """Return a function that draws a figure and lists what is read on it, none of it as maths."""

    def read(figure: Figure) -> list[str]:
        found = [text._preprocess_math(text.get_text()) for text in texts(figure)]
        assert not any(is_maths for _, is_maths in found)
        return [shown for shown, _ in found]

    return read


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
