"""Where answers go: looked at before time is spent on what could not be written there."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from tsformer.cli.command import UsageError


def check_file(path: Path, option: str, inputs: Iterable[str] = ()) -> None:
    """Raise a UsageError for a file that cannot be written, or that is read.

    Args:
        path: of the file; folders that are missing will be made.
        option: that named it.
        inputs: files that are read.
    """
    called = f"--{option}={path}"
    if os.path.isdir(path):
        raise UsageError(f"{called} is a folder; name a file in it")
    if any(_is_same(path, other) for other in inputs):
        raise UsageError(f"{called} is read as well, and would be lost; name another file")
    _check_place(path, called)


def check_folder(path: Path, option: str, may_hold: Collection[str] | None = None) -> None:
    """Raise a UsageError for a folder that cannot be written.

    Args:
        path: of the folder; made where it is missing.
        option: that named it.
        may_hold: names of files that may be in it already; None for all.

    Raises:
        ValueError: where it holds others.
    """
    called = f"--{option}={path}"
    if os.path.isfile(path):
        raise UsageError(f"{called} is a file; pass the name of a folder")
    _check_place(path, called)
    if may_hold is not None and os.path.isdir(path):
        foreign = sorted({*os.listdir(path)} - {*may_hold})
        if foreign:
            raise ValueError(f"{called} holds {foreign[0]!r}; pass a new or an empty folder")


def _is_same(path: Path, other: str) -> bool:
    return os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)


def _check_place(path: Path, called: str) -> None:
    """Raise a UsageError where nothing can be made in the folder that is to hold the path."""
    there = next((folder for folder in path.parents if os.path.exists(folder)), Path("."))
    if not os.path.isdir(there):
        raise UsageError(f"{called} would lie in {there}, which is a file; name a folder there")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{called} cannot be written, as {there} is closed; name another folder")
