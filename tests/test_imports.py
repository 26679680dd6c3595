"""Quick imports leave everything as it would have been."""

from __future__ import annotations

import gc
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from tsformer.forecasters.startup import _StandIn, quick_imports


def run(program: str) -> str:
    """Return what a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[_StandIn]:
    """Let it stand where a small module of Python would be imported."""
    module = _StandIn("colorsys")
    monkeypatch.setitem(sys.modules, "colorsys", module)
    yield module
    module.leave()


def test_forecasters_do_not_import_scipy_stats_and_it_can_be_imported_later() -> None:
    program = """
import sys
from tsformer import SeasonalNaiveForecaster
assert "scipy.stats" not in sys.modules
import scipy.stats
from scipy.stats.distributions import norm
print(scipy.stats.norm.cdf(0.0), norm is scipy.stats.norm)
"""
    assert run(program) == "0.5 True"


def test_scikit_learn_finds_it_though_nobody_imported_it() -> None:
    program = """
from tsformer import SeasonalNaiveForecaster
from sklearn.impute import SimpleImputer
print(SimpleImputer(strategy="most_frequent").fit([[2.0], [2.0], [1.0]]).statistics_)
"""
    assert run(program) == "[2.]"


@pytest.mark.parametrize("first", ["scipy.stats", "sklearn.base"])
def test_what_is_there_before_stays(first: str) -> None:
    program = f"""
import sys, types
import {first}
before = sys.modules["scipy.stats"]
from tsformer import SeasonalNaiveForecaster
print(sys.modules["scipy.stats"] is before, type(before) is types.ModuleType)
"""
    assert run(program) == "True True"


@pytest.mark.parametrize(
    "statement",
    ["from colorsys import rgb_to_hsv", "import colorsys; rgb_to_hsv = colorsys.rgb_to_hsv"],
)
def test_who_uses_it_meanwhile_gets_the_real_one(stand_in: _StandIn, statement: str) -> None:
    names: dict[str, object] = {}
    exec(statement, names)
    real = sys.modules["colorsys"]
    assert type(real) is ModuleType
    assert names["rgb_to_hsv"] is real.rgb_to_hsv


def test_who_only_looks_at_it_does_not_bring_the_real_one(stand_in: _StandIn) -> None:
    assert importlib.util.find_spec("colorsys") is not None
    assert not hasattr(stand_in, "__file__")
    assert sys.modules["colorsys"] is stand_in
    exec("from colorsys import *", {})
    assert sys.modules["colorsys"] is not stand_in
    stand_in.leave()
    assert "colorsys" in sys.modules


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_is_collected_again_where_it_was_also_after_an_error(collecting: bool) -> None:
    def fail() -> None:
        with quick_imports():
            assert not gc.isenabled()
            raise ImportError

    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with pytest.raises(ImportError):
            fail()
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()
