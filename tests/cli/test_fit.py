"""`tsformer fit`: what it saves is what Python would have, and is read by all that reads it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tsformer import DLinearForecaster, load

TINY = ["--forecaster", "DLinearForecaster", "--parameters.max_steps", "3", "--horizon", "2"]


def test_the_folder_holds_what_the_same_call_in_python_learns(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    code, out, err = call("fit", file, *TINY, "--output", tmp_path / "f", "--val_size", 6)
    assert (code, out) == (0, "")
    expected = DLinearForecaster(horizon=2, max_steps=3).fit(sales, val_size=6)
    found = load(tmp_path / "f").predict()
    pd.testing.assert_frame_equal(found, expected.predict(), check_dtype=False)
    training = expected.fit_report_.training
    assert training is not None
    line = (
        r"tsformer: fitted DLinearForecaster to 2 series, 119 values, in 3 steps and \d+\.\d s, "
        rf"validation loss {training.best_loss:.4g} at step {training.best_step}; saved in "
    )
    assert re.fullmatch(line + re.escape(f"{tmp_path / 'f'}\n"), err)
    assert call("predict", file, "--forecaster", tmp_path / "f").out.count("\n") == 5


def test_patchtst_learns_where_no_name_is_given(call: Any, file: Path, tmp_path: Path) -> None:
    sizes = '{"max_steps": 1, "d_model": 8, "d_ff": 8, "n_heads": 2, "n_layers": 1}'
    code, _, err = call("fit", file, "--output", tmp_path / "f", "--parameters", sizes)
    assert code == 0
    assert "fitted PatchTSTForecaster" in err
    assert load(tmp_path / "f").horizon == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--val_size", "0"], "in 3 steps and"),
        (["--forecaster", "SeasonalNaiveForecaster", "--parameters", "{}"], "119 values; saved"),
    ],
)
def test_without_validation_or_training_none_is_told(
    call: Any, file: Path, tmp_path: Path, words: list[str], said: str
) -> None:
    code, _, err = call("fit", file, *TINY, *words, "--output", tmp_path / "f")
    assert code == 0
    assert said in err
    assert "validation loss" not in err


def test_what_is_fitted_already_is_not_fitted_again(call: Any, file: Path, tmp_path: Path) -> None:
    code, _, err = call("fit", file, "--forecaster", tmp_path, "--output", tmp_path / "f")
    assert code == 2
    assert "is fitted already; name a class to fit a new one" in err


def test_a_folder_of_other_things_is_left_alone(call: Any, file: Path, tmp_path: Path) -> None:
    code, _, err = call("fit", file, *TINY, "--output", tmp_path)
    assert code == 1
    assert "holds 'sales.csv'; pass a new or an empty folder" in err
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]
