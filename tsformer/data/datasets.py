"""The registry of data sets: embedded in the package, in the caller's folders, or downloaded.

A file is looked for, in this order, among the package's own data, in the folders that the
environment variable `TSFORMER_DATA` names, in the cache of earlier downloads and in an installed
package that ships it; only then it is downloaded. Wherever it comes from, its SHA-256 must be the
one in the registry.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tsformer.data.readers import READERS

VARIABLE = "TSFORMER_DATA"


class DatasetUnavailableError(OSError):
    """A data set of the registry whose files cannot be had here."""


@dataclass(frozen=True, kw_only=True)
class DatasetFile:
    """A file and where else it can be had.

    Attributes:
        file: its name.
        sha256: its checksum.
        url: where it can be downloaded, `""` where nowhere.
        package, member: an installed package and the path in it.
    """

    file: str
    sha256: str
    url: str = ""
    package: str = ""
    member: str = ""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What the registry knows.

    Attributes:
        name: the key.
        title, description: what the values are.
        freq: pandas alias; `""` where the series have no dates.
        season_length, horizon: steps, as the benchmarks use them.
        n_series: how many.
        source: who published the values, and where.
        origin: from where they were taken.
        licence: under which they may be used.
        tags: `quick` for the suite of that name, `demo` for examples.
        files: what must be there.
        reader, options: how they are read, see `tsformer.data.readers`.
        embedded: True for what the package holds itself.
    """

    name: str
    title: str
    freq: str
    season_length: int
    horizon: int
    n_series: int
    source: str
    origin: str
    licence: str
    description: str = ""
    tags: tuple[str, ...] = ()
    files: tuple[DatasetFile, ...]
    reader: str = "long_csv"
    options: Mapping[str, Any] = field(default_factory=dict)
    embedded: bool = False


def load_dataset(name: str, *, download: bool = True) -> pd.DataFrame:
    """Return a data set as a long frame: `unique_id`, `ds`, `y` (NaN = missing).

    Args:
        name: a name of `list_datasets()`.
        download: whether a missing file may be downloaded.

    Raises:
        ValueError: for an unknown name, or a file whose checksum is wrong.
        DatasetUnavailableError: where a file is nowhere to be found.
    """
    info = dataset_info(name)
    paths = [_locate(info, file, download) for file in info.files]
    return READERS[info.reader](paths, **info.options)


def list_datasets(embedded_only: bool = False) -> pd.DataFrame:
    """Return one row per data set: what it is, its licence and whether it is at hand."""
    rows = []
    for info in _registry().values():
        if embedded_only and not info.embedded:
            continue
        row = {f.name: getattr(info, f.name) for f in fields(info) if f.name in _LISTED}
        row["available"] = all(any(_candidates(f)) or bool(_shipped(f)) for f in info.files)
        rows.append(row)
    return pd.DataFrame(rows)


_LISTED = ("name", "title", "freq", "season_length", "horizon", "n_series", "licence", "embedded")


def dataset_info(name: str) -> DatasetInfo:
    """Return what the registry knows of a data set.

    Raises:
        ValueError: for an unknown name.
    """
    registry = _registry()
    if name not in registry:
        close = difflib.get_close_matches(name, registry, n=3)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise ValueError(f"there is no data set {name!r}; {hint}list_datasets() names them all")
    return registry[name]


@lru_cache(maxsize=1)
def _registry() -> dict[str, DatasetInfo]:
    """Return the content of `registry.yaml`."""
    content = yaml.safe_load(_own("registry.yaml").read_text(encoding="utf-8"))
    known: dict[str, DatasetInfo] = {}
    for embedded, section in ((True, "embedded"), (False, "remote")):
        for name, entry in content[section].items():
            files = tuple(DatasetFile(**file) for file in entry.pop("files"))
            tags = tuple(entry.pop("tags", ()))
            known[name] = DatasetInfo(name=name, files=files, tags=tags, embedded=embedded, **entry)
    return known


def _locate(info: DatasetInfo, file: DatasetFile, download: bool) -> Path:
    """Return where a file lies, its checksum verified."""
    for path in _candidates(file):
        found = _sha256(path, path.stat().st_mtime_ns)
        if found != file.sha256:
            raise ValueError(
                f"data set {info.name!r}: {path} is not the registered file: its SHA-256 is "
                f"{found[:12]}…, expected {file.sha256[:12]}…; remove or replace it"
            )
        return path
    shipped = _shipped(file)
    # Another version of a package may ship another file: no fault of the user's, so we look on.
    if shipped and _sha256(shipped, shipped.stat().st_mtime_ns) == file.sha256:
        return shipped
    if download and file.url:
        return _download(info, file)
    raise DatasetUnavailableError(_missing(info, file))


def _missing(info: DatasetInfo, file: DatasetFile) -> str:
    """Return where a file was looked for in vain, and what to do about it."""
    folders = os.environ.get(VARIABLE, "")
    places = [
        "the package's own data",
        f"{VARIABLE} ({folders or 'not set'})",
        f"the cache {_cache()}",
        *([f"the package {file.package!r}"] if file.package else ()),
    ]
    remedies = [
        *(["allow the download"] if file.url else ()),
        *([f"pip install {file.package}"] if file.package else ()),
        f"put the file into a folder and set {VARIABLE} to that",
    ]
    return (
        f"data set {info.name!r} needs {file.file}, which is not in {', '.join(places)}; "
        f"{', or '.join(remedies)} (origin: {info.origin})"
    )


def _candidates(file: DatasetFile) -> Iterator[Path]:
    """Yield the places where a file is, the package's own first."""
    places = [_own(file.file)]
    for folder in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        places += [Path(folder) / inner / file.file for inner in ("", "darts", "llmtime")]
    places.append(_cache() / file.file)
    yield from (path for path in places if path.is_file())


def _shipped(file: DatasetFile) -> Path | None:
    """Return the file of an installed package, without importing that."""
    spec = importlib.util.find_spec(file.package) if file.package else None
    folders = spec.submodule_search_locations if spec else None
    paths = (Path(folder) / file.member for folder in folders or ())
    return next((path for path in paths if path.is_file()), None)


def _own(name: str) -> Path:
    """Return the path of a file in the package's data, or else in the folder of the checkout."""
    packaged = Path(str(resources.files("tsformer.data"))) / "embedded"
    # Beside an installed package, `datasets` would be the folder of the Hugging Face package.
    folder = packaged if packaged.is_dir() else Path(__file__).parents[2] / "datasets"
    return folder / name


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("tsformer")) / "datasets"


def _download(info: DatasetInfo, file: DatasetFile) -> Path:
    """Return a file from its URL, verified and put into the cache whole or not at all."""
    import pooch

    checksum = f"sha256:{file.sha256}"
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # nothing is logged unless asked for
    try:
        path = pooch.retrieve(file.url, known_hash=checksum, fname=file.file, path=_cache())
    except (OSError, ValueError) as error:
        raise DatasetUnavailableError(
            f"data set {info.name!r}: {file.file} could not be downloaded from {file.url}: "
            f"{error}; put it into a folder and name that in {VARIABLE}"
        ) from error
    finally:
        logger.setLevel(level)
    return Path(path)


@lru_cache(maxsize=256)
def _sha256(path: Path, changed: int) -> str:
    """Return a file's checksum; `changed` is its time of change, so that edits are seen."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
