"""Synthetic series as a forecaster meets them: a context with gaps, and what comes after it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from tsformer.prior.draws import chance, log_uniform, uniform
from tsformer.prior.mixture import draw_series

_LEAST = 6  # steps of a context


class WindowDraw(NamedTuple):
    """Synthetic windows.

    `values` and `observed` are `[n, L]`, `future` is `[n, H]`; `season` is `[n]`, 1 where untold.
    """

    values: Tensor
    observed: Tensor
    future: Tensor
    season: Tensor


def draw_windows(generator: Generator, n: int, context_length: int, horizon: int) -> WindowDraw:
    """Return n windows of synthetic series.

    A third of them begin late, at a length drawn evenly on a logarithmic scale, as short series
    do; one in ten has single values missing, and one in ten a stretch. The season is told to half
    of them.
    """
    series, season = draw_series(generator, n, context_length + horizon)
    values, future = series[:, :context_length], series[:, context_length:]
    step = torch.arange(context_length, device=generator.device)
    least = min(_LEAST, context_length)
    length = log_uniform(generator, n, 1, low=least, high=context_length)
    late = chance(generator, 0.35, n, 1) & (step < context_length - length)
    gone = chance(generator, 0.1, n, 1) & (
        uniform(generator, n, context_length) < uniform(generator, n, 1, high=0.3)
    )
    begin = uniform(generator, n, 1) * context_length
    end = begin + log_uniform(generator, n, 1, low=1.0, high=max(1.1, context_length / 4))
    stretch = chance(generator, 0.1, n, 1) & (step >= begin) & (step < end)
    season = torch.where(chance(generator, 0.5, n), season, 1)
    return WindowDraw(values, ~(late | gone | stretch), future, season)
