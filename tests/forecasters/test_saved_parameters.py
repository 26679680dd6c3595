"""Functions among parameters are written so that they can be read back, or refused at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import special
from sklearn.preprocessing import FunctionTransformer

from tsformer import load
from tsformer.forecasters import SeasonalNaiveForecaster, TransformedForecaster
from tsformer.forecasters.saved_parameters import made_from_json, parameters_to_json


def between(function: Any, inverse: Any) -> TransformedForecaster:
    """Return a forecaster that was fitted to shares, between 0 and 1."""
    shares = 0.5 + 0.4 * np.sin(np.arange(40.0))
    inside = SeasonalNaiveForecaster(horizon=3, season_length=4)
    transformer = FunctionTransformer(function, inverse)
    return TransformedForecaster(forecaster=inside, transformer=transformer).fit(shares)


@pytest.mark.parametrize(
    "pair", [(special.logit, special.expit), (np.arcsinh, np.sinh), (np.abs, np.positive)]
)
def test_functions_of_numpy_and_scipy_are_the_same_after_load(pair: Any, tmp_path: Path) -> None:
    forecaster = between(*pair)
    forecaster.save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert (again.transformer.func, again.transformer.inverse_func) == pair
    pd.testing.assert_frame_equal(again.predict(), forecaster.predict())


def test_other_functions_of_values_are_refused_at_save(tmp_path: Path) -> None:
    twice = np.frompyfunc(lambda value: 2 * value, 1, 1)
    half = np.frompyfunc(lambda value: value / 2, 1, 1)
    with pytest.raises(ValueError, match="ufunc .* cannot be saved: load.. knows functions of"):
        between(twice, half).save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["os.remove", "numpy.array", "numpy.nothing", "log", "numpy"])
def test_a_name_of_anything_else_is_not_read(name: str) -> None:
    written = parameters_to_json(FunctionTransformer(np.log))
    text = json.dumps(written).replace("numpy.log", name)
    with pytest.raises(ValueError, match=f"'{name}' is no function of values that numpy or scipy"):
        made_from_json("FunctionTransformer", json.loads(text))
