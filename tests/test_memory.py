"""What the process does with memory that it has freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tsformer import memory
from tsformer.memory import freed_memory_kept, keep_freed_memory

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8  # in glibc's malloc.h


class Library:
    """A C library that remembers how its allocator was set."""

    def __init__(self) -> None:
        self.settings: dict[int, int] = {}

    def mallopt(self, number: int, value: int) -> int:
        self.settings[number] = value
        return 1


class LibraryOfGNU(Library):
    """As glibc, which tells its version."""

    def gnu_get_libc_version(self) -> bytes:
        return b"2.36"


def test_more_is_kept_in_training_than_before_and_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = LibraryOfGNU()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: library)
    assert keep_freed_memory()
    usual = {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26, ARENA_MAX: 1}
    assert library.settings == usual

    def fail() -> None:
        with freed_memory_kept():
            assert library.settings == {**usual, TRIM_THRESHOLD: 2**30}
            raise KeyError("training")

    with pytest.raises(KeyError, match="training"):
        fail()
    assert library.settings == usual


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: library)
    assert not keep_freed_memory()
    assert not library.settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("system", ["win32", "darwin"])
def test_another_system_is_left_alone(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", system)
    monkeypatch.setattr(memory.ctypes, "CDLL", None)
    assert not keep_freed_memory()


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    library = LibraryOfGNU()
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: library)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()
    assert not library.settings


def test_what_the_user_has_set_of_threads_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    library = LibraryOfGNU()
    monkeypatch.setattr(memory.sys, "platform", "linux")
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: library)
    monkeypatch.setenv("MALLOC_ARENA_MAX", "4")
    assert keep_freed_memory()
    assert library.settings == {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**26}


def test_that_of_this_machine_takes_the_settings_if_it_is_of_gnu() -> None:
    program = "from tsformer.memory import keep_freed_memory; print(keep_freed_memory())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == str(platform.libc_ver()[0] == "glibc")
