from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tsformer.nn.heads import TRAINED_LEVELS
from tsformer.nn.heads.levels import mean_weights, normal_quantiles, quantile_weights


def test_known_levels_are_themselves() -> None:
    weights = quantile_weights(TRAINED_LEVELS, TRAINED_LEVELS)
    torch.testing.assert_close(weights, torch.eye(len(TRAINED_LEVELS)))


def test_between_known_levels_the_line_is_straight() -> None:
    known = normal_quantiles(TRAINED_LEVELS).double()
    wanted = tuple(np.linspace(0.02, 0.98, 50))
    got = known.float() @ quantile_weights(TRAINED_LEVELS, wanted)
    np.testing.assert_allclose(got, np.interp(wanted, TRAINED_LEVELS, known), rtol=1e-4, atol=1e-5)


def test_quantiles_ascend_into_the_tails() -> None:
    wanted = (1e-6, 1e-4, 0.001, 0.01, 0.02, 0.5, 0.98, 0.99, 0.999, 0.9999, 1 - 1e-6)
    got = normal_quantiles(TRAINED_LEVELS) @ quantile_weights(TRAINED_LEVELS, wanted)
    assert (got.diff() > 0).all()


def test_the_mean_is_the_integral_over_all_levels() -> None:
    drawn = torch.randn(len(TRAINED_LEVELS), generator=torch.Generator().manual_seed(0))
    known = torch.sort(drawn)[0]
    middles = (np.arange(200_000) + 0.5) / 200_000
    weights = np.concatenate(
        [
            (known @ quantile_weights(TRAINED_LEVELS, tuple(part))).numpy()
            for part in np.array_split(middles[::20], 50)
        ]
    )
    mean = (known @ mean_weights(TRAINED_LEVELS)).item()
    assert mean == pytest.approx(weights.mean(), abs=2e-3)


@pytest.mark.parametrize(
    ("distribution", "tolerance"),
    [(stats.norm(3, 2), 0.02), (stats.expon(scale=2), 0.03), (stats.gamma(2), 0.02)],
)
def test_the_mean_of_a_known_distribution_is_recovered(
    distribution: stats.rv_continuous, tolerance: float
) -> None:
    known = torch.tensor(distribution.ppf(TRAINED_LEVELS), dtype=torch.float32)
    mean = (known @ mean_weights(TRAINED_LEVELS)).item()
    assert mean == pytest.approx(distribution.mean(), rel=tolerance)


def test_normal_quantiles_are_scipys() -> None:
    np.testing.assert_allclose(
        normal_quantiles(TRAINED_LEVELS), stats.norm.ppf(TRAINED_LEVELS), rtol=1e-5, atol=1e-6
    )
