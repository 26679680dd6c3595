"""Warnings as a person at the screen wants them: one line each, once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tsformer.cli.command import say


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Write our own warnings to the standard error, each once, and keep quiet about others.

    What other libraries warn of is for who programs with them.
    """
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.add(text)
            say(f"warning: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module=r"tsformer\b")
        warnings.showwarning = show
        yield
