"""Dropout by bytes."""

from __future__ import annotations

import math

import pytest
import torch

from tsformer.nn.dropout import Dropout


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.75])
def test_as_many_features_are_dropped_as_promised(rate: float) -> None:
    torch.manual_seed(0)
    n = 1_000_000
    dropped = Dropout(rate)(torch.ones(n)) == 0
    rounded = round(rate * 256) / 256
    deviation = math.sqrt(rounded * (1 - rounded) / n)
    assert float(dropped.float().mean()) == pytest.approx(rounded, abs=5 * deviation)


def test_what_is_dropped_is_independent_from_place_to_place_and_draw_to_draw() -> None:
    torch.manual_seed(0)
    n, rate = 1 << 20, 0.25
    dropout = Dropout(rate)
    dropped, again = ((dropout(torch.ones(n)) == 0).double() - rate for _ in range(2))
    bound = 5 / math.sqrt(n)
    assert abs(float((dropped * again).mean()) / (rate * (1 - rate))) < bound
    for lag in (1, 2, 3, 7, 8, 9, 64, 4096):
        correlation = (dropped[lag:] * dropped[:-lag]).mean() / (rate * (1 - rate))
        assert abs(float(correlation)) < bound
    shares = dropped.view(-1, 8).mean(dim=0)  # each byte of a number alike
    assert float(shares.abs().max()) < 5 * math.sqrt(rate * (1 - rate) / (n / 8))


def test_the_mean_and_the_gradient_stay() -> None:
    torch.manual_seed(0)
    x = torch.full((1000, 333), 2.0, requires_grad=True)
    y = Dropout(0.3)(x)
    assert y.mean().item() == pytest.approx(2.0, rel=0.01)
    y.sum().backward()
    torch.testing.assert_close(x.grad, y.detach() / 2)


@pytest.mark.parametrize("rate", [1e-4, 0.9999])
def test_a_rate_near_the_ends_is_none_of_them(rate: float) -> None:
    torch.manual_seed(0)
    kept = Dropout(rate)(torch.ones(100_000)) != 0
    assert 0 < kept.float().mean() < 1


def test_the_seed_decides_and_evaluation_changes_nothing() -> None:
    x = torch.randn(3, 5, 7)
    dropout = Dropout(0.5)
    torch.manual_seed(1)
    one = dropout(x)
    torch.manual_seed(1)
    assert torch.equal(dropout(x), one)
    assert not torch.equal(dropout(x), one)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_sixteen_bits_stay_sixteen_bits() -> None:
    assert Dropout(0.5)(torch.ones(10, dtype=torch.bfloat16)).dtype is torch.bfloat16
    assert Dropout(0.5)(torch.ones(0)).shape == (0,)
