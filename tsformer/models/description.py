"""What TSFormer is told of a series: its patches, what they echo, and a few facts."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tsformer.nn.echoes import N_ECHOES, echo_error, echoes
from tsformer.nn.periods import find_periods
from tsformer.nn.scaling import arcsinh

N_CHANNELS = 3 + 2 * (N_ECHOES - 1) + 2  # of a step
N_FACTS = 7  # of a series


class Described(NamedTuple):
    """What the network is told of a series, `N + M` patches of context and horizon.

    Attributes:
        patches: `[B, N + M, channels * P]`.
        facts: `[B, facts]`.
        known: `[B, N + M]`, True for patches that say something and those of the horizon.
        told: `[B, 5, M * P]`, the echoes in the horizon.
        valid: `[B, 5, M * P]`, True where there is one.
        error: `[B, 1]`, the scale of errors.
    """

    patches: Tensor
    facts: Tensor
    known: Tensor
    told: Tensor
    valid: Tensor
    error: Tensor


def describe(
    z: Float[Tensor, "B L"],
    observed: Bool[Tensor, "B L"],
    season: Int[Tensor, " B"],
    *,
    horizon: int,
    patch_length: int,
) -> Described:
    """Return what the network is told of standardised series.

    Args:
        z: 0 where missing; L is a multiple of the patch length.
        observed: True where a value is known.
        season: what the calendar suggests, in steps; 1 for nothing.
        horizon: H, a multiple of the patch length.
        patch_length: P.
    """
    n_context = z.shape[1]
    periods, strength = find_periods(z, observed, season)
    told = echoes(z, observed, periods, horizon)
    error = echo_error(z, observed, told)
    last = told.values[:, 0, -1:]

    def seen(values: Tensor) -> Tensor:  # near the origin in units of the error
        return arcsinh((values - last) / error)

    channels = [
        _padded(arcsinh(z), horizon),
        _padded(seen(z) * observed, horizon),
        _padded(observed.to(z.dtype), horizon),
    ]
    for number in range(1, N_ECHOES):
        value, valid = told.values[:, number], told.valid[:, number]
        missed = arcsinh((z - value[:, :n_context]) / error) * observed
        channels.append(seen(value) * valid)
        channels.append(_padded(missed * valid[:, :n_context], horizon))
    channels.append(told.valid[:, 1].to(z.dtype))
    channels.append(told.valid[:, 4].to(z.dtype))
    patches = torch.stack(channels, dim=1).unflatten(-1, (-1, patch_length))
    count = observed.sum(dim=1, keepdim=True)
    facts = torch.cat(
        [
            error.log() / 3,
            last,
            (1 + count).log() / 4,
            periods.to(z.dtype).log() / 4,
            strength,
        ],
        dim=1,
    )
    some = observed.unflatten(-1, (-1, patch_length)).any(dim=-1)
    return Described(
        patches=patches.transpose(1, 2).flatten(2),
        facts=facts,
        known=F.pad(some, (0, horizon // patch_length), value=True),
        told=told.values[:, :, n_context:],
        valid=told.valid[:, :, n_context:],
        error=error,
    )


def _padded(context: Tensor, horizon: int) -> Tensor:
    """Return a channel of the context that says nothing of the horizon."""
    return F.pad(context, (0, horizon))
