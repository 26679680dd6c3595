"""Saves that fail, folders that are none of ours, and files that were damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tsformer.forecasters.persistence as persistence
from tsformer import load

Make = Callable[..., Any]
VALUES = np.random.default_rng(0).normal(size=(2, 30)).cumsum(axis=1)


@pytest.mark.parametrize("when", ["tensors", "config", "second file"])
def test_a_failed_save_leaves_the_earlier_one_whole(
    make_forecaster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    earlier = make_forecaster().fit(VALUES)
    earlier.save(tmp_path / "saved")
    replace = os.replace

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError("no space left on device")

    def fail_for_tensors(source: Path, target: Path) -> None:
        putting_back = Path(source).parent.name == "earlier"
        if Path(target) == tmp_path / "saved" / "model.safetensors" and not putting_back:
            fail()
        replace(source, target)

    if when == "tensors":
        monkeypatch.setattr(persistence, "save_file", fail)
    elif when == "config":
        monkeypatch.setattr(persistence.json, "dumps", fail)
    else:
        monkeypatch.setattr(persistence.os, "replace", fail_for_tensors)
    with pytest.raises(OSError, match="no space left"):
        make_forecaster().fit(VALUES + 100).save(tmp_path / "saved")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert len(list((tmp_path / "saved").iterdir())) == 2
    pd.testing.assert_frame_equal(load(tmp_path / "saved").predict(), earlier.predict())


def test_a_failed_first_save_leaves_nothing(
    make_forecaster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(persistence, "save_file", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_forecaster().fit(VALUES).save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


def test_folders_with_other_files_are_refused(make_forecaster: Make, tmp_path: Path) -> None:
    forecaster = make_forecaster().fit(VALUES)
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"holds 'thesis.tex'; pass a new or an empty folder"):
        forecaster.save(tmp_path)
    with pytest.raises(ValueError, match="is a file"):
        forecaster.save(tmp_path / "thesis.tex")
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_json_cannot_hold_is_refused_by_name(make_single: Make, tmp_path: Path) -> None:
    days = pd.date_range("2024-01-01", periods=2)
    dated = pd.DataFrame(
        {"unique_id": days.repeat(30), "ds": [*range(30)] * 2, "y": VALUES.reshape(-1)}
    )
    forecaster = make_single().fit(dated)
    with pytest.raises(ValueError, match=r"series id .*2024.* cannot be saved"):
        forecaster.save(tmp_path / "saved")
    forecaster = make_single().fit(VALUES).set_params(freq=pd.offsets.Hour())
    with pytest.raises(ValueError, match=r"<Hour> cannot be saved"):
        forecaster.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def saved(make_forecaster: Make, tmp_path: Path) -> Path:
    make_forecaster().fit(VALUES).save(tmp_path / "saved")
    return tmp_path / "saved"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_when_a_file_is_missing_then_load_names_it(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {name}"):
        load(saved)


def test_when_the_folder_is_missing_then_load_says_what_to_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"pass a folder that save\(\) wrote"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("change", [{"format": 99}, {"class": "Oracle"}, {"class": None}])
def test_saves_of_other_versions_are_refused(saved: Path, change: dict[str, Any]) -> None:
    config = json.loads((saved / "config.json").read_text("utf-8"))
    (saved / "config.json").write_text(json.dumps({**config, **change}), "utf-8")
    with pytest.raises(ValueError, match="load it with the version that wrote it"):
        load(saved)


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_damaged_configurations_are_refused(saved: Path, content: str) -> None:
    (saved / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config\.json is damaged|version that wrote it"):
        load(saved)


def test_damaged_or_exchanged_tensors_are_refused(
    make_forecaster: Make, saved: Path, tmp_path: Path
) -> None:
    tensors = saved / "model.safetensors"
    whole = tensors.read_bytes()
    tensors.write_bytes(whole[:-4])
    with pytest.raises(ValueError, match="damaged"):
        load(saved)
    make_forecaster().fit(VALUES + 1).save(tmp_path / "other")
    tensors.write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(ValueError, match="of another save"):
        load(saved)
