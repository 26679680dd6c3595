"""Forecasts from several cut-offs over what came."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsformer.data.answers import read_history, read_windows
from tsformer.plotting.lines import draw_cutoff, draw_fan, draw_mean, draw_truth
from tsformer.plotting.panels import (
    Scene,
    View,
    finish,
    make_scenes,
    panel_grid,
    tell_left_out,
)
from tsformer.plotting.style import BLUE, ORANGE

_OVERLAPPING = (BLUE, ORANGE)


def plot_cross_validation(
    df: Any,
    backtest: Any,
    *,
    ids: Sequence[Any] | None = None,
    n_history: int | None = None,
    max_series: int = 12,
    show_mean: bool = False,
) -> Figure:
    """Return each series with the forecasts that were made of it, cut-off by cut-off.

    A line stands at each cut-off, the last time that was known. Windows that overlap take turns in
    two colours.

    Args:
        df: the series, in any form that forecasters take.
        backtest: what `cross_validation` returned for them.
        ids: the series to show, up to 50, in this order; None for the first ones.
        n_history: steps to show before the first forecast; None for four horizons, two seasons at
            least.
        max_series: how many series are shown where `ids` names none, up to 50.
        show_mean: draw the means, too.

    Raises:
        TypeError: for a backtest that is no frame.
        ValueError: for a frame without cut-offs, or for frames that do not belong together.
    """
    view = View(ids=ids, n_history=n_history, max_series=max_series, show_mean=show_mean)
    panel, layout = read_history(df, backtest)
    windows = read_windows(backtest, layout, "backtest")
    if any(window.cutoff is None for window in windows):
        raise ValueError(
            "backtest has no column 'cutoff'; pass what cross_validation returned, or show what "
            "predict returned by plot_forecast"
        )
    scenes, n_series = make_scenes(panel, layout, windows, view)
    figure, axes, n_columns = panel_grid(len(scenes))
    for axis, scene in zip(axes, scenes, strict=True):
        _draw(axis, scene, show_mean)
    finish(figure, axes, scenes, layout, n_columns)
    if ids is None and n_series > max_series:
        tell_left_out(figure, max_series, n_series)
    return figure


def _draw(axis: Axes, scene: Scene, show_mean: bool) -> None:
    windows = scene.windows
    overlap = any(a.times[-1] >= b.times[0] for a, b in pairwise(windows))
    for number, window in enumerate(windows):
        draw_cutoff(axis, window.cutoff)
        colour = _OVERLAPPING[number % 2] if overlap else BLUE
        alpha = 0.6 if overlap else 1.0
        draw_fan(axis, window.times, window.quantiles, window.levels, colour=colour, alpha=alpha)
        if show_mean or 0.5 not in window.levels:
            draw_mean(axis, window.times, window.mean, colour)
    draw_truth(axis, scene.times, scene.values)
