from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsformer.evaluation.runner as runner
from tsformer.data.datasets import DatasetUnavailableError
from tsformer.evaluation.runner import evaluate, make_forecaster, run_suite
from tsformer.evaluation.suite import ModelSpec, SuiteSpec, TaskSpec
from tsformer.evaluation.tasks import load_task
from tsformer.forecasters import FORECASTERS, SeasonalNaiveForecaster

TASK = TaskSpec(name="sea", dataset="el_nino", horizon=12, season_length=12, windows=2)
OTHER = TaskSpec(name="air", dataset="air_passengers", horizon=6, season_length=12, windows=1)
NAIVE = ModelSpec(
    name="SeasonalNaive", forecaster="SeasonalNaiveForecaster", parameters={"season_length": "task"}
)
BROKEN = ModelSpec(name="Broken", forecaster="BrokenForecaster")


class BrokenForecaster(SeasonalNaiveForecaster):
    """Fails in the middle of a suite."""

    def fit_panel(self, panel: Any, val_size: Any = None) -> Any:
        raise RuntimeError("out of luck")


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with every fit of a seasonal naive forecaster."""
    counted: list[int] = []
    fit_panel = SeasonalNaiveForecaster.fit_panel

    def counting(self: Any, panel: Any, val_size: Any = None) -> Any:
        counted.append(len(panel))
        return fit_panel(self, panel, val_size)

    monkeypatch.setattr(SeasonalNaiveForecaster, "fit_panel", counting)
    monkeypatch.setitem(FORECASTERS, "BrokenForecaster", BrokenForecaster)
    return counted


def make_suite(*models: ModelSpec, tasks: tuple[TaskSpec, ...] = (TASK, OTHER)) -> SuiteSpec:
    return SuiteSpec(name="mine", title="Mine", tasks=tasks, models=models or (NAIVE,))


def test_records_hold_scores_costs_and_examples(tmp_path: Path) -> None:
    records = run_suite(make_suite(), tmp_path)
    assert [(r["task"], r["status"]) for r in records] == [("sea", "done"), ("air", "done")]
    for record in records:
        assert np.isfinite(list(record["scores"].values())).all()
        assert record["fit_seconds"] > 0
        assert record["predict_seconds"] > 0
        assert 10 < record["peak_memory_mb"] < 100_000
    example = records[0]["examples"][0]
    assert len(example["truth"]) == len(example["median"]) == 12
    assert len(example["history"]) == 48


def test_scores_are_those_of_the_frames(tmp_path: Path) -> None:
    from tsformer import load_dataset

    record = run_suite(make_suite(tasks=(OTHER,)), tmp_path)[0]
    df = load_dataset("air_passengers")
    forecast = SeasonalNaiveForecaster(horizon=6).fit(df.iloc[:-6]).predict()
    y = df["y"].to_numpy()
    scale = np.abs(y[12:-6] - y[:-18]).mean()
    expected = np.abs(forecast["0.5"].to_numpy() - y[-6:]).mean() / scale
    assert record["scores"]["MASE"] == pytest.approx(expected, rel=1e-5)


def test_a_second_run_takes_what_is_stored(tmp_path: Path, fits: list[int]) -> None:
    lines: list[str] = []
    first = run_suite(make_suite(), tmp_path)
    assert len(fits) == 2
    again = run_suite(make_suite(), tmp_path, notify=lines.append)
    assert len(fits) == 2
    assert again == first
    assert all(line.endswith("(stored)") for line in lines)


def test_other_settings_run_again(tmp_path: Path, fits: list[int]) -> None:
    run_suite(make_suite(tasks=(OTHER,)), tmp_path)
    changed = TaskSpec(name="air", dataset="air_passengers", horizon=5, season_length=12, windows=1)
    run_suite(make_suite(tasks=(changed,)), tmp_path)
    assert len(fits) == 2


def test_a_failing_model_loses_nobody_elses_results(tmp_path: Path, fits: list[int]) -> None:
    suite = make_suite(BROKEN, NAIVE)
    records = run_suite(suite, tmp_path)
    assert [r["status"] for r in records] == ["failed", "done", "failed", "done"]
    assert "RuntimeError: out of luck" in records[0]["error"]
    assert "fit_panel" in records[0]["traceback"]
    assert len([*(tmp_path / "runs").glob("*.json")]) == 4
    run_suite(suite, tmp_path)
    assert len(fits) == 2  # the stored ones are not run again; the failed ones are, and fail again


def test_results_are_on_disk_before_the_next_run(
    tmp_path: Path, fits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(line: str) -> None:
        if "air" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suite(make_suite(), tmp_path, notify=interrupt)
    assert len([*(tmp_path / "runs").glob("*.json")]) == 2
    run_suite(make_suite(), tmp_path)
    assert len(fits) == 2


def test_a_half_written_file_is_never_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: Any, target: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(runner.os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        run_suite(make_suite(tasks=(OTHER,)), tmp_path)
    assert [*(tmp_path / "runs").glob("*.json")] == []


def test_data_that_cannot_be_had_skip_their_task_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(spec: TaskSpec) -> Any:
        if spec.name == "sea":
            raise DatasetUnavailableError("data set 'el_nino' is nowhere")
        return load_task(spec)

    monkeypatch.setattr(runner, "load_task", load)
    records = run_suite(make_suite(), tmp_path)
    assert [r["status"] for r in records] == ["skipped", "done"]
    assert "nowhere" in records[0]["error"]


def test_each_seed_is_a_run_of_its_own(tmp_path: Path) -> None:
    seeded = ModelSpec(name="Seeded", forecaster="SeasonalNaiveForecaster", seeds=(3, 4))
    records = run_suite(make_suite(NAIVE, seeded, tasks=(OTHER,)), tmp_path)
    assert [(r["model"], r["seed"]) for r in records] == [
        ("SeasonalNaive", None),
        ("Seeded", 3),
        ("Seeded", 4),
    ]
    assert len({r["fingerprint"] for r in records}) == 3


def test_forecasters_get_the_tasks_own_values_and_the_seed() -> None:
    forecaster = make_forecaster(NAIVE, TASK, 7)
    assert forecaster.get_params()["season_length"] == 12
    assert (forecaster.horizon, forecaster.random_state) == (12, 7)


def test_evaluation_leaves_training_data_before_the_first_window() -> None:
    seen: list[Any] = []

    class Spy(SeasonalNaiveForecaster):
        def fit_panel(self, panel: Any, val_size: Any = None) -> Any:
            seen.append(panel)
            return super().fit_panel(panel, val_size)

    evaluate(load_task(TASK), Spy(horizon=12))
    assert seen[0].lengths.tolist() == [732 - 24]


def test_records_are_plain_json(tmp_path: Path) -> None:
    record = run_suite(make_suite(tasks=(OTHER,)), tmp_path)[0]
    assert json.loads(json.dumps(record)) == record
