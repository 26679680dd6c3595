"""Quick imports leave everything as it would have been."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch

from tsformer.imports import StandIn, called_later, compiler_stand_in, quick_imports


def run(program: str) -> str:
    """Return what a fresh process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """Let it stand where a small module of Python would be imported."""
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    module = StandIn("colorsys", ONE_THIRD="a third")
    with quick_imports(module):
        yield module


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
def test_who_uses_it_meanwhile_gets_the_real_one(stand_in: StandIn, statement: str) -> None:
    names: dict[str, object] = {}
    exec(statement, names)
    real = sys.modules["colorsys"]
    assert type(real) is ModuleType
    assert names["rgb_to_hsv"] is real.rgb_to_hsv


def test_who_only_looks_at_it_does_not_bring_the_real_one(stand_in: StandIn) -> None:
    assert importlib.util.find_spec("colorsys") is not None
    assert not hasattr(stand_in, "__file__")
    assert sys.modules["colorsys"] is stand_in
    exec("from colorsys import *", {})
    assert sys.modules["colorsys"] is not stand_in
    stand_in.leave()
    assert "colorsys" in sys.modules


def test_it_answers_what_it_knows(stand_in: StandIn) -> None:
    names: dict[str, object] = {}
    exec("from colorsys import ONE_THIRD", names)
    assert names["ONE_THIRD"] == "a third"
    assert sys.modules["colorsys"] is stand_in
    assert sys.meta_path[0] in vars(stand_in).values()
    assert importlib.util.find_spec("colorsys.nothing") is None


def test_a_module_inside_is_imported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "wsgiref"]:
        monkeypatch.delitem(sys.modules, name)
    finders = list(sys.meta_path)
    with quick_imports(StandIn("wsgiref")):
        inner = importlib.import_module("wsgiref.simple_server")
        again = importlib.import_module("wsgiref.simple_server")
    outer = importlib.import_module("wsgiref")
    assert inner is again is outer.simple_server
    assert inner.__spec__.origin == inner.__file__
    assert sys.meta_path == finders


def test_a_module_inside_that_is_not_there_is_said_to_be_missing() -> None:
    with (
        quick_imports(StandIn("wsgiref_")),
        pytest.raises(ModuleNotFoundError, match="wsgiref_"),
    ):
        importlib.import_module("wsgiref_.nothing")


def test_a_stand_in_that_was_replaced_leaves_nothing_behind(stand_in: StandIn) -> None:
    finders = [finder for finder in sys.meta_path if finder not in vars(stand_in).values()]
    sys.modules.pop("colorsys")
    assert importlib.import_module("colorsys") is not stand_in
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("colorsys.nothing")
    stand_in.leave()
    assert sys.meta_path == finders


def test_who_had_begun_to_look_for_a_module_gets_it(stand_in: StandIn) -> None:
    assert stand_in.__spec__ is not None
    module = importlib.util.module_from_spec(stand_in.__spec__)
    assert module is importlib.import_module("colorsys")
    assert module is not stand_in


def test_a_function_called_later_is_the_real_one() -> None:
    assert called_later("textwrap", "indent")("a", prefix="- ") == "- a"


def test_a_network_is_fitted_without_what_lightning_imports_in_vain() -> None:
    program = """
import sys
import numpy as np, pandas as pd
from tsformer import NLinearForecaster
times = pd.date_range("2020", periods=60, freq="D")
df = pd.DataFrame({"unique_id": "a", "ds": times, "y": np.arange(60.0)})
NLinearForecaster(horizon=2, context_length=8, max_steps=4, accelerator="cpu").fit(df)
brought = {"torch._dynamo", "scipy.signal", "scipy.stats", "matplotlib"} & set(sys.modules)
print(brought if "transformers.generation" not in sys.modules else set())  # an older one is large
"""
    assert run(program) == "set()"


def test_what_it_has_left_out_is_there_for_others() -> None:
    program = """
import warnings
warnings.simplefilter("ignore")
import matplotlib
matplotlib.use("agg")
import torch
from tsformer.training.lightning import pl
from lightning.pytorch.utilities.compile import to_uncompiled
import lightning.fabric.wrappers, scipy.signal, torchmetrics
module = pl.LightningModule()
print(
    to_uncompiled(torch.compile(module)) is module,
    isinstance(torch.nn.Linear(1, 1), torch._dynamo.OptimizedModule),
    issubclass(torch._dynamo.OptimizedModule, lightning.fabric.wrappers.OptimizedModule),
    torchmetrics.utilities.plot.plot_curve.__name__,
    len(scipy.signal.windows.hamming(5)),
    type(torchmetrics.MeanMetric().plot(torch.tensor(1.0))[0]).__name__,
)
"""
    assert run(program) == "True False True call 5 Figure"


def test_what_is_not_to_be_compiled_is_not() -> None:
    disabled = vars(compiler_stand_in())["disable"](torch.square, recursive=True)

    @torch.compile(backend="eager", fullgraph=True)
    def both(x: torch.Tensor) -> torch.Tensor:
        return disabled(x + 1)

    assert disabled(torch.tensor(3.0)) == 9
    with pytest.raises(torch._dynamo.exc.Unsupported):
        both(torch.tensor(2.0))


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
