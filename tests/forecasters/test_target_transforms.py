"""Transforms of targets: columns in, columns out, and back; against formulas, loops and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from tsformer.forecasters.box_cox import guerrero_lambda, likelihood_lambda
from tsformer.forecasters.target_transforms import BoxCoxTransform, Differencing, LogTransform

CURVES = [LogTransform(), BoxCoxTransform(), BoxCoxTransform(method="guerrero", season_length=4)]


def positive(shape: tuple[int, int] = (40, 3), seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).normal(size=shape).cumsum(axis=0) / 4)


def with_gaps(values: np.ndarray) -> np.ndarray:
    """Return columns of which the first begins late and the second has a gap."""
    gaps = values.copy()
    gaps[:7, 0] = gaps[11:14, 1] = np.nan
    return gaps


@pytest.fixture(params=CURVES, ids=repr)
def curve(request: pytest.FixtureRequest) -> Any:
    return clone(request.param)


# curves


@pytest.mark.parametrize("moved_by", [0.0, -3.0, 1000.0])
def test_what_is_transformed_comes_back(curve: Any, moved_by: float) -> None:
    values = with_gaps(positive() + moved_by)
    np.testing.assert_allclose(
        curve.inverse_transform(curve.fit_transform(values)), values, rtol=1e-9, atol=1e-12
    )


def test_each_column_is_fitted_by_itself(curve: Any) -> None:
    values = with_gaps(positive() - 2.0)
    together = curve.fit_transform(values)
    for number, column in enumerate(values.T):
        np.testing.assert_array_equal(
            clone(curve).fit_transform(column[:, None]), together[:, [number]]
        )


def test_steps_before_a_series_begins_change_nothing(curve: Any) -> None:
    values = positive((24, 1)) - 1.0
    padded = np.vstack([np.full((5, 1), np.nan), values])
    expected = clone(curve).fit_transform(values)
    answer = curve.fit_transform(padded)
    assert np.isnan(answer[:5]).all()
    np.testing.assert_array_equal(answer[5:], expected)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20), st.sampled_from(CURVES))
def test_any_column_has_a_curve_that_rises(column: list[float], curve: Any) -> None:
    values = np.array(column)[:, None]
    answer = clone(curve).fit_transform(values)
    assert np.isfinite(answer).all()
    order = np.argsort(values[:, 0], kind="stable")
    assert (np.diff(answer[order, 0]) >= 0).all()


def test_the_logarithm_has_no_offset_where_none_is_needed() -> None:
    values = positive()
    transform = LogTransform().fit(values)
    np.testing.assert_array_equal(transform.offset_, 0.0)
    np.testing.assert_array_equal(transform.transform(values), np.log(values))


def test_an_offset_moves_the_lowest_value_to_the_mean_distance_from_it() -> None:
    values = np.array([[0.0], [-2.0], [4.0], [np.nan]])
    offset = LogTransform().fit(values).offset_
    assert offset == pytest.approx(2 + (2 + 0 + 6) / 3)
    scaled = LogTransform().fit(10 * values).offset_
    np.testing.assert_allclose(scaled, 10 * offset)  # the unit does not matter


def test_a_given_offset_is_taken_and_checked() -> None:
    values = np.array([[0.0], [3.0]])
    np.testing.assert_array_equal(LogTransform(offset=1).fit_transform(values), np.log1p(values))
    with pytest.raises(ValueError, match="offset=0 leaves the value 0 at or below 0; pass a grea"):
        LogTransform(offset=0).fit(values)
    with pytest.raises(TypeError, match="offset='much' must be a number, or None"):
        LogTransform(offset="much").fit(values)  # type: ignore[arg-type]


def test_later_values_outside_the_curve_count_as_a_tenth_of_the_lowest(curve: Any) -> None:
    values = positive()
    lowest = values.min(axis=0)
    curve.fit(values)
    answer = curve.transform(np.stack([lowest / 5, lowest / 10, 0 * lowest, -lowest]))
    assert (answer[0] > answer[1]).all()
    np.testing.assert_allclose(answer[2:], answer[[1, 1]])


def test_extreme_forecasts_turn_back_into_finite_numbers(curve: Any) -> None:
    curve.fit(positive())
    extreme = np.array([[-1e6], [0.0], [1e6]]) * np.ones(3)
    answer = curve.inverse_transform(extreme)
    assert np.isfinite(answer).all()
    assert (np.diff(answer, axis=0) > 0).all()


# lambda


def test_the_likely_lambda_is_that_of_scipy() -> None:
    generator = np.random.default_rng(1)
    for power in (0.3, 0.7, 1.5):
        values = (power * generator.normal(5, 1, size=300) + 1) ** (1 / power)
        expected = stats.boxcox_normmax(values, method="mle")
        assert likelihood_lambda(values) == pytest.approx(expected, abs=1e-4)


def test_the_likely_lambda_of_a_log_normal_sample_is_about_0() -> None:
    assert likelihood_lambda(np.exp(np.random.default_rng(0).normal(size=4000))) < 0.05


def guerrero_variation(values: np.ndarray, season_length: int, power: float) -> float:
    """Return the coefficient of variation of Guerrero (1993), by a loop."""
    ratios = []
    for begin in range(len(values) % season_length, len(values), season_length):
        season = values[begin : begin + season_length]
        ratios.append(np.std(season, ddof=1) / np.mean(season) ** (1 - power))
    return float(np.std(ratios, ddof=1) / np.mean(ratios))


def test_guerreros_lambda_is_best_by_a_loop_over_seasons() -> None:
    values = positive((50, 1))[:, 0]
    found = guerrero_lambda(values, 4)
    best = guerrero_variation(values, 4, found)
    others = [guerrero_variation(values, 4, power) for power in np.linspace(0, 2, 101)]
    assert best <= min(others) + 1e-4


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_guerreros_lambda_undoes_the_power_under_which_seasons_vary_alike(power: float) -> None:
    wave = np.resize([-0.2, 0.1, 0.3, -0.2], 80) + np.repeat(np.linspace(3, 6, 20), 4)
    values = np.exp(wave) if power == 0 else (power * wave + 1) ** (1 / power)
    assert guerrero_lambda(values, 4) == pytest.approx(power, abs=0.05)


@pytest.mark.parametrize("method", ["likelihood", "guerrero"])
@pytest.mark.parametrize("column", [[5.0] * 12, [1.0, 2.0], [np.nan] * 12])
def test_a_series_that_says_nothing_has_lambda_1(method: Any, column: list[float]) -> None:
    transform = BoxCoxTransform(method=method, season_length=4)
    answer = transform.fit_transform(np.array(column)[:, None])
    np.testing.assert_array_equal(transform.lambda_, [1.0])
    np.testing.assert_allclose(answer[:, 0], np.array(column) - 1)


def test_wrong_parameters_of_box_cox_are_named() -> None:
    with pytest.raises(ValueError, match="method='best' is unknown; choose one of 'likelihood', "):
        BoxCoxTransform(method="best").fit(positive())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="season_length=1 has no variation; pass at least 2"):
        BoxCoxTransform(method="guerrero", season_length=1).fit(positive())


# differences


@pytest.mark.parametrize(("lag", "order"), [(1, 1), (1, 2), (4, 1), (3, 2), (7, 1)])
def test_changes_of_the_future_add_up_to_it(lag: int, order: int) -> None:
    values = np.random.default_rng(0).normal(size=(40, 3)).cumsum(axis=0)
    past, future = values[:30], values[30:]
    changes = Differencing(lag=lag, order=order).fit_transform(values)
    assert np.isnan(changes[: lag * order]).all()
    assert np.isfinite(changes[lag * order :]).all()
    fitted = Differencing(lag=lag, order=order).fit(past)
    assert fitted.steps_lost == lag * order
    np.testing.assert_allclose(fitted.inverse_transform(changes[30:]), future)


def test_changes_are_those_of_a_loop() -> None:
    values = np.random.default_rng(0).normal(size=(12, 2))
    expected = np.full((12, 2), np.nan)
    for step in range(6, 12):
        for number in range(2):
            one, earlier, earliest = (values[step - 3 * k, number] for k in range(3))
            expected[step, number] = (one - earlier) - (earlier - earliest)
    np.testing.assert_allclose(Differencing(lag=3, order=2).fit_transform(values), expected)


def test_several_paths_add_up_each_by_itself() -> None:
    generator = np.random.default_rng(0)
    past, paths = generator.normal(size=(20, 3)), generator.normal(size=(5, 9, 3))
    fitted = Differencing(lag=4).fit(past)
    expected = np.stack([fitted.inverse_transform(path) for path in paths])
    np.testing.assert_allclose(fitted.inverse_transform(paths), expected)


def test_where_the_end_is_missing_the_last_known_value_of_the_phase_is_it() -> None:
    column = np.array([np.nan, 1.0, 2, 3, np.nan, 5, np.nan, np.nan])[:, None]
    zeros = np.zeros((4, 1))
    assert Differencing().fit(column).inverse_transform(zeros)[:, 0].tolist() == [5.0] * 4
    answer = Differencing(lag=2).fit(column).inverse_transform(zeros)
    assert answer[:, 0].tolist() == [2, 5, 2, 5]
    answer = Differencing(lag=4).fit(column[-3:]).inverse_transform(zeros)
    assert answer[:, 0].tolist() == [5, 5, 5, 5]


def test_a_column_no_longer_than_the_lag_has_no_changes() -> None:
    values = np.array([[1.0], [2.0]])
    assert np.isnan(Differencing(lag=2).fit_transform(values)).all()
    assert np.isnan(Differencing(lag=5).fit_transform(values)).all()


def test_a_pipeline_of_both_goes_on_from_the_end() -> None:
    values = positive((30, 2))
    chain = make_pipeline(LogTransform(), Differencing(lag=4)).fit(values[:24])
    growth = np.log(values[24:28] / values[20:24])
    np.testing.assert_allclose(chain.inverse_transform(growth), values[24:28])


def test_wrong_parameters_of_differences_are_named() -> None:
    for name in ("lag", "order"):
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            Differencing(**{name: 0}).fit(positive())
        with pytest.raises(TypeError, match=f"{name}=1.5 must be a whole number"):
            Differencing(**{name: 1.5}).fit(positive())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X has the shape .*; pass .* with the 3 series"):
        Differencing().fit(positive()).inverse_transform(np.zeros((4, 2)))


@pytest.mark.parametrize("transform", [*CURVES, Differencing()], ids=repr)
def test_before_fit_there_is_no_way_back(transform: Any) -> None:
    for method in (transform.transform, transform.inverse_transform):
        with pytest.raises(NotFittedError):
            method(positive())
