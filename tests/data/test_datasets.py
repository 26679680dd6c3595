"""The registry: what is embedded keeps its word, and files are found, verified or missed aloud."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pooch
import pytest
import yaml

from tsformer.data import datasets
from tsformer.data.datasets import (
    DatasetFile,
    DatasetInfo,
    DatasetUnavailableError,
    dataset_info,
    list_datasets,
    load_dataset,
)

ROOT = Path(__file__).parents[2]
EMBEDDED = list_datasets(embedded_only=True)["name"].tolist()
REMOTE = sorted(set(list_datasets()["name"]) - set(EMBEDDED))
CONTENT = b"unique_id,ds,y\na,2020-01-01,1\na,2020-01-02,\n"
OTHER = b"unique_id,ds,y\na,2020-01-01,2\n"

Registered = Callable[..., DatasetInfo]


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registered:
    """Register one data set, `tiny`, whose file is nowhere yet; the cache is `tmp_path / cache`."""
    monkeypatch.delenv(datasets.VARIABLE, raising=False)
    monkeypatch.setattr(datasets, "_cache", lambda: tmp_path / "cache")

    def register(**file: str) -> DatasetInfo:
        sha256 = hashlib.sha256(CONTENT).hexdigest()
        info = dataclasses.replace(
            dataset_info("us_births"),
            name="tiny",
            files=(DatasetFile(file="tiny.csv", sha256=sha256, **file),),
            embedded=False,
        )
        monkeypatch.setattr(datasets, "_registry", lambda: {"tiny": info})
        return info

    return register


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_are_as_registered(name: str) -> None:
    info, frame = dataset_info(name), load_dataset(name, download=False)
    assert [*frame.columns] == ["unique_id", "ds", "y"]
    assert frame["y"].dtype == float
    assert frame["unique_id"].nunique() == info.n_series
    assert not frame.duplicated(["unique_id", "ds"]).any()
    for series, rows in frame.groupby("unique_id"):
        observed = rows["y"].notna()
        assert rows["ds"].is_monotonic_increasing, series
        grid = pd.date_range(rows["ds"].iloc[0], rows["ds"].iloc[-1], freq=info.freq)
        assert rows["ds"].isin(grid).all(), series
        assert observed.sum() >= info.horizon + 3 * info.season_length, series
        assert rows["y"].nunique() > 1, series


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_say_where_they_come_from(name: str) -> None:
    info = dataset_info(name)
    assert all((info.title, info.source, info.origin, info.licence, info.description))
    assert {"quick", "demo"} & {*info.tags}
    assert not re.search(r"(?<!A)GPL|/work|/tmp|/home|no.deriv|CC BY-N", str(info))


def test_embedded_data_are_small_and_various() -> None:
    size = sum(path.stat().st_size for path in (ROOT / "datasets").iterdir())
    assert size < 2_500_000
    infos = [dataset_info(name) for name in EMBEDDED]
    assert len(infos) >= 12
    assert {"YS", "QS", "MS", "D", "h", "30min"} <= {info.freq for info in infos}
    assert {"air_passengers", "us_births"} <= {*EMBEDDED}
    assert any(load_dataset(name)["y"].isna().any() for name in EMBEDDED)


def test_suite_quick_holds_the_data_tagged_so() -> None:
    suite = yaml.safe_load((ROOT / "configs" / "quick.yaml").read_text(encoding="utf-8"))
    tagged = {name for name in EMBEDDED if "quick" in dataset_info(name).tags}
    assert {task["dataset"] for task in suite["tasks"]} == tagged


def test_every_file_of_the_folder_is_registered_and_listed_in_its_readme() -> None:
    folder = ROOT / "datasets"
    files = {file.file for name in EMBEDDED for file in dataset_info(name).files}
    assert {path.name for path in folder.glob("*.gz")} == files
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for name in EMBEDDED:
        info = dataset_info(name)
        row = next(line for line in readme.splitlines() if line.startswith(f"| {name} |"))
        assert info.licence in row
        assert f"| {info.n_series} × " in row


def test_list_has_one_row_per_data_set() -> None:
    table = list_datasets()
    expected = "name title freq season_length horizon n_series licence embedded available"
    assert {*table.columns} == {*expected.split()}
    assert table["name"].is_unique
    assert table.loc[table["embedded"], "available"].all()
    assert set(list_datasets(embedded_only=True)["name"]) < set(table["name"])


def test_info_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset_info("us_births").horizon = 1  # type: ignore[misc]


def test_unknown_name_names_close_ones_and_the_list() -> None:
    with pytest.raises(ValueError, match=r"'air_pasengers'.*'air_passengers'.*list_datasets"):
        load_dataset("air_pasengers")
    with pytest.raises(ValueError, match=r"'zzzzzz'; list_datasets"):
        dataset_info("zzzzzz")


@pytest.mark.parametrize("inner", ["", "darts", "llmtime"])
def test_file_is_found_in_any_folder_of_the_variable(
    registered: Registered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inner: str
) -> None:
    registered()
    folder = tmp_path / "second" / inner
    folder.mkdir(parents=True)
    (folder / "tiny.csv").write_bytes(CONTENT)
    folders = [str(tmp_path / "absent"), "", str(tmp_path / "second")]
    monkeypatch.setenv(datasets.VARIABLE, os.pathsep.join(folders))
    frame = load_dataset("tiny", download=False)
    assert frame["y"].isna().tolist() == [False, True]
    assert list_datasets()["available"].all()


@pytest.mark.parametrize("place", ["variable", "cache"])
def test_when_checksum_differs_then_error_names_the_file(
    registered: Registered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    registered(url="https://example.org/tiny.csv")
    (tmp_path / place).mkdir()
    path = tmp_path / place / "tiny.csv"
    path.write_bytes(OTHER)
    monkeypatch.setenv(datasets.VARIABLE, str(tmp_path / "variable"))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*SHA-256"):
        load_dataset("tiny")
    path.write_bytes(CONTENT)  # mended: the new content is looked at
    os.utime(path, ns=(1, 1))
    assert len(load_dataset("tiny")) == 2


def test_when_nowhere_then_error_names_places_and_remedies(
    registered: Registered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registered(url="https://example.org/tiny.csv", package="no_such_package_here", member="x")
    monkeypatch.setenv(datasets.VARIABLE, str(tmp_path))
    assert not list_datasets()["available"].any()
    with pytest.raises(DatasetUnavailableError) as caught:
        load_dataset("tiny", download=False)
    assert isinstance(caught.value, OSError)
    message = str(caught.value)
    for part in ("'tiny'", "tiny.csv", str(tmp_path), "cache", "download", "TSFORMER_DATA"):
        assert part in message
    assert "pip install no_such_package_here" in message


@pytest.mark.parametrize(("content", "found"), [(CONTENT, True), (OTHER, False)])
def test_file_of_an_installed_package_counts_only_with_its_checksum(
    registered: Registered,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: bytes,
    found: bool,
) -> None:
    folder = tmp_path / "site" / "carrier_of_tiny"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "data" / "tiny.csv").write_bytes(content)
    monkeypatch.syspath_prepend(str(folder.parent))
    registered(package="carrier_of_tiny", member="data/tiny.csv")
    if found:
        assert len(load_dataset("tiny")) == 2
    else:
        with pytest.raises(DatasetUnavailableError, match="carrier_of_tiny"):
            load_dataset("tiny")


@pytest.mark.parametrize("content", [CONTENT, OTHER, None])
def test_download_is_verified_and_whole_or_not_at_all(
    registered: Registered, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    def download(url: str, output_file: str, *args: object, **kwargs: object) -> None:
        assert url == "https://example.org/tiny.csv"
        if content is None:
            raise OSError("no network")
        Path(output_file).write_bytes(content)

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda *args, **kwargs: download)
    registered(url="https://example.org/tiny.csv")
    if content == CONTENT:
        assert len(load_dataset("tiny")) == 2
        monkeypatch.delattr(pooch, "retrieve")  # the second time it is in the cache
        assert len(load_dataset("tiny")) == 2
    else:
        with pytest.raises(DatasetUnavailableError, match=r"tiny\.csv could not be downloaded"):
            load_dataset("tiny")
        assert not [*(tmp_path / "cache").glob("*")]


def test_import_leaves_download_libraries_alone() -> None:
    code = (
        "import sys, tsformer.data.datasets; print({'pooch', 'torch', 'requests'} & {*sys.modules})"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "set()", run.stderr


@pytest.mark.parametrize("name", REMOTE)
def test_remote_data_are_as_registered(name: str, shared_data: Path) -> None:
    info = dataset_info(name)
    if info.reader == "wide_parquet":
        pytest.importorskip("pyarrow")
    try:
        frame = load_dataset(name, download=False)
    except DatasetUnavailableError as error:
        pytest.skip(str(error))
    assert [*frame.columns] == ["unique_id", "ds", "y"]
    assert frame["unique_id"].nunique() == info.n_series
    assert frame["y"].dtype == float
    assert frame["ds"].dtype.kind == ("M" if info.freq else "i")
    assert not frame.duplicated(["unique_id", "ds"]).any()
