"""Corrections: order statistics against loops, and coverage where it is promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from tsformer.forecasters.conformal_scores import (
    LEVELS,
    Correction,
    Judged,
    neighbours,
    one_sided,
    two_sided,
)

MIDDLE = LEVELS.index(0.5)
LOW, HIGH = LEVELS.index(0.1), LEVELS.index(0.9)
N_WIDTHS = len(LEVELS) - 1 - MIDDLE
AT_80 = HIGH - MIDDLE - 1  # of the central intervals, the one of 80 %


def judged(
    n_rows: int,
    horizon: int = 1,
    *,
    deviation: float = 1.0,
    bias: float = 0.0,
    seed: int = 0,
    unit: float = 1.0,
) -> Judged:
    """Return forecasts of a standard normal distribution, and truth of another one."""
    generator = np.random.default_rng(seed)
    truth = bias + deviation * generator.normal(size=(n_rows, horizon))
    quantiles = np.tile(ndtri(LEVELS), (n_rows, horizon, 1))
    spread = quantiles[..., HIGH] - quantiles[..., LOW]
    return Judged(
        quantiles=unit * quantiles,
        spread=unit * spread,
        truth=unit * truth,
        cutoffs=np.arange(n_rows),
    )


def corrected(correction: Correction, forecasts: Judged) -> np.ndarray:
    return correction.apply(forecasts.quantiles, forecasts.spread, LEVELS)


def covered(quantiles: np.ndarray, truth: np.ndarray) -> float:
    inside = (truth >= quantiles[..., LOW]) & (truth <= quantiles[..., HIGH])
    return float(inside[np.isfinite(truth)].mean())


@pytest.mark.parametrize("n", [3, 19, 200])
def test_one_sided_quantiles_are_those_of_split_conformal_prediction(n: int) -> None:
    scores = np.random.default_rng(0).normal(size=(n, len(LEVELS)))
    found = one_sided(scores, n)
    for column, level in enumerate(LEVELS):
        share = level * (n + 1) / n if level > 0.5 else 1 - (1 - level) * (n + 1) / n
        share = 0.5 if level == 0.5 else float(np.clip(share, 0, 1))
        expected = np.quantile(scores[:, column], share, method="hazen")
        np.testing.assert_allclose(found[column], expected, atol=1e-12)


def test_two_sided_quantiles_are_those_of_the_larger_excess() -> None:
    scores = np.random.default_rng(0).normal(size=(50, len(LEVELS)))
    found = two_sided(scores, 1e12)
    assert found[MIDDLE] == 0
    for pair in range(1, N_WIDTHS + 1):
        excess = [max(-row[MIDDLE - pair], row[MIDDLE + pair]) for row in scores]
        width = LEVELS[MIDDLE + pair] - LEVELS[MIDDLE - pair]
        expected = np.quantile(excess, width, method="hazen")
        np.testing.assert_allclose(found[MIDDLE + pair], expected, atol=1e-9)
        np.testing.assert_allclose(found[MIDDLE - pair], -expected, atol=1e-9)


@pytest.mark.parametrize("deviation", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("trust", [0.0, 1.0])
def test_new_values_lie_within_as_often_as_promised_and_hardly_more_often(
    deviation: float, trust: float
) -> None:
    """With n exchangeable scores: at least at the nominal rate, at most (n + 1) / n of it."""
    hits = []
    for seed in range(200):
        known = judged(39, deviation=deviation, seed=seed)
        new = judged(100, deviation=deviation, seed=10_000 + seed)
        hits.append(covered(corrected(Correction.of(known, trust=trust), new), new.truth))
    assert 0.795 < np.mean(hits) < 0.835  # standard error 0.005


def test_each_step_has_its_own_correction_where_scores_are_many() -> None:
    known = judged(400, horizon=2)
    known.truth[:, 1] *= 4
    correction = Correction.of(known)
    found = corrected(correction, known)
    widths = (found[..., HIGH] - found[..., LOW]).mean(axis=0)
    np.testing.assert_allclose(widths, known.spread[0] * [1, 4], rtol=0.2)


@given(st.integers(1, 500), st.integers(1, 60))
def test_steps_share_scores_until_these_are_enough_and_no_longer(n_rows: int, horizon: int) -> None:
    reach = neighbours(n_rows, horizon)

    def shared(reach: int) -> int:
        return n_rows * min(2 * reach + 1, horizon)

    assert shared(reach) >= min(100, n_rows * horizon)
    assert reach == 0 or shared(reach - 1) < 100


def test_units_do_not_matter() -> None:
    one, other = Correction.of(judged(30, 3)), Correction.of(judged(30, 3, unit=1e6))
    np.testing.assert_allclose(one.shifts, other.shifts, atol=1e-9)


@pytest.mark.parametrize(
    ("n_cutoffs", "trust", "share"), [(95, 1.0, 0.95), (95, 0.4, 0.38), (5, 1.0, 0.5)]
)
def test_a_bias_is_corrected_the_more_the_more_cutoffs_show_it(
    n_cutoffs: int, trust: float, share: float
) -> None:
    known = judged(n_cutoffs, 40, deviation=0.01, bias=2.0)
    correction = Correction.of(known, trust=trust)
    np.testing.assert_allclose(correction.shifts[:, MIDDLE] * known.spread[0], 2 * share, rtol=0.05)


def test_overlapping_cutoffs_count_as_those_that_do_not_overlap() -> None:
    known = judged(41, 40, deviation=0.01, bias=2.0)
    overlapping = Correction.of(known, apart=0.1)  # 1 + 40 * 0.1 = 5
    np.testing.assert_allclose(overlapping.shifts[:, MIDDLE] * known.spread[0], 1.0, rtol=0.05)


def test_missing_truth_and_rows_without_a_spread_change_nothing() -> None:
    known = judged(30, 3)
    expected = Correction.of(known)
    unknown = judged(5, 3, bias=100.0)
    unknown.truth[:] = np.nan
    flat = judged(5, 3, bias=100.0)
    flat.spread[:] = 0.0
    for more in (unknown, flat):
        more.cutoffs[:] = 0
    found = Correction.of(Judged.together([known, unknown]))
    np.testing.assert_array_equal(found.shifts, expected.shifts)
    tracked = expected.tracked(Judged.together([known, unknown, flat]), 1.0)
    np.testing.assert_array_equal(tracked.stretch, expected.tracked(known, 1.0).stretch)
    assert np.isfinite(Correction.of(Judged.together([known, flat])).shifts).all()


def test_nothing_is_corrected_by_nothing() -> None:
    known = judged(4, 3)
    nothing = Correction(shifts=np.zeros((3, len(LEVELS))), stretch=np.ones(N_WIDTHS))
    np.testing.assert_allclose(corrected(nothing, known), known.quantiles, atol=1e-12)


def test_corrected_quantiles_ascend_whatever_the_correction() -> None:
    generator = np.random.default_rng(0)
    wild = Correction(
        shifts=generator.normal(size=(3, len(LEVELS))),
        stretch=generator.uniform(0.1, 9, size=N_WIDTHS),
    )
    assert (np.diff(corrected(wild, judged(4, 3)), axis=-1) >= 0).all()


def test_steps_beyond_the_judged_ones_are_corrected_as_the_last() -> None:
    correction = Correction.of(judged(200, 2, deviation=2.0))
    later = judged(1, 5)
    found = corrected(correction, later) - later.quantiles
    np.testing.assert_allclose(found[0, 2:], np.tile(found[0, 1], (3, 1)))


def test_levels_in_between_are_corrected_by_what_lies_between() -> None:
    correction = Correction.of(judged(200, 1, deviation=3.0))
    levels = (0.1, 0.12, 0.15, 0.5)
    quantiles = ndtri(np.array(levels))[None, None]
    spread = judged(1).spread
    shifts = correction.apply(quantiles, spread, levels) - quantiles
    expected = np.interp(0.12, [0.1, 0.15], [shifts[0, 0, 0], shifts[0, 0, 2]])
    np.testing.assert_allclose(shifts[0, 0, 1], expected)


def test_intervals_follow_the_share_of_values_they_missed() -> None:
    nothing = Correction(shifts=np.zeros((1, len(LEVELS))), stretch=np.ones(N_WIDTHS))
    known = judged(1, 1)
    known.truth[:] = 100.0
    missed = nothing.tracked(known, 0.5).stretch
    widths = np.array([LEVELS[MIDDLE + k] - LEVELS[MIDDLE - k] for k in range(1, N_WIDTHS + 1)])
    np.testing.assert_allclose(missed, np.exp(0.5 / 21 * widths))  # 1 of 1 missed, 1 / (1 + 20)
    known.truth[:] = 0.0
    hit = nothing.tracked(known, 0.5).stretch
    np.testing.assert_allclose(hit, np.exp(-0.5 / 21 * (1 - widths)))


@pytest.mark.parametrize("deviation", [0.4, 3.0])
def test_tracking_finds_the_right_width_and_stays_there(deviation: float) -> None:
    correction = Correction(shifts=np.zeros((1, len(LEVELS))), stretch=np.ones(N_WIDTHS))
    stretches = []
    for seed in range(400):
        correction = correction.tracked(judged(5, 1, deviation=deviation, seed=seed), 1.0)
        stretches.append(correction.stretch[AT_80])
    np.testing.assert_allclose(np.mean(stretches[200:]), deviation, rtol=0.1)
    assert np.std(stretches[200:]) < 0.3 * deviation


def test_a_stretch_has_bounds() -> None:
    correction = Correction(shifts=np.zeros((1, len(LEVELS))), stretch=np.ones(N_WIDTHS))
    known = judged(200, 1)
    known.truth[:] = 1e9
    for _ in range(100):
        correction = correction.tracked(known, 1.0)
    assert correction.stretch[AT_80] == 100.0
