from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

import tsformer.evaluation.report as report
from tsformer.evaluation.pictures import draw_training
from tsformer.evaluation.report import (
    means,
    relative,
    results_frame,
    screen_table,
    seed_means,
    write_report,
)
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
    example = {
        "series": "a",
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
        "examples": [example, example],
    }


RECORDS = [
    make_record("first", "SeasonalNaive", None, 2.0),
    make_record("first", "Net", 0, 1.0),
    make_record("first", "Net", 1, 0.5),
    make_record("second/part", "SeasonalNaive", None, 1.0),
    make_record("second/part", "Net", 0, 0.9),
    make_record("second/part", "Net", 1, 0.7),
]
FAILED = {"task": "first", "model": "Net", "seed": 1, "status": "failed", "error": "Boom: x"}


def test_relative_scores_are_means_over_seeds_divided_by_the_baseline() -> None:
    table = relative(results_frame(RECORDS), "MASE", "SeasonalNaive")
    assert table["Net"].tolist() == pytest.approx([0.375, 0.8])
    assert table["SeasonalNaive"].tolist() == [1.0, 1.0]
    assert means(table, "MASE")["Net"] == pytest.approx(np.sqrt(0.375 * 0.8))


def test_seeds_have_a_geometric_mean_each() -> None:
    table = seed_means(results_frame(RECORDS), "MASE", "SeasonalNaive").set_index(["model", "seed"])
    assert table.loc[("Net", 0), "MASE"] == pytest.approx(np.sqrt(0.5 * 0.9))
    assert table.loc[("Net", 1), "MASE"] == pytest.approx(np.sqrt(0.25 * 0.7))


def test_a_model_that_misses_a_task_has_no_mean() -> None:
    results = results_frame(RECORDS[:4])
    assert np.isnan(means(relative(results, "MASE", "SeasonalNaive"), "MASE")["Net"])
    assert seed_means(results, "MASE", "SeasonalNaive")["MASE"].isna().all()


def test_without_the_baseline_nothing_is_relative() -> None:
    assert relative(results_frame(RECORDS[1:3]), "MASE", "SeasonalNaive").empty


def test_the_screen_shows_every_model() -> None:
    text = screen_table(SUITE, results_frame(RECORDS))
    assert "0.548" in text
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["SeasonalNaive", "Net"]


def test_the_report_holds_tables_published_figures_and_pictures(tmp_path: Path) -> None:
    path = write_report(SUITE, RECORDS, tmp_path / "out")
    text = path.read_text()
    assert text.startswith("# My suite\n\nWhat it is.\n")
    assert "| Net | 0.548 |" in text
    assert "Famous (published)" in text
    assert "0.1234" in text
    assert "note on first" in text
    assert "| Net | 0 | " in text
    csv = pd.read_csv(path.parent / "results.csv")
    assert csv["MASE"].tolist() == [r["scores"]["MASE"] for r in RECORDS]
    assert {"task", "model", "seed", "status", "CRPS", "coverage80", "fit_seconds"} <= {*csv}
    for name in ("first.png", "second_part.png"):
        assert f"pictures/{name}" in text
        pixels = image.imread(path.parent / "pictures" / name)
        assert pixels.shape[1] > 400
        assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 20


def test_what_failed_is_listed_with_its_error(tmp_path: Path) -> None:
    text = write_report(SUITE, [*RECORDS[:2], FAILED, *RECORDS[3:]], tmp_path).read_text()
    assert "- first, Net: failed. Boom: x" in text


