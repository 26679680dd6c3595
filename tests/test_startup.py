"""Quick imports leave everything as it would have been."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from tsformer.startup import quick_imports


def run(program: str) -> str:
    """Return what a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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


@pytest.mark.parametrize(
    "statement",
    [
        "from scipy.stats import norm",
        "import scipy.stats as s; norm = s.norm",
        "import scipy; norm = scipy.stats.norm",
        "from scipy.stats.distributions import norm",
    ],
)
def test_who_uses_it_meanwhile_gets_the_real_one(statement: str) -> None:
    program = f"""
import sys, types
from tsformer.startup import quick_imports
with quick_imports():
    {statement}
import scipy.stats
print(norm is scipy.stats.norm, type(sys.modules["scipy.stats"]) is types.ModuleType)
"""
    assert run(program) == "True True"


def test_a_module_that_is_there_stays() -> None:
    import scipy.stats

    with quick_imports():
        assert sys.modules["scipy.stats"] is scipy.stats
    assert sys.modules["scipy.stats"] is scipy.stats


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
