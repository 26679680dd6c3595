"""The score of scikit-learn's searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tsformer.data.joining import concatenate
from tsformer.data.panel import Panel
from tsformer.forecasters.fallback import forecast_all

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster


def score_panel(forecaster: Forecaster, panel: Panel) -> float:
    """Return the negative MASE (Hyndman & Koehler 2006) over the last horizon of a panel.

    Each series is preceded by what the forecaster knows of it, and its errors are scaled by those
    of the seasonal naive forecast over all that `fit` saw. No parameter of a forecaster changes
    this scale, so that a search compares nothing but forecasts.

    Raises:
        ValueError: where there is nothing to score.
    """
    horizon = forecaster.horizon
    history, truth = split_last(concatenate(forecaster.panel_, panel), horizon)
    median = forecast_all(forecaster, history, horizon, (0.5,)).quantile(0.5)
    own = naive_errors(history).reshape(len(history), -1)
    fitted = forecaster.naive_errors_
    names = history.ids.tolist()
    scales = [fitted.get(name, mine) for name, mine in zip(names, own, strict=True)]
    errors = np.abs(truth - median)
    known = np.isfinite(errors)
    scored = known.any(axis=1)
    if not scored.any():
        raise ValueError("no series has a value in its last horizon; there is nothing to score")
    total = np.where(known, errors, 0.0).sum(axis=1)
    means = total / np.maximum(known.sum(axis=1), 1)
    return -float((means / np.concatenate(scales))[scored].mean())


def split_last(panel: Panel, horizon: int) -> tuple[Panel, np.ndarray]:
    """Return what precedes each series' last horizon, and that horizon, `[S * C, H]`.

    Series with nothing known before are left out.

    Raises:
        ValueError: where none is left.
    """
    usable = np.flatnonzero(panel.head(panel.lengths - horizon).known_counts)
    if len(usable) == 0:
        raise ValueError(
            f"no series has values before its last horizon={horizon} steps, and none continues a "
            "fitted one; pass longer series"
        )
    chosen = panel.select(usable)
    rows = chosen.univariate()
    truth = rows.values[0][rows.offsets[1:, None] + np.arange(-horizon, 0)]
    return chosen.cut(chosen.lengths - horizon, horizon), truth


def naive_errors(panel: Panel) -> np.ndarray:
    """Return the mean absolute error of each series' seasonal naive forecast, `[S * C]`.

    The season is the usual one of the panel's frequency. A series that is no longer than a season
    has the error of the naive forecast. One that repeats itself exactly has its mean absolute
    value instead, or 1 if that is 0.
    """
    panel = panel.univariate()
    longer = panel.lengths > panel.freq.season_length
    errors = _mean_change(panel, panel.freq.season_length)
    if not longer.all():
        errors = np.where(longer, errors, _mean_change(panel, 1))
    if not (errors > 0).all():
        size = panel.means(np.abs(panel.values[0].astype(np.float64)))
        errors = np.where(errors > 0, errors, size)
    return np.where(errors > 0, errors, 1.0)


def _mean_change(panel: Panel, lag: int) -> np.ndarray:
    """Return the mean absolute difference at a lag, `[S]`, NaN where there is none."""
    return panel.means(np.abs(panel.changes(lag)[0]))
