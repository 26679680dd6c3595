"""What is said of held out forecasts is said without knowing their truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from tsformer.forecasters.conformal_replay import folds, follow, leave_out
from tsformer.forecasters.conformal_scores import LEVELS, Correction, Judged


def judged(cutoffs: np.ndarray, horizon: int = 2) -> Judged:
    generator = np.random.default_rng(0)
    return Judged(
        quantiles=np.tile(ndtri(LEVELS), (len(cutoffs), horizon, 1)),
        spread=np.full((len(cutoffs), horizon), 2.56),
        truth=3 * generator.normal(size=(len(cutoffs), horizon)),
        cutoffs=cutoffs,
    )


def test_folds_are_stretches_of_time_or_series_where_there_is_one_cutoff() -> None:
    assert folds(np.array([4, 4, 2, 2, 3])).tolist() == [2, 2, 0, 0, 1]
    assert folds(np.repeat(np.arange(10), 2)).tolist() == np.repeat(np.arange(5), 4).tolist()
    assert folds(np.full(7, 3)).tolist() == [0, 0, 1, 2, 2, 3, 4]
    assert folds(np.array([3])).tolist() == [0]


@pytest.mark.parametrize("cutoffs", [np.repeat(np.arange(10), 3), np.zeros(30, dtype=int)])
def test_held_out_rows_are_corrected_by_what_the_other_folds_teach(cutoffs: np.ndarray) -> None:
    known = judged(cutoffs)
    found = leave_out(known, Correction.of, 0.0)
    for fold in range(5):
        inside = folds(cutoffs) == fold
        some = known.where(inside)
        expected = Correction.of(known.where(~inside)).apply(some.quantiles, some.spread, LEVELS)
        np.testing.assert_array_equal(found[inside], expected)


@pytest.mark.parametrize("learning_rate", [0.0, 1.0])
def test_their_own_truth_changes_no_held_out_row(learning_rate: float) -> None:
    known = judged(np.repeat(np.arange(10), 3))
    last = known.cutoffs == 9
    poisoned = replace(known, truth=np.where(last[:, None], 1e6, known.truth))
    honest, other = (leave_out(one, Correction.of, learning_rate) for one in (known, poisoned))
    np.testing.assert_array_equal(honest[last], other[last])
    assert not np.array_equal(honest, other)  # or else nothing was poisoned at all


def test_a_single_row_has_nothing_to_learn_from() -> None:
    assert np.isnan(leave_out(judged(np.array([0])), Correction.of, 1.0)).all()


def test_cutoffs_are_followed_in_order_of_time() -> None:
    known = judged(np.array([1, 0, 1, 0]))
    start = Correction.of(known)
    expected = start
    for number in (0, 1):
        expected = expected.tracked(known.where(known.cutoffs == number), 0.7)
    np.testing.assert_array_equal(follow(start, known, 0.7).stretch, expected.stretch)
    assert follow(start, known, 0.0) is start
