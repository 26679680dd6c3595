"""Backtests of several models in one picture: the width of intervals, errors by horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from tsformer.data.answers import Window, as_pandas, bands, by_model, read_windows
from tsformer.plotting.style import (
    MEDIUM,
    MUTED,
    REFERENCE,
    SMALL,
    dress,
    legend_below,
    line_of,
    new_figure,
    plain,
)


def plot_calibration(backtests: Any) -> Figure:
    """Return the share of values found within intervals against the share that was promised.

    Below the diagonal intervals are too narrow, above it too wide.

    Args:
        backtests: what `cross_validation` returned, or what
            `tsformer.forecasters.coverage.coverage_report` made of it; or a dictionary of several
            models' by name.

    Raises:
        TypeError: for what is no frame.
        ValueError: for a frame whose quantiles make no interval, or without what came.
    """
    models = by_model(backtests, "backtests")
    figure = new_figure(3.9, 4.1)
    axis = figure.subplots()
    axis.plot([0, 100], [0, 100], color=REFERENCE, linewidth=1.0, zorder=0)
    for number, (name, frame) in enumerate(models.items()):
        found = _coverage(frame, name or "backtests")
        axis.plot(100 * found.index, 100 * found, label=plain(name), **line_of(number))
    for place, words in (((97, 4), "intervals too narrow"), ((3, 96), "intervals too wide")):
        across = "right" if place[0] > 50 else "left"
        axis.text(*place, words, ha=across, va="center", fontsize=SMALL, color=MUTED)
    dress(axis)
    for which in (axis.xaxis, axis.yaxis):
        which.set_major_locator(MultipleLocator(20))
    axis.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axis.set_xlabel("values promised within the interval, %", fontsize=MEDIUM)
    axis.set_ylabel("values found within it, %", fontsize=MEDIUM)
    _legend(figure, axis)
    return figure


def plot_error_by_horizon(backtests: Any) -> Figure:
    """Return how large errors are, step by step of the horizon, in units of the series.

    On the left the mean absolute error of the median; on the right, where all models have more
    quantiles in common, the quantile loss: twice the pinball loss, the mean over these.

    Args:
        backtests: what `cross_validation` returned, or a dictionary of several models' by name;
            to be compared, they have to be of the same windows.

    Raises:
        TypeError: for what is no frame.
        ValueError: for a frame that does not hold what came.
    """
    models = {
        name: _with_truth(read_windows(frame, name="backtests"), name or "backtests")
        for name, frame in by_model(backtests, "backtests").items()
    }
    common = set.intersection(*({*windows[0].levels} for windows in models.values()))
    levels = sorted(common)
    figure = new_figure(8.0 if len(levels) > 1 else 4.4, 3.2)
    left, *right = figure.subplots(1, 2 if len(levels) > 1 else 1, squeeze=False)[0]
    for number, (name, windows) in enumerate(models.items()):
        _draw_steps(left, _by_step([_absolute_errors(w) for w in windows]), name, number)
        for axis in right:
            losses = _by_step([_quantile_losses(w, levels) for w in windows])
            _draw_steps(axis, losses, name, number)
    _name_steps(left, "mean absolute error of the median")
    for axis in right:
        _name_steps(axis, f"quantile loss, mean over {len(levels)} levels")
    _legend(figure, left)
    return figure


def _coverage(frame: Any, name: str) -> pd.Series:
    """Return the share of values within each interval, by the share that was promised."""
    table = frame if isinstance(frame, pd.DataFrame) else as_pandas(frame, name)
    if {"kind", "nominal", "step", "coverage"} <= set(table.columns):
        overall = table[(table["kind"] == "interval") & (table["step"].astype(str) == "all")]
        return overall.set_index("nominal")["coverage"].sort_index()
    windows = _with_truth(read_windows(table, name=name), name)
    levels = windows[0].levels
    pairs = bands(levels)
    if not pairs:
        raise ValueError(
            f"the quantiles {', '.join(f'{level:g}' for level in levels)} of {name} make no "
            "central interval, as 0.1 and 0.9 do; pass others to the forecaster as quantiles="
        )
    truth = np.concatenate([window.truth for window in windows if window.truth is not None])
    quantiles = np.concatenate([window.quantiles for window in windows])
    known = np.isfinite(truth) & np.isfinite(quantiles).all(axis=1)
    truth, quantiles = truth[known], quantiles[known]
    shares = {
        share: ((quantiles[:, low] <= truth) & (truth <= quantiles[:, high])).mean()
        for low, high, share in reversed(pairs)
    }
    return pd.Series(shares)


def _with_truth(windows: Sequence[Window], name: str) -> Sequence[Window]:
    if any(window.truth is None for window in windows):
        raise ValueError(
            f"{name} does not hold what came, as it has no column 'cutoff'; pass what "
            "cross_validation returned"
        )
    return windows


def _absolute_errors(window: Window) -> np.ndarray:
    """Return the absolute errors of the median, `[H]`."""
    assert window.truth is not None
    return np.abs(window.truth - window.median)


def _quantile_losses(window: Window, levels: Sequence[float]) -> np.ndarray:
    """Return twice the pinball loss of each step, the mean over levels, `[H]`."""
    assert window.truth is not None
    quantiles = window.quantiles[:, [window.levels.index(level) for level in levels]]
    errors, level = window.truth[:, None] - quantiles, np.array(levels)
    return 2 * np.maximum(level * errors, (level - 1) * errors).mean(axis=1)


def _by_step(errors: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean over windows of each step's error, NaN where none is known."""
    table = pd.DataFrame([pd.Series(row) for row in errors])
    return table.mean(axis=0).to_numpy(dtype=float)


def _draw_steps(axis: Axes, errors: np.ndarray, name: str, number: int) -> None:
    style = line_of(number) | ({"marker": ""} if len(errors) > 30 else {})
    axis.plot(np.arange(1, len(errors) + 1), errors, label=plain(name), **style)


def _name_steps(axis: Axes, title: str) -> None:
    dress(axis)
    axis.set_ylim(bottom=0.0)
    axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axis.set_title(title, loc="left", fontsize=MEDIUM)
    axis.set_xlabel("steps ahead", fontsize=MEDIUM)


def _legend(figure: Figure, axis: Axes) -> None:
    """Name the models, unless there is one without a name."""
    handles, labels = axis.get_legend_handles_labels()
    legend_below(figure, handles, labels)
