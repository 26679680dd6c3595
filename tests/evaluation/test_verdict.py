"""The three answers of a report follow from its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from tsformer.evaluation.results import results_frame
from tsformer.evaluation.suite import ModelSpec, SuiteSpec, TaskSpec
from tsformer.evaluation.verdict import seconds_text, verdict

NAMES = [f"task {letter}" for letter in "abcdefgh"]


def suite_of(models: list[str], tasks: list[str] = NAMES) -> SuiteSpec:
    return SuiteSpec(
        name="mine",
        title="Mine",
        tasks=tuple(
            TaskSpec(name=name, dataset="el_nino", horizon=3, season_length=1) for name in tasks
        ),
        models=tuple(ModelSpec(name=name, forecaster=name) for name in ["SeasonalNaive", *models]),
    )


def results_of(scores: dict[str, list[float]], took: dict[str, float]) -> pd.DataFrame:
    """Return results of models, task by task; all tasks of a model take `took` seconds together."""
    scores = {"SeasonalNaive": [1.0] * len(NAMES), **scores}
    return results_frame(
        [
            {
                "task": task,
                "model": model,
                "seed": None,
                "status": "done",
                "scores": {"MASE": score, "CRPS": score},
                "fit_seconds": took.get(model, 0.0) / len(values),
                "predict_seconds": 0.0,
            }
            for model, values in scores.items()
            for task, score in zip(NAMES, values, strict=False)
        ]
    )


CLEAR = {"Good": [0.5] * 8, "Poor": [0.9, 0.8] * 4}
CLOSE = {"Good": [0.5, 0.6] * 4, "Other": [0.6, 0.51] * 4}


def test_the_lowest_mean_is_named_with_its_value() -> None:
    said = verdict(suite_of(["Poor", "Good"]), results_of(CLEAR, {}))
    assert said is not None
    assert said.best == "Good"
    assert said.which == (
        "Of the models run here, Good has the lowest CRPS over 8 tasks: 0.500 of that of "
        "SeasonalNaive."
    )


def test_a_published_figure_that_is_lower_is_not_passed_over() -> None:
    figures = {task: {"CRPS": 0.4} for task in NAMES}
    known = {"Part": {NAMES[0]: {"CRPS": 0.1}}, "Best": figures}
    suite = replace(suite_of(["Poor", "Good"]), published=known)
    said = verdict(suite, results_of(CLEAR, {}))
    assert said is not None
    assert said.best == "Good"
    assert said.which.endswith("SeasonalNaive. Lower: Best (published), 0.400.")


def test_a_clear_winner_is_called_so_and_a_close_one_is_not() -> None:
    clear = verdict(suite_of(["Good", "Poor"]), results_of(CLEAR, {}))
    close = verdict(suite_of(["Good", "Other"]), results_of(CLOSE, {}))
    assert clear is not None
    assert close is not None
    assert "better than it in 100 % of the tasks and in 100 % of such draws." in clear.sure
    assert "do not tell the two apart" not in clear.sure
    assert "better than it in 50 % of the tasks" in close.sure
    assert close.sure.endswith("so these tasks do not tell the two apart.")


def test_a_cheaper_model_that_is_nearly_as_good_is_named() -> None:
    scores = {"Good": [0.5] * 8, "Fast": [0.51] * 8, "Bad": [0.9] * 8}
    took = {"Good": 600.0, "Fast": 2.0, "Bad": 1.0}
    said = verdict(suite_of([*scores]), results_of(scores, took))
    assert said is not None
    assert said.cost == (
        "Good took 10 minutes for all tasks, training included. Fast, at most 5% worse, took "
        "2 seconds."
    )
    alone = verdict(suite_of([*scores]), results_of(scores, {**took, "Fast": 400.0}))
    assert alone is not None
    assert "Fast" not in alone.cost


def test_models_that_miss_a_task_are_not_considered() -> None:
    scores = {"Part": [0.1] * 7, "Good": [0.5] * 8}
    said = verdict(suite_of([*scores]), results_of(scores, {}))
    assert said is not None
    assert said.best == "Good"


def test_a_win_in_a_few_tasks_is_not_called_sure() -> None:
    results = results_of(CLEAR, {})
    few = results[results["task"].isin(NAMES[:5])]
    said = verdict(suite_of(["Good", "Poor"], NAMES[:5]), few)
    assert said is not None
    assert "100 % of such draws, but 5 tasks are too few to be sure." in said.sure


def test_tasks_without_the_baseline_are_named(records: Any, suite: Any, failed: Any) -> None:
    said = verdict(suite, results_frame(records[1:]))
    assert said is not None
    assert "over 1 of 2 tasks (those in which SeasonalNaive has a score" in said.which
    assert "; not first)" in said.which
    assert verdict(suite, results_frame([failed])) is None


def test_one_task_says_nothing_of_others(records: Any, suite: Any) -> None:
    said = verdict(replace(suite, tasks=suite.tasks[:1]), results_frame(records[:3]))
    assert said is not None
    assert said.sure == "One task says nothing about others."
    assert "over one task" in said.which


def test_densities_are_compared_by_differences(scored_records: Any, suite: Any) -> None:
    densities = replace(suite, metrics=("NLL",))
    assert densities.primary_metric == "NLL"
    said = verdict(densities, results_frame(scored_records))
    assert said is not None
    assert said.which.endswith(
        "Net has the lowest NLL over 2 tasks: -1.250 beside SeasonalNaive's."
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.02, "less than 0.1 seconds"),
        (2.34, "2.3 seconds"),
        (59.0, "59 seconds"),
        (600.0, "10 minutes"),
        (9000.0, "2.5 hours"),
    ],
)
def test_durations_are_said_in_words(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
