"""Gaussian processes with random kernels, drawn by their spectra (Rahimi & Recht 2007)."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from tsformer.prior.draws import Draw, chance, draw_season, log_uniform, normal, uniform

_WAVES = 48


def gaussian_process(generator: Generator, n: int, length: int) -> Draw:
    """Return a smooth or rough function, a periodic one, or their sum or product, with noise.

    A sum of waves with random phases, whose frequencies follow the spectral density of the kernel,
    is a draw from the process as the number of waves grows; it costs no Cholesky factor.
    """
    season = draw_season(generator, n, length, odd=0.3)
    long = _stationary(generator, n, length, low=0.1, high=1.0)
    short = _stationary(generator, n, length, low=0.01, high=0.2)
    periodic = _periodic(generator, season, length)
    kind = torch.randint(5, (n, 1), generator=generator, device=generator.device)
    line = normal(generator, n, 1) * torch.linspace(-1, 1, length, device=generator.device)
    parts = torch.stack(
        [
            long + 0.3 * short,
            short + line * 2,
            long + periodic,
            periodic * (1 + 0.5 * long),
            long + periodic * short,
        ]
    )
    rows = torch.arange(n, device=generator.device)
    values = parts[kind[:, 0], rows]
    size = log_uniform(generator, n, 1, low=1e-3, high=0.5)
    values = values + size * normal(generator, n, length)
    return Draw(values, torch.where(kind[:, 0] >= 2, season, 1))


def _stationary(generator: Generator, n: int, length: int, low: float, high: float) -> Tensor:
    """Return draws of unit variance: squared exponential, or Matérn of order 1.5, kernels."""
    scale = log_uniform(generator, n, 1, low=low, high=high) * length
    gauss = normal(generator, n, _WAVES)
    # the spectrum of a Matérn kernel is a Student density with twice its order as freedom
    chi = normal(generator, n, _WAVES, 3).square().sum(dim=-1) / 3
    rough = chance(generator, 0.5, n, 1)
    frequency = torch.where(rough, gauss / chi.sqrt(), gauss) / scale
    return _sum_of_waves(generator, frequency, length)


def _periodic(generator: Generator, season: Tensor, length: int) -> Tensor:
    n = len(season)
    number = log_uniform(generator, n, _WAVES, low=1.0, high=6.0).floor()
    sharp = uniform(generator, n, 1, low=1.0, high=6.0)
    number = torch.minimum(torch.minimum(number, sharp.floor()), season[:, None] // 2)
    frequency = 2 * math.pi * number.clamp(min=1) / season[:, None]
    return _sum_of_waves(generator, frequency, length)


def _sum_of_waves(generator: Generator, frequency: Tensor, length: int) -> Tensor:
    time = torch.arange(length, device=generator.device)
    phase = uniform(generator, *frequency.shape, high=2 * math.pi)
    total = torch.zeros(len(frequency), length, device=generator.device)
    for wave in range(_WAVES):  # one at a time: all at once would not fit into the cache
        total += torch.cos(frequency[:, wave, None] * time + phase[:, wave, None])
    return total * (2 / _WAVES) ** 0.5
