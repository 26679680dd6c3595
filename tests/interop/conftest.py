"""A small hierarchy for the tests of reconciliation: its forecasts, backtest and series.

A total of `north` and `south`; `north` is `coast` and `hills`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

NODES = ["hills", "total", "coast", "south", "north"]  # in no order
BOTTOM = ["coast", "hills", "south"]
LEVELS = {"0.1": 0.1, "0.5": 0.5, "0.9": 0.9}


@pytest.fixture(scope="session")
def sums() -> Callable[..., dict[str, Any]]:
    """Return a function that adds the nodes above to those at the bottom."""
    return _sums


@pytest.fixture(scope="session")
def make_forecast() -> Callable[..., pd.DataFrame]:
    """Return a function that makes forecasts of all nodes that do not add up."""
    return _make_forecast


@pytest.fixture(scope="session")
def make_backtest() -> Callable[..., pd.DataFrame]:
    """Return a function that makes windows, the errors of each node its own."""
    return _make_backtest


@pytest.fixture(scope="session")
def make_series() -> Callable[..., pd.DataFrame]:
    """Return a function that makes a long frame of all nodes, which add up."""
    return _make_series


def _sums(bottom: dict[str, Any]) -> dict[str, Any]:
    north = bottom["coast"] + bottom["hills"]
    return {**bottom, "north": north, "total": north + bottom["south"]}


def _make_forecast(horizon: int = 3, spread: float = 2.0, seed: int = 0) -> pd.DataFrame:
    """Return forecasts of all nodes that do not add up, normal around their means."""
    generator = np.random.default_rng(seed)
    days = pd.date_range("2024-06-01", periods=horizon)
    parts = []
    for number, name in enumerate(NODES):
        mean = generator.normal(10 + number, 1, horizon)
        columns = {name: mean + spread * norm.ppf(level) for name, level in LEVELS.items()}
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "mean": mean, **columns}))
    return pd.concat(parts, ignore_index=True)


def _make_backtest(n_windows: int = 12, horizon: int = 3, seed: int = 1) -> pd.DataFrame:
    """Return windows whose truth adds up and whose forecasts err in each node for itself."""
    generator = np.random.default_rng(seed)
    cutoffs = pd.date_range("2024-01-01", periods=n_windows)
    size = n_windows * horizon
    truth = _sums({name: generator.normal(5, 1, size) for name in BOTTOM})
    steps = np.tile(np.arange(1, horizon + 1), n_windows)
    parts = []
    for number, name in enumerate(NODES):
        known = cutoffs.repeat(horizon)
        error = generator.normal(0, 1 + number, size)
        columns = {"ds": known + pd.to_timedelta(steps, unit="D"), "cutoff": known}
        columns |= {"y": truth[name], "mean": truth[name] + error, "0.5": truth[name]}
        parts.append(pd.DataFrame({"unique_id": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def _make_series(length: int = 60) -> pd.DataFrame:
    generator = np.random.default_rng(3)
    days = pd.date_range("2024-01-01", periods=length)
    bottom = {name: generator.normal(20, 3, length) for name in BOTTOM}
    table = pd.DataFrame({**_sums(bottom), "ds": days})
    return table.melt("ds", var_name="unique_id", value_name="y")[["unique_id", "ds", "y"]]
