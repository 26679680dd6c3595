"""Forecasts whose truth is known, in order of time: what would have been learned, and when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tsformer.forecasters.conformal_scores import LEVELS, Correction, Judged

_FOLDS = 5


def follow(correction: Correction, judged: Judged, learning_rate: float) -> Correction:
    """Return a correction that has followed the forecasts, cut-off by cut-off."""
    if learning_rate:
        for number in np.unique(judged.cutoffs):
            correction = correction.tracked(judged.where(judged.cutoffs == number), learning_rate)
    return correction


def leave_out(
    judged: Judged, learn: Callable[[Judged], Correction], learning_rate: float
) -> np.ndarray:
    """Return quantiles at `LEVELS`, `[n, H, G]`, corrected without knowing their own truth.

    Shifts are learned from the other folds (see `folds`), and the stretch from earlier cut-offs.
    NaN where there is nothing else to learn from.
    """
    fold_of = folds(judged.cutoffs)
    corrected = np.full(judged.quantiles.shape, np.nan)
    if fold_of.max() == 0:
        return corrected
    for fold in range(fold_of.max() + 1):
        correction = learn(judged.where(fold_of != fold))
        for number in np.unique(judged.cutoffs):
            now = judged.cutoffs == number
            rows = now & (fold_of == fold)
            some = judged.where(rows)
            corrected[rows] = correction.apply(some.quantiles, some.spread, LEVELS)
            correction = follow(correction, judged.where(now), learning_rate)
    return corrected


def folds(cutoffs: np.ndarray) -> np.ndarray:
    """Return the fold of each row, `[n]`: at most five stretches of time, one after the other.

    Cut-offs that overlap are thus rarely in different folds. Where all rows have one cut-off, the
    folds are of series.
    """
    numbers, place = np.unique(cutoffs, return_inverse=True)
    if len(numbers) == 1:
        numbers, place = cutoffs, np.arange(len(cutoffs))
    n_folds = min(_FOLDS, len(numbers))
    return place * n_folds // len(numbers)
