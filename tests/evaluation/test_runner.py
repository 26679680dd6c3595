from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tsformer.evaluation.runner as runner
from tsformer.data.datasets import DatasetUnavailableError
from tsformer.evaluation.runner import evaluate, make_forecaster, run_suite
from tsformer.evaluation.suite import ModelSpec, PretrainSpec, SuiteSpec, TaskSpec
from tsformer.evaluation.tasks import load_task
from tsformer.forecasters import (
    FORECASTERS,
    LLMForecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
)

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

    monkeypatch.setattr("tsformer.files.os.replace", fail)
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


class UnpackedForecaster(SeasonalNaiveForecaster):
    """Needs a package that is not installed."""

    def fit_panel(self, panel: Any, val_size: Any = None) -> Any:
        raise ImportError("the model lies in the package 'tiny': pip install tiny")


def test_a_model_whose_package_is_missing_is_skipped_by_name_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORECASTERS, "UnpackedForecaster", UnpackedForecaster)
    unpacked = ModelSpec(name="Unpacked", forecaster="UnpackedForecaster")
    suite, lines = make_suite(unpacked, NAIVE, tasks=(OTHER,)), list[str]()
    records = run_suite(suite, tmp_path, notify=lines.append)
    assert [(r["model"], r["status"]) for r in records] == [
        ("Unpacked", "skipped"),
        ("SeasonalNaive", "done"),
    ]
    assert records[0]["error"] == "the model lies in the package 'tiny': pip install tiny"
    assert lines[0] == "[1/2] air: Unpacked: skipped: " + records[0]["error"]
    monkeypatch.setitem(FORECASTERS, "UnpackedForecaster", SeasonalNaiveForecaster)
    assert [r["status"] for r in run_suite(suite, tmp_path)] == ["done", "done"]


def test_a_statistical_model_without_its_package_is_skipped_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    theta = ModelSpec(name="Theta", forecaster="AutoTheta")
    records = run_suite(make_suite(NAIVE, theta, tasks=(OTHER,)), tmp_path)
    assert [r["status"] for r in records] == ["done", "skipped"]


LAST = TaskSpec(
    name="air", dataset="air_passengers", horizon=6, season_length=12, protocol="last", n_levels=20
)
NGRAM = ModelSpec(
    name="NGram", forecaster="LLMForecaster", parameters={"model": "ngram", "n_samples": 20}
)


class PlainForecaster:
    """Knows no density."""

    def __init__(self, **parameters: Any) -> None:
        self.naive = SeasonalNaiveForecaster(**parameters)

    def fit_panel(self, panel: Any, val_size: Any = None) -> Any:
        return self.naive.fit_panel(panel)

    def predict_panel(self, panel: Any, **given: Any) -> Any:
        return self.naive.predict_panel(panel, **given)


def test_densities_are_scored_where_the_task_wants_them_and_the_model_knows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tsformer import load_dataset

    monkeypatch.setitem(FORECASTERS, "PlainForecaster", PlainForecaster)
    plain = ModelSpec(name="Plain", forecaster="PlainForecaster")
    task = replace(LAST, density=True)
    suite = make_suite(NAIVE, NGRAM, plain, tasks=(task, replace(LAST, name="plain")))
    records = run_suite(suite, tmp_path)
    scored = {(r["task"], r["model"]): r["scores"].get("NLL") for r in records}
    assert all(nll is None for (name, _), nll in scored.items() if name == "plain")
    assert scored["air", "Plain"] is None
    df = load_dataset("air_passengers")
    for name, forecaster in (
        ("SeasonalNaive", SeasonalNaiveForecaster(horizon=6)),
        ("NGram", LLMForecaster(horizon=6, model="ngram")),
    ):
        found = forecaster.fit(df.iloc[:-6]).log_density(df)["log_density"]
        assert scored["air", name] == pytest.approx(-found.mean())


