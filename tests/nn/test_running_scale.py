"""Running moments are those of all values so far, weighted by age; equal values have none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsformer.nn.running_scale import Moments, running_moments


def running(values: Tensor, observed: Tensor | None = None, share: float = 0.8) -> Moments:
    """Return the moments before and after each patch of series of which nothing was known."""
    seen = torch.ones_like(values, dtype=torch.bool) if observed is None else observed
    before = Moments(*torch.zeros(3, len(values)))
    return running_moments(Moments.of(values, seen), before, share)


@settings(max_examples=25, deadline=None)
@given(
    missing=st.sampled_from([0.0, 0.5, 0.9]),
    level=st.sampled_from([0.0, 1e4]),
    seed=st.integers(0, 1000),
)
def test_they_are_weighted_by_age(missing: float, level: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = (level + generator.normal(size=(2, 6, 4))).astype(np.float32)
    observed = generator.random(values.shape) >= missing
    found = running(torch.from_numpy(values), torch.from_numpy(observed))
    for row in range(2):
        for patch in range(6):
            age = patch - np.arange(patch + 1)
            weight = (0.8 ** age[:, None] * observed[row, : patch + 1]).reshape(-1)
            past = values[row, : patch + 1].reshape(-1).astype(np.float64)
            place = (row, patch + 1)
            assert float(found.weight[place]) == pytest.approx(weight.sum(), rel=1e-5)
            if weight.sum() == 0:
                continue
            mean = np.average(past, weights=weight)
            deviation = np.sqrt(np.average((past - mean) ** 2, weights=weight))
            assert float(found.mean[place]) == pytest.approx(mean, rel=1e-5, abs=1e-5)
            assert float(found.deviation[place]) == pytest.approx(deviation, rel=5e-3, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3e12, 1e-30])
def test_equal_values_have_exactly_no_deviation_and_themselves_as_the_mean(value: float) -> None:
    values = torch.full((1, 50, 3), value)
    observed = torch.rand(values.shape, generator=torch.Generator().manual_seed(0)) > 0.3
    found = running(values, observed)
    assert (found.deviation == 0).all()
    known = found.weight > 0
    assert (found.mean[known] == values[0, 0, 0]).all()
    assert known[:, 5:].all()


@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_units_do_not_matter(unit: float) -> None:
    values = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    small, large = running(values), running(values * unit)
    torch.testing.assert_close(large.mean, small.mean * unit, rtol=1e-4, atol=1e-6 * unit)
    torch.testing.assert_close(large.deviation, small.deviation * unit, rtol=1e-4, atol=0.0)


def test_patches_in_two_parts_are_as_all_at_once() -> None:
    values = torch.randn(3, 9, 4, generator=torch.Generator().manual_seed(0))
    observed = torch.ones_like(values, dtype=torch.bool)
    first = running(values[:, :4])
    second = running_moments(Moments.of(values[:, 4:], observed[:, 4:]), first.at(-1), 0.8)
    for whole, part in zip(running(values), second, strict=True):
        torch.testing.assert_close(part[:, -1], whole[:, -1])


def test_no_patch_and_no_value_change_nothing() -> None:
    before = Moments(*torch.tensor([[2.0], [5.0], [1.5]]))
    none = Moments.of(torch.zeros(1, 0, 4), torch.zeros(1, 0, 4, dtype=torch.bool))
    assert running_moments(none, before, 0.8).at(-1) == before
    empty = Moments.of(torch.zeros(1, 1, 0), torch.zeros(1, 1, 0, dtype=torch.bool)).at(0)
    assert before.joined(empty) == before
