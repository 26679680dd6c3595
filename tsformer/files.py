"""Files that are written whole or not at all, so that an interruption leaves no half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` make a file, and put it where it belongs once it is whole.

    Args:
        path: of the file; folders that are missing are made.
        write: is given the path of a draft beside it, in a folder of its own, whose name ends as
            that of the file does.

    Raises:
        OSError: where it cannot be written, with the path of the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            draft = Path(folder) / path.name
            write(draft)
            os.replace(draft, path)
    except OSError as error:
        if error.errno is None:
            raise
        # The name of a draft would tell nobody anything.
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: Path, text: str) -> None:
    """Write the whole text, as UTF-8, or nothing."""
    write_whole(path, lambda draft: Path(draft).write_text(text, encoding="utf-8"))
