"""Sampled paths of a forecast whose quantiles were corrected."""

from __future__ import annotations

import numpy as np


def transport(paths: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return paths, `[n, P, H]`, whose values stand among `after` as they stood among `before`.

    Between two quantiles they are moved in proportion, and beyond the outermost as far as this
    one. Their order at each step stays, and with it what ties steps together, as in ensemble
    copula coupling (Schefzik et al. 2013). Where several quantiles are the same value, the paths
    that have it are spread evenly over what became of these.

    Args:
        paths: in raw units.
        before, after: `[n, H, Q]`, ascending, at the same levels.
    """
    last = before.shape[-1] - 1
    lower, upper = np.zeros(paths.shape, dtype=np.int64), np.zeros(paths.shape, dtype=np.int64)
    for level in range(last + 1):
        lower += paths > before[:, None, :, level]
        upper += paths >= before[:, None, :, level]
    right = np.clip(upper, 1, last)
    old_low, old_high, new_low, new_high = (
        _pick(quantiles, place) for quantiles in (before, after) for place in (right - 1, right)
    )
    width = np.where(old_high > old_low, old_high - old_low, 1.0)
    moved = new_low + (paths - old_low) / width * (new_high - new_low)
    moved = np.where(upper == 0, paths - old_low + new_low, moved)
    moved = np.where(upper > last, paths - old_high + new_high, moved)
    tied = upper - lower > 1
    return np.where(tied, _spread_over(after, lower, upper - 1), moved)


def _pick(quantiles: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the quantiles, `[n, H, Q]`, at these places among them, `[n, P, H]`."""
    return np.take_along_axis(quantiles, places.transpose(0, 2, 1), axis=2).transpose(0, 2, 1)


def _spread_over(quantiles: np.ndarray, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return, for the k-th of P paths, what lies (k + 0.5) / P of the way from begin to end."""
    n_paths, last = begin.shape[1], quantiles.shape[-1] - 1
    share = (np.arange(n_paths)[:, None] + 0.5) / n_paths
    place = np.clip(begin + share * (end - begin), 0, last)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, last)
    return _pick(quantiles, below) + (place - below) * (
        _pick(quantiles, above) - _pick(quantiles, below)
    )
