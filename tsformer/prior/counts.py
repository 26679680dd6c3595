"""Counts: sales of slow articles, calls per hour, spare parts."""

from __future__ import annotations

import torch
from torch import Generator

from tsformer.prior.draws import (
    Draw,
    autoregress,
    chance,
    draw_season,
    log_uniform,
    normal,
    seasonal_wave,
    uniform,
)


def counts(generator: Generator, n: int, length: int) -> Draw:
    """Return Poisson counts of a rate with season and drift, many of them mostly zero.

    A gamma-distributed factor on the rate makes some of them over-dispersed (negative binomial).
    """
    season = draw_season(generator, n, length, odd=0.05)
    seasonal = chance(generator, 0.6, n)
    wave = seasonal_wave(generator, season, length) * seasonal[:, None]
    walk = autoregress(normal(generator, n, length) * 0.05, torch.full((n,), 0.995))
    level = log_uniform(generator, n, 1, low=0.05, high=200.0)
    rate = level * torch.exp(0.5 * uniform(generator, n, 1) * wave + walk)
    spread = log_uniform(generator, n, 1, low=0.3, high=30.0)
    # a sum of exponentials to a power: close to a gamma factor, and drawn with a generator
    factor = -uniform(generator, n, length).clamp(min=1e-6).log()
    rate = rate * torch.where(chance(generator, 0.4, n, 1), factor ** (1 / (1 + spread)), 1.0)
    sleeping = chance(generator, 0.3, n, 1) & (
        uniform(generator, n, length) < uniform(generator, n, 1)
    )
    values = torch.poisson(torch.where(sleeping, 0.0, rate.clamp(max=1e5)), generator=generator)
    return Draw(values, torch.where(seasonal, season, 1))
