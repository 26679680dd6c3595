"""Pre-training: what it learns, and that it can be interrupted anywhere."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tsformer.models.tsformer import TSFormerConfig
from tsformer.models.zero_shot import TSFormer
from tsformer.training import prior_fitting, synthetic_windows
from tsformer.training.prior_fitting import (
    PretrainingSettings,
    PriorFitting,
    read_settings,
)
from tsformer.training.synthetic_windows import Shape, SyntheticBatches

if not hasattr(torch.optim, "Muon"):
    pytest.skip("pre-training needs torch 2.9", allow_module_level=True)

SHAPES = (
    Shape(context=2, horizon=1, share=0.7),
    Shape(context=4, horizon=2, share=0.3),
)
SETTINGS = PretrainingSettings(
    steps=12,
    decay=4,
    warmup=2,
    tokens_per_batch=48,
    shapes=SHAPES,
    precision="32-true",
    compile=False,
    judge_every=6,
)
ROOT = Path(__file__).parents[2]


def make_fitting(folder: Path, *, settings: PretrainingSettings = SETTINGS, **more: Any) -> Any:
    torch.manual_seed(0)
    model = TSFormer(TSFormerConfig(d_model=8, n_heads=2, n_layers=1, d_ff=8))
    return PriorFitting(model, settings, folder, notify=lambda line: None, **more)


def weights(fitting: PriorFitting) -> list[torch.Tensor]:
    return list(fitting.model.state_dict().values())


@pytest.fixture(scope="module", autouse=True)
def _few_judged() -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(synthetic_windows, "_JUDGED", 8)
    yield
    patch.undo()


def test_the_loss_falls(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=120, decay=40, tokens_per_batch=384, judge_every=40)
    fitting = make_fitting(tmp_path, settings=settings)
    before = prior_fitting.typical_error(fitting.model, fitting.batches.held_out()[0])
    fitting.run()
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [40, 80, 120]
    assert float(rows[-1]["held out 2+1"]) < 0.95 * before


@pytest.mark.parametrize("stop", [1, 5, 7, 9, 11])
def test_interrupted_anywhere_it_ends_in_the_same_weights(
    stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_fitting(tmp_path / "whole")
    whole.run()
    settings = replace(SETTINGS, save_every=1e-9)
    broken = make_fitting(tmp_path / "broken", settings=settings)
    take = broken._take_step

    def interrupted() -> Any:
        if broken.step == stop:
            raise KeyboardInterrupt
        return take()

    monkeypatch.setattr(broken, "_take_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    again = make_fitting(tmp_path / "broken")
    again.run()
    assert again.step == whole.step == 12
    assert again.series == whole.series
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(again), strict=True))


def test_the_plateau_goes_on_as_if_it_had_never_ended(tmp_path: Path) -> None:
    short = make_fitting(tmp_path / "short")
    short.run()
    longer = replace(SETTINGS, steps=20)
    gone_on = make_fitting(tmp_path / "short", settings=longer)
    gone_on.run()
    whole = make_fitting(tmp_path / "whole", settings=longer)
    whole.run()
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(gone_on), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(short), weights(whole), strict=True))


def test_the_average_of_the_weights_is_what_is_judged_and_left(tmp_path: Path) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def judge(model: TSFormer) -> dict[str, float]:
        seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return {"coverage": 0.5}

    fitting = make_fitting(tmp_path, judge=judge)
    fitting.run()
    assert len(seen) == 2
    for name, tensor in fitting.model.state_dict().items():
        assert torch.equal(tensor, seen[-1][name])
        assert torch.equal(tensor, fitting.average[name])
    assert not fitting.model.training
    with (tmp_path / "curve.csv").open() as file:
        assert [row["coverage"] for row in csv.DictReader(file)] == ["0.5", "0.5"]


def test_rows_of_steps_that_are_taken_again_are_not_written_twice(tmp_path: Path) -> None:
    make_fitting(tmp_path, settings=replace(SETTINGS, judge_every=3)).run()
    state = torch.load(tmp_path / "plateau.pt", weights_only=True)
    assert state["step"] == 8
    longer = replace(SETTINGS, judge_every=3, steps=15)
    make_fitting(tmp_path, settings=longer).run()
    with (tmp_path / "curve.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["3", "6", "9", "12", "15"]


def test_the_second_lap_has_other_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_windows, "_LAP", 10)
    sizes: Any = {"tokens_per_batch": 48, "patch_length": 16, "seed": 0}
    batches = SyntheticBatches(SHAPES, **sizes, device=torch.device("cpu"))
    assert not torch.equal(batches[3].values, batches[13].values)


def test_every_step_has_series_of_its_own_whatever_was_asked_before() -> None:
    sizes: Any = {"tokens_per_batch": 48, "patch_length": 16, "seed": 0}
    batches, others = (
        SyntheticBatches(SHAPES, **sizes, device=torch.device("cpu")) for _ in range(2)
    )
    drawn = [batches[step] for step in range(30)]
    assert all(
        torch.equal(a, b)
        for step in (29, 3, 17)
        for a, b in zip(drawn[step], others[step], strict=True)
    )
    firsts = [tuple(batch.values[0, -4:].tolist()) for batch in drawn]
    assert len(set(firsts)) == 30
    assert {tuple(batch.values.shape) for batch in drawn} == {(16, 32), (8, 64)}
    held_out = {tuple(batch.values[0, -4:].tolist()) for batch in batches.held_out()}
    assert not held_out & set(firsts)


def test_learning_rates_rise_stay_and_fall() -> None:
    share = [prior_fitting._learning_rate_share(step, SETTINGS) for step in range(12)]
    assert share == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


def test_checkpoints_are_small_and_hold_no_code(tmp_path: Path) -> None:
    make_fitting(tmp_path).run()
    state = torch.load(tmp_path / "latest.pt", weights_only=True)
    assert state["step"] == 12
    assert {path.name for path in tmp_path.iterdir()} == {"latest.pt", "plateau.pt", "curve.csv"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decay": 13}, "decay=13 must be from 1 to steps=12"),
        ({"decay": 0}, "decay=0 must be"),
        ({"shapes": ()}, "shapes are missing"),
        ({"warmup": 0}, "warmup=0 must be at least 1"),
        ({"judge_every": 0}, "judge_every=0 must be at least 1"),
        ({"averaging": 1.5}, "averaging=1.5 must be at least 0 and below 1"),
        ({"precision": "16-mixed"}, "precision='16-mixed' is unknown"),
    ],
)
def test_settings_that_cannot_be_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **changes)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("pretrain_*.yaml")))
def test_the_configurations_can_be_read(path: Path) -> None:
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings = read_settings(config["training"])
    sizes = TSFormerConfig(**config["network"])
    longest = max(shape.context for shape in settings.shapes)
    assert longest * sizes.patch_length == sizes.longest_context
    assert sum(shape.share for shape in settings.shapes) == pytest.approx(1)
    with pytest.raises(ValueError, match="shapes are missing"):
        read_settings({k: v for k, v in config["training"].items() if k != "shapes"})
    with pytest.raises(ValueError, match=r"\['speed'\] are no settings"):
        read_settings({**config["training"], "speed": 3})
