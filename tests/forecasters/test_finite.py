"""Whatever the numbers, no answer ever holds NaN, infinity or crossing quantiles."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Make = Callable[..., Any]
LEVELS = [0.001, 0.1, 0.5, 0.9, 0.999]

ordinary = st.floats(-1e3, 1e3, width=32)
extreme = st.sampled_from([0.0, -0.0, 1.0, 1e30, -1e30, 1e35, -1e35, 1e-30, 1e-45, 16777217.0])
values = st.one_of(st.none(), ordinary, extreme)
constants = st.tuples(values, st.integers(1, 24)).map(lambda drawn: [drawn[0]] * drawn[1])
series = st.one_of(st.lists(values, min_size=1, max_size=24), constants)
panels = st.lists(series, min_size=1, max_size=3)


def as_frame(drawn: list[list[float | None]]) -> pd.DataFrame:
    return pd.concat(
        pd.DataFrame({"unique_id": number, "ds": np.arange(len(row)), "y": np.array(row, float)})
        for number, row in enumerate(drawn)
    )


def assert_sound(forecaster: Any, df: pd.DataFrame | None, horizon: int, n_series: int) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*have no value in their last")
        answer = forecaster.predict(df, horizon=horizon, quantiles=LEVELS)
        samples = forecaster.predict_samples(df, horizon=horizon, n_samples=2)
    assert len(answer) == n_series * horizon
    numbers = answer[["mean", *map(str, LEVELS)]].to_numpy()
    assert np.isfinite(numbers).all()
    assert (np.diff(numbers[:, 1:]) >= 0).all()
    assert np.isfinite(samples["y"]).all()


@pytest.fixture(scope="module", params=["quantile", "mse", "student_t", "normal", "naive"])
def fitted(request: pytest.FixtureRequest, make_patchtst: Make, make_naive: Make) -> Any:
    """A forecaster that has learned next to nothing, so that its answers are as wild as may be."""
    values = np.random.default_rng(0).normal(size=(2, 40))
    if request.param == "naive":
        return make_naive().fit(values)
    return make_patchtst(max_steps=1, context_length=8, head=request.param).fit(values)


@settings(max_examples=60)
@given(drawn=panels, horizon=st.integers(1, 11))
def test_forecasts_of_any_series_are_finite_and_in_order(
    fitted: Any, drawn: list[list[float | None]], horizon: int
) -> None:
    assert_sound(fitted, as_frame(drawn), horizon, len(drawn))


@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
@given(drawn=panels.filter(lambda rows: any(v is not None for row in rows for v in row)))
def test_forecasters_fitted_to_any_series_are_finite_and_in_order(
    make_forecaster: Make, drawn: list[list[float | None]]
) -> None:
    assert_sound(make_forecaster().fit(as_frame(drawn)), None, 6, len(drawn))


def test_rolling_far_ahead_does_not_explode(make_patchtst: Make) -> None:
    values = np.random.default_rng(0).normal(size=(2, 40)) * 1e30
    forecaster = make_patchtst(max_steps=1, horizon=1, context_length=4, patch_length=2)
    assert_sound(forecaster.fit(values), None, 300, 2)
