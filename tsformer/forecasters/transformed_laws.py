"""Mean and quantiles of a forecast in the units of the series, from those of its transform."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from tsformer.forecasters.inference import DENSE, interpolate_levels
from tsformer.forecasters.transform_columns import FittedTransform
from tsformer.types import Forecast

_SCORES = np.linspace(-4.0, 4.0, 33)  # normal scores at which a mean is integrated
_WEIGHTS = np.exp(-(_SCORES**2) / 2) / np.exp(-(_SCORES**2) / 2).sum()

Law = tuple[np.ndarray, np.ndarray]  # mean [n, H] and quantiles [n, H, Q]


def asked_levels(levels: tuple[float, ...]) -> tuple[float, ...]:
    """Return the levels to ask for, ascending: those wanted, their mirror images, many others.

    A transform that falls makes the quantile at 0.1 of one at 0.9.
    """
    mirrored = [round(1 - level, 12) for level in levels]
    return tuple(sorted({*DENSE, *levels, *mirrored}))


def law_by_quantiles(part: FittedTransform, forecast: Forecast, levels: tuple[float, ...]) -> Law:
    """Return the law of the rows of a transform that works value by value.

    A quantile is that of the transform, turned back: exact for what rises or falls all along. The
    mean is no such thing, E[exp Z] > exp E[Z]; it is the integral of the quantiles, on normal
    scores from -4 to 4, beyond the outermost ones in proportion. Of a transform that is a straight
    line, it is the mean of the forecast itself.

    Args:
        part: the transform.
        forecast: of all rows, in its units, at `asked_levels(levels)`.
        levels: to answer.
    """
    mean, known = forecast.mean[part.rows], forecast.quantiles[part.rows].transpose(0, 2, 1)
    nodes = _at_scores(forecast.select(DENSE).quantiles[part.rows])
    undone = part.undo(np.concatenate([known, nodes, *_means(mean, nodes, _WEIGHTS)], axis=1))
    quantiles, undone = np.split(undone, [known.shape[1]], axis=1)
    falls = np.any(quantiles[:, -1:] < quantiles[:, :1], axis=2, keepdims=True)
    rising, falling = _places(forecast.levels, levels)
    quantiles = np.where(falls, quantiles[:, falling], quantiles[:, rising])
    return _mean(undone, _WEIGHTS), quantiles.transpose(0, 2, 1)


def law_by_paths(
    part: FittedTransform,
    forecast: Forecast,
    paths: np.ndarray,
    levels: tuple[float, ...],
    generator: np.random.Generator,
) -> Law:
    """Return the law of the rows of a transform that adds up along time, from sampled paths.

    Quantiles of sums are not the sums of quantiles: these would grow like h where those of
    independent changes grow like the root of h. Each path is therefore turned back as a whole. At
    each step the paths keep their order, and get the values that the forecast's own quantiles have
    for it (Schefzik et al. 2013), so that chance is left in nothing but what ties steps together.
    The mean is that of the forecast wherever this is a matter of adding up.

    Args:
        part: the transform.
        forecast: of all rows, in its units, at `asked_levels(levels)`.
        paths: of the rows of `part`, `[n, P, H]`, in its units.
        levels: to answer.
        generator: orders paths that are equal.
    """
    dense = forecast.select(DENSE).quantiles[part.rows]
    spread = interpolate_levels(dense, ndtri(np.asarray(DENSE)), ndtri(_ranks(paths, generator)))
    weights = np.full(spread.shape[1], 1 / spread.shape[1])
    means = _means(forecast.mean[part.rows], spread, weights)
    undone = part.undo(np.concatenate([spread, *means], axis=1))
    quantiles = np.quantile(undone[:, :-2], levels, axis=1, method="hazen")
    return _mean(undone, weights), np.moveaxis(quantiles, 0, -1)


def _places(known: tuple[float, ...], levels: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return where these levels are among the known ones, and where their mirror images are."""
    away = np.abs(np.subtract.outer(np.asarray(levels), known))
    away_mirrored = np.abs(np.subtract.outer(1 - np.asarray(levels), known))
    return away.argmin(axis=1), away_mirrored.argmin(axis=1)


def _at_scores(quantiles: np.ndarray) -> np.ndarray:
    """Return quantiles, `[n, H, Q]` at `DENSE`, at the levels of `_SCORES`, `[n, 33, H]`."""
    known = ndtri(np.asarray(DENSE))
    right = np.clip(np.searchsorted(known, _SCORES), 1, len(known) - 1)
    share = (_SCORES - known[right - 1]) / (known[right] - known[right - 1])
    at_scores = quantiles[..., right - 1] * (1 - share) + quantiles[..., right] * share
    return at_scores.transpose(0, 2, 1)


def _ranks(paths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the level of each path among the P of its step, `[n, P, H]`: (k + 0.5) / P."""
    by_chance = np.broadcast_to(generator.random(paths.shape[1:]), paths.shape)
    order = np.lexsort((by_chance, paths), axis=1)
    return (np.argsort(order, axis=1) + 0.5) / paths.shape[1]


def _means(mean: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the mean that was forecast, and that of the values, `[n, 1, H]` each."""
    return mean[:, None], np.einsum("nph,p->nh", values, weights)[:, None]


def _mean(undone: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of values, `[n, P, H]`, and of what `_means` added to them, turned back.

    What the values' own mean lacks of the forecast one is added, as far as it moves a value.
    """
    of_values = np.einsum("nph,p->nh", undone[:, :-2], weights)
    return of_values + undone[:, -2] - undone[:, -1]
