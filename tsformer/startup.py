"""Imports that take no longer than they must.

Of a first forecast, imports are nearly all. Two things in them serve nobody: Python's garbage
collector, which goes through hundreds of thousands of new objects that are there to stay, and
scikit-learn's import of `scipy.stats`, of which no forecaster needs anything.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_LATER = "scipy.stats"


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import without collecting garbage, and `scipy.stats` not before something of it is used."""
    collecting = gc.isenabled()
    gc.disable()
    stand_in = _StandIn(_LATER)
    sys.modules.setdefault(_LATER, stand_in)
    try:
        yield
    finally:
        stand_in.leave()
        if collecting:
            gc.enable()


class _StandIn(ModuleType):
    """A module in whose place another one is imported as soon as it is asked for anything."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # `inspect` asks every module for its file
            raise AttributeError(name)
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def leave(self) -> None:
        """Give the name free, for whoever imports it next."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
