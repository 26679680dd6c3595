"""Small parts that the families share: random numbers by name, periods, recursions."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

# Seasons that calendars make, with how often each is drawn: quarters, weekdays, months, hours,
# half hours, weeks, quarter hours, a week of hours and so on.
CALENDAR = {
    4: 3, 5: 1, 6: 1, 7: 4, 10: 1, 11: 1, 12: 8, 13: 1, 24: 5, 30: 1, 48: 2, 52: 2,
    60: 1, 96: 1, 144: 0.5, 168: 0.5, 288: 0.5, 365: 0.5,
}  # fmt: skip


class Draw(NamedTuple):
    """Synthetic series.

    `values` is `[n, T]`, in any unit; `season` is `[n]`, the steps of the main season, 1 for none.
    """

    values: Tensor
    season: Tensor


def uniform(generator: Generator, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Return numbers spread evenly over `[low, high)`."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=generator.device)


def log_uniform(generator: Generator, *shape: int, low: float, high: float) -> Tensor:
    """Return numbers whose logarithms are spread evenly between those of `low` and `high`."""
    return uniform(generator, *shape, low=math.log(low), high=math.log(high)).exp()


def normal(generator: Generator, *shape: int) -> Tensor:
    """Return standard normal numbers."""
    return torch.randn(shape, generator=generator, device=generator.device)


def chance(generator: Generator, probability: float, *shape: int) -> Tensor:
    """Return True with this probability."""
    return uniform(generator, *shape) < probability


def noise(generator: Generator, n: int, length: int) -> Tensor:
    """Return white noise `[n, length]` of about unit scale: normal, heavy-tailed or even."""
    plain = normal(generator, n, length)
    heavy = plain / log_uniform(generator, n, length, low=0.3, high=1.5).sqrt()
    even = (log_uniform(generator, n, length, low=1e-3, high=1.0).log().neg() - 3.45) / 2
    kind = uniform(generator, n, 1)
    return torch.where(kind < 0.7, plain, torch.where(kind < 0.9, heavy, even))


def draw_season(generator: Generator, n: int, length: int, odd: float = 0.15) -> Tensor:
    """Return a season for each of n series, `[n]`: of the calendar, or any (with chance `odd`).

    At least one and a half of them fit into `length`.
    """
    longest = max(2, int(length / 1.5))
    fitting = {season: weight for season, weight in CALENDAR.items() if season <= longest}
    fitting = fitting or {2: 1.0}
    weights = torch.tensor([float(w) for w in fitting.values()], device=generator.device)
    seasons = torch.tensor(list(fitting), device=generator.device)
    calendar = seasons[torch.multinomial(weights, n, replacement=True, generator=generator)]
    high = min(longest, 200) + 1.0
    any_length = log_uniform(generator, n, low=2.0, high=high).long()
    return torch.where(chance(generator, odd, n), any_length, calendar)


def standardise(values: Tensor) -> Tensor:
    """Return rows `[n, T]` with mean 0 and deviation 1; a constant one becomes 0."""
    constant = values.amax(dim=-1, keepdim=True) == values.amin(dim=-1, keepdim=True)
    # the rounded mean of equal numbers may differ from them
    centred = (values - values.mean(dim=-1, keepdim=True)).masked_fill(constant, 0.0)
    deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
    return centred / deviation.clamp(min=1e-8)


def seasonal_wave(generator: Generator, season: Tensor, length: int) -> Tensor:
    """Return smooth or jagged periodic waves, `[n, length]`, of unit deviation.

    A Fourier series whose coefficients fall off with a random power of their number.
    """
    n, n_waves = len(season), 8
    number = torch.arange(1, n_waves + 1, device=generator.device)
    fall = number ** -uniform(generator, n, 1, low=0.3, high=2.5)
    fall = fall * (2 * number <= season[:, None].clamp(min=2))  # not faster than two steps
    amplitude = (normal(generator, n, n_waves) * fall)[:, :, None]
    phase = uniform(generator, n, n_waves, 1, high=2 * math.pi)
    time = torch.arange(length, device=generator.device) / season[:, None, None]
    waves = torch.sin(2 * math.pi * number[:, None] * time + phase)
    return standardise((amplitude * waves).sum(dim=1))


def autoregress(shocks: Tensor, coefficient: Tensor) -> Tensor:
    """Return `x[t] = coefficient * x[t - 1] + shocks[t]`, `[n, T]`, coefficient `[n]`."""
    out = torch.empty_like(shocks)
    state = torch.zeros_like(shocks[:, 0])
    for step in range(shocks.shape[1]):
        state = coefficient * state + shocks[:, step]
        out[:, step] = state
    return out
