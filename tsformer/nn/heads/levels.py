"""From a few quantiles to all of them, and to the mean.

Between two known levels the quantile function is a straight line; beyond the outermost it is the
exponential tail that passes through the two outermost quantiles. Both are linear in the known
quantiles, so that any level, and the mean as the integral over all levels, is a weighted sum of
them: one matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=64)
def quantile_weights(known: tuple[float, ...], wanted: tuple[float, ...]) -> Tensor:
    """Return `[K, Q]`: `quantiles at known levels @ weights = quantiles at wanted levels`.

    Assumes at least two `known` levels, ascending, within (0, 1).
    """
    weights = np.zeros((len(known), len(wanted)))
    for column, level in enumerate(wanted):
        for row, weight in _weights_at(known, level):
            weights[row, column] += weight
    return _kept(weights)


@lru_cache(maxsize=64)
def mean_weights(known: tuple[float, ...]) -> Tensor:
    """Return `[K]`: `quantiles at known levels @ weights = mean` of that quantile function."""
    weights = np.zeros(len(known))
    for left, right in zip(range(len(known) - 1), range(1, len(known)), strict=True):
        width = known[right] - known[left]
        weights[left] += width / 2
        weights[right] += width / 2
    # A tail q(u) = q1 + (q2 - q1) log(u / l1) / log(l2 / l1) has the integral
    # l1 (q1 - (q2 - q1) / log(l2 / l1)) over [0, l1]; the upper one is its mirror image.
    for outer, inner, rate in _tails(known):
        weight = known[outer] if outer == 0 else 1 - known[outer]
        weights[outer] += weight * (1 + 1 / rate)
        weights[inner] -= weight / rate
    return _kept(weights)


def _kept(weights: np.ndarray) -> Tensor:
    """Return a tensor to be kept between calls: usable in training even if made in inference."""
    with torch.inference_mode(False):
        return torch.from_numpy(weights).float()


def _tails(known: Sequence[float]) -> list[tuple[int, int, float]]:
    """Return outermost, next and log ratio of their tail probabilities for both tails."""
    lower = math.log(known[1] / known[0])
    upper = math.log((1 - known[-2]) / (1 - known[-1]))
    return [(0, 1, lower), (len(known) - 1, len(known) - 2, upper)]


def _weights_at(known: Sequence[float], level: float) -> list[tuple[int, float]]:
    """Return the rows and weights that give the quantile at one level."""
    (_, _, lower), (_, _, upper) = _tails(known)
    last = len(known) - 1
    if level < known[0]:
        share = math.log(level / known[0]) / lower
        return [(0, 1 - share), (1, share)]
    if level > known[-1]:
        share = math.log((1 - level) / (1 - known[-1])) / upper
        return [(last, 1 - share), (last - 1, share)]
    right = next(row for row in range(1, last + 1) if level <= known[row])
    share = (level - known[right - 1]) / (known[right] - known[right - 1])
    return [(right - 1, 1 - share), (right, share)]


def normal_quantiles(levels: Sequence[float]) -> Tensor:
    """Return the standard normal distribution's quantiles, `[Q]`."""
    probabilities = torch.tensor(levels, dtype=torch.float64)
    return torch.special.ndtri(probabilities).float()
