"""Which power makes a series easier to forecast: two ways to choose the lambda of Box & Cox."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import boxcox

_BOUNDS = (0.0, 2.0)  # below 0, a normal forecast of what was transformed would have no mean
_TINY = 1e-300  # the variance of what differs by less than numbers can


def likelihood_lambda(values: np.ndarray) -> float:
    """Return the most likely lambda (Box & Cox 1964, section 3).

    Args:
        values: `[time]`, above 0, NaN = missing.
    """
    known = values[np.isfinite(values)]
    if len(known) < 3 or known.min() == known.max():
        return 1.0
    known = known / np.exp(np.log(known).mean())  # lambda knows no unit; the Jacobian is 1 now

    def unlikelihood(power: float) -> float:
        return float(np.log(boxcox(known, power).var() + _TINY))

    return _lowest(unlikelihood)


def guerrero_lambda(values: np.ndarray, season_length: int) -> float:
    """Return Guerrero's (1993) lambda, under which seasons vary alike.

    The deviation of a season, divided by its mean to the power of 1 - lambda, then varies as little
    as it can from season to season. Seasons are counted from the end.

    Args:
        values: `[time]`, above 0, NaN = missing; a season with a missing value does not count.
        season_length: steps of a season, at least 2.
    """
    n_seasons = len(values) // season_length
    seasons = values[len(values) - n_seasons * season_length :].reshape(n_seasons, season_length)
    seasons = seasons[np.isfinite(seasons).all(axis=1)]
    level, deviation = seasons.mean(axis=1), seasons.std(axis=1, ddof=1)
    if len(seasons) < 2 or not deviation.any():
        return 1.0

    def variation(power: float) -> float:
        ratio = deviation / level ** (1 - power)
        return ratio.std(ddof=1) / ratio.mean()

    return _lowest(variation)


def _lowest(criterion: Callable[[float], float]) -> float:
    from scipy.optimize import minimize_scalar  # imports much else

    return float(minimize_scalar(criterion, bounds=_BOUNDS, method="bounded").x)
