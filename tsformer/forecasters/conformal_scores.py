"""Corrections of forecast quantiles, learned from forecasts whose truth is known.

A score says how far the truth lies beyond a forecast quantile, in units of the forecast's own
spread, so that series of any size and steps of any uncertainty can be pooled (conformalised
quantile regression, Romano et al. 2019, with the locally weighted scores of Lei et al. 2018).
A corrected quantile is the forecast one moved by an empirical quantile of its scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tsformer.forecasters.inference import DENSE

LEVELS = DENSE  # what is corrected; levels between them are corrected by what lies between
_MIDDLE = LEVELS.index(0.5)
_UPPER = np.array(LEVELS[_MIDDLE + 1 :])
_WIDTHS = 2 * _UPPER - 1  # of the central intervals, from inner to outer

_POOLED = 100  # scores that a step's correction rests on at least, its neighbours' included
_CAUTION = 5  # cut-offs that speak against a bias before the data have spoken
_PATIENCE = 20  # values that an update needs to have half its effect
_LARGEST = 100.0  # stretch, or one over the smallest


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Forecasts whose truth is known: a row for each series and cut-off.

    Attributes:
        quantiles: `[n, H, G]` at `LEVELS`, raw units.
        spread: `[n, H]`, what scores are measured in, raw units; 0 where nothing is to correct.
        truth: `[n, H]`, NaN = missing.
        cutoffs: `[n]`, numbers of the cut-offs, in order of time.
    """

    quantiles: np.ndarray
    spread: np.ndarray
    truth: np.ndarray
    cutoffs: np.ndarray

    @property
    def scores(self) -> np.ndarray:
        """The excess of truth over each quantile, `[n, H, G]`, NaN where it does not count."""
        unit = np.where(self.spread > 0, self.spread, np.nan)
        return (self.truth[..., None] - self.quantiles) / unit[..., None]

    def where(self, rows: np.ndarray) -> Judged:
        """Return these rows, by number or as a mask."""
        return Judged(
            quantiles=self.quantiles[rows],
            spread=self.spread[rows],
            truth=self.truth[rows],
            cutoffs=self.cutoffs[rows],
        )

    @classmethod
    def together(cls, parts: list[Judged]) -> Judged:
        """Return all rows of several."""
        names = ("quantiles", "spread", "truth", "cutoffs")
        return cls(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How forecasts of one model become ones whose intervals hold what they promise.

    Attributes:
        shifts: `[H, G]`, what is added to each quantile, in units of the spread.
        stretch: `[G // 2]`, the factors by which central intervals, from inner to outer, are then
            widened about the median.
    """

    shifts: np.ndarray
    stretch: np.ndarray

    @classmethod
    def of(cls, judged: Judged, *, apart: float = 1.0, trust: float = 1.0) -> Self:
        """Return what would have made the intervals of known forecasts right.

        Where each side is corrected by its own scores, a bias is corrected, too; where both sides
        are corrected by the larger excess of either, as Romano et al. (2019, section 4) do first,
        intervals become wider instead. The more cut-offs there are, the more counts the former:
        a shock that hits all series at a time looks like a bias, and does not come again.

        Args:
            judged: forecasts whose truth is known.
            apart: steps between their cut-offs, in horizons; below 1 where they overlap.
            trust: 1 where the same model makes the forecasts to come, less where another does,
                whose bias need not be the same.
        """
        scores, n_rows = judged.scores, int(np.isfinite(judged.truth).any(axis=1).sum())
        horizon, reach = scores.shape[1], neighbours(n_rows, scores.shape[1])
        n_cutoffs = len(np.unique(judged.cutoffs))
        n_apart = min(n_cutoffs, 1 + (n_cutoffs - 1) * apart)  # that do not overlap
        share = trust * n_apart / (n_apart + _CAUTION)
        shifts = np.zeros((horizon, len(LEVELS)))
        for step in range(horizon):
            pooled = scores[:, max(0, step - reach) : step + reach + 1]
            known = pooled[np.isfinite(pooled[..., _MIDDLE])]  # [m, G]
            if len(known):
                # errors of neighbouring steps resemble each other: so many are new, at a guess
                n_independent = n_rows * np.sqrt(pooled.shape[1])
                shifts[step] = share * one_sided(known, n_independent)
                shifts[step] += (1 - share) * two_sided(known, n_independent)
        return cls(shifts=shifts, stretch=np.ones(len(_WIDTHS)))

    def apply(
        self, quantiles: np.ndarray, spread: np.ndarray, levels: tuple[float, ...]
    ) -> np.ndarray:
        """Return corrected quantiles, `[n, H, Q]`, ascending.

        Args:
            quantiles: `[n, H, Q]` at `levels`, of any horizon: steps beyond those that were
                judged are corrected as the last one.
            spread: `[n, H]`, see `Judged`.
            levels: ascending, 0.5 among them.
        """
        weights = _between(levels)
        steps = np.minimum(np.arange(quantiles.shape[1]), len(self.shifts) - 1)
        moved = quantiles + spread[..., None] * (self.shifts[steps] @ weights)
        moved.sort(axis=-1)  # never farther from the truth (Chernozhukov et al. 2010)
        centre = moved[..., levels.index(0.5), None]
        factors = np.r_[self.stretch[::-1], 1.0, self.stretch] @ weights
        return np.sort(centre + factors * (moved - centre), axis=-1)

    def tracked(self, judged: Judged, learning_rate: float) -> Self:
        """Return the correction after more forecasts, widened where too many values lay outside.

        Adaptive conformal inference (Gibbs & Candès 2021) in the form of quantile tracking
        (Angelopoulos et al. 2023): each interval's width, not its level, follows the share of
        values that it missed, all series and steps together. On a logarithmic scale, so that no
        unit is needed; in proportion to n / (n + 20), as a few values say little.
        """
        known = np.isfinite(judged.truth) & (judged.spread > 0)
        if not known.any():
            return self
        quantiles = self.apply(judged.quantiles, judged.spread, LEVELS)
        truth = judged.truth[..., None]
        low, high = quantiles[..., _MIDDLE - 1 :: -1], quantiles[..., _MIDDLE + 1 :]
        missed = ((truth < low) | (truth > high))[known].mean(axis=0)
        rate = learning_rate * known.sum() / (known.sum() + _PATIENCE)
        stretch = self.stretch * np.exp(rate * (missed - (1 - _WIDTHS)))
        return replace(self, stretch=np.clip(stretch, 1 / _LARGEST, _LARGEST))


def neighbours(n_rows: int, horizon: int) -> int:
    """Return how many steps before and after share a step's scores, so that these are enough."""
    wanted = min(-(-_POOLED // max(n_rows, 1)), 2 * horizon)
    return wanted // 2


def one_sided(scores: np.ndarray, n: float) -> np.ndarray:
    """Return a quantile of each level's own scores, `[G]`; `scores` is `[m, G]`.

    A level above the median counts as (n + 1) / n of itself, as split conformal prediction has it
    for n independent scores, one below in mirror image, and the median as it is.
    """
    upper = _UPPER * (n + 1) / n
    return _at(scores, np.r_[1 - upper[::-1], 0.5, upper])


def two_sided(scores: np.ndarray, n: float) -> np.ndarray:
    """Return shifts that move both sides of each central interval by as much, `[G]`."""
    excess = np.maximum(-scores[:, _MIDDLE - 1 :: -1], scores[:, _MIDDLE + 1 :])
    moved = _at(excess, _WIDTHS * (n + 1) / n)
    return np.r_[-moved[::-1], 0.0, moved]


def _at(scores: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return one quantile of each column, the k-th of m values being that at (k - 0.5) / m."""
    ordered, last = np.sort(scores, axis=0), len(scores) - 1
    place = np.clip(np.clip(probabilities, 0, 1) * len(scores) - 0.5, 0, last)
    below, columns = np.floor(place).astype(np.int64), np.arange(scores.shape[1])
    share = place - below
    above = ordered[np.minimum(below + 1, last), columns]
    return (1 - share) * ordered[below, columns] + share * above


def _between(levels: tuple[float, ...]) -> np.ndarray:
    """Return `[G, Q]`: `values at LEVELS @ weights = values at levels`, linear between them."""
    return np.array([np.interp(levels, LEVELS, row) for row in np.eye(len(LEVELS))])
