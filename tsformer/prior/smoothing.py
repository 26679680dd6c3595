"""Exponential smoothing run forwards: level, damped trend and season that take in each error.

The innovations state space of Hyndman et al. 2008, *Forecasting with Exponential Smoothing*.
"""

from __future__ import annotations

import torch
from torch import Generator

from tsformer.prior.draws import (
    Draw,
    chance,
    draw_season,
    log_uniform,
    noise,
    normal,
    seasonal_wave,
    uniform,
)


def smoothing(generator: Generator, n: int, length: int) -> Draw:
    """Return paths of ETS models, additive, or multiplicative in the errors' size."""
    seasonal = chance(generator, 0.7, n)
    season = torch.where(seasonal, draw_season(generator, n, length, odd=0.05), 1)
    alpha = uniform(generator, n) ** 1.5
    beta = alpha * uniform(generator, n) ** 3 * chance(generator, 0.6, n)
    gamma = (1 - alpha) * uniform(generator, n) ** 3 * 0.6
    damping = torch.where(chance(generator, 0.5, n), 1.0, uniform(generator, n, low=0.8))
    sigma = log_uniform(generator, n, low=0.01, high=1.0)
    grows = chance(generator, 0.5, n)
    errors = noise(generator, n, length) * sigma[:, None]

    longest = int(season.max())
    table = seasonal_wave(generator, season, longest) * seasonal[:, None]
    table = table * log_uniform(generator, n, 1, low=0.2, high=3.0)
    level = torch.zeros(n, device=generator.device)
    slope = normal(generator, n) * chance(generator, 0.6, n) * (3.0 / length)
    rows = torch.arange(n, device=generator.device)
    out = torch.empty(n, length, device=generator.device)
    for step in range(length):
        phase = step % season
        swing = table[rows, phase]
        error = errors[:, step] * torch.where(grows, (1 + level.abs()).clamp(max=10), 1.0)
        out[:, step] = level + slope + swing
        out[:, step] += error
        level = level + damping * slope + alpha * error
        slope = damping * slope + beta * error
        table[rows, phase] = swing + gamma * seasonal * error
    level_shift = log_uniform(generator, n, 1, low=0.5, high=50.0)
    return Draw(out + level_shift, season)
