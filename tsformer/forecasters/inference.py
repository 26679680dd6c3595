"""Forecasts from a trained network, a block of series at a time: no Trainer, no frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsformer.data.encoding import CovariateEncoder
from tsformer.data.panel import Panel
from tsformer.data.windows import CovariateSource, EpochWindows, Windows, latest_windows
from tsformer.types import Batch, Forecast

NO_COVARIATES = CovariateEncoder()
_BLOCK = 1024  # series per pass through the network
_PATHS = tuple((k + 0.5) / 10 for k in range(10))  # continued beyond the trained horizon
_SPREAD = tuple((k + 0.5) / 20 for k in range(20))  # what each of them stands for
_TAIL = (0.001, 0.003, 0.01, 0.03)
DENSE = (*_TAIL, *(round(0.05 * k, 2) for k in range(1, 20)), *(1 - p for p in reversed(_TAIL)))


def forecast_panel(
    model: Any,
    panel: Panel,
    horizon: int,
    levels: tuple[float, ...],
    encoder: CovariateEncoder = NO_COVARIATES,
) -> Forecast:
    """Return the forecasts of a panel from the ends of its series, one row per variate.

    Beyond the trained horizon the network is asked again, from contexts continued by quantiles
    of its own forecast (see `roll`).
    """
    means, quantiles = [], []
    with torch.inference_mode():
        for batch in _blocks(model, panel, horizon, encoder):
            mean, spread = roll(model, batch, horizon, levels)
            means.append(mean.flatten(0, 1))
            quantiles.append(spread.flatten(0, 1))
    return Forecast(
        mean=torch.cat(means).numpy().astype(np.float64),
        quantiles=torch.cat(quantiles).numpy().astype(np.float64),
        levels=levels,
    )


def _blocks(model: Any, panel: Panel, horizon: int, encoder: CovariateEncoder) -> Iterator[Batch]:
    source = latest_windows(panel, model.context_length)
    if encoder.size:
        whole = -(-horizon // model.horizon) * model.horizon
        source = replace(
            source, covariates=CovariateSource.of(panel, encoder.encode(panel, whole), whole)
        )
    lengths = torch.from_numpy(panel.lengths)
    for series in torch.arange(len(panel)).split(_BLOCK):
        yield source.gather(series, lengths[series])


def roll(
    model: Any, batch: Batch, horizon: int, levels: tuple[float, ...]
) -> tuple[Tensor, Tensor]:
    """Return mean, `[B, C, H]`, and quantiles, `[B, C, H, Q]`, for any horizon.

    Each further block of steps is forecast from ten contexts per series, continued by evenly
    spread quantiles of the block before; their quantiles are pooled into those of the mixture, so
    that uncertainty grows. The scheme is that of Chronos-Bolt (Ansari et al. 2024, the authors'
    code), but for its levels, the deciles: these lack the tails, and intervals would narrow.
    """
    now = _covariates_from(batch, 0, model.horizon)
    mean, quantiles = model.predict(now, levels)
    means, blocks = [mean], [quantiles]
    known, paths = model.horizon, None
    n_series = len(batch)
    while known < horizon:
        if paths is None:
            ends = model.predict(now, _PATHS).quantiles  # [B, C, H, 10]
            paths = _repeat(batch, len(_PATHS))
        paths = _append(paths, ends.movedim(3, 1).flatten(0, 1))
        mean, spread = model.predict(_covariates_from(paths, known, model.horizon), _SPREAD)
        pooled = spread.unflatten(0, (n_series, -1)).movedim(1, 3).flatten(3)
        mixture = _sample_quantiles(pooled, (*levels, *_PATHS))  # [B, C, H, levels + 10]
        by_path = mean.unflatten(0, (n_series, -1))  # [B, 10, C, H]
        first = by_path[:, 0]  # taken away, so that the mean of equal values is that value
        means.append(first + (by_path - first[:, None]).mean(dim=1))
        blocks.append(mixture[..., : len(levels)])
        ends = mixture[..., len(levels) :]
        known += model.horizon
    return torch.cat(means, dim=2)[:, :, :horizon], torch.cat(blocks, dim=2)[:, :, :horizon]


def _covariates_from(batch: Batch, step: int, horizon: int) -> Batch:
    """Return the batch with the covariates that a context moved on by `step` steps has."""
    if batch.covariates is None or batch.covariates_observed is None:
        return batch
    part = slice(step, step + batch.target.shape[-1] + horizon)
    return replace(
        batch,
        covariates=batch.covariates[..., part],
        covariates_observed=batch.covariates_observed[..., part],
    )


def _repeat(batch: Batch, times: int) -> Batch:
    """Return each window `times` times in a row."""
    repeated: Any = {
        field.name: tensor.repeat_interleave(times, dim=0)
        for field in fields(batch)
        if (tensor := getattr(batch, field.name)) is not None
    }
    return Batch(**repeated)


def _sample_quantiles(samples: Tensor, levels: Sequence[float]) -> Tensor:
    """Return quantiles along the last axis, the k-th of n values being that at (k - 0.5) / n."""
    ordered, n_samples = samples.sort(dim=-1).values, samples.shape[-1]
    place = torch.tensor(levels, dtype=samples.dtype) * n_samples - 0.5
    place = place.clamp(0, n_samples - 1)
    below = place.floor().long().clamp(max=n_samples - 2)
    return torch.lerp(ordered[..., below], ordered[..., below + 1], place - below)


def _append(batch: Batch, values: Tensor) -> Batch:
    """Return contexts moved on by `values`, `[B, C, H]`, as if they had been observed."""
    length = batch.target.shape[-1]
    observed = torch.ones_like(values, dtype=torch.bool)
    return replace(
        batch,
        target=torch.cat([batch.target, values], dim=-1)[..., -length:],
        observed=torch.cat([batch.observed, observed], dim=-1)[..., -length:],
    )


def sample_panel(
    model: Any,
    panel: Panel,
    horizon: int,
    *,
    n_samples: int,
    correlation: float,
    generator: np.random.Generator,
    encoder: CovariateEncoder = NO_COVARIATES,
) -> np.ndarray:
    """Return coherent paths, `[S * C, n_samples, H]`.

    Each step's values have the forecast quantiles; neighbouring steps are tied by a Gaussian
    copula that forgets geometrically: an AR(1) process of normal scores with the correlation that
    the errors of held out windows showed.
    """
    forecast = forecast_panel(model, panel, horizon, DENSE, encoder)
    shocks = generator.normal(size=(len(forecast.mean), n_samples, horizon))
    scores = shocks.copy()
    for step in range(1, horizon):
        fresh = np.sqrt(1 - correlation**2) * shocks[:, :, step]
        scores[:, :, step] = correlation * scores[:, :, step - 1] + fresh
    uniform = torch.special.ndtr(torch.from_numpy(scores)).numpy()
    return interpolate_levels(forecast.quantiles, np.asarray(DENSE), uniform)


def interpolate_levels(quantiles: np.ndarray, levels: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return quantile functions at other levels, `[S, n, H]`, linear between the known ones.

    Args:
        quantiles: `[S, H, Q]` at `levels`, ascending.
        wanted: `[S, n, H]`, moved into the range of `levels`.
    """
    wanted = np.clip(wanted, levels[0], levels[-1])
    right = np.clip(np.searchsorted(levels, wanted), 1, len(levels) - 1)
    share = (wanted - levels[right - 1]) / (levels[right] - levels[right - 1])
    by_level = quantiles.transpose(0, 2, 1)  # [S, Q, H]
    below = np.take_along_axis(by_level, right - 1, axis=1)
    above = np.take_along_axis(by_level, right, axis=1)
    return below + share * (above - below)


