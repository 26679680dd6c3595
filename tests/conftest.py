"""What holds for every test: few threads, checked shapes, a working directory left as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Read when the libraries are first imported, by subprocesses too; hence before the imports below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path(__file__).parents[1] / ".hypothesis")

import hypothesis
import jaxtyping
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci")

# Before the first import of tsformer: from here on, every call is checked against its annotations.
jaxtyping.install_import_hook(
    ["tsformer.types", "tsformer.nn", "tsformer.models"], "beartype.beartype"
)


def _data_folders() -> list[Path]:
    """Return the folders of TSFORMER_DATA, absolute: tests change the working directory."""
    named = os.environ.get("TSFORMER_DATA", "").split(os.pathsep)
    return [Path(folder).resolve() for folder in named if folder]


_DATA_FOLDERS = _data_folders()
if _DATA_FOLDERS:
    os.environ["TSFORMER_DATA"] = os.pathsep.join(map(str, _DATA_FOLDERS))


@pytest.fixture(autouse=True)
def working_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Yield an empty working directory; the test fails when it leaves something there."""
    folder = tmp_path_factory.mktemp("working_directory")
    monkeypatch.chdir(folder)
    yield folder
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert not left, f"the test left files in the working directory: {left}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the first existing folder that TSFORMER_DATA names; without one, skip."""
    for folder in _DATA_FOLDERS:
        if folder.is_dir():
            return folder
    pytest.skip(f"TSFORMER_DATA names no existing folder of data sets: {_DATA_FOLDERS}")
