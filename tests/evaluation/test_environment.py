"""What a result depends on: versions, hardware, and the size of the network."""

from __future__ import annotations

import json
import platform
import socket
from typing import Any

import numpy as np
import pytest
import torch

import tsformer
from tsformer import (
    ConformalForecaster,
    EnsembleForecaster,
    LLMForecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TSFormerForecaster,
)
from tsformer.evaluation.environment import environment, machines, n_parameters

SERIES = np.sin(np.arange(80.0))
TINY: dict[str, Any] = {"horizon": 4, "context_length": 16, "max_steps": 1, "d_model": 8}


def test_versions_and_hardware_are_named_and_the_machine_is_not() -> None:
    found = environment()
    assert found["versions"]["python"] == platform.python_version()
    assert found["versions"]["tsformer"] == tsformer.__version__
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["threads"] == torch.get_num_threads()
    assert found["memory_gb"] >= 1
    assert "core" in found["processor"]
    assert socket.gethostname() not in json.dumps(found)


def test_each_machine_is_described_once() -> None:
    one = environment()
    other = {**one, "gpu": "a GPU", "threads": 7}
    records = [{"environment": one}, {"environment": other}, {"environment": one}, {}]
    described = [dict(lines) for lines in machines(records)]
    assert [lines["GPU"] for lines in described] == [one["gpu"] or "none", "a GPU"]
    assert described[1]["processor"].endswith("7 threads used")
    assert "torch" in described[0]["versions"]


def test_parameters_are_those_of_the_network_however_it_is_wrapped() -> None:
    network = PatchTSTForecaster(**TINY).fit(SERIES)
    expected = sum(parameter.numel() for parameter in network.model_.parameters())
    assert n_parameters(network) == expected > 100
    wrapped = ConformalForecaster(forecaster=PatchTSTForecaster(**TINY)).fit(SERIES)
    assert n_parameters(wrapped) == expected
    several = [PatchTSTForecaster(**TINY), SeasonalNaiveForecaster(horizon=4)]
    together = EnsembleForecaster(forecaster=PatchTSTForecaster(**TINY), others=several)
    assert n_parameters(together.fit(SERIES)) == 2 * expected
    assert n_parameters(TSFormerForecaster(horizon=4).fit(SERIES)) == 1_922_662
    assert n_parameters(LLMForecaster(horizon=4).fit(SERIES)) == 2_426_112


@pytest.mark.parametrize(
    "forecaster", [SeasonalNaiveForecaster(horizon=4), LLMForecaster(horizon=4, model="ngram")]
)
def test_without_a_network_none_is_counted(forecaster: Any) -> None:
    assert n_parameters(forecaster.fit(SERIES)) is None