def test_when_nothing_is_done_then_there_still_is_a_report(tmp_path: Path) -> None:
    text = write_report(SUITE, [FAILED], tmp_path).read_text()
    assert "Boom: x" in text


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes long."""
    monkeypatch.setattr(report, "draw_task", lambda *given: None)


def with_nll(record: dict[str, Any], nll: float | None) -> dict[str, Any]:
    scores = record["scores"] if nll is None else {**record["scores"], "NLL": nll, "ND": 0.5}
    return {**record, "scores": scores}


SCORED = [
    with_nll(record, nll)
    for record, nll in zip(RECORDS, [5.0, 4.0, 3.0, -1.0, -1.5, -2.5], strict=True)
]
DENSITIES = replace(
    SUITE,
    metrics=("MASE", "NLL"),
    published={"Famous": {"first": {"NLL": 4.43}, "second/part": {"NLL": -3.0}}},
)


def rows_of(text: str, title: str) -> dict[str, list[str]]:
    """Return the first table under a title, by its first column."""
    table = text.split(f"## {title}\n")[1].split("\n| ", 1)[1].split("\n\n")[0]
    cells = [line.strip("| ").split(" | ") for line in table.splitlines() if "---" not in line]
    return {name: values for name, *values in cells}


def test_the_baselines_density_is_subtracted_and_differences_have_a_plain_mean() -> None:
    table = relative(results_frame(SCORED), "NLL", "SeasonalNaive")
    assert table["Net"].tolist() == pytest.approx([-1.5, -1.0])
    assert table["SeasonalNaive"].tolist() == [0.0, 0.0]
    assert means(table, "NLL")["Net"] == pytest.approx(-1.25)
    seeds = seed_means(results_frame(SCORED), "NLL", "SeasonalNaive").set_index(["model", "seed"])
    assert seeds["NLL"].to_dict() == pytest.approx({("Net", 0): -0.75, ("Net", 1): -1.75})


@pytest.mark.usefixtures("no_pictures")
def test_tables_by_task_end_with_means(tmp_path: Path) -> None:
    text = write_report(DENSITIES, SCORED, tmp_path).read_text()
    assert rows_of(text, "NLL by task") == {
        "task": ["SeasonalNaive", "Net", "Famous (published)"],
        "first": ["5.0000", "3.5000", "4.4300"],
        "second/part": ["-1.0000", "-2.0000", "-3.0000"],
        "mean": ["2.0000", "0.7500", "0.7150"],
    }
    mase = rows_of(text, "MASE by task")
    assert [*mase] == ["task", "first", "second/part", "geometric mean"]
    assert mase["geometric mean"][:2] == [f"{np.sqrt(2):.4f}", f"{np.sqrt(0.75 * 0.8):.4f}"]
    overall = rows_of(text, "Over all tasks")
    assert overall["model"][:2] == ["relative MASE", "difference in NLL"]
    assert overall["Net"][:2] == ["0.548", "-1.250"]
    assert overall["SeasonalNaive"][:2] == ["1.000", "0.000"]


@pytest.mark.usefixtures("no_pictures")
def test_published_figures_that_miss_a_task_have_no_mean(tmp_path: Path) -> None:
    published = {"Famous": {"first": {"NLL": 4.4}}, "Other": {"first": {"MASE": 1.0}}}
    suite = replace(DENSITIES, published=published)
    table = rows_of(write_report(suite, SCORED, tmp_path).read_text(), "NLL by task")
    assert [row[2] for row in table.values()] == ["Famous (published)", "4.4000", "–", "–"]


@pytest.mark.parametrize("without", [{"Net"}, {"SeasonalNaive"}, {"Net", "SeasonalNaive"}])
@pytest.mark.usefixtures("no_pictures")
def test_models_without_a_density_leave_a_gap_and_no_error(
    tmp_path: Path, without: set[str]
) -> None:
    records = [r if s["model"] in without else s for r, s in zip(RECORDS, SCORED, strict=True)]
    text = write_report(DENSITIES, records, tmp_path).read_text()
    overall = rows_of(text, "Over all tasks")
    relative_known = without == {"Net"}
    assert [overall[name][1] for name in ("SeasonalNaive", "Net")] == [
        "0.000" if relative_known else "–",
        "–",
    ]
    assert "0.548" in screen_table(DENSITIES, results_frame(records))
    by_task = rows_of(text, "NLL by task")
    shown = [name for name in ("SeasonalNaive", "Net") if name not in without]
    assert by_task["task"][: len(shown)] == shown
    csv = pd.read_csv(tmp_path / "results.csv")
    assert csv.loc[csv["model"].isin(without), "NLL"].isna().all()
    assert csv.loc[~csv["model"].isin(without), "NLL"].notna().all()


@pytest.mark.usefixtures("no_pictures")
def test_what_was_skipped_is_listed_with_what_it_lacks(tmp_path: Path) -> None:
    skipped = {**FAILED, "status": "skipped", "error": "pip install tiny"}
    text = write_report(DENSITIES, [*SCORED[:2], skipped, *SCORED[3:]], tmp_path).read_text()
    assert "- first, Net: skipped. pip install tiny" in text


def with_training(record: dict[str, Any], losses: list[float]) -> dict[str, Any]:
    history = [[10 * (look + 1), loss] for look, loss in enumerate(losses)]
    return {**record, "training": {"steps": 10 * len(losses), "history": history}}


def test_validation_losses_are_drawn_for_the_models_that_have_some(tmp_path: Path) -> None:
    records = [
        {**RECORDS[0], "training": None},
        with_training(RECORDS[1], [3.0, 2.0, 2.5]),
        with_training(RECORDS[2], [float("nan"), 1.0]),
        *RECORDS[3:],
    ]
    text = write_report(SUITE, records, tmp_path).read_text()
    assert text.count("_training.png") == 1
    assert "![Validation losses of first](pictures/first_training.png)" in text
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["first.png", "first_training.png", "second_part.png"]


def pixels_near(picture: np.ndarray, colour: str) -> int:
    wanted = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return int((np.abs(picture[..., :3] - wanted).max(axis=-1) < 0.05).sum())


def test_each_seed_is_a_line_and_each_model_a_panel(tmp_path: Path) -> None:
    one, two = [(1, 3.0), (2, 1.0)], [(1, 2.0), (2, 1.5), (3, float("nan"))]
    sizes, drawn = [], []
    for curves in ({"Net": [one]}, {"Net": [one, two]}, {"Net": [one], "Other": [two]}):
        draw_training("losses", curves, tmp_path / "losses.png")
        picture = image.imread(tmp_path / "losses.png")
        sizes.append(picture.shape[1])
        drawn.append([pixels_near(picture, colour) > 50 for colour in ("#0072B2", "#D55E00")])
    assert drawn == [[True, False], [True, True], [True, False]]
    assert sizes[0] == sizes[1] < sizes[2]


def test_losses_that_are_not_finite_are_no_error(tmp_path: Path) -> None:
    draw_training("losses", {"Net": [[(1, float("nan"))]]}, tmp_path / "losses.png")
    assert (tmp_path / "losses.png").is_file()


def test_starred_scores_stand_beside_published_figures_and_seconds_of_pretraining_by_themselves(
    tmp_path: Path,
) -> None:
    records = [
        {**record, "scores": {**record["scores"], "MSE*": 2 * record["scores"]["MASE"]}}
        for record in RECORDS
    ]
    records[1]["pretrain_seconds"], records[4]["pretrain_seconds"] = 7.0, 5.0
    suite = replace(
        SUITE, metrics=("MSE*", "MSE"), published={"Famous": {"first": {"MSE*": 0.1234}}}
    )
    text = write_report(suite, records, tmp_path).read_text(encoding="utf-8")
    _, starred, other = text.split("## MSE")[:3]
    assert "| first | 4.0000 | 1.5000 | 0.1234 |" in starred
    assert "published" not in other
    summary = text.split("## Over all tasks")[1].splitlines()
    assert "pretrain s" in next(line for line in summary if line.startswith("| model"))
    assert "| 12.000 |" in next(line for line in summary if line.startswith("| Net"))
    assert "| – |" in next(line for line in summary if line.startswith("| SeasonalNaive"))
    assert "pretrain s" not in write_report(SUITE, RECORDS, tmp_path).read_text(encoding="utf-8")
