from __future__ import annotations

from pathlib import Path

import pytest

from tsformer.data.datasets import dataset_info
from tsformer.evaluation.peers import PEERS
from tsformer.evaluation.runner import make_forecaster
from tsformer.evaluation.suite import load_suite
from tsformer.forecasters import FORECASTERS

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(set(FOLDER.glob("*.yaml")) - set(FOLDER.glob("pretrain_*.yaml")))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_suite_names_what_exists(path: Path) -> None:
    suite = load_suite(path)
    assert suite.name == path.stem
    for task in suite.tasks:
        info = dataset_info(task.dataset)
        assert task.horizon > 0
        assert (suite.name == "quick") <= ("quick" in info.tags)
    for model in suite.models:
        if model.forecaster in FORECASTERS:
            for task in suite.tasks:
                made = make_forecaster(model, task, model.seeds[0] if model.seeds else None)
                assert made.horizon == task.horizon
        elif model.forecaster not in PEERS:
            models = pytest.importorskip("statsforecast.models")
            assert hasattr(models, model.forecaster)
    for tasks in suite.published.values():
        assert set(tasks) <= {task.name for task in suite.tasks}


def test_the_quick_suite_needs_no_download_and_uses_every_set_made_for_it() -> None:
    used = {task.dataset for task in load_suite("quick").tasks}
    assert all(dataset_info(name).embedded for name in used)
    from tsformer import list_datasets

    tagged = {name for name in list_datasets()["name"] if "quick" in dataset_info(name).tags}
    assert used == tagged


def test_the_quick_suite_shares_no_data_with_the_others() -> None:
    quick = {task.dataset for task in load_suite("quick").tasks}
    for path in CONFIGS:
        if path.stem != "quick":
            assert not quick & {task.dataset for task in load_suite(path).tasks}
