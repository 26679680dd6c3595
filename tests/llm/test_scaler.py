from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.scaler import KINDS, Kind, Scaler, fit_scaler

NAN = float("nan")
SIZES = st.floats(-1e300, 1e300)
SERIES = (
    st.lists(SIZES | st.floats(-100, 100) | st.just(NAN) | st.integers(0, 3), min_size=1)
    .map(lambda values: np.array(values, dtype=np.float64))
    .filter(lambda values: bool(np.isfinite(values).any()))
)


@given(SERIES, st.sampled_from(KINDS), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_inverse_undoes_transform(
    values: np.ndarray, kind: Kind, multiplier: float, shift: float
) -> None:
    scaler = fit_scaler(values, kind, multiplier=multiplier, shift=shift)
    scaled = scaler.transform(values)
    np.testing.assert_array_equal(np.isnan(scaled), np.isnan(values))
    assert np.isfinite(scaled[np.isfinite(values)]).all()
    back = scaler.inverse(scaled)
    # Rounding of scaled values, times what a small step of them is in units of the series.
    slope = np.exp(-scaler.log_derivative(values))
    rounding = 16 * np.spacing(np.abs(scaled) + abs(shift) + multiplier) * slope
    # before the multiplication, and of values and locations that nearly cancel out
    rounding += 16 * np.spacing(np.abs(values) + abs(scaler.loc) + scaler.scale)
    known = ~np.isnan(values)
    assert (np.abs(back - values)[known] <= rounding[known]).all()


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20),
    st.sampled_from(KINDS),
    st.floats(0.1, 10),
)
def test_log_derivative_is_that_of_a_small_difference(
    values: list[float], kind: Kind, multiplier: float
) -> None:
    scaler = fit_scaler(values, kind, multiplier=multiplier, shift=3.0)
    points = scaler.loc + scaler.scale * np.array([-3.0, -0.5, 0.0, 0.1, 2.0])
    distance = 1e-4 * scaler.scale
    ahead, behind = scaler.transform(points + distance), scaler.transform(points - distance)
    true_distance = (points + distance) - (points - distance)  # as far as floats can tell
    numeric = np.log((ahead - behind) / true_distance)
    np.testing.assert_allclose(scaler.log_derivative(points), numeric, atol=1e-4)


def test_log_derivative_of_far_values_is_finite() -> None:
    scaler = fit_scaler([0.0, 1.0, 2.0], "arcsinh")
    found = scaler.log_derivative([1e300, -1e300])
    expected = -np.log(scaler.scale) - np.log(1e300 / scaler.scale)
    np.testing.assert_allclose(found, expected)


def llmtime(history: np.ndarray, alpha: float, beta: float) -> tuple[float, float]:
    """Return offset and scale by the definition of Gruver et al. (2023), step by step."""
    lowest = highest = history[0]
    for value in history:
        lowest, highest = min(lowest, value), max(highest, value)
    offset = lowest - beta * (highest - lowest)
    moved = sorted(value - offset for value in history)
    place = alpha * (len(moved) - 1)
    below, above = moved[math.floor(place)], moved[math.ceil(place)]
    return offset, below + (above - below) * (place - math.floor(place))


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=30, unique=True),
    st.floats(0.5, 1.0),
    st.floats(0.0, 2.0),
)
def test_quantile_scaler_is_llmtimes(values: list[float], alpha: float, beta: float) -> None:
    history = np.array(values)
    offset, scale = llmtime(history, alpha, beta)
    if scale < 1e-6:
        return
    scaler = fit_scaler(history, alpha=alpha, beta=beta)
    expected = (history - offset) / scale
    np.testing.assert_allclose(scaler.transform(history), expected, rtol=1e-6, atol=1e-6)


def test_the_other_kinds_do_as_they_say() -> None:
    values = np.random.default_rng(0).normal(5, 3, 50)
    standard = (values - values.mean()) / values.std()
    minmax = (values - values.min()) / (values.max() - values.min())
    for kind, expected in (
        ("minmax", minmax),
        ("standard", standard),
        ("arcsinh", np.arcsinh(standard)),
        ("identity", values),
    ):
        assert kind in KINDS
        scaled = fit_scaler(values, kind, multiplier=4.0, shift=1.0).transform(values)
        np.testing.assert_allclose(scaled, 4 * expected + 1, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e-320, 1e300, -1e300])
def test_a_constant_series_is_only_moved(kind: Kind, value: float) -> None:
    scaler = fit_scaler([value] * 3, kind)
    scaled = scaler.transform([value, value])
    assert scaled.tolist() == ([value] * 2 if kind == "identity" else [0.0] * 2)
    assert scaler.inverse(scaled).tolist() == [value] * 2
    if abs(value) < 1e6 and kind not in ("identity", "arcsinh"):
        np.testing.assert_allclose(scaler.transform([value + 1]), [1.0])


@pytest.mark.parametrize("kind", KINDS)
def test_missing_and_infinite_values_are_not_looked_at(kind: Kind) -> None:
    values = np.array([3.0, NAN, 1.0, np.inf, 4.0, -np.inf, 1.0, 5.0])
    scaler = fit_scaler(values, kind)
    assert scaler == fit_scaler(values[np.isfinite(values)], kind)
    scaled = scaler.transform(values)
    assert np.isnan(scaled[1])
    assert scaled[3] == np.inf
    assert scaled[5] == -np.inf
    np.testing.assert_allclose(scaler.inverse(scaled), values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "values",
    [
        [1e300, -1e300, 5e299],
        [1e-310, 3e-310, 2e-310],
        [1e9, 1e9 + 1],
        [1e-320] * 999 + [2e-320],  # their deviation is below the smallest float
    ],
)
def test_very_large_and_small_series_stay_finite(kind: Kind, values: list[float]) -> None:
    scaler = fit_scaler(values, kind)
    scaled = scaler.transform(values)
    assert np.isfinite(scaled).all()
    if kind != "identity":
        assert np.abs(scaled).max() <= 10
    np.testing.assert_allclose(scaler.inverse(scaled), values, rtol=1e-9)


@pytest.mark.parametrize(
    ("values", "given_parameters", "message"),
    [
        ([], {}, "no value is finite"),
        ([NAN, NAN], {}, "no value is finite"),
        ([np.inf, NAN], {}, "no value is finite"),
        ([1.0, 1e308], {}, r"1e\+308 is too large .* change its unit"),
        ([1.0, 2.0], {"alpha": 0.0}, r"alpha=0.0 must lie in \(0, 1\]"),
        ([1.0, 2.0], {"alpha": 1.5}, "alpha=1.5"),
        ([1.0, 2.0], {"beta": -0.1}, "beta=-0.1 must not be negative"),
        ([1.0, 2.0], {"multiplier": 0.0}, "multiplier=0.0 must be positive"),
        ([1.0, 2.0], {"kind": "robust"}, "kind='robust' is none of quantile, minmax"),
    ],
)
def test_what_cannot_be_scaled_is_refused(
    values: list[float], given_parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fit_scaler(values, **given_parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_a_scaler_survives_json(kind: Kind) -> None:
    scaler = fit_scaler([1.0, 2.0, 4.0], kind, multiplier=2.0, shift=-1.0)
    assert Scaler(**json.loads(json.dumps(scaler.to_json()))) == scaler


def test_the_data_are_not_changed() -> None:
    values = np.array([1.0, NAN, np.inf, 3.0])
    before = values.copy()
    fit_scaler(values).transform(values)
    np.testing.assert_array_equal(values, before)
