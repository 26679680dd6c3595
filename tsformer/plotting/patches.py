"""Patches of a series: which steps are one token, and which of them matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tsformer.data.frame import Schema, read_panel
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.models.inspection import patch_spans
from tsformer.plotting.dates import time_axis
from tsformer.plotting.lines import draw_series
from tsformer.plotting.panels import number_of
from tsformer.plotting.style import (
    BLUE,
    HISTORY_WIDTH,
    MEDIUM,
    ORANGE,
    SKY,
    SMALL,
    TINY,
    dress,
    new_figure,
    plain,
    tint,
)

_BARS = (tint(BLUE, 0.75), tint(SKY, 0.45))  # neighbours differ in lightness
_NUMBERED = 40  # more patches than that have no room for numbers


def plot_patches(
    df: Any,
    forecaster: Any = None,
    *,
    series: Any = None,
    context_length: int | None = None,
    patch_length: int | None = None,
    stride: int | None = None,
) -> Figure:
    """Return the context of a series, and below it which steps of it are one token.

    Patches that overlap stand in several rows. The last one may be shorter: what is missing of it
    is filled up by the last value (see `tsformer.nn.patching`).

    Args:
        df: series in any form that forecasters take.
        forecaster: a fitted one, whose sizes count.
        series: the id of the series; None for the first.
        context_length: steps of the context; without a forecaster None for the whole series.
        patch_length: steps of a patch; without a forecaster it has to be given.
        stride: steps from one patch to the next; `patch_length` where None.

    Raises:
        ValueError: for an unknown series, for sizes that do not fit, and for a forecaster whose
            tokens are no patches.
    """
    schema = Schema() if forecaster is None else forecaster._schema
    panel, layout = read_panel(df, schema)
    number = int(layout.order[0]) if series is None else number_of(series, panel.ids, "df")
    length = int(panel.lengths[number])
    if forecaster is not None:
        context_length, patch_length, stride = _sizes_of(forecaster, length)
    if patch_length is None:
        raise ValueError("patch_length is missing; pass it, or a fitted forecaster")
    context_length = length if context_length is None else context_length
    stride = patch_length if stride is None else stride
    if not 1 <= stride <= patch_length <= context_length:
        raise ValueError(
            f"stride={stride}, patch_length={patch_length} and context_length={context_length} "
            "must ascend from 1"
        )
    return _figure(panel, layout, number, patch_spans(context_length, patch_length, stride), stride)


def plot_patch_importance(importance: pd.DataFrame) -> Figure:
    """Return how much each part of the context matters, along its time.

    Each patch is drawn over its own steps, so that neighbours may overlap. Below 0, the forecast
    is better without it.

    Args:
        importance: what `tsformer.forecasters.inspection.patch_importance` returned.
    """
    begin = importance["first_step"].to_numpy() - 0.5
    end = importance["last_step"].to_numpy() + 0.5
    rises = importance["importance"].to_numpy()
    figure = new_figure(7.0, 2.6)
    axis = figure.subplots()
    colours = np.where(rises >= 0, BLUE, ORANGE)
    axis.bar(begin, rises, width=end - begin, align="edge", color=colours, alpha=0.2, linewidth=0)
    axis.hlines(rises, begin, end, color=colours, linewidth=2)
    axis.axhline(0.0, color="0.5", linewidth=0.7)
    dress(axis, size=SMALL)
    axis.set_xlim(begin[0], max(end[-1], 0.5))
    axis.set_xlabel("steps from the cut-off", fontsize=MEDIUM)
    axis.set_ylabel("rise of the loss\nwithout the patch", fontsize=MEDIUM)
    return figure


def _sizes_of(forecaster: Any, length: int) -> tuple[int, int, int]:
    """Return context, patch and stride of a fitted forecaster's network."""
    sizes = getattr(forecaster, "sizes_", {})
    if "patch_length" in sizes:
        patch_length = sizes["patch_length"]
        return forecaster.context_length_, patch_length, sizes.get("stride", patch_length)
    config = getattr(getattr(forecaster, "model_", None), "config", None)
    if (patch_length := getattr(config, "patch_length", None)) is None:
        raise ValueError(
            f"{type(forecaster).__name__} has no patches, or is not fitted yet; pass a fitted "
            "forecaster with patches, or patch_length="
        )
    return -(-length // patch_length) * patch_length, patch_length, patch_length


def _figure(
    panel: Panel, layout: Layout, number: int, spans: list[tuple[int, int]], stride: int
) -> Figure:
    """Return the picture of patches, whose spans count from the begin of the context."""
    length = int(panel.lengths[number])
    context_length = spans[-1][1]
    first = length - context_length  # below 0, the context is longer than the series
    steps = np.arange(first, length)
    times = panel.freq.times(panel.starts[number], steps)
    values = np.full(context_length, np.nan)
    values[max(-first, 0) :] = panel.series(number)[0][max(first, 0) :]
    n_rows = -(-max(end - begin for begin, end in spans) // stride)
    figure = new_figure(8.0, 2.6 + 0.16 * n_rows)
    top, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.0, 0.14 + 0.16 * n_rows])
    draw_series(top, times, values, color="black", linewidth=HISTORY_WIDTH, marker=".", ms=2.5)
    _draw_bars(below, top.convert_xunits(times), spans, n_rows)
    dress(top)
    top.tick_params(labelbottom=False)
    time_axis(below, times, None if layout.wall else layout.zone)
    name = "" if layout.id_col is None else f"{plain(panel.ids.tolist()[number])}: "
    size = max(end - begin for begin, end in spans)
    title = (
        f"{name}{context_length} steps, {len(spans)} patches of {size}, a new one every {stride}"
    )
    top.set_title(title, loc="left", fontsize=MEDIUM)
    return figure


def _draw_bars(axis: Axes, places: np.ndarray, spans: list[tuple[int, int]], n_rows: int) -> None:
    """Draw a bar under the steps of each patch, numbered where there is room."""
    places = np.asarray(places, dtype=float)
    half = np.median(np.diff(places)) / 2 if len(places) > 1 else 0.5
    for token, (begin, end) in enumerate(spans):
        left, right = places[begin] - half, places[end - 1] + half
        row = token % n_rows
        colour = _BARS[token // n_rows % 2]
        bar = Rectangle((left, -row - 0.86), right - left, 0.72, facecolor=colour, linewidth=0)
        axis.add_patch(bar)
        if len(spans) <= _NUMBERED and end - begin >= 0.02 * len(places):
            ink = "white" if token // n_rows % 2 == 0 else "black"
            middle = (left + right) / 2, -row - 0.5
            axis.text(*middle, str(token), ha="center", va="center", fontsize=TINY, color=ink)
    axis.set(ylim=(-n_rows, 0), xlim=(places[0] - 2 * half, places[-1] + 2 * half))
    axis.set_yticks([])
    axis.set_ylabel("tokens", fontsize=SMALL)
    axis.spines[["top", "right", "left"]].set_visible(False)
