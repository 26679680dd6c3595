"""The parts of pictures of series: a line with its gaps, a fan of intervals, a cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tsformer.data.answers import bands
from tsformer.plotting.style import (
    BLUE,
    HISTORY_WIDTH,
    KNOWN,
    MEDIAN_WIDTH,
    ORANGE,
    REFERENCE,
    TRUTH,
    TRUTH_WIDTH,
    tint,
)

_LIGHTEST, _DARKEST = 0.2, 0.55  # of the widest and the narrowest of several intervals
_ALONE = 0.3


def draw_series(axis: Axes, times: np.ndarray, values: np.ndarray, **style: Any) -> None:
    """Draw a line that is broken where values are missing; a value between two gaps is a dot.

    Args:
        axis: to draw on.
        times, values: `[n]`, NaN = missing.
        style: of Matplotlib's lines.
    """
    (line,) = axis.plot(times, values, **style)
    known = np.isfinite(values)
    alone = known & ~np.r_[False, known[:-1]] & ~np.r_[known[1:], False]
    if alone.any() and line.get_marker() in ("None", None):
        axis.plot(times[alone], values[alone], ".", color=line.get_color(), markersize=3)


def draw_known(axis: Axes, times: np.ndarray, values: np.ndarray) -> None:
    """Draw what a forecast was made from."""
    draw_series(axis, times, values, color=KNOWN, linewidth=HISTORY_WIDTH, label="known")


def draw_truth(axis: Axes, times: np.ndarray, values: np.ndarray) -> None:
    """Draw what came."""
    draw_series(axis, times, values, color=TRUTH, linewidth=TRUTH_WIDTH, label="truth")


def draw_cutoff(axis: Axes, time: Any) -> None:
    """Draw where what is known ends."""
    axis.axvline(time, color=REFERENCE, linewidth=0.8, zorder=0)


def draw_fan(
    axis: Axes,
    times: np.ndarray,
    quantiles: np.ndarray,
    levels: Sequence[float],
    *,
    colour: str = BLUE,
    alpha: float = 1.0,
) -> None:
    """Draw the central intervals that quantiles make, the narrower the darker, and the median.

    A single step is a bar.

    Args:
        axis: to draw on.
        times: `[H]`.
        quantiles: `[H, Q]` at `levels`; without 0.5 there is no line.
        levels: `[Q]`.
        colour: of the median; intervals are tints of it.
        alpha: of the intervals, below 1 where several fans overlap.
    """
    pairs = bands(levels)
    opacities = np.linspace(_LIGHTEST, _DARKEST, len(pairs)) if len(pairs) > 1 else [_ALONE]
    for (low, high, share), opacity in zip(pairs, opacities, strict=len(pairs) > 0):
        style: dict[str, Any] = {
            "color": tint(colour, opacity),
            "alpha": alpha,
            "label": interval_name(share),
        }
        below, above = quantiles[:, low], quantiles[:, high]
        if len(times) > 1:
            axis.fill_between(times, below, above, linewidth=0, zorder=1, **style)
        else:
            axis.vlines(times, below, above, linewidth=7, zorder=1, **style)
    if 0.5 in levels:
        median = quantiles[:, list(levels).index(0.5)]
        _draw_centre(axis, times, median, color=colour, label="median")


def draw_mean(axis: Axes, times: np.ndarray, mean: np.ndarray, colour: str = ORANGE) -> None:
    """Draw the mean of a forecast, told from the median by its dashes."""
    _draw_centre(axis, times, mean, color=colour, linestyle="--", label="mean")


def _draw_centre(axis: Axes, times: np.ndarray, values: np.ndarray, **style: Any) -> None:
    marker = "" if len(times) > 1 else "_"
    axis.plot(times, values, marker=marker, linewidth=MEDIAN_WIDTH, **style)


def interval_name(share: float) -> str:
    """Return what an interval that holds a share of the values is called."""
    return f"{100 * share:g} % interval"
