"""Each family of synthetic series has the habits that its name promises."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tsformer.prior import (
    FAMILIES,
    autoregressive,
    gaussian_process,
    growth,
    periodic,
    regimes,
    smoothing,
    structural,
)

LENGTHS = [8, 33, 512]
SEASONLESS = ["long_memory", "random_walk", "regimes"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def without_luck(patch: pytest.MonkeyPatch, module: ModuleType, happens: bool = False) -> None:
    """Take the noise away, and let all that happens by chance happen always, or never."""
    patch.setattr(module, "noise", lambda generator, n, length: torch.zeros(n, length))
    patch.setattr(module, "chance", lambda generator, p, *shape: torch.full(shape, happens))


def constant(value: Any) -> Any:
    return lambda generator, *shape, **bounds: torch.full(shape, value)


def correlation(values: Tensor, lag: int) -> Tensor:
    """Return the autocorrelation of rows, `[n]`."""
    centred = values - values.mean(dim=1, keepdim=True)
    products = (centred[:, lag:] * centred[:, : values.shape[1] - lag]).mean(dim=1)
    return products / centred.square().mean(dim=1)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", FAMILIES)
def test_series_are_finite_and_seeded(name: str, length: int) -> None:
    family = FAMILIES[name][0]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, same, other = (family(seeded(seed), 60, length) for seed in (1, 1, 2))
    assert one.values.shape == (60, length)
    assert one.values.isfinite().all()
    assert torch.equal(one.values, same.values)
    assert torch.equal(one.season, same.season)
    assert not torch.equal(one.values, other.values)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.season.shape == (60,)
    assert one.season.dtype == torch.long
    assert one.season.min() >= 1
    assert one.season.max() <= length / 1.5
    assert (one.season == 1).all() == (name in SEASONLESS)
    # not one series sixty times
    assert (one.values[1:] - one.values[:1]).abs().amax(dim=1).min() > 0 or name == "counts"


def repeats(values: Tensor, season: Tensor, slack: float = 1e-3) -> Tensor:
    """Return the share of steps that equal those one season before, `[n]`."""
    same = []
    for row, period in zip(values, season.tolist(), strict=True):
        off = (row[period:] - row[:-period]).abs()
        same.append((off <= slack * row.std()).float().mean())
    return torch.stack(same)


@pytest.mark.parametrize("length", [33, 512])
@pytest.mark.parametrize(
    ("name", "module"),
    [("templates", periodic), ("pulses", regimes), ("structural", structural)],
)
def test_without_noise_and_change_series_repeat_after_their_season(
    monkeypatch: pytest.MonkeyPatch, name: str, module: ModuleType, length: int
) -> None:
    without_luck(monkeypatch, module)
    drawn = FAMILIES[name][0](seeded(), 100, length)
    assert (drawn.season > 1).all()
    varied = drawn.values.std(dim=1) > 1e-4
    assert varied.float().mean() > 0.9
    same = repeats(drawn.values, drawn.season, 5e-3)[varied]
    # where a pulse begins may be rounded to one side or the other
    assert same.min() > 0.9
    assert same.median() == 1


@pytest.mark.parametrize(
    ("name", "middle"),
    [
        ("templates", 0.75),
        ("structural", 0.85),
        ("smoothing", 0.85),
        ("pulses", 0.85),
        ("gaussian_process", 0.85),
        ("autoregressive", 0.6),
    ],
)
def test_the_season_that_is_named_is_seen_in_most_series(name: str, middle: float) -> None:
    drawn = FAMILIES[name][0](seeded(), 300, 512)
    found = [
        correlation(row[None], int(season))
        for row, season in zip(drawn.values, drawn.season, strict=True)
        if 1 < season <= 100
    ]
    assert len(found) > 50
    assert torch.cat(found).median() > middle


def test_trends_go_from_bend_to_bend_within_bounds() -> None:
    lines = structural.trend(seeded(), 2000, 100)
    assert lines.isfinite().all()
    assert lines.abs().amax(dim=1).quantile(0.9) < 4
    steps = lines.diff(dim=1)
    one_way = ((steps >= -1e-6).all(dim=1) | (steps <= 1e-6).all(dim=1)).float().mean()
    assert one_way > 0.8  # all but some of the broken ones
    assert (steps.diff(dim=1).abs().amax(dim=1) < 1e-5).float().mean() > 0.15  # straight ones


def test_a_structural_series_of_parts_is_their_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    without_luck(monkeypatch, structural, happens=True)  # no season, added, with a trend
    line = torch.linspace(-1, 1, 64).expand(5, -1)
    monkeypatch.setattr(structural, "trend", lambda generator, n, length: line)
    monkeypatch.setattr(structural, "log_uniform", constant(3.0))
    drawn = structural.structural(seeded(), 5, 64)
    assert (drawn.season == 1).all()
    assert torch.allclose(drawn.values, 3 * line, atol=1e-5)


def test_smoothing_without_errors_is_a_damped_trend_and_a_fixed_season(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoothing, "noise", lambda generator, n, length: torch.zeros(n, length))
    drawn = smoothing.smoothing(seeded(), 200, 120)
    for row, season in zip(drawn.values.double(), drawn.season.tolist(), strict=True):
        growth = row[season:] - row[:-season]
        assert (growth >= -1e-3).all() or (growth <= 1e-3).all()
        assert (growth.abs().diff() <= 1e-3).all()


def test_smoothing_keeps_a_share_of_each_error_in_the_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_luck(monkeypatch, smoothing)  # additive errors; neither trend nor season

    def path(errors: Tensor) -> Tensor:
        monkeypatch.setattr(smoothing, "noise", lambda generator, n, length: errors.clone())
        return smoothing.smoothing(seeded(), 300, 40).values.double()

    calm, hit = torch.zeros(300, 40), torch.zeros(300, 40)
    hit[:, 10] = 1.0
    answer = path(hit) - path(calm)
    error = answer[:, 10]
    assert (error > 0).all()
    assert answer[:, :10].abs().max() < 1e-4
    alpha = answer[:, 11:] / error[:, None]
    sharp = error > 0.05  # others drown in what is rounded away
    assert alpha[sharp].min() > -1e-2
    assert alpha[sharp].max() < 1 + 1e-2
    assert (alpha[sharp].amax(dim=1) - alpha[sharp].amin(dim=1)).max() < 1e-2
    assert 0.3 < alpha[sharp].mean() < 0.5  # the mean of u ** 1.5 is 0.4


def test_autoregressive_paths_have_the_roots_that_were_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = constant(False)  # a season, a pair of complex roots, moving averages, sums
    monkeypatch.setattr(autoregressive, "chance", lambda generator, p, *n: never(generator, *n))
    monkeypatch.setattr(
        autoregressive,
        "uniform",
        lambda generator, *shape, low=0.0, high=1.0: torch.full(shape, (low + high) / 2),
    )
    values = autoregressive.autoregressive(seeded(), 200, 512).values
    values = values - values.mean(dim=1, keepdim=True)
    now, lags = values[:, 2:], torch.stack([values[:, 1:-1], values[:, :-2]], dim=-1)
    found = torch.linalg.lstsq(lags.flatten(0, 1), now.flatten()[:, None]).solution[:, 0]
    one, other = 1 - 0.5**2, 0.125
    assert found.tolist() == pytest.approx([one + other, -one * other], abs=0.02)


def test_autoregressive_paths_forget_where_they_began() -> None:
    """The beginning has been thrown away: there the spread is as large as at the end."""
    drawn = FAMILIES["autoregressive"][0](seeded(), 2000, 64).values
    standard = (drawn - drawn.mean(dim=1, keepdim=True)) / drawn.std(dim=1, keepdim=True)
    begin, end = (standard[:, part].square().mean() for part in (slice(6), slice(-6, None)))
    assert begin / end == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("beta", [0.0, 0.8, 1.6])
def test_the_power_of_long_memory_falls_as_drawn(
    monkeypatch: pytest.MonkeyPatch, beta: float
) -> None:
    monkeypatch.setattr(autoregressive, "uniform", constant(beta))
    values = autoregressive.long_memory(seeded(), 200, 512).values
    power = torch.fft.rfft(values * torch.hann_window(512))[:, 4:200].abs().square()
    frequency = torch.arange(4, 200) / 512
    logs = power.log().mean(dim=0) - power.log().mean()
    x = frequency.log() - frequency.log().mean()
    assert -(x * logs).sum() / x.square().sum() == pytest.approx(beta, abs=0.1)


def test_steps_of_random_walks_are_uncorrelated() -> None:
    values = FAMILIES["random_walk"][0](seeded(), 300, 512).values.double()
    positive = (values > 0).all(dim=1)
    assert 0.4 < positive.float().mean() < 0.75  # geometric ones, and some plain ones
    steps = torch.where(positive[:, None], values.clamp(min=1e-9).log(), values).diff(dim=1)
    assert correlation(steps, 1).median().abs() < 0.02
    assert correlation(steps, 1).abs().quantile(0.9) < 0.15
    assert correlation(values, 1).median() > 0.95


def test_growth_goes_on_where_short_series_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half or more of what short series of this kind do is a straight line."""
    values = growth.growth(seeded(), 1000, 28).values
    time = torch.arange(28.0) - 13.5
    centred = values - values.mean(dim=1, keepdim=True)
    line = (centred @ time)[:, None] / time.square().sum() * time
    share = line.square().sum(dim=1) / centred.square().sum(dim=1)
    assert share.median() > 0.5

    def by_amounts(generator: torch.Generator, probability: float, *shape: int) -> Tensor:
        return torch.full(shape, probability == 0.5 and len(shape) == 2)

    without_luck(monkeypatch, growth)
    monkeypatch.setattr(growth, "chance", by_amounts)
    straight = growth.growth(seeded(), 50, 28).values.diff(dim=1)
    torch.testing.assert_close(straight, straight[:, :1].expand_as(straight), rtol=1e-3, atol=1e-5)
    assert (straight > 0).all()


