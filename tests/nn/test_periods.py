"""Periods are found where there are some, and none where there is none."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tsformer.nn.periods import find_periods


def standardised(values: Tensor) -> Tensor:
    return (values - values.mean(dim=-1, keepdim=True)) / values.std(dim=-1, keepdim=True)


def found(values: Tensor, observed: Tensor | None = None, season: int = 1) -> list[int]:
    values = values.reshape(1, -1)
    observed = torch.ones_like(values, dtype=torch.bool) if observed is None else observed
    z = torch.where(observed, standardised(values), 0.0)
    periods, strength = find_periods(z, observed, torch.tensor([season]))
    assert periods.shape == strength.shape == (1, 2)
    return periods[0].tolist()


def wave(period: int, length: int) -> Tensor:
    shape = torch.randn(period, generator=torch.Generator().manual_seed(period))
    return shape.repeat(length // period + 1)[:length]


def noise(length: int, seed: int = 0) -> Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("period", [3, 4, 7, 12, 24, 52, 168])
def test_the_period_of_a_wave_is_found(period: int) -> None:
    assert found(wave(period, 4 * period + 5))[0] == period


@pytest.mark.parametrize("period", [7, 12, 24])
def test_noise_trend_and_random_walks_do_not_hide_it(period: int) -> None:
    length = 20 * period
    clean = wave(period, length)
    assert found(clean + 0.5 * noise(length))[0] == period
    assert found(clean + torch.linspace(0, 20, length))[0] == period
    assert found(clean + 0.3 * noise(length).cumsum(0))[0] == period


def test_a_shorter_period_within_the_strongest_is_found_too() -> None:
    day, week = wave(24, 24 * 50), wave(7, 50).repeat_interleave(24)
    long, short = found(day + week)
    assert long == 168
    assert short % 24 == 0


def test_a_longer_period_is_found_and_comes_first_where_its_echo_is_better() -> None:
    day = torch.sin(2 * math.pi * torch.arange(24 * 56) / 24)
    week = torch.tensor([1.0, 1, 1, 1, 1, 0.3, 0.2]).repeat(8).repeat_interleave(24)
    assert found(week * day + 0.02 * noise(24 * 56)) == [168, 24]


def test_gaps_do_not_hide_it() -> None:
    values = wave(12, 240)
    observed = torch.rand(1, 240, generator=torch.Generator().manual_seed(0)) > 0.3
    assert found(values, observed)[0] == 12


@pytest.mark.parametrize("values", [torch.zeros(40), torch.arange(40.0), 2.0 ** -torch.arange(40)])
def test_without_a_season_the_period_is_one(values: Tensor) -> None:
    assert found(values + 1e-3 * torch.arange(40)) == [1, 1]


def test_the_calendar_is_believed_beside_what_is_found() -> None:
    values = wave(7, 70)
    assert found(values, season=12) == [7, 12]
    assert found(values, season=7) == [7, found(values)[1]]
    assert found(torch.arange(30.0), season=12) == [1, 12]


def test_series_do_not_depend_on_each_other() -> None:
    rows = standardised(torch.stack([wave(5, 60), wave(12, 60), noise(60)]))
    observed, season = torch.ones(3, 60, dtype=torch.bool), torch.ones(3, dtype=torch.long)
    together = find_periods(rows, observed, season)
    for number in range(3):
        part = slice(number, number + 1)
        alone = find_periods(rows[part], observed[part], season[part])
        assert torch.equal(together[0][part], alone[0])
        assert torch.allclose(together[1][part], alone[1], atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_levels_that_shift_at_the_turn_of_a_season_do_not_move_it(seed: int) -> None:
    day = torch.sin(2 * math.pi * torch.arange(24 * 50) / 24)
    levels = torch.randn(50, generator=torch.Generator().manual_seed(seed))
    assert 24 in found(day + 0.2 * levels.repeat_interleave(24))


@pytest.mark.parametrize("length", [4, 5, 16])
def test_short_series_are_no_trouble(length: int) -> None:
    periods = found(torch.sin(torch.arange(length) * math.pi))
    assert all(1 <= period <= max(1, length // 2) for period in periods)


@pytest.mark.parametrize("period", [7, 12])
def test_a_period_has_to_be_seen_twice_unless_the_calendar_suggests_it(period: int) -> None:
    assert found(wave(period, 2 * period))[0] == period
    assert period not in found(wave(period, 2 * period - 1))
    values = wave(period, 2 * period - 1)[None]
    known = torch.ones_like(values, dtype=torch.bool)
    assert period in find_periods(values, known, torch.tensor([period]))[0][0].tolist()
