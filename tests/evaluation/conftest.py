"""A small suite with its records, as `tsformer.evaluation.runner` keeps them."""

from __future__ import annotations

from typing import Any

import pytest

from tsformer.evaluation.suite import ModelSpec, SuiteSpec, TaskSpec

TASKS = tuple(
    TaskSpec(name=name, dataset="el_nino", horizon=3, season_length=1, note=f"note on {name}")
    for name in ("first", "second/part")
)
MODELS = (
    ModelSpec(name="SeasonalNaive", forecaster="SeasonalNaiveForecaster"),
    ModelSpec(name="Net", forecaster="PatchTSTForecaster", seeds=(0, 1)),
)
SUITE = SuiteSpec(
    name="mine",
    title="My suite",
    description="What it is.",
    tasks=TASKS,
    models=MODELS,
    published={"Famous": {"first": {"MASE": 0.1234, "CRPS": 0.05}}},
)


def make_record(task: str, model: str, seed: int | None, mase: float) -> dict[str, Any]:
    """Return the record of a run that came to an end."""
    example = {
        "series": "a",
        "error": 0.5,
        "history": [1.0, 2.0, None, 4.0],
        "truth": [5.0, None, 7.0],
        "median": [5.0, 6.0, 7.0],
        "low": [4.0, 5.0, 6.0],
        "high": [6.0, 7.0, 8.0],
    }
    scores = {"MASE": mase, "CRPS": mase / 10, "coverage80": 0.75, "width80": 0.5}
    return {
        "task": task,
        "model": model,
        "seed": seed,
        "status": "done",
        "scores": {**scores, "MSE": 1.0, "MAE": 1.0},
        "fit_seconds": 2.0,
        "predict_seconds": 1.0,
        "peak_memory_mb": 100.0,
        "examples": [example, {**example, "series": "b", "error": 2.5}],
    }


@pytest.fixture
def suite() -> SuiteSpec:
    return SUITE


@pytest.fixture
def records() -> list[dict[str, Any]]:
    """Return two tasks by a baseline and by a network with two seeds."""
    return [
        make_record("first", "SeasonalNaive", None, 2.0),
        make_record("first", "Net", 0, 1.0),
        make_record("first", "Net", 1, 0.5),
        make_record("second/part", "SeasonalNaive", None, 1.0),
        make_record("second/part", "Net", 0, 0.9),
        make_record("second/part", "Net", 1, 0.7),
    ]


def with_nll(record: dict[str, Any], nll: float | None) -> dict[str, Any]:
    """Return a record with a density, too."""
    scores = record["scores"] if nll is None else {**record["scores"], "NLL": nll, "ND": 0.5}
    return {**record, "scores": scores}


@pytest.fixture
def scored_records(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records with densities."""
    densities = [5.0, 4.0, 3.0, -1.0, -1.5, -2.5]
    return [with_nll(record, nll) for record, nll in zip(records, densities, strict=True)]


@pytest.fixture
def failed() -> dict[str, Any]:
    """Return the record of a run that failed."""
    return {"task": "first", "model": "Net", "seed": 1, "status": "failed", "error": "Boom: x"}
