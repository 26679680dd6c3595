"""Trend, seasons and noise, added or multiplied: how a statistician would describe sales."""

from __future__ import annotations

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
    uniform,
)


def trend(generator: Generator, n: int, length: int) -> Tensor:
    """Return trends `[n, length]` between -1 and 1 or so: straight, damped, bent or broken."""
    time = torch.linspace(0, 1, length, device=generator.device)
    slope = normal(generator, n, 1)
    bend = log_uniform(generator, n, 1, low=0.3, high=6.0)
    broken = torch.relu(time - uniform(generator, n, 1)) * normal(generator, n, 1) * 2
    shapes = torch.stack(
        [
            slope * time,
            slope * (1 - torch.exp(-bend * time)) / (1 - torch.exp(-bend)),
            slope * (torch.exp(bend * time) - 1) / (torch.exp(bend) - 1),
            slope * time + broken,
            slope * torch.sigmoid(8 * (time - uniform(generator, n, 1))),
        ]
    )
    kind = torch.randint(len(shapes), (n,), generator=generator, device=generator.device)
    return shapes[kind, torch.arange(n, device=generator.device)]


def structural(generator: Generator, n: int, length: int) -> Draw:
    """Return trend, up to two seasons and noise.

    With an additive season the parts are added; with a multiplicative one, half of the time, the
    swing of season and noise grows with the level, as in sales that grow.
    """
    season = draw_season(generator, n, length)
    with_trend = chance(generator, 0.7, n, 1) * log_uniform(generator, n, 1, low=0.3, high=6.0)
    level = trend(generator, n, length) * with_trend
    wave = seasonal_wave(generator, season, length)
    slow = autoregress(normal(generator, n, length), torch.ones(n, device=generator.device))
    slow = slow / slow.abs().amax(dim=1, keepdim=True)
    swing = 1 + 0.3 * chance(generator, 0.4, n, 1) * slow  # amplitudes that drift
    longer = season * torch.where(chance(generator, 0.5, n), 7, 12)
    nested = seasonal_wave(generator, longer, length) * chance(generator, 0.25, n, 1)
    periodic = wave * swing + nested * uniform(generator, n, 1)

    memory = uniform(generator, n, high=0.9) * chance(generator, 0.5, n)
    errors = autoregress(noise(generator, n, length), memory) * (1 - memory[:, None] ** 2).sqrt()
    errors = errors * log_uniform(generator, n, 1, low=0.01, high=1.5)
    plain = chance(generator, 0.15, n, 1)
    periodic = torch.where(plain, 0.0, periodic)
    added = level + periodic + errors
    base = 1 + level - level.amin(dim=1, keepdim=True)
    strength = log_uniform(generator, n, 1, low=0.05, high=0.4)
    multiplied = base * torch.exp(strength * (periodic + errors))
    values = torch.where(chance(generator, 0.5, n, 1), added, multiplied)
    return Draw(values, torch.where(plain[:, 0], 1, season))
