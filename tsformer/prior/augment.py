"""What turns a few families into many series: mixing, bending, stretching, summing up.

Each change happens to a share of the series only, so that those it leaves alone stay what their
family made them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsformer.prior.draws import chance, log_uniform, normal, standardise, uniform
from tsformer.prior.structural import trend

Change = Callable[[Generator, Tensor], Tensor]


def mixed(generator: Generator, values: Tensor) -> Tensor:
    """Return weighted sums of each series and another (TSMixup, Ansari et al. 2024)."""
    share = uniform(generator, len(values), 1, high=0.5)
    return (1 - share) * values + share * _others(generator, values)


def multiplied(generator: Generator, values: Tensor) -> Tensor:
    """Return series whose size another one moves up and down."""
    depth = uniform(generator, len(values), 1, low=0.1, high=0.8)
    level = normal(generator, len(values), 1)
    return (values + level) * torch.exp(depth * _others(generator, values).clamp(-3, 3))


def enveloped(generator: Generator, values: Tensor) -> Tensor:
    """Return series whose swings grow, shrink, or both."""
    size = trend(generator, *values.shape)
    return values * torch.exp(uniform(generator, len(values), 1, low=0.3, high=1.5) * size)


def bent(generator: Generator, values: Tensor) -> Tensor:
    """Return non-linear images: skewed, saturated, squared, or cut off at a threshold."""
    strength = log_uniform(generator, len(values), 1, low=0.2, high=2.0)
    threshold = uniform(generator, len(values), 1, low=-1.0, high=1.5)
    images = torch.stack(
        [
            torch.exp((strength * values).clamp(-8, 8)),
            torch.tanh(strength * values),
            torch.sinh((strength * values).clamp(-5, 5)),
            torch.relu(values - threshold),
            (values - threshold).square(),
            values.abs() ** 0.5 * values.sign(),
        ]
    )
    kind = torch.randint(len(images), values.shape[:1], generator=generator, device=values.device)
    return images[kind, torch.arange(len(values), device=values.device)]


def warped(generator: Generator, values: Tensor) -> Tensor:
    """Return series whose clock runs now faster, now slower."""
    length = values.shape[1]
    speed = torch.exp(0.5 * trend(generator, *values.shape).clamp(-3, 3))
    clock = speed.cumsum(dim=1)
    clock = (clock - clock[:, :1]) / (clock[:, -1:] - clock[:, :1]).clamp(min=1e-6) * (length - 1)
    below = clock.floor().long().clamp(0, max(0, length - 2))
    above = (below + 1).clamp(max=length - 1)
    return torch.lerp(values.gather(1, below), values.gather(1, above), clock - below)


def summed(generator: Generator, values: Tensor) -> Tensor:
    """Return running sums, with a drift."""
    return (values + 0.3 * normal(generator, len(values), 1)).cumsum(dim=1)


def differenced(generator: Generator, values: Tensor) -> Tensor:
    """Return changes from step to step."""
    return values.diff(dim=1, prepend=values[:, :1])


def turned(generator: Generator, values: Tensor) -> Tensor:
    """Return series that run backwards."""
    return values.flip(1)


def held(generator: Generator, values: Tensor) -> Tensor:
    """Return series that are looked at only every few steps, and stay as they are between."""
    every = log_uniform(generator, len(values), 1, low=2.0, high=9.0).long()
    step = torch.arange(values.shape[1], device=values.device)
    return values.gather(1, (step // every) * every)


def noisy(generator: Generator, values: Tensor) -> Tensor:
    """Return series with noise, skewed in a third of them, and growing with the level in half."""
    plain = normal(generator, *values.shape)
    skewed = -uniform(generator, *values.shape, low=1e-6).log() - 1
    noise = torch.where(chance(generator, 1 / 3, len(values), 1), skewed, plain)
    level = values - values.amin(dim=1, keepdim=True)
    level = level / level.mean(dim=1, keepdim=True).clamp(min=1e-6)
    size = torch.where(chance(generator, 0.5, len(values), 1), level, 1.0)
    return values + log_uniform(generator, len(values), 1, low=0.005, high=0.5) * size * noise


CHANGES: tuple[tuple[Change, float], ...] = (
    (mixed, 0.15),
    (multiplied, 0.05),
    (enveloped, 0.1),
    (bent, 0.15),
    (warped, 0.03),
    (summed, 0.05),
    (differenced, 0.03),
    (turned, 0.1),
    (held, 0.02),
    (noisy, 0.15),
)


def augment(generator: Generator, values: Tensor) -> Tensor:
    """Return standardised series, `[n, T]`, each change made to its share of them."""
    for change, share in CHANGES:
        chosen = chance(generator, share, len(values)).nonzero()[:, 0]
        if len(chosen):
            changed = change(generator, values[chosen])
            values = values.index_copy(0, chosen, standardise(changed))
    return values


def _others(generator: Generator, values: Tensor) -> Tensor:
    """Return the series in another order."""
    return values[torch.randperm(len(values), generator=generator, device=values.device)]
