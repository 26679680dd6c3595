"""What cannot be written is said before time is spent, and what was made is not lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tsformer.files import write_text
from tsformer.forecasters import Forecaster

NAIVE = ["--forecaster", "SeasonalNaiveForecaster", "--horizon", "2"]


@pytest.fixture(autouse=True)
def never_fitted(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Fail where a forecaster is fitted, but in tests that are marked by their name."""
    if "is_written" not in request.node.name:

        def fitted(self: Forecaster, *_: Any, **__: Any) -> None:
            raise AssertionError("time was spent")

        monkeypatch.setattr(Forecaster, "fit", fitted)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "FILE", "--output", "FILE"], "is read as well, and would be lost"),
        (["predict", "FILE", "--output", "HERE/d.csv"], "is a folder; name a file in it"),
        (["predict", "FILE", "--output", "FILE/a.csv"], "sales.csv, which is a file; name a f"),
        (["predict", "FILE", "--output", "FILE/a/b.csv"], "sales.csv, which is a file; name a f"),
        (["predict", "FILE", "--plot", "FILE/a.png"], "sales.csv, which is a file; name a f"),
        (["evaluate", "FILE", "--output", "FILE"], "is read as well, and would be lost"),
        (["plot", "FILE", "--output", "HERE/d.png"], "is a folder; name a file in it"),
        (["plot", "FILE", "--output", "FILE/a.png"], "sales.csv, which is a file; name a f"),
        (["fit", "FILE", "--output", "FILE"], "is a file; pass the name of a folder"),
        (["fit", "FILE", "--output", "FILE/a"], "sales.csv, which is a file; name a folder"),
    ],
)
def test_an_output_that_cannot_be_is_refused_first(
    call: Any, file: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "d.csv").mkdir()
    (tmp_path / "d.png").mkdir()
    before = file.read_bytes()
    told = [word.replace("FILE", str(file)).replace("HERE", str(tmp_path)) for word in words]
    code, _, err = call(*told, *NAIVE)
    assert code == 2
    assert message in err
    assert file.read_bytes() == before


@pytest.mark.parametrize("command", ["predict", "fit", "evaluate", "plot"])
def test_a_closed_folder_is_refused_first(
    call: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    name = {"fit": "a", "plot": "a.png"}.get(command, "a.csv")
    code, _, err = call(command, file, *NAIVE, "--output", tmp_path / "new" / name)
    assert code == 2
    assert f"{name} cannot be written, as {tmp_path} is closed; name another folder" in err


def test_the_name_of_a_draft_is_never_shown(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 250}.csv"
    with pytest.raises(OSError, match="too long") as refused:
        write_text(path, "text")
    assert refused.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_refused_first(call: Any, file: Path, tmp_path: Path) -> None:
    code, _, err = call("fit", file, *NAIVE, "--output", tmp_path)
    assert code == 1
    assert "holds 'sales.csv'; pass a new or an empty folder" in err


def test_the_table_is_written_where_the_picture_fails(
    call: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("no picture")

    monkeypatch.setattr("tsformer.cli.predict.write_picture", fails)
    words = ["--output", tmp_path / "new" / "a.csv", "--plot", tmp_path / "a.png"]
    assert call("predict", file, *NAIVE, *words).code == 1
    assert (tmp_path / "new" / "a.csv").read_text().count("\n") == 5
