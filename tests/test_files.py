"""Files come into being whole or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tsformer.files import write_text, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_text_is_written_with_the_folders_that_it_needs(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "er" / "über.txt", "größer\n")
    assert (tmp_path / "deep" / "er" / "über.txt").read_bytes() == "größer\n".encode()
    assert names(tmp_path) == ["deep", "er", "über.txt"]


def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "kept.csv"
    write_text(path, "before")

    def fails_half_way(draft: Path) -> None:
        assert draft.name == path.name  # by whose end a library may know what to write
        assert path.read_text() == "before"
        draft.write_text("half")
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="the disk is full"):
        write_whole(path, fails_half_way)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["kept.csv"]


def test_several_writers_at_once_each_write_all_of_theirs(tmp_path: Path) -> None:
    path = tmp_path / "contested.txt"
    texts = [str(number) * 100_000 for number in range(8)]
    writers = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert path.read_text() in texts
    assert names(tmp_path) == ["contested.txt"]
