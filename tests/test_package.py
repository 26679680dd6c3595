"""The package as a whole: its public names, and what importing it costs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import tsformer

EXTRAS = {"accelerate", "fracast", "gguf", "httpx", "onnx", "optuna", "polars", "ray", "sktime"}
EXTRAS |= {"fev", "hierarchicalforecast", "statsforecast", "tenacity", "tokenizers", "transformers"}
EXTRAS |= {"utilsforecast"}


def modules_after(statement: str) -> set[str]:
    """Return the top-level modules that a fresh process has after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize("name", tsformer.__all__)
def test_every_public_name_is_what_its_home_calls_so(name: str) -> None:
    home = importlib.import_module(tsformer._HOME[name])
    assert getattr(tsformer, name) is getattr(home, name)
    assert getattr(tsformer, name).__doc__


def test_public_names_are_listed_once_in_order_and_shown_by_dir() -> None:
    assert len(set(tsformer.__all__)) == len(tsformer.__all__)
    assert set(tsformer.__all__) == set(tsformer._HOME)
    assert {*tsformer.__all__, "__version__"} <= set(dir(tsformer))
    assert dir(tsformer) == sorted(dir(tsformer))


def test_star_import_brings_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from tsformer import *", names)
    assert set(names) - {"__builtins__"} == set(tsformer.__all__)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module 'tsformer' has no attribute 'Oracle'"):
        tsformer.Oracle  # noqa: B018
    assert not hasattr(tsformer, "forecast")


def test_importing_the_package_imports_nothing_heavy() -> None:
    modules = modules_after("import tsformer; dir(tsformer)")
    heavy = {"torch", "lightning", "pandas", "numpy", "sklearn", "gluonts", "matplotlib", *EXTRAS}
    assert modules & heavy == set()


def test_importing_forecasters_imports_neither_lightning_nor_an_extra() -> None:
    modules = modules_after(
        "from tsformer import LLMForecaster, PatchTSTForecaster, SeasonalNaiveForecaster, load\n"
        "from tsformer import tokenize_series"
    )
    assert {"torch", "sklearn"} <= modules
    late = {"lightning", "pytorch_lightning", "gluonts", "matplotlib", *EXTRAS}
    assert modules & late == set()


@pytest.mark.parametrize("forecaster", ["SeasonalNaiveForecaster", "TSFormerForecaster"])
def test_forecasting_without_training_imports_no_lightning_and_needs_no_network(
    forecaster: str,
) -> None:
    modules = modules_after(
        "import socket\n"
        "def refused(*_): raise OSError('the network is switched off')\n"
        "socket.socket.connect = socket.getaddrinfo = refused\n"
        "import numpy as np\n"
        f"from tsformer import {forecaster}\n"
        f"{forecaster}(horizon=2).fit(np.arange(9.0)).predict()"
    )
    assert modules & {"lightning", "gluonts", "matplotlib", *EXTRAS} == set()
