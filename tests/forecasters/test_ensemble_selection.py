"""Weights by ensemble selection: known best ones, fair to every unit, equal without evidence."""

from __future__ import annotations

import numpy as np

from tsformer.forecasters.ensemble_selection import select_weights

LEVELS = (0.1, 0.5, 0.9)


def intervals(middle: np.ndarray, width: float = 0.0) -> np.ndarray:
    """Return quantiles around the middle, `[n, H, 3]`."""
    return middle[..., None] + width * np.array([-1.0, 0, 1])


def test_the_one_that_is_always_right_gets_all() -> None:
    truth = np.random.default_rng(0).normal(size=(30, 4))
    quantiles = np.stack([intervals(truth + 1), intervals(truth), intervals(truth - 2)])
    np.testing.assert_array_equal(select_weights(quantiles, truth, LEVELS, np.ones(30)), [0, 1, 0])


def test_errors_that_cancel_weigh_as_they_cancel_best() -> None:
    truth = np.random.default_rng(0).normal(size=(30, 4))
    quantiles = np.stack([intervals(truth + 1), intervals(truth - 3)])
    weights = select_weights(quantiles, truth, LEVELS, np.ones(30))
    np.testing.assert_allclose(weights, [0.75, 0.25])


def test_of_the_mean_of_independent_errors_the_better_one_gets_more() -> None:
    generator = np.random.default_rng(0)
    truth = np.zeros((4000, 5))
    small, large = generator.normal(size=(2, 4000, 5)) * np.array([1.0, 2])[:, None, None]
    quantiles = np.stack([intervals(small), intervals(large)])
    weights = select_weights(quantiles, truth, (0.5, 0.5, 0.5), np.ones(4000))
    np.testing.assert_allclose(weights, [0.8, 0.2], atol=0.05)  # by variances 1 and 4


def test_widths_count_too() -> None:
    truth = np.random.default_rng(0).normal(size=(4000, 2))
    centre = np.zeros_like(truth)
    quantiles = np.stack([intervals(centre, 0.2), intervals(centre, 2.3632)])
    weights = select_weights(quantiles, truth, LEVELS, np.ones(4000))
    np.testing.assert_allclose(weights, [0.5, 0.5], atol=0.1)  # 1.2816 is the normal law's


def test_a_large_unit_does_not_drown_a_small_one() -> None:
    units = np.repeat([1.0, 1e6], [30, 10])
    truth = np.zeros((40, 3))
    off = np.r_[np.full(30, 0.0), np.full(10, 1e6)][:, None] * np.ones(3)
    other = np.r_[np.full(30, 1.0), np.full(10, 0.0)][:, None] * np.ones(3)
    quantiles = np.stack([intervals(off), intervals(other)])
    np.testing.assert_array_equal(select_weights(quantiles, truth, LEVELS, units), [1, 0])


def test_what_is_missing_does_not_count() -> None:
    truth = np.zeros((10, 2))
    truth[:, 1] = np.nan
    quantiles = np.stack([intervals(np.array([[0.0, 9]] * 10)), intervals(np.ones((10, 2)))])
    np.testing.assert_array_equal(select_weights(quantiles, truth, LEVELS, np.ones(10)), [1, 0])
    unknown = select_weights(quantiles, np.full((10, 2), np.nan), LEVELS, np.ones(10))
    np.testing.assert_array_equal(unknown, [0.5, 0.5])
