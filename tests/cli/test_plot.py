"""Pictures: the right kind of file, of the series that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

NAIVE = ["--forecaster", "SeasonalNaiveForecaster", "--horizon", "6"]
BEGINS = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def texts(path: Path) -> str:
    """Return an SVG picture, in whose comments Matplotlib keeps the texts it draws."""
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", BEGINS)
def test_forecasts_are_made_and_drawn(call: Any, file: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pictures" / f"a{kind}"
    assert call("plot", file, *NAIVE, "--output", path) == (0, "", "")
    assert path.read_bytes().startswith(BEGINS[kind])
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_a_forecast_of_predict_is_drawn_as_it_is(call: Any, file: Path, tmp_path: Path) -> None:
    assert call("predict", file, *NAIVE, "--level", 80, "--output", tmp_path / "f.csv").code == 0
    for name, words in (("given", [tmp_path / "f.csv"]), ("made", [*NAIVE, "--level", 80])):
        assert call("plot", file, *words, "--output", tmp_path / f"{name}.svg").code == 0
    drawn = texts(tmp_path / "given.svg")
    assert all(name in drawn for name in ("south", "north", "80 % interval"))
    assert drawn.count("<path") == texts(tmp_path / "made.svg").count("<path")


def test_windows_of_evaluate_are_drawn_with_their_cutoffs(
    call: Any, file: Path, tmp_path: Path
) -> None:
    windows = tmp_path / "w.csv"
    assert call("evaluate", file, *NAIVE, "--n_windows", 2, "--output", windows).code == 0
    assert call("plot", file, windows, "--output", tmp_path / "w.svg") == (0, "", "")
    assert "north" in texts(tmp_path / "w.svg")


def test_only_the_series_that_are_named_are_shown(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    output = ["--output", tmp_path / "a.svg"]
    assert call("plot", file, *NAIVE, "--ids", "north", *output).code == 0
    assert "north" in texts(tmp_path / "a.svg")
    assert "south" not in texts(tmp_path / "a.svg")
    numbers = sales["unique_id"].map({"south": 17, "north": 4})
    sales.assign(unique_id=numbers).to_csv(file, index=False)
    assert call("plot", file, *NAIVE, "--ids", 17, *output).code == 0
    assert "<!-- 17 -->" in texts(tmp_path / "a.svg")
    code, _, err = call("plot", file, *NAIVE, "--ids", "west", *output)
    assert code == 1
    assert "'west'" in err


def test_predict_draws_beside_answering(call: Any, file: Path, tmp_path: Path) -> None:
    plain = call("predict", file, *NAIVE)
    assert call("predict", file, *NAIVE, "--plot", tmp_path / "a.png") == plain
    assert (tmp_path / "a.png").read_bytes().startswith(BEGINS[".png"])


def test_several_targets_get_a_panel_each(call: Any, file: Path, tmp_path: Path) -> None:
    pd.read_csv(file).assign(price=1.0).to_csv(file, index=False)
    words = ["--target_col", "y", "price", "--output", tmp_path / "a.svg"]
    assert call("plot", file, *NAIVE, *words) == (0, "", "")
    drawn = texts(tmp_path / "a.svg")
    assert all(word in drawn for word in ("south", "north", "price"))


def test_other_kinds_are_refused(call: Any, file: Path, tmp_path: Path) -> None:
    code, _, err = call("plot", file, *NAIVE, "--output", tmp_path / "a.gif")
    assert code == 2
    assert "must end in .png, .svg or .pdf" in err
