"""Pictures of a whole suite: scores with their intervals, scores against costs, calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from tsformer.plotting.style import (
    BLUE,
    MEDIUM,
    MUTED,
    REFERENCE,
    SMALL,
    ShortNumbers,
    dress,
    legend_below,
    line_of,
    new_figure,
    plain,
)

_WIDTH = 6.0
# Where a name may stand beside its point, the best place first: points to the right and upwards
_PLACES = [(0, 7), (0, -7), (8, 0), (-8, 0), (8, 9), (8, -9), (-8, 9), (-8, -9), (0, 19), (0, -19)]


def draw_intervals(bounds: pd.DataFrame, label: str, path: Path) -> None:
    """Write a picture of each model's mean and its interval, the best at the top.

    Args:
        bounds: model × `mean`, `low`, `high`; published models are grey.
        label: of the axis.
        path: of the PNG file.
    """
    ordered = bounds.dropna(subset=["mean"]).sort_values("mean", ascending=False, kind="stable")
    figure = new_figure(_WIDTH, 0.9 + 0.27 * len(ordered))
    axis = figure.subplots()
    dress(axis)
    for height, (name, row) in enumerate(ordered.iterrows()):
        colour = MUTED if str(name).endswith("(published)") else BLUE
        axis.plot([row["low"], row["high"]], [height, height], color=colour, linewidth=2, alpha=0.6)
        axis.plot(row["mean"], height, "o", color=colour, markersize=5)
    axis.set_yticks(range(len(ordered)), [plain(name) for name in ordered.index])
    axis.set_ylim(-0.6, len(ordered) - 0.4)
    axis.set_xlabel(label, fontsize=MEDIUM)
    axis.grid(axis="x", color="0.9", linewidth=0.7)
    _save(figure, path)


def draw_costs(scores: pd.Series, costs: pd.Series, labels: tuple[str, str], path: Path) -> None:
    """Write a picture of scores against costs, on a logarithmic scale, a point per model.

    Models than which nothing cheaper is better are joined by a line.

    Args:
        scores: by model, lower is better.
        costs: by model; those that are not above 0 are left out.
        labels: of the two axes, that of costs first.
        path: of the PNG file.
    """
    table = pd.DataFrame({"score": scores, "cost": costs}).dropna()
    table = table[table["cost"] > 0].sort_values(["cost", "score"])
    figure = new_figure(_WIDTH, 3.6)
    axis = figure.subplots()
    dress(axis)
    best = table[table["score"] < table["score"].cummin().shift(fill_value=np.inf)]
    axis.plot(best["cost"], best["score"], color=REFERENCE, linewidth=1, drawstyle="steps-post")
    axis.plot(table["cost"], table["score"], "o", color=BLUE, markersize=6)
    axis.set_xscale("log")
    near = table["cost"].max() < 100 * table["cost"].min()  # few powers of ten lie between
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if near else (1,)))
    short = ShortNumbers()
    axis.xaxis.set_major_formatter(FuncFormatter(lambda cost, _: short(cost)))  # each by itself
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.margins(x=0.18, y=0.15)
    axis.set_xlabel(labels[0], fontsize=MEDIUM)
    axis.set_ylabel(labels[1], fontsize=MEDIUM)
    _name_points(figure, axis, table)
    _save(figure, path)


def draw_calibration(shares: pd.DataFrame, path: Path) -> None:
    """Write a picture of how much more often values come below each quantile than they should.

    Args:
        shares: model × level.
        path: of the PNG file.
    """
    figure = new_figure(_WIDTH, 3.9)
    axis = figure.subplots()
    dress(axis)
    levels = shares.columns.to_numpy(dtype=float)
    axis.axhline(0.0, color=REFERENCE, linewidth=1)
    for number, (name, row) in enumerate(shares.iterrows()):
        axis.plot(levels, row.to_numpy(dtype=float) - levels, label=plain(name), **line_of(number))
    axis.set_xticks(levels)
    axis.set_xlabel("quantile level", fontsize=MEDIUM)
    axis.set_ylabel("share of values below, minus level", fontsize=MEDIUM)
    legend_below(figure, *axis.get_legend_handles_labels())
    _save(figure, path)


def _name_points(figure: Figure, axis: Axes, table: pd.DataFrame) -> None:
    """Write names beside points, each where it covers the fewest other names and points."""
    figure.draw_without_rendering()
    places = axis.transData.transform(table[["cost", "score"]].to_numpy(dtype=float))
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in places]
    for name, row in table.iterrows():
        written = [
            _write_name(axis, str(name), (row["cost"], row["score"]), place) for place in _PLACES
        ]
        boxes = [annotation.get_window_extent() for annotation in written]
        overlaps = [box.count_overlaps(taken) for box in boxes]
        chosen = int(np.argmin(overlaps))
        for annotation in [*written[:chosen], *written[chosen + 1 :]]:
            annotation.remove()
        taken.append(boxes[chosen])


def _write_name(
    axis: Axes, name: str, point: tuple[float, float], place: tuple[int, int]
) -> Annotation:
    right, up = place
    return axis.annotate(
        plain(name),
        point,
        xytext=place,
        textcoords="offset points",
        ha="center" if right == 0 else "left" if right > 0 else "right",
        va="center" if up == 0 else "bottom" if up > 0 else "top",
        fontsize=SMALL,
    )


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Software": None})
