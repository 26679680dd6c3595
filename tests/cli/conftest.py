"""What the tests of the command share: a file of series, and calls whose code is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from tsformer.cli import main


class Answer(NamedTuple):
    """What a call gave back."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs `tsformer` with these words in this process."""

    def run(*words: Any) -> Answer:
        try:
            code = main([str(word) for word in words])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return Answer(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def sales() -> pd.DataFrame:
    """Return two monthly series with a season, not sorted by name, one value missing."""
    months = np.arange(60)
    season = 10 * np.sin(months * np.pi / 6)
    noise = np.random.default_rng(0).normal(size=(2, 60)).round(2)
    values = np.round(100 + months + season + noise, 2)
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(["south", "north"], 60),
            "ds": np.tile(pd.date_range("2019-01-01", periods=60, freq="MS"), 2),
            "y": values.reshape(-1),
        }
    )
    frame.loc[7, "y"] = np.nan
    return frame


@pytest.fixture
def file(sales: pd.DataFrame, tmp_path: Path) -> Path:
    """Return a CSV file of the two series."""
    path = tmp_path / "sales.csv"
    sales.to_csv(path, index=False)
    return path
