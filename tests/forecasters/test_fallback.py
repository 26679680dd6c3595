"""Series of which nothing recent is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from tsformer.data.calendar import Frequency
from tsformer.data.panel import Panel
from tsformer.forecasters import (
    ConformalForecaster,
    Differencing,
    RecurrentForecaster,
    TransformedForecaster,
)
from tsformer.forecasters.fallback import PooledValues

Make = Callable[..., Any]


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_series_without_a_value_get_the_distribution_of_all_others(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(["b", "empty", "a"], 100)
    df.loc[df["unique_id"] == "empty", "y"] = np.nan
    forecaster = make_forecaster().fit(df)
    assert forecaster.fit_report_.remarks["all missing"] == ["empty"]
    with pytest.warns(UserWarning, match="'empty'") as caught:
        answer = forecaster.predict()
    assert caught[0].filename == __file__
    rows = answer[answer["unique_id"] == "empty"]
    known = df["y"].dropna()
    np.testing.assert_allclose(rows["mean"], known.mean(), rtol=1e-5)
    np.testing.assert_allclose(rows["0.1"], known.quantile(0.1), atol=0.1)
    others = answer[answer["unique_id"] != "empty"]
    assert_same(others.reset_index(drop=True), forecaster.predict(df[df["unique_id"] != "empty"]))
    with pytest.warns(UserWarning, match="'empty'"):
        samples = forecaster.predict_samples(n_samples=500).query("unique_id == 'empty'")
    np.testing.assert_allclose(samples["y"].quantile(0.5), known.median(), atol=0.5)


def test_when_all_series_given_are_empty_then_the_fitted_distribution_answers(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    forecaster = make_forecaster().fit(df)
    empty = df.assign(y=np.nan)
    with pytest.warns(UserWarning, match="2 series have no value"):
        answer = forecaster.predict(empty)
    np.testing.assert_allclose(answer["mean"], df["y"].mean(), rtol=1e-5)
    with pytest.warns(UserWarning, match="2 series have no value"):
        assert np.isfinite(forecaster.predict_samples(empty)["y"]).all()


def test_when_the_context_is_all_missing_then_predict_says_the_same_with_and_without_data(
    make_patchtst: Make, make_frame: Make
) -> None:
    """The values before the context must not turn a gap into a forecast of zero."""
    df = make_frame(length=60)
    df.loc[(df["unique_id"] == "a") & (df["ds"] > df["ds"].iloc[30]), "y"] = np.nan
    df["y"] += 100
    forecaster = make_patchtst().fit(df)
    with pytest.warns(UserWarning, match="'a'"):
        answer = forecaster.predict(df)
    with pytest.warns(UserWarning, match="'a'"):
        assert_same(answer, forecaster.predict())
    assert (answer["0.1"] > 50).all()
    validated = forecaster.cross_validation(df.query("unique_id == 'b' or ds <= @df.ds.iloc[50]"))
    assert (validated["mean"] > 50).all()


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "standard": lambda f: TransformedForecaster(forecaster=f, transformer=StandardScaler()),
    "differences": lambda f: TransformedForecaster(forecaster=f, transformer=Differencing(lag=4)),
    "conformal": lambda f: ConformalForecaster(forecaster=f),
    "adaptive": lambda f: ConformalForecaster(forecaster=f, method="adaptive"),
    "both": lambda f: ConformalForecaster(
        forecaster=TransformedForecaster(forecaster=f, transformer=Differencing())
    ),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_warns_of_what_the_forecaster_inside_does_not_see(
    name: str, make_patchtst: Make, make_frame: Make
) -> None:
    """The wrapper itself is handed longer series; the context inside is 16 steps."""
    df = make_frame(length=80)
    forecaster = WRAPPERS[name](make_patchtst()).fit(df)
    message = "1 series have no value in their last 16 steps .the first is 'a'"
    gone = df.assign(y=df["y"].where((df["unique_id"] == "b") | (df.index % 80 < 64)))
    for method in (forecaster.predict, forecaster.predict_samples):
        with pytest.warns(UserWarning, match=message):
            method(gone)
    last = df.assign(y=df["y"].where((df["unique_id"] == "b") | (df.index % 80 < 65)))
    forecaster.predict(last)  # a warning would be an error


def test_a_wrapper_sees_all_that_a_recurrent_forecaster_inside_does(make_frame: Make) -> None:
    sizes = {"context_length": 16, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
    inside = RecurrentForecaster(horizon=4, max_steps=1, **sizes)
    df = make_frame(length=80)
    gone = df.assign(y=df["y"].where((df["unique_id"] == "b") | (df.index % 80 < 40)))
    forecaster = TransformedForecaster(forecaster=inside, transformer=StandardScaler()).fit(df)
    forecaster.predict(gone)


def test_what_is_drawn_of_many_values_is_of_all_days_of_the_week() -> None:
    week = np.array([100.0, 0, 0, 0, 0, 0, 0], dtype=np.float32)
    n_series, length = 1000, 7 * 190
    panel = Panel(
        values=np.tile(week, n_series * length // 7)[None],
        offsets=np.arange(n_series + 1) * length,
        ids=np.arange(n_series),
        starts=np.zeros(n_series, dtype=np.int64),
        freq=Frequency(unit="integer", step=1),
    )
    pooled = PooledValues.of(panel)
    np.testing.assert_allclose(pooled.mean, [100 / 7], rtol=1e-6)
    share = float((pooled.quantiles == 100).mean())
    assert share == pytest.approx(1 / 7, abs=0.02)
