"""Forecasters side by side: what each of them sees, and how well each would have forecast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsformer.data.frame import Schema
from tsformer.data.panel import Panel
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.ensemble_selection import select_weights
from tsformer.forecasters.fallback import forecast_all
from tsformer.forecasters.score import naive_errors

_JUDGED = (0.1, 0.5, 0.9)  # levels that weights are found by
_MOST_CUTOFFS = 100  # of a series
_MOST_ROWS = 2000  # series times cut-offs, which each forecaster is asked for
_MOST_VALUES = 200_000  # that these forecasts are compared with
_STEPS_AT_ONCE = 1 << 24  # of the histories before these cut-offs


def covariates_of(schema: Schema) -> list[set[str]]:
    """Return the names of the covariates of the past, of the future and of a series."""
    kinds = (schema.past_covariates, schema.future_covariates, schema.static_covariates)
    return [set(names) for names in kinds]


def seen_by(forecaster: Forecaster, panel: Panel) -> Panel:
    """Return a panel as one of the forecasters sees it: with covariates if it names any."""
    return panel if any(covariates_of(forecaster._schema)) else panel.without_covariates()


def seeing(forecasters: Sequence[Forecaster], panel: Panel) -> np.ndarray:
    """Return whether each forecaster has a recent value of each variate, `[M, S * C]`."""
    recent = [panel.tail(one._sight).univariate() for one in forecasters]
    return np.stack([part.known_counts > 0 for part in recent])


def found_weights(
    forecasters: Sequence[Forecaster], panel: Panel, held_out: np.ndarray
) -> np.ndarray:
    """Return the weights, `[M]`, that forecast best from cut-offs within the held out steps.

    They are equal where no series has a horizon of these.

    Args:
        forecasters: M, fitted to what precedes these steps.
        panel: the series.
        held_out: `[S]`, steps at the end of each.
    """
    horizon = forecasters[0].horizon
    numbers, cutoffs = _cutoffs(panel, held_out, horizon)
    if not len(numbers):
        return np.full(len(forecasters), 1 / len(forecasters))
    variates = np.arange(panel.n_variates)
    rows = (numbers[:, None] * panel.n_variates + variates).reshape(-1)
    begins = panel.offsets[:-1][numbers] + cutoffs
    steps = begins[:, None, None] + np.arange(horizon)
    truth = panel.values[variates[:, None], steps].reshape(len(rows), horizon)
    reach = max(one._reach for one in forecasters)
    n_parts = -(-len(rows) * min(reach, int(cutoffs.max())) // _STEPS_AT_ONCE)
    parts = np.array_split(np.arange(len(numbers)), n_parts)
    histories = (panel.excerpts(numbers[part], cutoffs[part], reach, horizon) for part in parts)
    judged = [(_quantiles(forecasters, each), seeing(forecasters, each)) for each in histories]
    quantiles, seen = (np.concatenate(arrays, axis=1) for arrays in zip(*judged, strict=True))
    truth[~seen.all(axis=0)] = np.nan  # not all of them have a say on it
    return select_weights(quantiles, truth, _JUDGED, naive_errors(panel)[rows])


def _quantiles(forecasters: Sequence[Forecaster], history: Panel) -> np.ndarray:
    """Return all forecasts from the ends of the series, `[M, S * C, H, Q]`."""
    return np.stack(
        [
            forecast_all(one, seen_by(one, history), one.horizon, _JUDGED).quantiles
            for one in forecasters
        ]
    )


def _cutoffs(panel: Panel, held_out: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return series and cut-offs, `[E]`, spread over the held out steps, at most 100 a series.

    Of many series some are taken, from all over the panel.
    """
    room = held_out - horizon  # steps between the first and the last cut-off of a series
    most = max(1, min(_MOST_ROWS, _MOST_VALUES // horizon) // panel.n_variates)
    known = panel.lengths - held_out > panel.first_known
    chosen = np.flatnonzero((room >= 0) & known)
    if not len(chosen):
        return chosen, chosen
    chosen = chosen[:: -(-len(chosen) // most)]
    n_cutoffs = min(most // len(chosen), _MOST_CUTOFFS)
    apart = max(1, -(-int(room.max()) // max(1, n_cutoffs - 1)))
    back = apart * np.arange(n_cutoffs)[:, None]  # from the last cut-off of each series
    places, columns = np.nonzero(back <= room[chosen])
    numbers = chosen[columns]
    return numbers, panel.lengths[numbers] - horizon - back[places, 0]
