"""Forecasts beside what they were made from, and beside what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsformer.data.answers import (
    Window,
    as_pandas,
    read_windows,
    schema_like,
)
from tsformer.data.frame import Schema, read_panel
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.plotting.lines import draw_cutoff, draw_fan, draw_known, draw_mean, draw_truth
from tsformer.plotting.panels import (
    Scene,
    View,
    finish,
    make_scenes,
    panel_grid,
    tell_left_out,
)


def plot_forecast(
    df: Any,
    forecast: Any,
    *,
    ids: Sequence[Any] | None = None,
    truth: Any = None,
    n_history: int | None = None,
    max_series: int = 12,
    show_mean: bool = False,
    target_col: str | Sequence[str] | None = None,
) -> Figure:
    """Return what was known, the forecast's median and intervals, and what came, by series.

    The intervals are all that the forecast's quantiles make in pairs, such as 0.1 and 0.9. What
    `df` knows of the forecast's own times is truth, not history.

    Args:
        df: the series, in any form that forecasters take.
        forecast: what `predict` returned for them; its columns of ids and times are those of `df`.
        ids: the series to show, up to 50, in this order; None for the first ones.
        truth: what came, in the form of `df`; an array has to hold the history, too.
        n_history: steps to show before the forecast; None for four horizons, two seasons at least.
        max_series: how many series are shown where `ids` names none, up to 50.
        show_mean: draw the mean, too.
        target_col: the column of the values, if it is not called `y` or `target`; those of several
            targets the forecast names itself.

    Raises:
        TypeError: for a forecast that is no frame.
        ValueError: for frames that do not belong together, naming series or column, and for
            forecasts from several cut-offs.
    """
    schema = schema_like(df, as_pandas(forecast, "forecast"), target_col)
    panel, layout = read_panel(df, schema)
    view = View(ids=ids, n_history=n_history, max_series=max_series, show_mean=show_mean)
    return forecast_figure(panel, layout, forecast, read_truth(truth, schema, panel, layout), view)


def read_truth(truth: Any, schema: Schema, panel: Panel, layout: Layout) -> Panel | None:
    """Return what came as a panel on the grid of the history, None where it is not given."""
    if truth is None:
        return None
    known, its_layout = read_panel(truth, replace(schema, freq=panel.freq))
    if (its_layout.zone is None) != (layout.zone is None):
        raise ValueError(
            f"the times of truth have the time zone {its_layout.zone}, those of df {layout.zone}; "
            "give both one, or none"
        )
    return known


def forecast_figure(
    panel: Panel, layout: Layout, forecast: Any, truth: Panel | None, view: View
) -> Figure:
    """Return what `plot_forecast` does, for series that were read already."""
    windows = read_windows(forecast, layout)
    if len({(window.name, window.variate) for window in windows}) < len(windows):
        raise ValueError(
            "forecast has several cut-offs (column 'cutoff'); show it by plot_cross_validation"
        )
    if truth is not None:
        windows = _with_truth(windows, truth, layout)
    scenes, n_series = make_scenes(panel, layout, windows, view)
    figure, axes, n_columns = panel_grid(len(scenes))
    for axis, scene in zip(axes, scenes, strict=True):
        _draw(axis, scene, view)
    finish(figure, axes, scenes, layout, n_columns)
    if view.ids is None and n_series > view.max_series:
        tell_left_out(figure, view.max_series, n_series)
    return figure


def _with_truth(windows: Sequence[Window], truth: Panel, layout: Layout) -> list[Window]:
    """Return the windows with what came.

    Raises:
        ValueError: where nothing came at any of their times.
    """
    number_of = {name: number for number, name in enumerate(truth.ids.tolist())}
    only = truth.ids.tolist()[0] if len(truth) == 1 else None
    found = []
    for window in windows:
        number = number_of.get(only if window.name is None else window.name)
        values = np.full(len(window.times), np.nan)
        if number is not None:
            channel = layout.variates.index(window.variate) if window.variate is not None else 0
            known = truth.series(number)[channel].astype(np.float64)
            values = _values_at(truth.times(number), known, window.times)
        found.append(replace(window, truth=values))
    if not any(np.isfinite(window.truth).any() for window in found if window.truth is not None):
        raise ValueError(
            "truth has no value at the times of the forecast; pass later rows of the same series "
            "(an array counts from 0: pass all of it)"
        )
    return found


def _values_at(own: np.ndarray, values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the values, known at `own` times, at other times, NaN where there is none."""
    if not len(own):
        return np.full(len(times), np.nan)
    places = np.minimum(np.searchsorted(own, times), len(own) - 1)
    return np.where(own[places] == times, values[places], np.nan)


def _draw(axis: Axes, scene: Scene, view: View) -> None:
    """Draw one series with its forecast."""
    (window,) = scene.windows
    past = scene.times < window.times[0]
    draw_known(axis, scene.times[past], scene.values[past])
    if scene.last_known is not None:
        draw_cutoff(axis, scene.last_known)
    draw_fan(axis, window.times, window.quantiles, window.levels)
    if view.show_mean or 0.5 not in window.levels:
        draw_mean(axis, window.times, window.mean)
    came = _truth_of(scene, window)
    if np.isfinite(came).any():
        draw_truth(axis, window.times, came)


def _truth_of(scene: Scene, window: Window) -> np.ndarray:
    """Return what came, `[H]`: what was given as truth, else what the series itself holds."""
    own = _values_at(scene.times, scene.values, window.times)
    return own if window.truth is None else np.where(np.isfinite(window.truth), window.truth, own)
