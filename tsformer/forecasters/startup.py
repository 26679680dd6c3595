"""Imports that take no longer than they must.

Of a first forecast, imports are nearly all. Two things in them are in vain: Python's garbage
collector goes through hundreds of thousands of new objects that are there to stay, and scikit-learn
imports all of `scipy.stats`, of which most forecasters need nothing.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LATER = "scipy.stats"


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import scikit-learn, then what stands inside; meanwhile no thread collects garbage."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        _import_scikit_learn()
        yield
    finally:
        if collecting:
            gc.enable()


def _import_scikit_learn() -> None:
    """Import it without `scipy.stats`, which then comes when something of it is used."""
    stand_in = _StandIn(_LATER)
    sys.modules.setdefault(_LATER, stand_in)
    try:
        importlib.import_module("sklearn.base")
    finally:
        stand_in.leave()


class _StandIn(ModuleType):
    """A module in whose place another one is imported when it is asked for what that one has."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__path__"):
            raise AttributeError(name)  # `inspect`, for one, asks every module for its file
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def leave(self) -> None:
        """Give the name free, for whoever imports it next."""
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__, None)