def test_regimes_have_at_most_three_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    without_luck(monkeypatch, regimes)
    even = regimes.uniform

    def no_memory(generator: torch.Generator, *shape: int, **bounds: float) -> Tensor:
        drawn = even(generator, *shape, **bounds)
        return torch.zeros(shape) if len(shape) == 1 else drawn

    monkeypatch.setattr(regimes, "uniform", no_memory)
    values = regimes.regimes(seeded(), 200, 300).values
    n_levels = torch.tensor([len(row.unique()) for row in values])
    assert n_levels.max() == 3
    assert (n_levels >= 2).float().mean() > 0.7
    changes = (values.diff(dim=1) != 0).float().mean(dim=1)
    assert changes.max() < 0.3  # they stay for a while
    assert changes.median() < 0.05


def test_counts_are_whole_and_not_negative() -> None:
    drawn = FAMILIES["counts"][0](seeded(), 1000, 128)
    values = drawn.values
    assert torch.equal(values, values.round())
    assert values.min() == 0
    mean, variance = values.mean(dim=1), values.var(dim=1)
    assert ((values == 0).float().mean(dim=1) > 0.5).float().mean() > 0.2  # slow articles
    assert (variance > 3 * mean).float().mean() > 0.3  # over-dispersed
    assert ((variance / mean.clamp(min=1e-3) - 1).abs() < 0.4).float().mean() > 0.2  # Poisson


