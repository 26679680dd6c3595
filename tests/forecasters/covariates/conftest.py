"""Series with covariates of all kinds, and small forecasters that take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.forecasters import PatchTSTForecaster, TrainedTSFormerForecaster

SMALL = {
    "horizon": 4,
    "season_length": 4,
    "context_length": 16,
    "max_steps": 4,
    "learning_rate": 1e-2,
    "d_model": 8,
    "n_heads": 2,
    "n_layers": 1,
    "d_ff": 8,
}
KINDS = {
    "static_covariates": ["size", "region"],
    "past_covariates": ["load", "mood"],
    "future_covariates": ["promo", "sky"],
}
PAST_LENGTH = 48

Make = Callable[..., Any]


def long_frame(length: int, names: str = "bca", seed: int = 0) -> pd.DataFrame:
    """Return hourly series with covariates; the same rows at the beginning, whatever the length."""
    pieces = []
    for number, name in enumerate(names):
        generator = np.random.default_rng([seed, number])
        draws = generator.normal(size=(200, 3))[:length].T
        steps = generator.integers(0, 3, size=(200, 3))[:length].T
        piece = {
            "ds": pd.date_range("2024-01-01", periods=length, freq="h"),
            "y": draws[0].cumsum(),
            "load": draws[1],
            "mood": np.array(["calm", "wild", "calm"])[steps[0]],
            "promo": steps[1] > 0,
            "sky": np.array(["sun", "rain", "fog"])[steps[2]],
        }
        pieces.append(pd.DataFrame({"unique_id": name, **piece}))
    return pd.concat(pieces, ignore_index=True)


@pytest.fixture(scope="session")
def make_long() -> Make:
    return long_frame


@pytest.fixture(scope="session")
def longer() -> pd.DataFrame:
    """Two days and sixteen hours of three series."""
    return long_frame(PAST_LENGTH + 16)


@pytest.fixture(scope="session")
def past(longer: pd.DataFrame) -> pd.DataFrame:
    """The two days."""
    return longer[longer["ds"] < "2024-01-03"].reset_index(drop=True)


@pytest.fixture(scope="session")
def future(longer: pd.DataFrame) -> pd.DataFrame:
    """What is known in advance of the sixteen hours."""
    known = longer.drop(columns=["y", "load", "mood"])
    return known[known["ds"] >= "2024-01-03"].reset_index(drop=True)


@pytest.fixture(scope="session")
def after() -> pd.DataFrame:
    """What is known in advance of the four hours after `longer`."""
    return long_frame(PAST_LENGTH + 20).groupby("unique_id").tail(4)


@pytest.fixture(scope="session")
def static() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "unique_id": ["a", "b", "c"],
            "size": [1.0, 4.0, 2.0],
            "region": ["north", "south", "north"],
        }
    )


@pytest.fixture(scope="session")
def kinds() -> dict[str, list[str]]:
    """The parameters that name all covariates."""
    return KINDS


@pytest.fixture(scope="session", params=[PatchTSTForecaster, TrainedTSFormerForecaster])
def make(request: pytest.FixtureRequest) -> Make:
    """Return a constructor with small sizes and all kinds of covariates, unless told otherwise."""
    return lambda **parameters: request.param(**{**SMALL, **KINDS, **parameters})


@pytest.fixture(scope="session")
def fitted(make: Make, past: pd.DataFrame, static: pd.DataFrame) -> Any:
    """Return a forecaster that no test may change."""
    return make().fit(past, static_df=static)
