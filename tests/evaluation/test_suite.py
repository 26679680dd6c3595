from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tsformer.evaluation.suite import (
    ModelSpec,
    PretrainSpec,
    SuiteSpec,
    TaskSpec,
    load_suite,
    restrict,
)

MODEL = {"name": "SeasonalNaive", "forecaster": "SeasonalNaiveForecaster"}
TASK = {"name": "a", "dataset": "el_nino", "horizon": 12, "season_length": 12}


def write(path: Path, **changes: object) -> Path:
    content = {"name": "mine", "title": "Mine", "tasks": [TASK], "models": [MODEL], **changes}
    path.write_text(yaml.safe_dump(content))
    return path


def test_when_a_task_repeats_the_defaults_then_it_may_leave_them_out(tmp_path: Path) -> None:
    task = {"name": "a", "dataset": "el_nino"}
    path = write(
        tmp_path / "suite.yaml", tasks=[task], task_defaults={"horizon": 3, "season_length": 4}
    )
    spec = load_suite(path).tasks[0]
    assert (spec.horizon, spec.season_length, spec.protocol) == (3, 4, "rolling")


def test_a_name_finds_the_suite_of_the_package() -> None:
    assert load_suite("quick").name == "quick"
    assert load_suite("quick.yaml") == load_suite("quick")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tasks": [{**TASK, "horizons": 3}]}, "unknown key 'horizons'"),
        ({"models": [{**MODEL, "seed": 1}]}, "unknown key 'seed'"),
        ({"titel": "x"}, "unknown key 'titel'"),
        ({"tasks": [{"name": "a", "dataset": "x"}]}, "horizon"),
        ({"tasks": [TASK, TASK]}, "two tasks called 'a'"),
        ({"models": [MODEL, MODEL]}, "two models called 'SeasonalNaive'"),
        ({"baseline": "Other"}, "baseline='Other' is not a model"),
    ],
)
def test_when_a_suite_is_wrong_then_the_error_names_the_key(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_suite(write(tmp_path / "suite.yaml", **changes))


def test_when_the_file_is_no_mapping_then_the_error_says_what_is_expected(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("- 1\n- 2\n")
    with pytest.raises(ValueError, match="expected a mapping"):
        load_suite(path)


def test_when_there_is_no_such_suite_then_an_example_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="quick"):
        load_suite("no_such_suite")


def test_restrict_keeps_the_baseline_and_the_order() -> None:
    suite = load_suite("quick")
    few = restrict(suite, ["nyc_", "el_nino"], ["PatchTST"])
    assert [task.name for task in few.tasks] == [
        t.name for t in suite.tasks if "nyc_" in t.name or t.name == "el_nino"
    ]
    assert [model.name for model in few.models] == ["SeasonalNaive", "PatchTST"]
    assert restrict(suite, None, None) == suite


def test_when_nothing_is_left_then_the_error_lists_what_there_is() -> None:
    suite: SuiteSpec = load_suite("quick")
    with pytest.raises(ValueError, match="there are fertility"):
        restrict(suite, ["nothing"], None)
    with pytest.raises(ValueError, match="no model 'nothing'"):
        restrict(suite, None, ["nothing"])


def test_a_task_says_what_it_takes_and_how_it_is_scored(tmp_path: Path) -> None:
    usual = load_suite(write(tmp_path / "suite.yaml")).tasks[0]
    assert (usual.series, usual.every, usual.n_levels, usual.density) == (None, 1, 9, False)
    defaults = {"n_levels": 20, "density": True}
    tasks = [TASK, {**TASK, "name": "b", "series": "x", "every": 4, "density": False}]
    path = write(tmp_path / "suite.yaml", task_defaults=defaults, tasks=tasks, metrics=["NLL"])
    suite = load_suite(path)
    assert suite.metrics == ("NLL",)
    assert [(t.series, t.every, t.n_levels, t.density) for t in suite.tasks] == [
        (None, 1, 20, True),
        ("x", 4, 20, False),
    ]


def test_the_suite_of_language_models_is_scored_as_in_the_paper() -> None:
    suite = load_suite("llm")
    assert suite.metrics == ("CRPS", "NLL", "ND")
    assert len(suite.tasks) == 8
    for task in suite.tasks:
        assert (task.protocol, task.n_levels, task.density) == ("last", 20, True)
    for tasks in suite.published.values():
        for scores in tasks.values():
            assert set(scores) <= set(suite.metrics)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("weather_96", {"dropout": 0.2, "patch_length": 16, "season_length": 144}),
        ("weather_720", {"dropout": 0.5, "patch_length": 16, "season_length": 144}),
        ("etth1_720", {"dropout": 0.3, "patch_length": 16, "season_length": 24}),
    ],
)
def test_parameters_of_a_task_stand_before_those_of_the_model(
    name: str, expected: dict[str, object]
) -> None:
    model = ModelSpec(
        name="Net",
        forecaster="PatchTSTForecaster",
        parameters={"dropout": 0.2, "patch_length": 16, "season_length": 24},
        tasks={
            "_720": {"dropout": 0.5},
            "weather_720": {"season_length": "task"},
            "weather_96": {"season_length": "task"},
            "etth1_720": {"dropout": 0.3},
        },
    )
    task = TaskSpec(name=name, dataset="x", horizon=96, season_length=144)
    assert model.parameters_for(task) == expected
    assert model.parameters["dropout"] == 0.2


def test_a_suite_says_what_differs_by_task_and_what_is_joint(tmp_path: Path) -> None:
    net = {"name": "Net", "forecaster": "PatchTSTForecaster", "tasks": {720: {"dropout": 0.5}}}
    joint = {**net, "name": "Joint", "joint": True, "tasks": {}}
    tasks = [TASK, {**TASK, "name": "b720"}]
    suite = load_suite(write(tmp_path / "suite.yaml", tasks=tasks, models=[MODEL, net, joint]))
    assert [model.joint for model in suite.models] == [False, False, True]
    parameters = [suite.models[1].parameters_for(task) for task in suite.tasks]
    assert parameters == [{}, {"dropout": 0.5}]


def test_a_suite_says_what_a_model_learns_from_first(tmp_path: Path) -> None:
    net = {"name": "Net", "forecaster": "PatchTSTForecaster"}
    first = {"dataset": "etth1", "parameters": {"max_steps": 9}}
    models = [MODEL, net, {**net, "name": "Taught", "pretrain": first}]
    suite = load_suite(write(tmp_path / "suite.yaml", tasks=[TASK], models=models))
    assert [model.pretrain for model in suite.models] == [None, None, PretrainSpec(**first)]
    wrong = [MODEL, {**net, "pretrain": {"data": "etth1"}}]
    with pytest.raises(ValueError, match="unknown key 'data'; there are dataset, parameters"):
        load_suite(write(tmp_path / "wrong.yaml", tasks=[TASK], models=wrong))
