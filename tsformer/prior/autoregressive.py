"""Seasonal ARIMA from stable roots, and processes with long memory."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tsformer.prior.draws import (
    Draw,
    chance,
    draw_season,
    log_uniform,
    noise,
    normal,
    standardise,
    uniform,
)


def autoregressive(generator: Generator, n: int, length: int) -> Draw:
    """Return seasonal ARIMA paths (Box & Jenkins 1970).

    Two roots, a complex pair (a cycle) or two real ones, are drawn within the unit circle, and a
    seasonal coefficient beside them; some paths are then summed up once, or over seasons. The
    first half of what is drawn is thrown away, that the past does not begin at zero.
    """
    season = draw_season(generator, n, length, odd=0.05)
    season = torch.where(chance(generator, 0.4, n), season, 1)
    radius = 1 - uniform(generator, n) ** 2
    radius = radius.clamp(max=0.995)
    angle = 2 * math.pi / log_uniform(generator, n, low=4.0, high=max(8.0, length / 3))
    other = uniform(generator, n, low=-0.7, high=0.95)
    cyclic = chance(generator, 0.4, n)
    first = torch.where(cyclic, 2 * radius * angle.cos(), radius + other)
    second = torch.where(cyclic, -(radius**2), -radius * other)
    seasonal = uniform(generator, n, low=0.3, high=0.98) * (season > 1)
    moving = uniform(generator, n, low=-0.8, high=0.8) * chance(generator, 0.5, n)

    total = 2 * length
    shocks = noise(generator, n, total)
    shocks[:, 1:] += moving[:, None] * shocks[:, :-1].clone()
    inner = torch.zeros(n, total + 2, device=generator.device)
    path = torch.zeros(n, total, device=generator.device)
    rows = torch.arange(n, device=generator.device)
    for step in range(total):
        now = first * inner[:, step + 1] + second * inner[:, step] + shocks[:, step]
        inner[:, step + 2] = now
        before = path[rows, (step - season).clamp(min=0)] * (step >= season)
        path[:, step] = now + seasonal * before
    path = standardise(path[:, -length:])
    summed = chance(generator, 0.35, n, 1)
    drift = normal(generator, n, 1) * chance(generator, 0.5, n, 1) * 0.2
    path = torch.where(summed, (path + drift).cumsum(dim=1), path)
    return Draw(standardise(path) + _level(generator, n), season)


def long_memory(generator: Generator, n: int, length: int) -> Draw:
    """Return noise whose power falls with frequency as `1 / f ** beta`, beta from -0.3 to 3.

    White noise at 0, fractional Gaussian noise below 1, fractional Brownian motion above.
    """
    total = 2 * length
    frequency = torch.fft.rfftfreq(total, device=generator.device)[1:]
    beta = uniform(generator, n, 1, low=-0.3, high=3.0)
    size = frequency ** (-beta / 2)
    spectrum = torch.complex(
        normal(generator, n, len(frequency)) * size, normal(generator, n, len(frequency)) * size
    )
    spectrum = torch.cat([torch.zeros_like(spectrum[:, :1]), spectrum], dim=1)
    path = torch.fft.irfft(spectrum, n=total)[:, :length]
    season = torch.ones(n, dtype=torch.long, device=generator.device)
    return Draw(standardise(path) + _level(generator, n), season)


def _level(generator: Generator, n: int) -> Tensor:
    return normal(generator, n, 1) * log_uniform(generator, n, 1, low=0.1, high=10.0)
