"""Templates that repeat: days within weeks, machines, tides; nearly exact or drifting."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tsformer.prior.draws import (
    Draw,
    autoregress,
    chance,
    draw_season,
    log_uniform,
    noise,
    normal,
    seasonal_wave,
    standardise,
    uniform,
)


def templates(generator: Generator, n: int, length: int) -> Draw:
    """Return a shape repeated with changing size and phase, with 0.1 % to 50 % of noise.

    The shape is a smooth wave, a closed random walk, or a few pulses on a flat ground. Half of the
    time a week of such days is nested: each seventh (or fifth) day has its own size.
    """
    season = draw_season(generator, n, length, odd=0.25)
    longest = int(season.max())
    shapes = _shapes(generator, season, longest)
    drift = log_uniform(generator, n, 1, low=1e-4, high=0.1) * chance(generator, 0.4, n, 1)
    phase = torch.arange(length, device=generator.device) * (
        1 + 0.02 * normal(generator, n, 1) * chance(generator, 0.1, n, 1)
    ) + (normal(generator, n, length) * drift * season[:, None] * 0.2).cumsum(dim=1)
    place = phase % season[:, None]
    below = place.floor().long().clamp(max=longest - 1)
    above = (below + 1) % season[:, None]
    share = place - below
    values = shapes.gather(1, below) * (1 - share) + shapes.gather(1, above) * share

    cycle = (phase / season[:, None]).floor().long().clamp(min=0)
    per_week = torch.where(chance(generator, 0.8, n), 7, 5)[:, None]
    sizes = 1 + 0.5 * normal(generator, n, 7) * chance(generator, 0.5, n, 1)
    values = values * sizes.gather(1, cycle % per_week)
    random_size = normal(generator, n, length) * log_uniform(generator, n, 1, low=0.01, high=0.5)
    each = 1 + random_size * chance(generator, 0.3, n, 1)
    values = values * each.gather(1, cycle.clamp(max=length - 1))
    wander = autoregress(normal(generator, n, length), torch.full((n,), 0.99))
    values = values + 0.1 * wander * chance(generator, 0.3, n, 1)
    size = log_uniform(generator, n, 1, low=1e-3, high=0.5)
    return Draw(values + size * noise(generator, n, length), season)


def _shapes(generator: Generator, season: Tensor, longest: int) -> Tensor:
    """Return one period of each series, `[n, longest]`, repeating after `season` steps."""
    n = len(season)
    smooth = seasonal_wave(generator, season, longest)
    walk = normal(generator, n, longest).cumsum(dim=1)
    time = torch.arange(longest, device=generator.device)
    last = walk.gather(1, (season - 1)[:, None])
    closed = standardise(walk - last * (time / season[:, None]))
    ground = (uniform(generator, n, longest) < 3 / season[:, None]).float()
    pulses = ground * log_uniform(generator, n, longest, low=0.5, high=4.0)
    day = torch.relu(torch.sin(math.pi * (time / season[:, None]) * 2 + normal(generator, n, 1)))
    kinds = torch.stack([smooth, closed, standardise(pulses), standardise(day)])
    kind = torch.multinomial(
        torch.tensor([0.35, 0.3, 0.1, 0.25]), n, replacement=True, generator=generator
    )
    return kinds[kind, torch.arange(n)]