@pytest.mark.parametrize("rough", [False, True])
def test_stationary_parts_have_the_covariance_of_their_kernel(
    monkeypatch: pytest.MonkeyPatch, rough: bool
) -> None:
    monkeypatch.setattr(gaussian_process, "log_uniform", constant(0.2))
    monkeypatch.setattr(
        gaussian_process, "chance", lambda generator, p, *shape: torch.full(shape, rough)
    )
    length, n = 40, 6000
    values = gaussian_process._stationary(seeded(), n, length, low=0.0, high=1.0)
    lag = torch.arange(length) / (0.2 * length)
    root = math.sqrt(3) * lag
    kernel = (1 + root) * (-root).exp() if rough else (-0.5 * lag.square()).exp()
    found = (values[:, :1] * values).mean(dim=0)
    assert values.mean().abs() < 0.02
    assert torch.allclose(found, kernel, atol=0.06)


def test_periodic_parts_of_gaussian_processes_repeat_after_the_season() -> None:
    season = torch.tensor([2, 5, 12, 24, 100]).repeat(40)
    values = gaussian_process._periodic(seeded(), season, 400)
    assert values.square().mean() == pytest.approx(1, abs=0.15)
    for row, period in zip(values, season.tolist(), strict=True):
        assert torch.allclose(row[period:], row[:-period], atol=1e-2)
