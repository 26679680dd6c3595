"""Echoes: what the same phase of earlier seasons was, for every step of context and horizon.

Near-deterministic series have to be copied precisely, which patches that do not divide a season
cannot do. So the network is told, beside the values, what a seasonal naive forecast of each step
would be, by the periods that `find_periods` found, and may add its forecast to it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_SEASONS = 4  # that an average takes in


class Echoes(NamedTuple):
    """Forecasts of each step from earlier ones, `[B, 5, L + H]`, and where there is one.

    In turn: the last known value; the last season; the last season moved on by the drift; the
    average of the last four seasons, so moved on; the last season of the shorter period. The drift
    is the mean change from one season to the next.
    """

    values: Tensor
    valid: Tensor


N_ECHOES = 5


def echoes(
    z: Float[Tensor, "B L"],
    observed: Bool[Tensor, "B L"],
    periods: Int[Tensor, "B 2"],
    horizon: int,
) -> Echoes:
    """Return the echoes of standardised series.

    A step of the context is told by what came before it (but for the drift, which is that of the
    whole context); a step of the horizon by the context.
    """
    last, last_valid = _last_known(z, observed, horizon)
    long, back, long_valid = _season(z, observed, periods[:, 0], horizon, _SEASONS)
    short, _, short_valid = _season(z, observed, periods[:, 1], horizon, 1)
    n_context = z.shape[1]
    paired = long_valid[0, :, :n_context] & observed
    changes = torch.where(paired, z - long[0, :, :n_context], 0.0)
    drift = changes.sum(dim=1, keepdim=True) / paired.sum(dim=1, keepdim=True).clamp(min=1)
    moved = torch.where(long_valid, long + back * drift, 0.0)
    count = long_valid.sum(dim=0)
    average = moved.sum(dim=0) / count.clamp(min=1)
    values = torch.stack([last, long[0], moved[0], average, short[0]], dim=1)
    valid = torch.stack(
        [last_valid, long_valid[0], long_valid[0], count > 0, short_valid[0]], dim=1
    )
    return Echoes(torch.where(valid, values, 0.0), valid)


def echo_error(
    z: Float[Tensor, "B L"], observed: Bool[Tensor, "B L"], told: Echoes
) -> Float[Tensor, "B 1"]:
    """Return the mean absolute error, over the context, of the echo that has the least.

    It is the scale on which a forecast of the series may be wrong: that of the noise where there
    is a season, of one step where there is none. One error of a whole deviation is added to those
    of each echo, so that a few lucky ones do not count for much.
    """
    n_context = z.shape[1]
    known = told.valid[:, :, :n_context] & observed[:, None]
    errors = (z[:, None] - told.values[:, :, :n_context]).abs() * known
    mean = (errors.sum(dim=-1) + 1) / (known.sum(dim=-1) + 1)
    return mean.amin(dim=1, keepdim=True).clamp(max=1.0)


def _last_known(z: Tensor, observed: Tensor, horizon: int) -> tuple[Tensor, Tensor]:
    """Return the last known value before each step, and where there is one, `[B, L + H]`."""
    step = torch.arange(z.shape[1], device=z.device)
    latest = torch.where(observed, step, -1).cummax(dim=1).values
    before = torch.cat([torch.full_like(latest[:, :1], -1), latest[:, :-1]], dim=1)
    place = torch.cat([before, latest[:, -1:].expand(-1, horizon)], dim=1)
    return z.gather(1, place.clamp(min=0)), place >= 0


def _season(
    z: Tensor, observed: Tensor, period: Tensor, horizon: int, n_seasons: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the same phase of earlier seasons for each step, `[seasons, B, L + H]` each.

    For the horizon, the seasons count from the last one that is wholly known.

    Returns:
        The values, how many seasons back each of them lies, and where there is one.
    """
    n_context = z.shape[1]
    step = torch.arange(n_context + horizon, device=z.device)
    ahead = (step - n_context).clamp(min=-1) + 1
    nearest = (-(-ahead // period[:, None])).clamp(min=1)
    back = nearest + torch.arange(n_seasons, device=z.device)[:, None, None]
    place = step - back * period[:, None]  # [seasons, B, L + H]
    index = place.clamp(min=0)
    valid = (place >= 0) & observed.expand(n_seasons, -1, -1).gather(2, index)
    return z.expand(n_seasons, -1, -1).gather(2, index), back, valid
