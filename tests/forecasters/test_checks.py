from __future__ import annotations

import numpy as np
import pytest

from tsformer.forecasters.checks import positive_integer, quantile_levels


def test_levels_ascend_once_each_with_the_median_among_them() -> None:
    assert quantile_levels([0.9, 0.1, 0.9]) == (0.1, 0.5, 0.9)
    assert quantile_levels(np.array([0.5])) == (0.5,)
    assert quantile_levels(0.25) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        ([80], (0.1, 0.5, 0.9)),
        (80, (0.1, 0.5, 0.9)),
        ([90, 95], (0.025, 0.05, 0.5, 0.95, 0.975)),
        ([99.8], (0.001, 0.5, 0.999)),
    ],
)
def test_widths_stand_for_the_levels_at_both_ends(
    width: float | list[float], expected: tuple[float, ...]
) -> None:
    assert quantile_levels([0.3], width) == expected  # exactly: they name columns


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.uint8(2)])
def test_whole_numbers_of_any_kind_become_plain_ones(value: int) -> None:
    assert positive_integer("n", value) == value
    assert type(positive_integer("n", value)) is int
