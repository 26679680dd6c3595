"""Weights of forecasters by which their mean forecasts best (Caruana et al. 2004)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_ROUNDS = 20


def select_weights(
    quantiles: np.ndarray, truth: np.ndarray, levels: Sequence[float], units: np.ndarray
) -> np.ndarray:
    """Return the weight of each forecaster, `[M]`, a multiple of 1/20; all add up to 1.

    Twenty times that forecaster is chosen whose quantiles, averaged with those chosen before it,
    have the least pinball loss. One may be chosen again and again; its share of the choices is its
    weight. So weights are never negative, and hardly fit chance.

    Args:
        quantiles: `[M, n, H, Q]`, of M forecasters, raw units.
        truth: `[n, H]`, NaN = missing. Where all are, weights are equal.
        levels: `[Q]`, of the quantiles.
        units: `[n]`, above 0, what errors of each row are counted in.
    """
    n_forecasters = len(quantiles)
    known = np.isfinite(truth)
    if not known.any():
        return np.full(n_forecasters, 1 / n_forecasters)
    scale = np.broadcast_to(units[:, None], truth.shape)[known][:, None]
    values = truth[known][:, None] / scale  # [K, 1]
    forecasts = [each[known] / scale for each in quantiles]  # [K, Q]
    chosen = np.zeros(n_forecasters, dtype=np.int64)
    total = np.zeros_like(forecasts[0])
    for n_chosen in range(1, _ROUNDS + 1):
        losses = [_pinball_loss(values - (total + each) / n_chosen, levels) for each in forecasts]
        best = int(np.argmin(losses))
        chosen[best] += 1
        total += forecasts[best]
    return chosen / _ROUNDS


def _pinball_loss(errors: np.ndarray, levels: Sequence[float]) -> float:
    """Return the mean pinball loss of errors, `[K, Q]`."""
    level = np.asarray(levels)
    return float(np.maximum(level * errors, (level - 1) * errors).mean())
