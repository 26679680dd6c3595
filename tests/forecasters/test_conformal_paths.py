"""Paths of corrected forecasts: where they stood before, they stand after."""

from __future__ import annotations

import numpy as np
import pytest

from tsformer.forecasters.conformal_paths import transport

LEVELS = np.linspace(0.05, 0.95, 19)


@pytest.fixture
def paths() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 50, 3)).cumsum(axis=2)


@pytest.fixture
def before(paths: np.ndarray) -> np.ndarray:
    return np.moveaxis(np.quantile(paths, LEVELS, axis=1), 0, -1)  # [2, 3, 19]


def test_paths_are_moved_by_the_straight_lines_between_quantiles(
    paths: np.ndarray, before: np.ndarray
) -> None:
    after = np.sort(np.random.default_rng(1).normal(size=before.shape), axis=-1)
    found = transport(paths, before, after)
    for row, path, step in np.ndindex(paths.shape):
        value, old, new = paths[row, path, step], before[row, step], after[row, step]
        expected = np.interp(value, old, new)
        expected += min(value - old[0], 0) + max(value - old[-1], 0)
        assert abs(found[row, path, step] - expected) < 1e-9


def test_the_order_of_paths_stays(paths: np.ndarray, before: np.ndarray) -> None:
    found = transport(paths, before, before**3 + before)
    np.testing.assert_array_equal(found.argsort(axis=1), paths.argsort(axis=1))


def test_equal_quantiles_leave_paths_as_they_are(paths: np.ndarray, before: np.ndarray) -> None:
    np.testing.assert_allclose(transport(paths, before, before), paths, atol=1e-12)


def test_paths_on_equal_quantiles_are_spread_over_what_became_of_these() -> None:
    flat = np.full((1, 1, 19), 5.0)
    after = np.linspace(0.0, 18.0, 19)[None, None]
    found = transport(np.full((1, 100, 1), 5.0), flat, after)[0, :, 0]
    np.testing.assert_allclose(found, (np.arange(100) + 0.5) / 100 * 18)