def held_out_batches(windows: Windows) -> Iterator[Batch]:
    """Yield at most a few thousand windows, evenly spread, in a fixed order."""
    if len(windows):
        yield from EpochWindows(windows=windows, batch_size=_BLOCK, limit=2 * _BLOCK)


def error_correlation(model: Any, batches: list[Batch]) -> float:
    """Return the correlation of neighbouring steps' normal scores on held out windows.

    The score of a step is the normal quantile of the share of forecast quantiles that lie below
    the truth. 0 where there is too little to tell.
    """
    products, squares, count = 0.0, 0.0, 0
    with torch.inference_mode():
        for batch in batches:
            assert batch.future is not None and batch.future_observed is not None
            spread = model.predict(batch, DENSE).quantiles
            levels = torch.tensor([0.0, *DENSE, 1.0])
            below = (spread < batch.future[..., None]).sum(dim=-1)
            score = torch.special.ndtri((levels[below] + levels[below + 1]) / 2)
            known = batch.future_observed & (spread[..., -1] > spread[..., 0])
            both = known[..., 1:] & known[..., :-1]
            products += float((score[..., 1:] * score[..., :-1])[both].sum())
            squares += float((score[..., 1:].square() + score[..., :-1].square())[both].sum()) / 2
            count += int(both.sum())
    return float(np.clip(products / squares, 0.0, 0.99)) if count >= 10 and squares else 0.0
