"""How much better forecasts get by covariates that the target depends on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.forecasters import PatchTSTForecaster, TrainedTSFormerForecaster

FORECASTERS = pytest.mark.parametrize("forecaster", [PatchTSTForecaster, TrainedTSFormerForecaster])
SMALL = {
    "d_model": 16,
    "n_heads": 2,
    "n_layers": 1,
    "d_ff": 32,
    "dropout": 0.0,
    "learning_rate": 1e-2,
    "patience": None,
}


def long_frame(**columns: np.ndarray) -> pd.DataFrame:
    """Return daily series; each column is `[series, time]`."""
    n_series, length = columns["y"].shape
    days = pd.date_range("2024-01-01", periods=length, freq="D")
    keys = {"unique_id": np.repeat(np.arange(n_series), length), "ds": np.tile(days, n_series)}
    return pd.DataFrame(keys | {name: values.reshape(-1) for name, values in columns.items()})


def gain(forecaster: Any, df: pd.DataFrame, covariates: Any, **settings: Any) -> float:
    """Return by which share the mean absolute error falls in cross-validation."""
    static_df, n_windows = settings.pop("static_df", None), settings.pop("n_windows")
    errors = []
    for known in ({}, covariates):
        answer = forecaster(**SMALL, **settings, **known).cross_validation(
            df,
            static_df=static_df if "static_covariates" in known else None,
            n_windows=n_windows,
        )
        errors.append((answer["y"] - answer["0.5"]).abs().mean())
    return 1 - errors[1] / errors[0]


@FORECASTERS
def test_a_known_future_takes_seven_tenths_of_the_error_away(forecaster: Any) -> None:
    generator = np.random.default_rng(0)
    promo, price = generator.integers(0, 2, (4, 120)), generator.normal(5, 1, (4, 120))
    y = 10 + 3 * promo - 2 * price + generator.normal(0, 0.3, (4, 120))
    known = {"future_covariates": ["promo", "price"]}
    sizes = {"horizon": 8, "context_length": 16, "max_steps": 150, "n_windows": 3}
    assert gain(forecaster, long_frame(y=y, promo=promo, price=price), known, **sizes) > 0.7


@FORECASTERS
def test_a_leading_series_takes_three_tenths_of_the_error_away(forecaster: Any) -> None:
    generator = np.random.default_rng(0)
    lead, y = generator.normal(size=(4, 150)), 10 + generator.normal(0, 0.3, (4, 150))
    y[:, 4:] += 2 * lead[:, :-4]
    known = {"past_covariates": ["lead"]}
    sizes = {"horizon": 4, "context_length": 16, "max_steps": 180, "n_windows": 5}
    assert gain(forecaster, long_frame(y=y, lead=lead), known, **sizes) > 0.3


@FORECASTERS
def test_what_a_series_is_takes_three_tenths_of_the_error_away(forecaster: Any) -> None:
    """The context is too short and too noisy to tell whether a series rises or falls."""
    generator = np.random.default_rng(0)
    rises = generator.integers(0, 2, 40)
    y = 20 + np.where(rises, 2, -2)[:, None] * np.arange(110) + generator.normal(0, 16, (40, 110))
    static = pd.DataFrame({"unique_id": np.arange(40), "group": np.where(rises, "up", "down")})
    known = {"static_covariates": ["group"]}
    sizes = {"horizon": 24, "context_length": 8, "max_steps": 100, "n_windows": 1}
    assert gain(forecaster, long_frame(y=y), known, static_df=static, **sizes) > 0.3


def test_a_future_that_is_missing_does_no_harm() -> None:
    """Trained on covariates without a gap, a forecast without them is as if they were unknown."""
    generator = np.random.default_rng(0)
    promo = generator.integers(0, 2, (4, 120))
    df = long_frame(y=10 + 3 * promo + generator.normal(0, 0.3, (4, 120)), promo=promo)
    last = df["ds"] > df["ds"].iloc[-9]
    sizes = {"horizon": 8, "context_length": 16, "max_steps": 150}
    plain = TrainedTSFormerForecaster(**SMALL, **sizes).fit(df[~last])
    told = TrainedTSFormerForecaster(**SMALL, **sizes, future_covariates=["promo"]).fit(df[~last])
    errors = [
        (answer["0.5"].to_numpy() - df.loc[last, "y"]).abs().mean()
        for answer in (
            plain.predict(),
            told.predict(future_df=df[last].assign(promo=np.nan)),
            told.predict(future_df=df[last]),
        )
    ]
    assert errors[2] < 0.4 * errors[0]
    assert errors[1] < 1.2 * errors[0]
