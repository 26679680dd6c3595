"""The periods of a series, found by its autocorrelation."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_LEAST = 0.1  # a peak below this, beyond what chance makes, is no season
_AWAY = 0.3  # of its height, what a peak as far away as the series is long counts less
_CLEAR = 0.5  # of the height of the strongest, what a shorter period needs
_BETTER = 0.97  # of the error of the first period's echo, what moves the second before it
_NEARLY = 0.92  # a peak as high as this share of the highest may as well be the season
_NEARLY_LONGER = 0.99  # the same for a longer period


def find_periods(
    z: Float[Tensor, "B L"], observed: Bool[Tensor, "B L"], season: Int[Tensor, " B"]
) -> tuple[Int[Tensor, "B 2"], Float[Tensor, "B 2"]]:
    """Return the strongest period of each series and another one, and how strong they are.

    A period is a lag at which the autocorrelation has a peak, above the lowest that it had before:
    the mean of that of the series without its straight line and that of its differences, so that
    neither a trend nor a random walk hides a season. Of nearly equal peaks the first counts. Where
    there is none, the period is 1. The other one is the season that the calendar suggests; where
    that is unknown or the strongest, the best of the periods that are clearly shorter or, where
    none of these is half as strong, longer. What was not seen twice is no period, unless the
    calendar suggests it.

    Args:
        z: standardised, 0 where missing.
        observed: True where a value is known.
        season: steps, 1 where unknown.

    Returns:
        Periods in steps, and how high their peaks are, less what chance may make of it; -1 for a
        period of which too little is known.
    """
    n_lags = 2 * z.shape[1] // 3 + 2
    level, count = _autocorrelation(_straightened(z, observed), observed, n_lags)
    both = observed[:, 1:] & observed[:, :-1]
    change, _ = _autocorrelation((z[:, 1:] - z[:, :-1]) * both, both, n_lags)
    strength = _without_notches(level, 0.5 * (level + change))
    height = strength - strength.cummin(dim=1).values - count.clamp(min=1).rsqrt()
    inner = strength[:, 1:-1]
    peak = (inner >= strength[:, :-2]) & (inner >= strength[:, 2:]) & (height[:, 1:-1] > _LEAST)
    lag = torch.arange(1, 1 + inner.shape[1], device=z.device)
    known = observed.to(torch.uint8)
    span = observed.shape[1] - known.argmax(dim=1, keepdim=True)  # steps since the first value
    share = lag / span
    score = (1 - _AWAY * share) * height[:, 1:-1]
    score = torch.where(peak & (lag > 1) & (share <= 1 / 2), score, 0.0)
    first = _first_of_highest(score)
    shorter = _first_of_highest(torch.where(lag <= 0.75 * first[:, None], score, 0.0))
    further = torch.where(lag >= 1.5 * first[:, None], score, 0.0)
    longer = _first_of_highest(further, _NEARLY_LONGER)
    clear = score.gather(1, shorter[:, None] - 1) >= _CLEAR * score.gather(1, first[:, None] - 1)
    second = torch.where((shorter > 1) & clear[:, 0], shorter, longer)
    second = torch.where((season > 1) & (season != first), season, second)
    periods = torch.stack([first, second], dim=1)
    told = height.gather(1, periods.clamp(max=n_lags - 1))
    told = torch.where(periods <= 2 / 3 * span, told, -1.0)
    order = _better_first(z, observed, periods)
    return periods.gather(1, order), told.gather(1, order)


def _first_of_highest(score: Tensor, nearly: float = _NEARLY) -> Tensor:
    """Return the first lag whose score is nearly the highest, or the best close to it; 1 for none.

    Args:
        score: `[B, lags]`, of the lags 1, 2, …; 0 where there is no peak.
        nearly: a share of the highest.
    """
    highest = score.amax(dim=1, keepdim=True)
    lag = torch.arange(1, 1 + score.shape[1], device=score.device)
    first = (score >= nearly * highest).to(torch.uint8).argmax(dim=1, keepdim=True) + 1
    close = (lag >= first) & (lag <= 1.08 * first)
    best = torch.where(close, score, 0.0).argmax(dim=1) + 1
    return torch.where(highest[:, 0] > 0, best, 1)


def _better_first(z: Tensor, observed: Tensor, periods: Tensor) -> Tensor:
    """Return 0, 1 or, where values are clearly nearer to those one second period before, 1, 0."""
    step = torch.arange(z.shape[1], device=z.device)
    place = step - periods[..., None]  # [B, 2, L]
    index = place.clamp(min=0)
    before = z[:, None].expand(-1, 2, -1).gather(2, index)
    known = (place >= 0) & observed[:, None].expand(-1, 2, -1).gather(2, index) & observed[:, None]
    both = known.all(dim=1, keepdim=True)
    error = ((z[:, None] - before).abs() * both).sum(dim=-1)
    second = (error[:, 1] < _BETTER * error[:, 0]).long()
    return torch.stack([second, 1 - second], dim=1)


def _straightened(z: Tensor, observed: Tensor) -> Tensor:
    """Return the series less its regression line, 0 where missing."""
    time = torch.arange(float(z.shape[1]), device=z.device).expand_as(z)
    count = observed.sum(dim=1, keepdim=True).clamp(min=1)
    time = (time - (time * observed).sum(dim=1, keepdim=True) / count) * observed
    slope = (time * z).sum(dim=1, keepdim=True) / time.square().sum(dim=1, keepdim=True).clamp(
        min=1e-6
    )
    return z - slope * time


def _without_notches(level: Tensor, strength: Tensor) -> Tensor:
    """Return strengths that are highest where the autocorrelation of the values itself has a peak.

    Levels that shift at the turn of a season make that of the differences dip just there.
    """
    left, middle, right = strength[:, :-2], strength[:, 1:-1], strength[:, 2:]
    peak = (level[:, 1:-1] >= level[:, :-2]) & (level[:, 1:-1] >= level[:, 2:])
    dip = peak & (middle < left) & (middle < right)
    mended = torch.where(dip, 1.001 * torch.maximum(left, right), middle)
    return torch.cat([strength[:, :1], mended, strength[:, -1:]], dim=1)


def _autocorrelation(values: Tensor, observed: Tensor, n_lags: int) -> tuple[Tensor, Tensor]:
    """Return autocorrelations at lags 0 to `n_lags` - 1, and the pairs behind them."""
    size = 1 << (values.shape[1] + n_lags - 1).bit_length()  # lags below n_lags do not wrap
    both = torch.stack([values, observed.to(values.dtype)])
    spectrum = torch.fft.rfft(both, n=size)
    product = torch.fft.irfft(spectrum.abs().square(), n=size)[..., :n_lags]
    covariance, count = product[0], product[1].round()
    covariance = covariance / count.clamp(min=1)
    return covariance / covariance[:, :1].clamp(min=1e-8), count
