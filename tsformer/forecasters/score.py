"""The score of scikit-learn's searches."""

from __future__ import annotations

import numpy as np

from tsformer.data.panel import Panel


def split_last(panel: Panel, horizon: int) -> tuple[Panel, Panel]:
    """Return what precedes each series' last horizon, and the whole of the same series.

    Series with nothing known before are left out.

    Raises:
        ValueError: where none is left.
    """
    history = panel.head(panel.lengths - horizon)
    usable = np.flatnonzero(history.known_counts > 0)
    if len(usable) == 0:
        raise ValueError(
            f"no series has values before its last horizon={horizon} steps, and none continues a "
            "fitted one; pass longer series"
        )
    return history.select(usable), panel.select(usable)


def mean_absolute_scaled_error(panel: Panel, median: np.ndarray, season_length: int) -> float:
    """Return MASE (Hyndman & Koehler 2006): the mean over series of their scaled errors.

    A series whose history repeats itself exactly has no scale; it is scaled by its mean absolute
    value instead, or by 1 if that is 0.

    Args:
        panel: the series, the last H steps being the truth.
        median: `[S, H]`, forecasts of those steps.
        season_length: lag of the naive forecast that sets the scale.
    """
    horizon = median.shape[1]
    scaled = []
    for number, forecast in enumerate(median):
        values = panel.series(number)[0].astype(np.float64)
        history, truth = values[:-horizon], values[-horizon:]
        lag = season_length if len(history) > season_length else 1
        error = np.abs(truth - forecast)
        if np.isfinite(error).any():
            scaled.append(np.nanmean(error) / _scale(history, lag))
    if not scaled:
        raise ValueError("no series has a value in its last horizon; there is nothing to score")
    return float(np.mean(scaled))


def _scale(history: np.ndarray, lag: int) -> float:
    changes = np.abs(history[lag:] - history[:-lag])
    for candidates in (changes, np.abs(history)):
        known = candidates[np.isfinite(candidates)]
        if len(known) and known.mean() > 0:
            return float(known.mean())
    return 1.0
