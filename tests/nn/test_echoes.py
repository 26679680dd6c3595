"""Echoes are the naive forecasts that their docstrings say."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tsformer.nn.echoes import N_ECHOES, Echoes, echo_error, echoes

LAST, SEASON, MOVED, AVERAGE, SHORT = range(N_ECHOES)


def told(
    values: Tensor, periods: tuple[int, int], horizon: int, observed: Tensor | None = None
) -> Echoes:
    if observed is None:
        observed = torch.ones_like(values, dtype=torch.bool)
    return echoes(
        torch.where(observed, values, 0.0)[None], observed[None], torch.tensor([periods]), horizon
    )


def random_walk(length: int) -> Tensor:
    return torch.randn(length, generator=torch.Generator().manual_seed(0)).cumsum(0)


def test_each_echo_is_what_its_name_says_in_the_horizon() -> None:
    values, length, horizon = random_walk(40), 40, 17
    found = told(values, (7, 3), horizon).values[0, :, length:]
    assert torch.equal(found[LAST], values[-1].expand(horizon))
    assert torch.equal(found[SEASON], values[-7:].repeat(3)[:horizon])
    assert torch.equal(found[SHORT], values[-3:].repeat(6)[:horizon])
    drift = (values[7:] - values[:-7]).mean()
    ahead = torch.arange(horizon) // 7 + 1
    assert torch.allclose(found[MOVED], found[SEASON] + ahead * drift, atol=1e-5)
    back = torch.stack(
        [values[length - 7 * k : length - 7 * (k - 1)] + k * drift for k in (1, 2, 3, 4)]
    )
    assert torch.allclose(found[AVERAGE, :7], back.mean(dim=0), atol=1e-5)


def test_in_the_context_a_step_is_told_by_what_came_before() -> None:
    values = random_walk(30)
    result = told(values, (7, 3), 5)
    found, valid = result.values[0], result.valid[0]
    assert torch.equal(found[LAST, 1:30], values[:-1])
    assert torch.equal(found[SEASON, 7:30], values[:-7])
    assert torch.equal(found[SHORT, 3:30], values[:-3])
    assert valid.sum(dim=1).tolist() == [34, 28, 28, 28, 32]
    assert (found[~valid] == 0).all()


def test_the_drift_of_a_line_continues_it() -> None:
    line = torch.arange(20.0)
    found = told(line, (1, 1), 8).values[0, MOVED, 20:]
    assert torch.allclose(found, torch.arange(20.0, 28.0), atol=1e-4)


def test_what_is_missing_is_not_told() -> None:
    values = random_walk(20)
    observed = torch.ones(20, dtype=torch.bool)
    observed[[13, 19]] = False
    result = told(values, (6, 6), 6, observed)
    assert torch.equal(result.values[0, LAST, 20:], values[18].expand(6))
    assert result.valid[0, SEASON, 20:].tolist() == [True, True, True, True, True, False]
    assert not result.valid[0, SEASON, 19]
    assert result.valid[0, AVERAGE, 20:].all()  # of what is there


def test_a_series_without_any_value_has_no_echo() -> None:
    result = told(torch.zeros(10), (1, 1), 4, torch.zeros(10, dtype=torch.bool))
    assert not result.valid.any()
    assert (result.values == 0).all()


def test_the_error_is_that_of_the_best_echo() -> None:
    shape = torch.tensor([0.0, 2.0, -1.0, 1.0, -2.0])
    noise = 0.1 * torch.randn(200, generator=torch.Generator().manual_seed(0))
    observed = torch.ones(1, 200, dtype=torch.bool)
    noisy = (shape.repeat(40) + noise)[None]
    error = echo_error(noisy, observed, echoes(noisy, observed, torch.tensor([[5, 1]]), 5))
    assert error.item() == pytest.approx(0.09, abs=0.03)
    walk = random_walk(200)[None]
    error = echo_error(walk, observed, echoes(walk, observed, torch.tensor([[1, 1]]), 5))
    assert error.item() == pytest.approx(0.8, abs=0.1)


def test_few_lucky_steps_do_not_make_a_small_error() -> None:
    values, observed = torch.zeros(1, 6), torch.ones(1, 6, dtype=torch.bool)
    error = echo_error(values, observed, echoes(values, observed, torch.tensor([[2, 1]]), 3))
    assert error.item() == pytest.approx(1 / 6, rel=1e-3)
