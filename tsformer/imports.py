"""Imports that take no longer than they must.

Of a first forecast, and of a first small network, imports are nearly all. Two things in them are
needless: Python's garbage collector goes through hundreds of thousands of new objects that are
there to stay, and some libraries import large modules of which most programs use nothing.
"""

from __future__ import annotations

import functools
import gc
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@contextmanager
def quick_imports(*stand_ins: StandIn) -> Iterator[None]:
    """Meanwhile no thread collects garbage, and stand-ins are imported in place of modules.

    Args:
        stand_ins: of modules; one that is imported already stays.
    """
    collecting = gc.isenabled()
    gc.disable()
    for stand_in in stand_ins:
        stand_in.enter()
    try:
        yield
    finally:
        for stand_in in stand_ins:
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
        self.__spec__ = ModuleSpec(name, _Importer(self))
        self.__path__: list[str] = []  # where Python would look for modules inside it
        self.__dict__.update(known, _finder=_Finder(self))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":
            raise AttributeError(name)  # `inspect`, for one, asks every module for its file
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    @property
    def stands(self) -> bool:
        """Whether who imports the module now gets this one."""
        return sys.modules.get(self.__name__) is self

    def enter(self) -> None:
        """Stand where the other would be imported; where it is there already, it stays."""
        if sys.modules.setdefault(self.__name__, self) is self:
            sys.meta_path.insert(0, self._finder)

    def leave(self) -> None:
        """Free the name, for whoever imports it next."""
        if self.stands:
            sys.modules.pop(self.__name__, None)
        with suppress(ValueError):
            sys.meta_path.remove(self._finder)


class _Finder(MetaPathFinder):
    """Finds modules inside one that has a stand-in."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        """Import the real outer module and the inner one; Python asks when that is imported."""
        if not self.stand_in.stands or not name.startswith(f"{self.stand_in.__name__}."):
            return None
        self.stand_in.leave()
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            return None
        return ModuleSpec(name, _Importer(self.stand_in))


class _Importer(Loader):
    """Hands Python a module as it is imported without a stand-in, so that it is not run twice."""

    def __init__(self, stand_in: StandIn) -> None:
        self.stand_in = stand_in

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self.stand_in.leave()
        module = importlib.import_module(spec.name)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def called_later(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports the one it stands for when it is called."""

    def call(*values: Any, **names: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*values, **names)

    return call


def compiler_stand_in() -> StandIn:
    """Return what libraries need of torch's compiler when they are imported.

    The compiler itself takes a second and 68 MB, and nothing can have been compiled before it is
    imported.
    """
    return StandIn("torch._dynamo", OptimizedModule=_CompiledModule, disable=_disable)


def _compiler() -> ModuleType | None:
    """Return torch's compiler where somebody has imported it, else None."""
    module = sys.modules.get("torch._dynamo")
    return None if isinstance(module, StandIn) else module


class _Compiled(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, getattr(_compiler(), "OptimizedModule", ()))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, getattr(_compiler(), "OptimizedModule", ()))


class _CompiledModule(metaclass=_Compiled):
    """The class of compiled modules, for those who ask whether something is one."""


def _disable(function: Callable[..., Any] | None = None, *args: Any, **options: Any) -> Any:
    """Return a function that the compiler does not compile, if one day there is a compiler."""
    if function is None:
        return functools.partial(_disable, *args, **options)

    @functools.wraps(function)
    def call(*values: Any, **names: Any) -> Any:
        compiler = _compiler()
        if compiler is None:
            return function(*values, **names)
        return compiler.disable(function, *args, **options)(*values, **names)

    return call
