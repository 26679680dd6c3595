"""Without sktime, the import says how to install it."""

from __future__ import annotations

import importlib
import sys

import pytest


def test_import_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sktime", None)
    for name in [name for name in sys.modules if name.startswith("sktime.")]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "tsformer.interop.sktime", raising=False)
    with pytest.raises(ImportError, match=r"needs sktime: pip install 'tsformer\[sktime\]'"):
        importlib.import_module("tsformer.interop.sktime")
