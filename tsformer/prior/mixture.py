"""All families together, and what happens to real series on their way to a table."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from tsformer.prior.augment import augment
from tsformer.prior.autoregressive import autoregressive, long_memory
from tsformer.prior.counts import counts
from tsformer.prior.draws import Draw, chance, log_uniform, standardise, uniform
from tsformer.prior.gaussian_process import gaussian_process
from tsformer.prior.growth import growth
from tsformer.prior.periodic import templates
from tsformer.prior.regimes import pulses, random_walk, regimes
from tsformer.prior.smoothing import smoothing
from tsformer.prior.structural import structural

Family = Callable[[Generator, int, int], Draw]

FAMILIES: dict[str, tuple[Family, float]] = {
    "structural": (structural, 4.0),
    "smoothing": (smoothing, 3.0),
    "growth": (growth, 2.0),
    "templates": (templates, 3.0),
    "gaussian_process": (gaussian_process, 2.0),
    "autoregressive": (autoregressive, 2.0),
    "long_memory": (long_memory, 1.0),
    "random_walk": (random_walk, 1.5),
    "regimes": (regimes, 1.0),
    "pulses": (pulses, 1.0),
    "counts": (counts, 1.0),
}


def draw_series(generator: Generator, n: int, length: int) -> Draw:
    """Return n synthetic series of `length` steps, a random family each, standardised, all finite.

    The prior of a prior-data fitted network (Müller et al. 2022). After the families come
    changes of many kinds (see `augment.py`) and the habits of real data: turned signs, outliers
    and level shifts, limits that are not exceeded, rounding to few digits.

    Args:
        generator: on the device where the series are wanted.
        n: how many.
        length: T.
    """
    weights = torch.tensor([weight for _, weight in FAMILIES.values()])
    sizes = torch.multinomial(weights, n, replacement=True, generator=_on_cpu(generator))
    draws = [
        family(generator, int(size), length)
        for (family, _), size in zip(
            FAMILIES.values(), sizes.bincount(minlength=len(FAMILIES)), strict=True
        )
        if size
    ]
    values = standardise(_finite(torch.cat([draw.values for draw in draws])))
    season = torch.cat([draw.season for draw in draws])
    order = torch.randperm(n, generator=generator, device=generator.device)
    values, season = values[order], season[order]
    values = augment(generator, values)
    values = torch.where(chance(generator, 0.3, n, 1), -values, values)
    values = _disturb(generator, values)
    values = _record(generator, values)
    return Draw(standardise(_finite(values)), season)


def _on_cpu(generator: Generator) -> Generator:
    """Return a generator for counts that are read at once, on whichever device the series are."""
    if generator.device.type == "cpu":
        return generator
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return Generator().manual_seed(int(seed))


def _disturb(generator: Generator, values: Tensor) -> Tensor:
    """Put outliers into one series in ten, and a level shift into one in twenty."""
    n, length = values.shape
    hit = (uniform(generator, n, length) < 2 / length) & chance(generator, 0.1, n, 1)
    size = log_uniform(generator, n, length, low=1.0, high=8.0)
    values = values + torch.where(hit, size * torch.sign(values), 0.0)
    when = uniform(generator, n, 1) * length
    after = torch.arange(length, device=values.device) >= when
    shift = uniform(generator, n, 1, low=-3.0, high=3.0) * chance(generator, 0.05, n, 1)
    return values + shift * after


def _record(generator: Generator, values: Tensor) -> Tensor:
    """Cut some series off at a limit, and round some to between 5 and 1,000 steps."""
    n = len(values)
    floor = torch.quantile(values, 0.25, dim=1, keepdim=True)
    values = torch.where(chance(generator, 0.03, n, 1), torch.maximum(values, floor), values)
    ceiling = torch.quantile(values, 0.8, dim=1, keepdim=True)
    values = torch.where(chance(generator, 0.02, n, 1), torch.minimum(values, ceiling), values)
    span = values.amax(dim=1, keepdim=True) - values.amin(dim=1, keepdim=True)
    step = (span / log_uniform(generator, n, 1, low=5.0, high=1000.0)).clamp(min=1e-6)
    return torch.where(chance(generator, 0.3, n, 1), (values / step).round() * step, values)


def _finite(values: Tensor) -> Tensor:
    """Return the rows with a straight line in place of one that overflowed."""
    bad = ~values.isfinite().all(dim=1, keepdim=True)
    line = torch.linspace(0, 1, values.shape[1], device=values.device)
    return torch.where(bad, line, values).clamp(-1e6, 1e6)
