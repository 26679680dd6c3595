"""The Lightning module's parts, one by one."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from tsformer.data.windows import Windows
from tsformer.training.module import AverageWeights, KeepBest, TrainingModule, WindowData
from tsformer.training.settings import TrainingReport, TrainingSettings


def shares(total_steps: int, **settings: Any) -> list[float]:
    module = TrainingModule(nn.Linear(1, 1), TrainingSettings(**settings), total_steps)
    return [module._learning_rate_share(step) for step in range(total_steps + 1)]


@pytest.mark.parametrize("total_steps", [1, 2, 10, 300])
@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.5])
def test_the_learning_rate_rises_to_its_highest_and_falls_to_zero(
    total_steps: int, warmup: float
) -> None:
    found = shares(total_steps, warmup=warmup)
    top = max(0, max(1, round(warmup * total_steps)) - 1)
    assert found[top] == max(found) == 1
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert all(share > 0 for share in found[:total_steps])
    assert found[total_steps] == pytest.approx(0, abs=1e-12) or total_steps == 1


def test_the_rise_is_linear_and_the_fall_a_cosine() -> None:
    found = shares(100, warmup=0.2)
    assert found[:20] == pytest.approx([(step + 1) / 20 for step in range(20)])
    assert found[60] == pytest.approx(0.5)  # half way down
    assert found[40] == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))


def test_the_optimiser_follows_the_schedule_and_spares_vectors_from_decay() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    settings = TrainingSettings(learning_rate=0.1, weight_decay=0.3, warmup=0.5)
    configured = TrainingModule(model, settings, 4).configure_optimizers()
    optimizer, schedule = configured["optimizer"], configured["lr_scheduler"]["scheduler"]
    decay = {len(group["params"]): group["weight_decay"] for group in optimizer.param_groups}
    assert decay == {1: 0.3, 3: 0.0}  # the weight of the linear map; its bias and the norm's two
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.05])
    assert configured["lr_scheduler"]["interval"] == "step"


def look(losses: list[float]) -> tuple[KeepBest, nn.Linear, list[dict[str, torch.Tensor]]]:
    """Show a sequence of losses, the weights being other ones each time."""
    report, model, shown = TrainingReport(), nn.Linear(2, 1), []
    keeper = KeepBest(report)
    for number, loss in enumerate(losses):
        nn.init.constant_(model.weight, number)
        shown.append(copy.deepcopy(model.state_dict()))
        metrics = {"val_loss": torch.tensor(loss)}
        trainer: Any = SimpleNamespace(callback_metrics=metrics, global_step=10 * (number + 1))
        keeper.on_validation_end(trainer, model)  # type: ignore[arg-type]
    nn.init.constant_(model.weight, -1)
    return keeper, model, shown


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([3.0, 1.0, 2.0], 1),
        ([1.0, 2.0, 3.0], 0),
        ([3.0, 2.0, 1.0], 2),
        ([2.0, 1.0, 1.0], 1),  # the earlier of equals
        ([math.nan, 5.0, math.nan], 1),
        ([math.inf, math.nan, 7.0, 8.0], 2),
    ],
)
def test_the_weights_of_the_lowest_loss_come_back(losses: list[float], best: int) -> None:
    keeper, model, shown = look(losses)
    keeper.on_fit_end(None, model)  # type: ignore[arg-type]
    assert all(torch.equal(value, shown[best][name]) for name, value in model.state_dict().items())
    assert keeper.report.best_step == 10 * (best + 1)
    assert keeper.report.best_loss == losses[best]
    assert [step for step, _ in keeper.report.history] == [10, 20, 30, 40][: len(losses)]


def test_where_no_loss_was_a_number_then_the_last_weights_stay() -> None:
    keeper, model, _ = look([math.nan, math.inf])
    keeper.on_fit_end(None, model)  # type: ignore[arg-type]
    assert (model.weight == -1).all()
    assert keeper.report.best_loss is None


def test_the_average_forgets_as_its_decay_says() -> None:
    model, averager, expected = nn.Linear(1, 1, bias=False), AverageWeights(0.8), 0.0
    nn.init.constant_(model.weight, 0.0)
    averager.on_fit_start(None, model)  # type: ignore[arg-type]
    for step in range(1, 80):
        nn.init.constant_(model.weight, float(step))
        averager.on_train_batch_end(SimpleNamespace(global_step=step), model)  # type: ignore[arg-type]
        decay = min(0.8, step / (step + 10))
        expected = decay * expected + (1 - decay) * step
    averager.on_validation_start(None, model)  # type: ignore[arg-type]
    assert model.weight.item() == pytest.approx(expected, rel=1e-5)
    assert model.weight.item() == pytest.approx(79 - 0.8 / 0.2, rel=1e-3)  # the mean age: 4 steps
    averager.on_validation_end(None, model)  # type: ignore[arg-type]
    assert model.weight.item() == 79
    averager.on_train_end(None, model)  # type: ignore[arg-type]
    assert model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_averaging_leaves_counters_and_constants_alone() -> None:
    model = nn.BatchNorm1d(2)
    averager = AverageWeights(0.9)
    averager.on_fit_start(None, model)  # type: ignore[arg-type]
    model.train()(torch.randn(8, 2))
    averager.on_train_batch_end(SimpleNamespace(global_step=1), model)  # type: ignore[arg-type]
    averager.on_train_end(None, model)  # type: ignore[arg-type]
    assert model.num_batches_tracked == 1
    assert (model.weight == 1).all()
    assert (model.running_mean != 0).all()


def test_random_windows_are_those_of_the_seed(windows: tuple[Windows, Windows]) -> None:
    def drawn(seed: int) -> torch.Tensor:
        data = WindowData(*windows, TrainingSettings(batch_size=5), seed)
        stream = iter(data.train_dataloader())
        return torch.cat([next(stream).target for _ in range(20)])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_held_out_windows_come_in_a_fixed_order_and_no_more_than_asked(
    windows: tuple[Windows, Windows],
) -> None:
    data = WindowData(*windows, TrainingSettings(max_validation_windows=4), 0)
    first, again = (torch.cat([b.target for b in data.val_dataloader()]) for _ in range(2))
    assert len(first) == 4 < len(windows[1])
    assert torch.equal(first, again)
    assert {*first.mean(dim=(1, 2)).round().tolist()} == {1.0, 3.0}  # spread over both series


@pytest.mark.parametrize(("free", "near"), [(1e9, True), (100.0, False)])
def test_windows_lie_on_the_gpu_that_trains_where_there_is_room(
    windows: tuple[Windows, Windows], free: float, near: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = WindowData(*windows, TrainingSettings(), seed=0)
    assert data._near(windows[0]) is windows[0]  # on a CPU they stay
    gpu = torch.device("cuda")
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=gpu))  # type: ignore[assignment]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    monkeypatch.setattr(Windows, "to", lambda self, device: (self, device))
    expected: Any = (windows[0], gpu) if near else windows[0]
    assert data._near(windows[0]) == expected