def test_crps_of_a_language_model_is_that_of_its_samples(tmp_path: Path) -> None:
    from tsformer import load_dataset

    record = run_suite(make_suite(NAIVE, NGRAM, tasks=(LAST,)), tmp_path)[1]
    df = load_dataset("air_passengers")
    forecaster = LLMForecaster(horizon=6, model="ngram").fit(df.iloc[:-6])
    paths = forecaster.predict_samples(n_samples=20).pivot(index="sample", columns="ds", values="y")
    samples, truth = paths.to_numpy(), df["y"].to_numpy()[-6:]
    spread = np.abs(samples[:, None] - samples[None]).mean(axis=(0, 1))
    crps = np.abs(samples - truth).mean(axis=0) - spread / 2
    assert record["scores"]["CRPS"] == pytest.approx(crps.sum() / truth.sum(), rel=1e-6)


def test_seeds_reach_language_models() -> None:
    forecaster = make_forecaster(NGRAM, LAST, 3)
    assert isinstance(forecaster, LLMForecaster)
    assert (forecaster.random_state, forecaster.n_samples, forecaster.horizon) == (3, 20, 6)


def test_forecasters_inside_another_are_told_the_same() -> None:
    naive = {"forecaster": "SeasonalNaiveForecaster", "parameters": {"season_length": "task"}}
    net = {"forecaster": "DLinearForecaster", "parameters": {"max_steps": 2}}
    several = {"forecaster": {"forecaster": "ConformalForecaster", "parameters": {}}}
    several["forecaster"]["parameters"] = {"forecaster": net, "n_windows": 2}
    spec = ModelSpec(
        name="all", forecaster="EnsembleForecaster", parameters={**several, "others": [naive, net]}
    )
    made = make_forecaster(spec, TASK, 3)
    assert (made.horizon, made.random_state) == (12, 3)
    assert made.forecaster.n_windows == 2
    assert made.forecaster.forecaster.max_steps == 2
    assert [one.horizon for one in made.others] == [12, 12]
    assert made.others[0].season_length == 12


def test_what_describes_no_forecaster_is_said(tmp_path: Path) -> None:
    described: list[tuple[Any, str]] = [
        ({"forecaster": "Nope"}, "forecaster: 'Nope' is none; there are ConformalForecaster, "),
        ({"forecaster": "DLinearForecaster", "size": 3}, "'size' is unknown; say forecaster: and"),
    ]
    for inside, message in described:
        spec = ModelSpec(
            name="x", forecaster="ConformalForecaster", parameters={"forecaster": inside}
        )
        record = run_suite(make_suite(NAIVE, spec, tasks=(OTHER,)), tmp_path)[1]
        assert record["status"] == "failed"
        assert message in record["error"]


def test_the_seed_and_the_horizon_of_a_run_count_more_than_those_of_its_model() -> None:
    spec = replace(NGRAM, parameters={"model": "ngram", "random_state": 7, "horizon": 2})
    made = make_forecaster(spec, LAST, 3)
    assert (made.random_state, made.horizon) == (3, 6)


NET = ModelSpec(
    name="Net",
    forecaster="PatchTSTForecaster",
    parameters={
        "context_length": 12,
        "max_steps": 3,
        "d_model": 8,
        "n_heads": 2,
        "n_layers": 1,
        "d_ff": 8,
    },
)


def test_records_hold_the_losses_of_training_as_plain_json(tmp_path: Path) -> None:
    naive, net = run_suite(make_suite(NAIVE, NET, tasks=(OTHER,)), tmp_path)
    assert naive["training"] is None
    assert json.loads(json.dumps(net)) == net
    steps, losses = np.array(net["training"]["history"]).T
    assert steps.tolist() == [1, 2, 3]
    assert net["training"]["best_loss"] == losses.min()
    assert run_suite(make_suite(NAIVE, NET, tasks=(OTHER,)), tmp_path)[1] == net


