"""The small parts that all families share."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

from tsformer.prior.draws import (
    CALENDAR,
    autoregress,
    chance,
    draw_season,
    log_uniform,
    noise,
    normal,
    seasonal_wave,
    standardise,
    uniform,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_uniform_and_log_uniform_follow_their_names() -> None:
    even = uniform(seeded(), 5000, low=-2.0, high=3.0)
    assert stats.kstest(even, stats.uniform(-2, 5).cdf).pvalue > 0.01
    logs = log_uniform(seeded(), 5000, low=0.1, high=10.0).log()
    width = math.log(100)
    assert stats.kstest(logs, stats.uniform(-width / 2, width).cdf).pvalue > 0.01
    assert stats.kstest(normal(seeded(), 5000), stats.norm.cdf).pvalue > 0.01


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_chance_is_true_as_often_as_asked(probability: float) -> None:
    assert chance(seeded(), probability, 20_000).float().mean() == pytest.approx(
        probability, abs=0.01
    )


def test_noise_is_white_and_of_three_kinds() -> None:
    series = noise(seeded(), 300, 2000)
    assert series.mean(dim=1).abs().max() < 0.2
    assert ((series.std(dim=1) > 0.8) & (series.std(dim=1) < 1.5)).all()
    neighbours = (series[:, 1:] * series[:, :-1]).mean(dim=1) / series.var(dim=1)
    assert neighbours.abs().max() < 0.12
    kurtosis = torch.from_numpy(stats.kurtosis(series, axis=1))
    even, heavy = (kurtosis < -1).float().mean(), (kurtosis > 0.35).float().mean()
    assert even == pytest.approx(0.1, abs=0.05)
    assert heavy == pytest.approx(0.2, abs=0.07)


@pytest.mark.parametrize("length", [8, 33, 512])
def test_one_and_a_half_seasons_fit_into_the_length(length: int) -> None:
    season = draw_season(seeded(), 3000, length, odd=0.2)
    assert season.min() >= 2
    assert season.max() <= length / 1.5
    of_calendar = sum((season == known).sum().item() for known in CALENDAR)
    assert of_calendar >= 0.75 * len(season)
    assert not all(season == season[0])


def test_without_odd_seasons_all_are_of_the_calendar_as_often_as_weighted() -> None:
    season = draw_season(seeded(), 20_000, 10_000, odd=0.0)
    total = sum(CALENDAR.values())
    for known, weight in CALENDAR.items():
        share = (season == known).float().mean().item()
        assert share == pytest.approx(weight / total, abs=0.01)


@pytest.mark.parametrize("constant", [0.0, 7.3, 0.1, -3.33, 1e5 + 0.3, 1e-9])
def test_a_constant_row_becomes_zero(constant: float) -> None:
    assert (standardise(torch.full((1, 512), constant)) == 0).all()


def test_other_rows_get_mean_zero_and_deviation_one() -> None:
    rows = normal(seeded(), 20, 50) * torch.logspace(-2, 4, 20)[:, None] + 5
    found = standardise(rows)
    assert torch.allclose(found.mean(dim=1), torch.zeros(20), atol=1e-4)
    assert torch.allclose(found.std(dim=1, correction=0), torch.ones(20), atol=1e-4)
    assert torch.equal(found.argsort(dim=1), rows.argsort(dim=1))


def test_seasonal_waves_repeat_exactly() -> None:
    season = torch.tensor([2, 3, 7, 12, 24, 50])
    waves = seasonal_wave(seeded(), season, 300)
    assert torch.allclose(waves.square().mean(dim=1), torch.ones(6), atol=1e-3)
    for wave, period in zip(waves, season.tolist(), strict=True):
        assert torch.allclose(wave[period:], wave[:-period], atol=1e-2)


def test_autoregress_is_the_recursion_of_its_docstring() -> None:
    shocks, coefficient = normal(seeded(), 3, 20), torch.tensor([0.0, 0.5, 1.0])
    found = autoregress(shocks, coefficient)
    assert torch.equal(found[0], shocks[0])
    assert torch.allclose(found[2], shocks[2].cumsum(dim=0), atol=1e-5)
    weights = 0.5 ** torch.arange(20.0)
    expected = [(shocks[1, : t + 1].flip(0) * weights[: t + 1]).sum() for t in range(20)]
    assert torch.allclose(found[1], torch.stack(expected), atol=1e-5)
