"""What known covariates explain of each series, by a linear regression of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tsformer.data.encoding import CovariateEncoder
from tsformer.data.panel import Panel

_PENALTIES = np.logspace(-2, 4, 13)
_LEAST = 8  # pairs that a regression needs


@dataclass(frozen=True, kw_only=True)
class Explained:
    """Series taken apart.

    Attributes:
        rest: the series less what the covariates explain.
        coming: `[S, H]`, what they say of the steps after each end.
    """

    rest: Panel
    coming: np.ndarray


def explain(
    panel: Panel,
    encoder: CovariateEncoder,
    horizon: int,
    season_length: int,
    lengths: np.ndarray | None = None,
) -> Explained:
    """Return what the covariates known in advance say of univariate series.

    Each series has a ridge regression of its own, on differences from step to step, on those from
    season to season, or on the values themselves: whichever leaves the least error, left-out step
    by left-out step, when the noise of a difference counts twice. In that way neither trend nor
    season is taken for an effect. Where it explains less than nothing would, nothing is explained.
    Covariates that are missing count as their mean.

    Args:
        panel: univariate series with their covariates.
        encoder: how these become numbers.
        horizon: H.
        season_length: steps of a season.
        lengths: `[S]`, steps of each series to learn from; None for all.
    """
    encoded = encoder.encode(panel, horizon)
    known = np.nan_to_num(encoded.values[: encoder.n_future]).T.astype(np.float64)  # [T, K]
    coming = np.nan_to_num(encoded.coming).transpose(1, 2, 0).astype(np.float64)  # [S, H, K]
    rest, said = panel.values.copy(), np.zeros((len(panel), horizon))
    for number in range(len(panel)):
        begin, end = panel.offsets[number], panel.offsets[number + 1]
        span = slice(begin, end)
        learned = slice(begin, end if lengths is None else begin + lengths[number])
        values = panel.values[0, learned].astype(np.float64)
        effects = _effects(values, known[learned], season_length)
        rest[0, span] -= known[span] @ effects
        said[number] = coming[number] @ effects
    return Explained(rest=replace(panel, values=rest), coming=said)


def _effects(values: np.ndarray, known: np.ndarray, season_length: int) -> np.ndarray:
    """Return the effect of each covariate, `[K]`; 0 where there is too little to tell."""
    from sklearn.linear_model import RidgeCV  # half a second, which few forecasts need

    best, least = np.zeros(known.shape[1]), np.inf
    for lag in dict.fromkeys((0, 1, season_length)):
        if lag >= len(values):
            continue
        y = values[lag:] - values[:-lag] if lag else values
        x = known[lag:] - known[:-lag] if lag else known
        there = np.isfinite(y)
        y, x = y[there], x[there]
        if len(y) < _LEAST or not x.any() or y.min() == y.max():
            continue
        unit = y.std()
        regression = RidgeCV(_PENALTIES).fit(x, y / unit)
        noise = unit**2 / (2 if lag else 1)  # were there no effect
        error = -regression.best_score_ * noise
        if min(error, noise) < least:
            least = min(error, noise)
            best = regression.coef_ * unit if error < noise else np.zeros_like(best)
    return best
