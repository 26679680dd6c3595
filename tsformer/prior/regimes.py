"""Walks whose habits change: volatility, regimes, steps, ramps and sawteeth."""

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
    uniform,
)


def random_walk(generator: Generator, n: int, length: int) -> Draw:
    """Return random walks, plain or geometric, whose step size itself wanders."""
    memory = uniform(generator, n, low=0.8, high=0.99)
    wander = autoregress(normal(generator, n, length), memory) * (1 - memory**2).sqrt()[:, None]
    size = torch.exp(wander * uniform(generator, n, 1) * chance(generator, 0.5, n, 1))
    drift = normal(generator, n, 1) * chance(generator, 0.5, n, 1) * 0.2
    walk = (noise(generator, n, length) * size + drift).cumsum(dim=1)
    furthest = walk.abs().amax(dim=1, keepdim=True)
    grown = torch.exp(walk / furthest * log_uniform(generator, n, 1, low=0.05, high=3.0))
    values = torch.where(chance(generator, 0.5, n, 1), walk, grown)
    return Draw(values, _no_season(n, generator))


def regimes(generator: Generator, n: int, length: int) -> Draw:
    """Return mean-reverting paths whose level and noise jump between two or three regimes."""
    stay = 1 - 1 / log_uniform(generator, n, 1, low=5.0, high=length + 5.0)
    jumps = (uniform(generator, n, length) > stay).cumsum(dim=1)
    n_states = torch.randint(2, 4, (n, 1), generator=generator, device=generator.device)
    ordered = chance(generator, 0.5, n, 1)
    fresh = torch.randint(0, 6, (n, length + 1), generator=generator, device=generator.device)
    state = torch.where(ordered, jumps, fresh.gather(1, jumps.clamp(max=length))) % n_states
    level = normal(generator, n, 3).gather(1, state)
    size = log_uniform(generator, n, 3, low=0.02, high=1.0).gather(1, state)
    memory = uniform(generator, n) ** 0.5 * 0.98
    pull = autoregress(level * (1 - memory[:, None]), memory)
    around = autoregress(noise(generator, n, length) * size, memory * uniform(generator, n))
    return Draw(pull + around, _no_season(n, generator))


def pulses(generator: Generator, n: int, length: int) -> Draw:
    """Return steps, ramps, sawteeth or spikes that come back regularly, or nearly so."""
    season = draw_season(generator, n, length, odd=0.5)
    time = torch.arange(length, device=generator.device)
    jitter = normal(generator, n, length) * 0.05 * chance(generator, 0.3, n, 1)
    place = ((time / season[:, None]) + jitter + uniform(generator, n, 1)) % 1
    width = uniform(generator, n, 1, low=0.05, high=0.7)
    on = (place < width).float()
    shapes = torch.stack([on, place, (place - width).abs(), on * (1 - place / width)])
    kind = torch.randint(len(shapes), (n,), generator=generator, device=generator.device)
    values = shapes[kind, torch.arange(n, device=generator.device)]
    steps = (normal(generator, n, length) * (uniform(generator, n, length) < 3 / length)).cumsum(1)
    values = values + steps * chance(generator, 0.3, n, 1)
    size = log_uniform(generator, n, 1, low=1e-3, high=0.3)
    return Draw(values + size * noise(generator, n, length), season)


def _no_season(n: int, generator: Generator) -> Tensor:
    return torch.ones(n, dtype=torch.long, device=generator.device)
