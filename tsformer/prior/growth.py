"""Series that grow or decline for long: how an economist would describe output, prices, stocks.

Short yearly series are nearly all of this kind: most of what they do is to go on.
"""

from __future__ import annotations

import torch
from torch import Generator

from tsformer.prior.draws import (
    Draw,
    autoregress,
    chance,
    draw_season,
    log_uniform,
    noise,
    seasonal_wave,
    standardise,
    uniform,
)


def growth(generator: Generator, n: int, length: int) -> Draw:
    """Return sums of changes that have a mean of their own and hang together, `[n, length]`.

    Over a series, its drift makes up from a third to ten times what chance does, and more where
    changes undo each other. In one of four the drift becomes another one on the way; half of them
    grow by shares instead of amounts, and half have a season that grows with the level.
    """
    memory = uniform(generator, n, low=-0.4, high=0.9)
    shocks = autoregress(noise(generator, n, length), memory) * (1 - memory[:, None].abs())
    drift = log_uniform(generator, n, 1, low=0.3, high=10.0) / length**0.5
    step = torch.arange(length, device=generator.device)
    later = (step > uniform(generator, n, 1) * length) & chance(generator, 0.25, n, 1)
    drift = torch.where(later, drift * uniform(generator, n, 1, low=-1.0, high=1.5), drift)
    level = standardise((drift + shocks).cumsum(dim=1))
    rate = log_uniform(generator, n, 1, low=0.1, high=1.0)
    level = torch.where(chance(generator, 0.5, n, 1), level, (rate * level).exp() / rate)

    season = draw_season(generator, n, length, odd=0.05)
    season = torch.where(chance(generator, 0.5, n), season, 1)
    base = 1 + level - level.amin(dim=1, keepdim=True)
    swing = log_uniform(generator, n, 1, low=0.02, high=0.5) * (season[:, None] > 1)
    errors = log_uniform(generator, n, 1, low=0.001, high=0.1) * noise(generator, n, length)
    wave = seasonal_wave(generator, season, length)
    return Draw(base * (1 + swing * wave + errors), season)
