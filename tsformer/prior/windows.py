"""Synthetic series as a forecaster meets them: a context with gaps, and what comes after it."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tsformer.prior.draws import chance, log_uniform, uniform
from tsformer.prior.mixture import draw_series

_LEAST = 6  # steps of a context
_SHORT = 0.25  # of the windows are of series that are short themselves
_LENGTHS = 4  # of these, drawn together
_CUT = 0.12  # of the others are what is left of longer ones


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

    A third of them are of short series, whose context begins late: most were drawn as short as
    that, with trends of their own, some are ends of longer ones. One in ten has single values
    missing, and one in ten a stretch. The season is told to half of them.
    """
    values, known, future, season = _drawn(generator, n, context_length, horizon)
    step = torch.arange(context_length, device=generator.device)
    gone = chance(generator, 0.1, n, 1) & (
        uniform(generator, n, context_length) < uniform(generator, n, 1, high=0.3)
    )
    begin = uniform(generator, n, 1) * context_length
    end = begin + log_uniform(generator, n, 1, low=1.0, high=max(1.1, context_length / 4))
    stretch = chance(generator, 0.1, n, 1) & (step >= begin) & (step < end)
    season = torch.where(chance(generator, 0.5, n), season, 1)
    return WindowDraw(values, known & ~(gone | stretch), future, season)


def _drawn(
    generator: Generator, n: int, context_length: int, horizon: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return values, where they have begun, future and season, in random order."""
    least = min(_LEAST, context_length)
    n_short = round(_SHORT * n)
    n_lengths = min(_LENGTHS, n_short)
    lengths = log_uniform(generator, n_lengths, low=least, high=context_length).long().tolist()
    sizes = [n_short * (k + 1) // n_lengths - n_short * k // n_lengths for k in range(n_lengths)]
    parts = []
    for many, length in [*zip(sizes, lengths, strict=True), (n - n_short, context_length)]:
        series, season = draw_series(generator, many, length + horizon)
        context = F.pad(series[:, :length], (context_length - length, 0))
        begin = torch.full((many, 1), context_length - length, device=generator.device)
        parts.append((context, begin, series[:, length:], season))
    order = torch.randperm(n, generator=generator, device=generator.device)
    values, begin, future, season = (torch.cat(part)[order] for part in zip(*parts, strict=True))
    length = log_uniform(generator, n, 1, low=least, high=context_length)
    late = chance(generator, _CUT, n, 1) & (begin == 0)
    begin = torch.where(late, context_length - length, begin)
    step = torch.arange(context_length, device=generator.device)
    return values, step >= begin, future, season
