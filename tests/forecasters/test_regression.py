"""Effects of covariates are found beside trend, season and noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsformer import TSFormerForecaster, load
from tsformer.data.encoding import CovariateEncoder
from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters.regression import explain

LENGTH, HORIZON = 120, 8


def make_frame(base: np.ndarray, effect: float = 3.0, seed: int = 0) -> pd.DataFrame:
    """Return a series with a promotion now and then, its effect on top of `base`."""
    generator = np.random.default_rng(seed)
    promo = generator.integers(0, 2, len(base))
    days = pd.date_range("2024-01-01", periods=len(base), freq="D")
    return pd.DataFrame({"unique_id": "a", "ds": days, "y": base + effect * promo, "promo": promo})


def found_effect(df: pd.DataFrame) -> float:
    panel, _ = read_panel(df, Schema(future_covariates=("promo",)))
    encoder = CovariateEncoder.of(panel, calendar=False)
    rest = explain(panel, encoder, 0, 7).rest
    gone = panel.values[0] - rest.values[0]
    promo = panel.future_covariates.values[0] > 0
    return float(np.nanmean(gone[promo]) - np.nanmean(gone[~promo]))


@pytest.mark.parametrize(
    "base",
    [
        np.random.default_rng(1).normal(size=LENGTH) * 0.3,
        np.random.default_rng(1).normal(size=LENGTH).cumsum(),
        np.linspace(0, 90, LENGTH) + np.random.default_rng(1).normal(size=LENGTH) * 0.3,
        np.tile([0.0, 9.0, 4.0, 7.0, 1.0, 30.0, 2.0], 18)[:LENGTH]
        + np.random.default_rng(1).normal(size=LENGTH) * 0.3,
    ],
    ids=["noise", "random walk", "trend", "season"],
)
def test_an_effect_is_found_whatever_the_series_does(base: np.ndarray) -> None:
    assert found_effect(make_frame(base)) == pytest.approx(3.0, abs=0.5)
    assert found_effect(make_frame(base, effect=0.0)) == pytest.approx(0.0, abs=0.5)


def test_gaps_constant_covariates_and_short_series_are_no_trouble() -> None:
    df = make_frame(np.random.default_rng(1).normal(size=LENGTH) * 0.3)
    df.loc[::5, "y"] = np.nan
    assert found_effect(df) == pytest.approx(3.0, abs=0.5)
    panel, _ = read_panel(df.assign(promo=1), Schema(future_covariates=("promo",)))
    rest = explain(panel, CovariateEncoder.of(panel, calendar=False), 0, 7).rest
    np.testing.assert_array_equal(rest.values, panel.values)
    short = make_frame(np.zeros(5))
    panel, _ = read_panel(short, Schema(future_covariates=("promo",)))
    rest = explain(panel, CovariateEncoder.of(panel, calendar=False), 0, 7).rest
    np.testing.assert_array_equal(rest.values, panel.values)


def test_what_explains_nothing_adds_nothing() -> None:
    generator = np.random.default_rng(0)
    added = []
    for _ in range(40):
        df = pd.DataFrame(generator.normal(size=(25, 7)), columns=["y", *"abcdef"])
        panel, _ = read_panel(
            df.assign(ds=np.arange(25)), Schema(future_covariates=tuple("abcdef"))
        )
        rest = explain(panel, CovariateEncoder.of(panel, calendar=False), 0, 1).rest
        added.append(np.var(rest.values - panel.values))
    assert np.mean(added) < 0.1


def test_a_known_future_takes_seven_tenths_of_the_error_away() -> None:
    base = 10 + np.random.default_rng(1).normal(0, 0.3, LENGTH)
    df = make_frame(base)
    errors = []
    for known in ({}, {"future_covariates": ["promo"]}):
        cv = TSFormerForecaster(horizon=HORIZON, **known).cross_validation(df, n_windows=5)
        errors.append((cv["y"] - cv["0.5"]).abs().mean())
    assert errors[1] < 0.3 * errors[0]


def test_what_is_to_come_has_to_be_known(tmp_path: Path) -> None:
    df = make_frame(10 + np.random.default_rng(1).normal(0, 0.3, LENGTH))
    past, future = df[:-HORIZON], df[-HORIZON:].drop(columns="y")
    forecaster = TSFormerForecaster(horizon=HORIZON, future_covariates=["promo"])
    answer = forecaster.predict(past, future)
    promo = future["promo"].to_numpy() > 0
    assert (answer["0.1"][promo].min()) > answer["0.9"][~promo].max()
    with pytest.raises(ValueError, match="promo"):
        forecaster.predict(past)
    fitted = forecaster.fit(past)
    fitted.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load(tmp_path / "saved").predict(None, future), answer)
