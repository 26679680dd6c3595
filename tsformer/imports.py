"""Imports that take no longer than they must.

Of a first forecast, and of a first small network, imports are nearly all. Two things in them are in
vain: Python's garbage collector goes through hundreds of thousands of new objects that are there to
stay, and some libraries import large modules of which most programs need nothing.
"""

from __future__ import annotations

import functools
import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@contextmanager
def quick_imports(*later: StandIn) -> Iterator[None]:
    """Meanwhile no thread collects garbage, and stand-ins are imported in place of modules.

    Where a module is there already, it stays.
    """
    collecting = gc.isenabled()
    gc.disable()
    for stand_in in later:
        stand_in.enter()
    try:
        yield
    finally:
        for stand_in in later:
            stand_in.leave()
        if collecting:
            gc.enable()


class StandIn(ModuleType):
    """A module in whose place another one is imported when it is asked for what that one has.

    Args:
        name: of the other module.
        known: what it answers itself.
    """

    def __init__(self, name: str, **known: Any) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.__path__: list[str] = []  # where Python would look for modules inside it
        self.__dict__.update(known, _inside=_Inside(self))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)  # `inspect`, for one, asks every module for its file
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def enter(self) -> None:
        """Stand where the other would be imported; where it is there already, it stays."""
        if self.__name__ not in sys.modules:
            sys.modules[self.__name__] = self
            sys.meta_path.insert(0, self._inside)

    def leave(self) -> None:
        """Give the name free, for whoever imports it next."""
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__)
            sys.meta_path.remove(self._inside)


class _Inside(MetaPathFinder):
    """Finds modules inside one that has a stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Import both, which Python asks for when it looks for the inner one."""
        if not name.startswith(f"{self.stand_in.__name__}."):
            return None
        self.stand_in.leave()
        return ModuleSpec(name, _Imported(importlib.import_module(name)))


class _Imported(Loader):
    """Gives a module that is there to Python, which would make a second one of its own."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def called_later(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports the one it stands for when it is called."""

    def call(*values: Any, **names: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*values, **names)

    return call


def compiler_stand_in() -> StandIn:
    """Return what libraries need of torch's compiler when they are imported.

    The compiler itself takes a second and 68 MB, and nobody can have compiled anything before it
    is there.
    """
    return StandIn("torch._dynamo", OptimizedModule=_CompiledModule, disable=_disable)


def _compiler() -> ModuleType | None:
    """Return torch's compiler where somebody has imported it."""
    module = sys.modules.get("torch._dynamo")
    return None if isinstance(module, StandIn) else module


class _Compiled(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, getattr(_compiler(), "OptimizedModule", ()))


class _CompiledModule(metaclass=_Compiled):
    """The class of compiled modules, for those who ask whether something is one."""


def _disable(function: Callable[..., Any], *args: Any, **options: Any) -> Callable[..., Any]:
    """Return a function that the compiler does not compile, if one day there is a compiler."""

    @functools.wraps(function)
    def call(*values: Any, **names: Any) -> Any:
        compiler = _compiler()
        if compiler is None:
            return function(*values, **names)
        return compiler.disable(function, *args, **options)(*values, **names)

    return call