def test_a_joint_model_sees_the_series_of_a_task_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []

    class Spy(SeasonalNaiveForecaster):
        def fit_panel(self, panel: Any, val_size: Any = None) -> Any:
            seen.append((len(panel), panel.n_variates))
            return super().fit_panel(panel, val_size)

    monkeypatch.setitem(FORECASTERS, "Spy", Spy)
    sea = load_task(TASK)
    pair = replace(sea.panel.select([0, 0]), ids=np.array(["one", "two"], dtype=object))
    task = replace(
        sea, panel=pair, training=sea.training.repeat(2), cutoffs=sea.cutoffs.repeat(2, axis=1)
    )
    monkeypatch.setattr(runner, "load_task", lambda spec: task)
    spies = [ModelSpec(name=f"{joint}", forecaster="Spy", joint=joint) for joint in (False, True)]
    records = run_suite(make_suite(NAIVE, *spies, tasks=(TASK,)), tmp_path)
    assert seen == [(2, 1), (1, 2)]
    assert records[2]["scores"] == pytest.approx(records[1]["scores"])
    assert {example["series"] for example in records[2]["examples"]} == {"one", "two"}
    assert records[1]["fingerprint"] != records[2]["fingerprint"]


SMALL = {
    "context_length": 24,
    "patch_length": 4,
    "max_steps": 2,
    "d_model": 8,
    "n_heads": 2,
    "d_ff": 8,
}


def test_a_model_learns_from_other_data_first_with_parameters_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[Any] = []
    pretrain_panel = PatchTSTForecaster.pretrain_panel

    def watched(self: Any, panel: Any, val_size: Any = None) -> Any:
        taught.append((self.get_params(), panel.ids.tolist(), panel.lengths.tolist()))
        return pretrain_panel(self, panel, val_size)

    fitted: list[Any] = []
    fit_panel = PatchTSTForecaster.fit_panel

    def watched_too(self: Any, panel: Any, val_size: Any = None) -> Any:
        fitted.append((self.get_params(), self.pretrained_.sizes, panel.lengths.tolist()))
        return fit_panel(self, panel, val_size)

    monkeypatch.setattr(PatchTSTForecaster, "pretrain_panel", watched)
    monkeypatch.setattr(PatchTSTForecaster, "fit_panel", watched_too)
    model = ModelSpec(
        name="Taught",
        forecaster="PatchTSTForecaster",
        parameters=SMALL,
        seeds=(3,),
        pretrain=PretrainSpec(dataset="air_passengers", parameters={"max_steps": 5}),
    )
    task = replace(TASK, training_share=0.5)
    record = run_suite(make_suite(NAIVE, model, tasks=(task,)), tmp_path)[1]
    assert record["status"] == "done", record
    assert record["pretrain_seconds"] > 0
    [(parameters, ids, lengths)] = taught
    assert parameters["max_steps"] == 5
    assert parameters["random_state"] == 3
    assert (ids, lengths) == (["air_passengers"], [144 - 2 * 12])
    [(parameters, sizes, lengths)] = fitted
    assert parameters["max_steps"] == 2
    assert sizes["d_model"] == 8
    assert lengths == load_task(task).training_panel.lengths.tolist()


def test_a_model_whose_other_data_cannot_be_had_is_skipped(tmp_path: Path) -> None:
    model = ModelSpec(
        name="Taught",
        forecaster="PatchTSTForecaster",
        parameters=SMALL,
        pretrain=PretrainSpec(dataset="unknown"),
    )
    known = runner.load_task

    def load(spec: TaskSpec) -> Any:
        if spec.dataset == "unknown":
            raise DatasetUnavailableError("no such data here")
        return known(spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "load_task", load)
        records = run_suite(make_suite(NAIVE, model, tasks=(TASK,)), tmp_path)
    assert [(r["status"], r.get("error")) for r in records] == [
        ("done", None),
        ("skipped", "no such data here"),
    ]
