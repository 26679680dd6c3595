"""Series of all families together."""

from __future__ import annotations

import pytest
import torch

from tsformer.prior import FAMILIES, Draw, draw_series
from tsformer.prior.mixture import Family, _finite

LENGTHS = [8, 33, 512]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("length", LENGTHS)
def test_series_are_finite_standardised_and_bounded(length: int) -> None:
    drawn = draw_series(seeded(), 400, length)
    values = drawn.values
    assert values.shape == (400, length)
    assert values.dtype == torch.float32
    assert values.isfinite().all()
    constant = (values == 0).all(dim=1)
    assert constant.sum() <= (40 if length == 8 else 4)  # such as sales of nothing
    assert values.mean(dim=1).abs().max() < 1e-4
    deviation = values[~constant].std(dim=1, correction=0)
    assert torch.allclose(deviation, torch.ones_like(deviation), atol=1e-3)
    # of T standardised values none is further out than this (Samuelson's inequality)
    assert values.abs().max() <= (length - 1) ** 0.5 + 1e-3
    assert drawn.season.shape == (400,)
    assert drawn.season.dtype == torch.long
    assert drawn.season.min() >= 1
    assert drawn.season.max() <= length / 1.5


@pytest.mark.parametrize("length", LENGTHS)
def test_the_seed_decides_and_nothing_else_is_drawn_from(length: int) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one, same, other = (draw_series(seeded(seed), 50, length) for seed in (1, 1, 2))
    assert torch.equal(one.values, same.values)
    assert torch.equal(one.season, same.season)
    assert not torch.equal(one.values, other.values)
    assert torch.equal(torch.get_rng_state(), before)


def test_later_draws_of_a_generator_are_new() -> None:
    generator = seeded()
    assert not torch.equal(
        draw_series(generator, 5, 33).values, draw_series(generator, 5, 33).values
    )


@pytest.mark.parametrize("n", [1, 2])
def test_few_series_can_be_drawn(n: int) -> None:
    assert draw_series(seeded(), n, 20).values.shape == (n, 20)


def test_each_family_is_drawn_as_often_as_weighted(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: dict[str, int] = {}

    def spied(name: str, family: Family) -> Family:
        def draw(generator: torch.Generator, n: int, length: int) -> Draw:
            sizes[name] = n
            return family(generator, n, length)

        return draw

    for name, (family, weight) in FAMILIES.items():
        monkeypatch.setitem(FAMILIES, name, (spied(name, family), weight))
    draw_series(seeded(), 8000, 8)
    total = sum(weight for _, weight in FAMILIES.values())
    assert sum(sizes.values()) == 8000
    for name, (_, weight) in FAMILIES.items():
        assert sizes[name] / 8000 == pytest.approx(weight / total, abs=0.015), name


def test_the_habits_of_real_series_occur() -> None:
    values = draw_series(seeded(), 1000, 128).values
    at_limit = ((values == values.amin(dim=1, keepdim=True)).sum(dim=1) > 20).float().mean()
    assert at_limit > 0.02
    distinct = torch.tensor([len(row.unique()) for row in values])
    assert (distinct < 60).float().mean() > 0.1  # rounded
    assert (values.abs().amax(dim=1) > 6).float().mean() > 0.01  # outliers


def test_a_series_that_overflows_becomes_a_line() -> None:
    rows = torch.zeros(3, 5)
    rows[0, 2], rows[1, 4], rows[2, 0] = torch.inf, torch.nan, 1e9
    line = torch.linspace(0, 1, 5)
    assert torch.equal(_finite(rows), torch.stack([line, line, torch.tensor([1e6, 0, 0, 0, 0])]))
