"""Forecasts from a trained network, a block of series at a time: no Trainer, no frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsformer.cores import even_pieces, side_by_side
from tsformer.data.encoding import CovariateEncoder
from tsformer.data.panel import Panel
from tsformer.data.windows import (
    CovariateSource,
    EpochWindows,
    Windows,
    WindowSource,
    latest_windows,
)
from tsformer.forecasters.rolling import WindowOrigin, roll
from tsformer.types import Batch, Forecast

NO_COVARIATES = CovariateEncoder()
_VALUES, _SERIES = 1 << 20, 1 << 12  # that pass through the network at once, on all cores together
_JUDGED = 512  # held out windows per pass: of each, many quantiles are looked at
_PASSES = 4  # over held out windows, at most
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
    source = _contexts(model, panel, horizon, encoder)
    lengths = torch.from_numpy(panel.lengths)

    @torch.inference_mode()
    def forecast(series: Tensor) -> tuple[Tensor, Tensor]:
        batch = source.gather(series, lengths[series])
        return roll(WindowOrigin(model=model, batch=batch), horizon, levels)

    size = even_pieces(len(panel), min(_SERIES, max(1, _VALUES // model.context_length)))
    parts = side_by_side(forecast, torch.arange(len(panel)).split(size))
    mean, quantiles = (torch.cat(part).flatten(0, 1) for part in zip(*parts, strict=True))
    return as_forecast(mean, quantiles, levels)


def as_forecast(mean: Tensor, quantiles: Tensor, levels: tuple[float, ...]) -> Forecast:
    """Return tensors of rows as a forecast."""
    return Forecast(
        mean=mean.numpy().astype(np.float64),
        quantiles=quantiles.numpy().astype(np.float64),
        levels=levels,
    )


def _contexts(model: Any, panel: Panel, horizon: int, encoder: CovariateEncoder) -> WindowSource:
    source = latest_windows(panel, model.context_length)
    if not encoder.size:
        return source
    whole = -(-horizon // model.horizon) * model.horizon
    covariates = CovariateSource.of(panel, encoder.encode(panel, whole), whole)
    return replace(source, covariates=covariates)


def sample_paths(
    forecast: Forecast, *, n_samples: int, correlation: float, generator: np.random.Generator
) -> np.ndarray:
    """Return coherent paths, `[S * C, n_samples, H]`.

    Each step's values have the forecast quantiles; neighbouring steps are tied by a Gaussian
    copula that forgets geometrically: an AR(1) process of normal scores with the correlation that
    the errors of held out windows showed.

    Args:
        forecast: at the levels `DENSE`.
    """
    n_rows, horizon = forecast.mean.shape
    shocks = generator.normal(size=(n_rows, n_samples, horizon))
    scores = shocks.copy()
    for step in range(1, horizon):
        fresh = np.sqrt(1 - correlation**2) * shocks[:, :, step]
        scores[:, :, step] = correlation * scores[:, :, step - 1] + fresh
    uniform = torch.special.ndtr(torch.from_numpy(scores)).numpy()
    return interpolate_levels(forecast.quantiles, np.asarray(forecast.levels), uniform)


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
        yield from EpochWindows(windows=windows, batch_size=_JUDGED, limit=_PASSES * _JUDGED)


def error_correlation(quantiles: Iterable[Tensor], batches: Sequence[Batch]) -> float:
    """Return the correlation of neighbouring steps' normal scores on held out windows.

    The score of a step is the normal quantile of the share of forecast quantiles that lie below
    the truth. 0 where there is too little to tell.

    Args:
        quantiles: of each batch, `[B, C, H, Q]`, at the levels `DENSE`, ascending along Q.
        batches: windows with a future.
    """
    products, squares, count = 0.0, 0.0, 0
    levels = torch.tensor([0.0, *DENSE, 1.0])
    for spread, batch in zip(quantiles, batches, strict=True):
        assert batch.future is not None and batch.future_observed is not None
        future = batch.future[..., None].contiguous()
        below = torch.searchsorted(spread.contiguous(), future).squeeze(-1)
        score = torch.special.ndtri((levels[below] + levels[below + 1]) / 2)
        known = batch.future_observed & (spread[..., -1] > spread[..., 0])
        both = known[..., 1:] & known[..., :-1]
        products += float((score[..., 1:] * score[..., :-1])[both].sum())
        squares += float((score[..., 1:].square() + score[..., :-1].square())[both].sum()) / 2
        count += int(both.sum())
    return float(np.clip(products / squares, 0.0, 0.99)) if count >= 10 and squares else 0.0
