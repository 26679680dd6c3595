"""Covariates as numbers: learned from one panel, applied to others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency, parse_frequency
from tsformer.data.encoding import Column, CovariateEncoder
from tsformer.data.panel import Covariates, Panel

LENGTHS = np.array([6, 9])
SKY = {"sky": ("fog", "rain", "sun")}
NAN = np.nan


def make_panel(**changes: Any) -> Panel:
    """Return two daily series with a number and a category of each kind."""
    generator = np.random.default_rng(0)
    total = int(LENGTHS.sum())
    price = generator.normal(5, 2, total).astype(np.float32)
    price[[2, 7]] = NAN
    sky = np.resize([0.0, 2.0, 1.0, NAN], total).astype(np.float32)
    group = Covariates(names=("size", "group"), values=np.array([[3.0, 7.0], [1.0, 0.0]]))
    parts: dict[str, Any] = {
        "values": generator.normal(size=(1, total)).astype(np.float32),
        "offsets": np.r_[0, LENGTHS.cumsum()],
        "ids": np.array(["a", "b"], dtype=object),
        "starts": np.array(["2024-01-30", "2024-02-25"], dtype="datetime64[us]"),
        "freq": parse_frequency("D"),
        "past_covariates": Covariates(
            names=("price", "sky"), values=np.stack([price, sky]), levels=SKY
        ),
        "future_covariates": Covariates(names=("promo",), values=(sky[None] == 1).astype("f4")),
        "static_covariates": replace(group, levels={"group": ("x", "y")}),
    }
    return Panel(**{**parts, **changes})


def past_alone(values: np.ndarray, levels: Any = None) -> Panel:
    """Return a panel whose only covariate is one of the past, `x`."""
    covariates = Covariates(names=("x",), values=values[None].astype("f4"), levels=levels or {})
    return make_panel(past_covariates=covariates, future_covariates=None, static_covariates=None)


def test_numbers_have_mean_0_and_deviation_1_over_what_is_known() -> None:
    panel = make_panel()
    encoded = CovariateEncoder.of(panel, calendar=False).encode(panel, 1).values[1]
    assert panel.past_covariates is not None
    price = panel.past_covariates.values[0]
    expected = (price - np.nanmean(price, dtype=float)) / np.nanstd(price, dtype=float)
    np.testing.assert_allclose(encoded, expected, rtol=1e-5, atol=1e-6)
    assert np.isnan(encoded[[2, 7]]).all()


def test_a_category_has_a_row_per_level_and_is_missing_in_all_of_them() -> None:
    panel = make_panel()
    encoder = CovariateEncoder.of(panel, calendar=False)
    rows = encoder.encode(panel, 1).values[2:5].T.tolist()
    np.testing.assert_array_equal(rows[:4], [[1, 0, 0], [0, 0, 1], [0, 1, 0], [NAN] * 3])
    static = encoder.encode(panel, 1).static
    np.testing.assert_array_equal(static, [[-1, 1], [0, 1], [1, 0]])


def test_what_is_encoded_is_counted_and_known_futures_come_first() -> None:
    panel = make_panel()
    encoder = CovariateEncoder.of(panel, calendar=True)
    assert (encoder.n_future, encoder.n_covariates, encoder.n_static) == (1 + 2 * 3, 7 + 4, 3)
    assert encoder.size == 14
    encoded = encoder.encode(panel, 5)
    assert encoded.values.shape == (11, 15)
    assert encoded.coming.shape == (7, 2, 5)
    assert encoded.static.shape == (3, 2)
    plain = CovariateEncoder.of(panel, calendar=False).encode(panel, 5).values
    np.testing.assert_array_equal(encoded.values[[0, 7, 8, 9, 10]], plain)
    nothing = replace(panel, past_covariates=None, future_covariates=None, static_covariates=None)
    assert CovariateEncoder.of(nothing, calendar=False).size == 0


@given(st.integers(1, 4), st.integers(1, 5))
def test_what_comes_is_encoded_as_the_same_steps_of_a_longer_panel(cut: int, horizon: int) -> None:
    panel = make_panel()
    encoder = CovariateEncoder.of(panel, calendar=True)
    whole = encoder.encode(panel, 1)
    lengths = LENGTHS - cut
    coming = encoder.encode(panel.cut(lengths, min(cut, horizon)), horizon).coming
    for number, (offset, length) in enumerate(zip(panel.offsets, lengths, strict=False)):
        known = whole.values[:7, offset + length : offset + LENGTHS[number]][:, :horizon]
        np.testing.assert_array_equal(coming[:, number, : known.shape[1]], known)
    assert np.isnan(coming[0, :, cut:]).all()  # nobody said
    assert np.isfinite(coming[1:]).all()  # the calendar is always known


def test_what_was_learned_does_not_depend_on_the_panel_it_is_applied_to() -> None:
    panel = make_panel()
    encoder = CovariateEncoder.of(panel, calendar=True)
    part = panel.select([1])
    whole, alone = encoder.encode(panel, 3), encoder.encode(part, 3)
    np.testing.assert_array_equal(alone.values, whole.values[:, 6:])
    np.testing.assert_array_equal(alone.coming, whole.coming[:, 1:])
    np.testing.assert_array_equal(alone.static, whole.static[:, 1:])


def test_kinds_that_a_panel_lacks_are_unknown() -> None:
    panel = make_panel()
    encoder = CovariateEncoder.of(panel, calendar=False)
    bare = replace(panel, past_covariates=None, future_covariates=None, static_covariates=None)
    encoded = encoder.encode(bare, 2)
    assert encoded.values.shape == (5, 15)
    for values in (encoded.values, encoded.coming, encoded.static):
        assert np.isnan(values).all()


def test_a_level_that_comes_later_is_missing_and_leaves_the_others_as_they_are() -> None:
    steps = np.resize([3.0, 1.0, NAN], 15)
    levels = {"x": ("a", "b", "c", "d", "e")}
    encoder = CovariateEncoder.of(past_alone(steps, levels), calendar=False)
    assert encoder.past == (Column(name="x", levels=(1, 3)),)
    later = np.resize([3.0, 0.0, 4.0, 1.0], 15)
    rows = encoder.encode(past_alone(later, levels), 1).values.T
    np.testing.assert_array_equal(rows[:4], [[0, 1], [NAN, NAN], [NAN, NAN], [1, 0]])


@pytest.mark.parametrize("levels", [{}, {"x": ()}, {"x": ("a", "b")}])
def test_a_covariate_of_which_nothing_was_known_says_nothing_later(levels: Any) -> None:
    encoder = CovariateEncoder.of(past_alone(np.full(15, NAN), levels), calendar=False)
    assert encoder.size == 0
    assert encoder.encode(past_alone(np.ones(15), levels), 1).values.shape == (0, 15)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-30, -1e34, 16_777_217.0])
def test_a_number_that_never_changed_says_nothing_when_it_does(value: float) -> None:
    """Its weights have learned nothing: a value they never met must not move the forecast."""
    constant = np.full(15, value)
    constant[3] = NAN
    encoder = CovariateEncoder.of(past_alone(constant), calendar=False)
    changed = np.where(np.isnan(constant), 0.3, NAN)
    for values in (constant, changed, constant + 1):
        encoded = encoder.encode(past_alone(values), 1).values[0]
        np.testing.assert_array_equal(encoded, np.where(np.isnan(values), NAN, 0.0))


def test_a_static_number_that_all_series_share_says_nothing() -> None:
    """Its mean is not exactly itself: 0.1 + 0.1 + 0.1 is more than 0.3."""
    shared = Covariates(names=("size",), values=np.full((1, 3), 0.1))
    panel = replace(make_panel().select([0, 1, 0]), static_covariates=shared)
    encoder = CovariateEncoder.of(panel, calendar=False)
    other = replace(panel, static_covariates=replace(shared, values=np.array([[0.1, 0.2, NAN]])))
    np.testing.assert_array_equal(encoder.encode(other, 1).static, [[0, 0, NAN]])


def test_large_values_stay_finite() -> None:
    values = 1e34 * np.linspace(-1, 1, 15)
    panel = past_alone(values)
    encoded = CovariateEncoder.of(panel, calendar=False).encode(panel, 1).values[0]
    np.testing.assert_allclose(encoded, values / values.std(), rtol=1e-5)


@pytest.mark.parametrize("calendar", [False, True])
def test_an_encoder_comes_back_from_json(calendar: bool) -> None:
    panel = make_panel()
    encoder = CovariateEncoder.of(panel, calendar=calendar)
    again = CovariateEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    np.testing.assert_array_equal(again.encode(panel, 2).values, encoder.encode(panel, 2).values)


def test_when_a_category_has_too_many_levels_then_its_name_and_their_number_are_said() -> None:
    panel = make_panel()
    codes = np.arange(65.0)

    def of(n: int) -> CovariateEncoder:
        covariates = Covariates(
            names=("shop",), values=codes[None, :n], levels={"shop": tuple(range(65))}
        )
        wide = replace(panel, past_covariates=None, future_covariates=None)
        return CovariateEncoder.of(replace(wide, static_covariates=covariates), calendar=False)

    assert of(64).n_static == 64
    with pytest.raises(ValueError, match="covariate 'shop' has 65 different values .* than 64"):
        of(65)


def test_when_times_are_no_dates_then_there_is_no_calendar() -> None:
    whole = make_panel(starts=np.array([0, 5]), freq=Frequency(unit="integer", step=1))
    with pytest.raises(ValueError, match="calendar_features=True needs dates"):
        CovariateEncoder.of(whole, calendar=True)
