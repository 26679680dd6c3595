"""What a command is: a dataclass whose fields are its options, and a method that runs it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field
from typing import Any, ClassVar


class UsageError(Exception):
    """The command was called in a way that it is not meant to be."""


FILE, FOLDER = {"shown": "FILE"}, {"shown": "FOLDER"}  # metadata of fields given by their names


def argument(metavar: str, default: Any = MISSING) -> Any:
    """Return a field that is given by its place, not by its name; shown as `metavar`."""
    return field(default=default, metadata={"metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """What all commands can be told: fields are options, those made by `argument` arguments.

    Help is made from the docstrings, base classes included. An option without a default is
    required.

    Args:
        debug: show where in the program an error arose.
    """

    group: ClassVar[str] = ""  # the heading of the options that a class adds

    debug: bool = False

    @abstractmethod
    def run(self) -> int:
        """Do what was asked and return the exit code."""


def say(line: str) -> None:
    """Write a line for the person at the screen; the answer itself may go into a pipe."""
    print(f"tsformer: {line}", file=sys.stderr, flush=True)
