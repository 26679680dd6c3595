"""The page on adding an architecture, carried out: its code is run as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jaxtyping import Float
from sklearn.base import clone
from torch import Tensor, nn

from tsformer.forecasters import FORECASTERS, load
from tsformer.forecasters.checks import quantile_levels
from tsformer.forecasters.trained import TrainedForecaster
from tsformer.models.scaled import ScaledModel
from tsformer.nn.heads import make_head
from tsformer.types import Batch

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
GIVEN = {
    "Any": Any,
    "Batch": Batch,
    "Float": Float,
    "ScaledModel": ScaledModel,
    "Tensor": Tensor,
    "TrainedForecaster": TrainedForecaster,
    "dataclass": dataclass,
    "make_head": make_head,
    "nn": nn,
    "quantile_levels": quantile_levels,
}


@pytest.fixture(scope="module")
def forecaster_class() -> Any:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 3
    names = {**GIVEN, "__name__": __name__}
    for block in blocks:
        code = re.sub(r"^   ", "", block, flags=re.MULTILINE)
        exec("from __future__ import annotations\n" + code, names)
    return names["LastSeasonForecaster"]


@pytest.fixture
def frame() -> pd.DataFrame:
    steps = np.arange(120)
    return pd.DataFrame(
        {
            "unique_id": "a",
            "ds": pd.date_range("2024-01-01", periods=120, freq="h"),
            "y": 5 + np.sin(2 * np.pi * steps / 8),
        }
    )


def make(kind: Callable[..., Any], **parameters: Any) -> Any:
    sizes = {"horizon": 6, "season_length": 8, "context_length": 24}
    return kind(**{**sizes, "max_steps": 150, "learning_rate": 0.01, **parameters})


def test_the_architecture_of_the_page_learns_a_season(
    forecaster_class: Any, frame: pd.DataFrame
) -> None:
    forecast = make(forecaster_class).fit(frame).predict()
    truth = 5 + np.sin(2 * np.pi * np.arange(120, 126) / 8)
    assert np.abs(forecast["0.5"] - truth).max() < 0.2
    assert (forecast["0.9"] >= forecast["0.1"]).all()


@pytest.mark.parametrize("head", ["mse", "student_t"])
def test_it_has_every_head_and_is_saved(
    forecaster_class: Any,
    frame: pd.DataFrame,
    head: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(FORECASTERS, "LastSeasonForecaster", forecaster_class)
    forecaster = make(forecaster_class, head=head, max_steps=3).fit(frame)
    forecaster.save(tmp_path / "saved")
    again = load(tmp_path / "saved").predict(horizon=20)
    pd.testing.assert_frame_equal(again, forecaster.predict(horizon=20))
    assert clone(forecaster).get_params() == forecaster.get_params()


def test_it_is_cross_validated(forecaster_class: Any, frame: pd.DataFrame) -> None:
    found = make(forecaster_class, max_steps=3).cross_validation(frame, n_windows=2)
    assert len(found) == 12
