"""Sizes chosen from the data: always usable, whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.forecasters.defaults import (
    default_context_length,
    default_patches,
    default_whole_patch,
    held_out_sizes,
)
from tsformer.models.patchtst import PatchTSTConfig

lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=5).map(np.array)


@given(lengths, st.integers(1, 400), st.integers(1, 400))
def test_default_sizes_fit_together_for_any_data(
    lengths: np.ndarray, horizon: int, season_length: int
) -> None:
    context_length = default_context_length(lengths, horizon, season_length)
    assert 4 <= context_length <= max(2 * season_length, 720)
    patch_length, stride = default_patches(context_length)
    config = PatchTSTConfig(
        context_length=context_length, horizon=horizon, patch_length=patch_length, stride=stride
    )
    assert 2 <= config.n_patches <= 64


@pytest.mark.parametrize("season_length", [1, 7, 12, 24])
def test_long_series_look_back_over_a_season_and_the_horizon(season_length: int) -> None:
    for horizon in (1, 12, 48):
        context_length = default_context_length(np.array([3000]), horizon, season_length)
        assert context_length >= max(season_length, horizon)


@given(lengths, st.integers(1, 100))
def test_by_default_at_least_one_horizon_is_held_out_or_nothing(
    lengths: np.ndarray, horizon: int
) -> None:
    sizes = held_out_sizes(lengths, horizon, None)
    held = sizes > 0
    assert (sizes[held] >= horizon).all()
    assert (sizes[held] <= 10 * horizon).all()
    assert (lengths[held] - sizes[held] >= 1.5 * horizon).all()  # enough is left to train on
    assert (lengths[~held] < 2.5 * horizon).all()


def test_a_given_size_is_held_out_of_every_series_that_is_longer() -> None:
    assert held_out_sizes(np.array([3, 4, 9]), 2, 4).tolist() == [0, 0, 4]
    assert held_out_sizes(np.array([3, 4, 9]), 2, 0).tolist() == [0, 0, 0]
    assert held_out_sizes(np.array([3, 4]), 2, np.array([1, 0])).tolist() == [1, 0]


def test_when_nothing_is_left_to_train_on_then_error() -> None:
    with pytest.raises(ValueError, match=r"val_size=9 leaves nothing .* longest series has 9"):
        held_out_sizes(np.array([3, 9]), 2, 9)


@pytest.mark.parametrize(
    ("context_length", "season_length", "expected"),
    [
        (336, 24, 24),  # a day of hours
        (182, 7, 14),  # two weeks of days
        (72, 12, 6),  # half a year of months
        (156, 52, 13),  # a quarter of weeks
        (720, 144, 72),
        (24, 1, 2),
        (1, 7, 1),
        (9, 12, 1),
        (50, 52, 4),
    ],
)
def test_whole_patches_and_seasons_fit(
    context_length: int, season_length: int, expected: int
) -> None:
    found = default_whole_patch(context_length, season_length)
    assert found == expected
    assert found % season_length == 0 or season_length % found == 0
