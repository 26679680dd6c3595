"""Small data and small forecasters, made by calls: `make_frame()`, `make_forecaster(horizon=3)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.forecasters import (
    DLinearForecaster,
    EnsembleForecaster,
    ITransformerForecaster,
    LLMForecaster,
    NLinearForecaster,
    PatchTSTForecaster,
    RecurrentForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
    TSFormerForecaster,
)

SHARED = {"horizon": 4, "season_length": 4}
SMALL = {"context_length": 16, "max_steps": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}

LINEAR = {"context_length": 16, "max_steps": 2}

Make = Callable[..., Any]


def _patchtst(**parameters: Any) -> PatchTSTForecaster:
    return PatchTSTForecaster(**{**SHARED, **SMALL, **parameters})


def _tsformer(**parameters: Any) -> TSFormerForecaster:
    return TSFormerForecaster(**{**SHARED, "context_length": 16, **parameters})


def _trained_tsformer(**parameters: Any) -> TrainedTSFormerForecaster:
    return TrainedTSFormerForecaster(**{**SHARED, **SMALL, **parameters})


def _itransformer(**parameters: Any) -> ITransformerForecaster:
    return ITransformerForecaster(**{**SHARED, **SMALL, **parameters})


def _recurrent(**parameters: Any) -> RecurrentForecaster:
    return RecurrentForecaster(**{**SHARED, **SMALL, **parameters})


def _dlinear(**parameters: Any) -> DLinearForecaster:
    return DLinearForecaster(**{**SHARED, **LINEAR, **parameters})


def _nlinear(**parameters: Any) -> NLinearForecaster:
    return NLinearForecaster(**{**SHARED, **LINEAR, **parameters})


def _llm(**parameters: Any) -> LLMForecaster:
    return LLMForecaster(**{**SHARED, "model": "ngram", "n_samples": 5, **parameters})


def _seasonal_naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{**SHARED, **parameters})


def _ensemble(**parameters: Any) -> EnsembleForecaster:
    others = [_patchtst(), _tsformer(), _seasonal_naive()]
    return EnsembleForecaster(forecaster=_dlinear(**parameters), others=others)


SINGLE = {
    "patchtst": _patchtst,
    "tsformer": _tsformer,
    "trained-tsformer": _trained_tsformer,
    "itransformer": _itransformer,
    "recurrent": _recurrent,
    "dlinear": _dlinear,
    "nlinear": _nlinear,
    "naive": _seasonal_naive,
    "llm": _llm,
}
EACH = SINGLE | {"ensemble": _ensemble}


@pytest.fixture(scope="session", params=EACH.values(), ids=EACH.keys())
def make_forecaster(request: pytest.FixtureRequest) -> Make:
    """Return a constructor of each forecaster in turn, with small sizes unless told otherwise."""
    return request.param


@pytest.fixture(scope="session", params=SINGLE.values(), ids=SINGLE.keys())
def make_single(request: pytest.FixtureRequest) -> Make:
    """Return the same for those that have all parameters themselves, and wrap no other one."""
    return request.param


@pytest.fixture(scope="session")
def make_patchtst() -> Make:
    return _patchtst


@pytest.fixture(scope="session")
def make_naive() -> Make:
    return _seasonal_naive


@pytest.fixture(scope="session")
def make_frame() -> Make:
    """Return a function that makes a long frame of random walks; the same call, the same frame."""

    def make(
        ids: Sequence[Any] = ("b", "a"),
        length: int = 48,
        *,
        freq: str = "h",
        start: str = "2024-01-01",
        seed: int = 0,
    ) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        values = generator.normal(size=(len(ids), length)).cumsum(axis=1)
        return pd.DataFrame(
            {
                "unique_id": np.repeat(list(ids), length),
                "ds": np.tile(pd.date_range(start, periods=length, freq=freq), len(ids)),
                "y": values.reshape(-1),
            }
        )

    return make
