"""Forecasts beyond the horizon that a network was trained for: from continued series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, Self

import torch
from jaxtyping import Float
from torch import Tensor

from tsformer.types import Batch, Prediction

_PATHS = tuple((k + 0.5) / 10 for k in range(10))  # continued beyond the trained horizon
_SPREAD = tuple((k + 0.5) / 20 for k in range(20))  # what each of them stands for


class Origin(Protocol):
    """Where forecasts of some series start; the steps after it can be asked for, or made up."""

    @property
    def horizon(self) -> int:
        """H, the steps that are forecast at once."""
        ...

    def predict(self, levels: Sequence[float]) -> Prediction:
        """Return what is said of the next H steps, `[B, C, H]`."""
        ...

    def repeat(self, times: int) -> Self:
        """Return each series `times` times in a row."""
        ...

    def append(self, values: Float[Tensor, "B C H"]) -> Self:
        """Return the origin H steps later, as if these values had been observed."""
        ...


@dataclass(frozen=True, kw_only=True)
class WindowOrigin:
    """The end of windows; `batch` knows the covariates also of steps beyond the horizon."""

    model: Any
    batch: Batch
    step: int = 0  # steps after which the windows of the covariates begin

    @property
    def horizon(self) -> int:
        """H, the steps that the network forecasts."""
        return self.model.horizon

    def predict(self, levels: Sequence[float]) -> Prediction:
        """Return what the network says of the next H steps."""
        return self.model.predict(_covariates_from(self.batch, self.step, self.horizon), levels)

    def repeat(self, times: int) -> WindowOrigin:
        """Return each window `times` times in a row."""
        return replace(self, batch=_repeat(self.batch, times))

    def append(self, values: Float[Tensor, "B C H"]) -> WindowOrigin:
        """Return the windows moved on by H steps."""
        return replace(self, batch=_append(self.batch, values), step=self.step + self.horizon)


def roll(origin: Origin, horizon: int, levels: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """Return mean, `[B, C, H]`, and quantiles, `[B, C, H, Q]`, for any horizon.

    Each further block of steps is forecast from ten continuations per series, by evenly spread
    quantiles of the block before; their quantiles are pooled into those of the mixture, so that
    uncertainty grows. The scheme is that of Chronos-Bolt (Ansari et al. 2024, the authors' code),
    but for its levels, the deciles: these lack the tails, and intervals would narrow.
    """
    mean, quantiles = origin.predict(levels)
    n_series, known = len(mean), origin.horizon
    means, blocks = [mean], [quantiles]
    ends: Tensor | None = None
    while known < horizon:
        if ends is None:
            ends = origin.predict(_PATHS).quantiles  # [B, C, H, 10]
            origin = origin.repeat(len(_PATHS))
        origin = origin.append(ends.movedim(3, 1).flatten(0, 1))
        mean, spread = origin.predict(_SPREAD)
        pooled = spread.unflatten(0, (n_series, -1)).movedim(1, 3).flatten(3)
        mixture = _sample_quantiles(pooled, (*levels, *_PATHS))  # [B, C, H, levels + 10]
        by_path = mean.unflatten(0, (n_series, -1))  # [B, 10, C, H]
        first = by_path[:, 0]  # taken away, so that the mean of equal values is that value
        means.append(first + (by_path - first[:, None]).mean(dim=1))
        blocks.append(mixture[..., : len(levels)])
        ends = mixture[..., len(levels) :]
        known += origin.horizon
    return torch.cat(means, dim=2)[:, :, :horizon], torch.cat(blocks, dim=2)[:, :, :horizon]


def _covariates_from(batch: Batch, step: int, horizon: int) -> Batch:
    """Return the batch with the covariates that a context moved on by `step` steps has."""
    if batch.covariates is None or batch.covariates_observed is None:
        return batch
    part = slice(step, step + batch.target.shape[-1] + horizon)
    return replace(
        batch,
        covariates=batch.covariates[..., part],
        covariates_observed=batch.covariates_observed[..., part],
    )


def _repeat(batch: Batch, times: int) -> Batch:
    """Return each window `times` times in a row."""
    repeated: Any = {
        field.name: tensor.repeat_interleave(times, dim=0)
        for field in fields(batch)
        if (tensor := getattr(batch, field.name)) is not None
    }
    return Batch(**repeated)


def _sample_quantiles(samples: Tensor, levels: Sequence[float]) -> Tensor:
    """Return quantiles along the last axis, the k-th of n values being that at (k - 0.5) / n."""
    ordered, n_samples = samples.sort(dim=-1).values, samples.shape[-1]
    place = torch.tensor(levels, dtype=samples.dtype) * n_samples - 0.5
    place = place.clamp(0, n_samples - 1)
    below = place.floor().long().clamp(max=n_samples - 2)
    return torch.lerp(ordered[..., below], ordered[..., below + 1], place - below)


def _append(batch: Batch, values: Tensor) -> Batch:
    """Return contexts moved on by `values`, `[B, C, H]`, as if they had been observed."""
    length = batch.target.shape[-1]
    observed = torch.ones_like(values, dtype=torch.bool)
    return replace(
        batch,
        target=torch.cat([batch.target, values], dim=-1)[..., -length:],
        observed=torch.cat([batch.observed, observed], dim=-1)[..., -length:],
    )
