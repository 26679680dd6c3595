"""Forecasts from cut-offs beside what came after them."""

from __future__ import annotations

import numpy as np

from tsformer.data.panel import Panel
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.conformal_scores import LEVELS, Judged
from tsformer.forecasters.fallback import forecast_all
from tsformer.types import Forecast

_MOST_CUTOFFS = 40
_MOST_ROWS = 50_000  # series times cut-offs
_MOST_HORIZONS = 20


def plan(
    lengths: np.ndarray, horizon: int, n_windows: int | None, step_size: int | None
) -> tuple[int, int]:
    """Return how many cut-offs there are, and the steps from one to the next.

    What is not given spreads them over the last quarter of a typical series, or its last twenty
    horizons if these are less, a quarter of the horizon apart or more.

    Args:
        lengths: `[S]`, steps of each series.
        horizon: H.
        n_windows, step_size: None where they are to be chosen.
    """
    quarter = int(np.median(lengths)) // 4
    region = int(np.clip(quarter, horizon, _MOST_HORIZONS * horizon)) - horizon
    most = n_windows or int(np.clip(_MOST_ROWS // len(lengths), 1, _MOST_CUTOFFS))
    spread = -(-region // (most - 1)) if most > 1 else horizon
    apart = step_size or max(1, horizon // 4, spread)
    return n_windows or min(most, region // apart + 1), apart


def judge(forecaster: Forecaster, panel: Panel, cutoffs: np.ndarray, number: int = 0) -> Judged:
    """Return a fitted forecaster's forecasts from the cut-offs of all series, beside what came.

    Args:
        forecaster: sees nothing later than the cut-offs.
        panel: the series, at least a horizon longer than what precedes the cut-off.
        cutoffs: `[S]`, steps before each cut-off.
        number: of these cut-offs, in order of time.
    """
    horizon = forecaster.horizon
    history = panel.cut(cutoffs, horizon)
    forecast = forecast_all(forecaster, history, horizon, LEVELS)
    rows = panel.univariate()
    begin = rows.offsets[:-1] + np.repeat(cutoffs, panel.n_variates)
    truth = rows.values[0][begin[:, None] + np.arange(horizon)].astype(np.float64)
    recent = history.tail(forecaster._sight).univariate()
    truth[recent.known_counts == 0] = np.nan  # such forecasts are none of the model's
    return Judged(
        quantiles=forecast.quantiles,
        spread=spread_of(forecaster, history, forecast),
        truth=truth,
        cutoffs=np.full(len(truth), number),
    )


def spread_of(forecaster: Forecaster, panel: Panel, forecast: Forecast) -> np.ndarray:
    """Return the width of a forecast's 80 % interval, `[S * C, H]`.

    Where it has none, the mean absolute seasonal difference of the series stands in, which is 0
    where a series repeats itself: of such a forecast nothing is to correct.
    """
    width = forecast.quantile(0.9) - forecast.quantile(0.1)
    if (width > 0).all():
        return width
    recent = panel.tail(forecaster._reach).univariate()
    return np.where(width > 0, width, _usual_changes(recent, forecaster.season_length_)[:, None])


def _usual_changes(panel: Panel, season_length: int) -> np.ndarray:
    """Return the mean absolute difference at the season's lag, `[S]`, 0 where there is none.

    A series that is no longer than a season has that from step to step.
    """
    changes = np.zeros(len(panel))
    for number, length in enumerate(panel.lengths):
        values = panel.series(number)[0].astype(np.float64)
        lag = season_length if length > season_length else 1
        known = np.abs(values[lag:] - values[:-lag])
        changes[number] = np.nanmean(known) if np.isfinite(known).any() else 0.0
    return changes


def wait_on(waiting: np.ndarray, earlier: Panel, panel: Panel) -> np.ndarray:
    """Return how many steps each series of a panel is past its next cut-off, `[S]`.

    Args:
        waiting: the same for `earlier`, which the panel continues; 0 for series that are new.
    """
    known = {name: number for number, name in enumerate(earlier.ids.tolist())}
    rows = np.array([known.get(name, -1) for name in panel.ids.tolist()])
    ends = earlier.freq.times(earlier.starts, earlier.lengths - 1)[rows]
    ends = np.where(rows < 0, panel.freq.times(panel.starts, panel.lengths - 1), ends)
    added = panel.lengths - 1 - panel.freq.index(panel.starts, ends)[0]
    return np.where(rows < 0, 0, waiting[rows] + added)
