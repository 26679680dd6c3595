"""Peers forecast as their own packages do."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.evaluation.peers import Fracast

LEVELS = (0.1, 0.25, 0.5, 0.9)


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fracast.inference", None)
    with pytest.raises(ImportError, match="pip install fracast"):
        Fracast(horizon=3)


@pytest.fixture(scope="module")
def their_model() -> Any:
    inference = pytest.importorskip("fracast.inference")
    return inference.FracastModel.from_pretrained(weights="fp32")


def test_forecasts_are_those_of_the_package_itself(their_model: Any) -> None:
    values = np.random.default_rng(0).normal(size=(3, 90)).cumsum(axis=1)
    values[1, :30] = np.nan
    panel, _ = read_panel(values, Schema())
    found = Fracast(horizon=50).fit_panel(panel).predict_panel(panel, quantiles=LEVELS)
    theirs = np.sort(their_model.forecast_batch(values, horizon=50), axis=-1)
    np.testing.assert_allclose(found.quantile(0.1), theirs[..., 0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.quantile(0.5), theirs[..., 4], rtol=1e-3, atol=1e-3)
    between = theirs[..., 1:3].mean(axis=-1)
    np.testing.assert_allclose(found.quantile(0.25), between, rtol=1e-3, atol=1e-3)


def test_series_that_are_too_short_repeat_their_last_value(their_model: Any) -> None:
    panel, _ = read_panel(np.array([1.0, 5.0, 2.0]), Schema())
    found = Fracast(horizon=4).predict_panel(panel, quantiles=LEVELS)
    assert (found.quantiles == 2.0).all()
    assert (found.mean == 2.0).all()
