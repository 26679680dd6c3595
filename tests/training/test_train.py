"""`train` on a network of two weights, whose training can be told in advance."""

from __future__ import annotations

import copy
import logging
import signal
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tsformer.data.windows import Windows
from tsformer.training.module import Watch
from tsformer.training.optimizers import UncompiledAdamW
from tsformer.training.settings import TrainingReport, TrainingSettings
from tsformer.training.train import train
from tsformer.types import Batch

Both = tuple[Windows, Windows]


def fit(
    model: nn.Module,
    windows: Both,
    *,
    seed: int = 0,
    watch: Watch | None = None,
    **settings: Any,
) -> TrainingReport:
    training, validation = windows
    return train(
        model,
        training=training,
        validation=validation,
        settings=TrainingSettings(**{"batch_size": 8, **settings}),
        seed=seed,
        watch=watch,
    )


def states_equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_a_model_learns_and_is_left_in_evaluation_mode(make_model: Any, windows: Both) -> None:
    model = make_model()
    report = fit(model, windows, max_steps=200, learning_rate=0.1, patience=None)
    assert model.weight.item() == pytest.approx(1, abs=0.1)
    assert not model.training
    assert model.weight.device.type == "cpu"
    assert report.steps == 200
    assert report.best_loss is not None
    assert report.best_loss < 0.05 < report.history[0][1]
    assert report.seconds > 0


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_as_it_was(
    make_model: Any, windows: Both
) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one, same, other = make_model(), make_model(), make_model()
    first, second = (fit(model, windows, max_steps=9, seed=3) for model in (one, same))
    fit(other, windows, max_steps=9, seed=4)
    assert torch.equal(state, torch.get_rng_state())
    assert states_equal(one, same)
    assert first.history == second.history
    assert not states_equal(one, other)


def test_the_looks_are_spread_evenly_over_the_steps(make_model: Any, windows: Both) -> None:
    report = fit(make_model(), windows, max_steps=40, validations=4, patience=None)
    assert [step for step, _ in report.history] == [10, 20, 30, 40]
    report = fit(make_model(), windows, max_steps=3, validations=20)
    assert [step for step, _ in report.history] == [1, 2, 3]


def test_each_look_is_at_all_held_out_windows(make_model: Any, windows: Both) -> None:
    model = make_model(weight=1.0)
    report = fit(model, windows, max_steps=2, learning_rate=1e-9, averaging=0.0)
    assert sum(len(batch) for batch in model.validated) == 2 * len(windows[1])
    everything = windows[1].batch(torch.arange(len(windows[1])))
    assert report.history[0][1] == pytest.approx(make_model(weight=1.0).loss(everything).item())


class Forgetful(nn.Module):
    """Has its lowest validation loss at the look of this number, and gets worse from there."""

    def __init__(self, best: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1))
        self.register_buffer("looks", torch.zeros(1, dtype=torch.long))
        self.best = best

    def loss(self, batch: Batch) -> Tensor:
        if self.training:
            return self.weight.sum()
        self.looks += 1
        return (self.looks - self.best).abs().float().sum()


@pytest.mark.parametrize(("best", "patience"), [(1, 1), (1, 3), (4, 2), (7, 5)])
def test_training_stops_after_so_many_looks_without_improvement(
    windows: Both, best: int, patience: int
) -> None:
    model = Forgetful(best)
    report = fit(model, windows, max_steps=40, validations=20, patience=patience)
    assert report.steps == 2 * (best + patience)
    assert report.best_step == 2 * best
    assert report.best_loss == 0
    assert model.looks == best  # the weights of that look came back, buffers too


def test_without_patience_training_goes_to_its_end(windows: Both) -> None:
    model = Forgetful(1)
    report = fit(model, windows, max_steps=12, patience=None)
    assert (report.steps, report.best_step) == (12, 1)
    assert model.looks == 1


def test_without_held_out_windows_the_last_weights_stay(
    make_model: Any, windows: Both, no_windows: Windows
) -> None:
    model = make_model()
    report = fit(model, (windows[0], no_windows), max_steps=50, learning_rate=0.1)
    assert (report.steps, report.best_step, report.best_loss) == (50, 50, None)
    assert report.history == model.validated == []
    assert model.weight.item() > 0.5


def test_an_epoch_shows_every_window_once_in_a_new_order(
    make_model: Any, windows: Both, no_windows: Windows
) -> None:
    model = make_model()
    report = fit(model, (windows[0], no_windows), max_epochs=3, max_steps=1000)
    size = len(windows[0])
    per_epoch = -(-size // 8)
    assert report.steps == 3 * per_epoch
    everything = windows[0].batch(torch.arange(size)).target[:, 0]
    epochs = []
    for epoch in range(3):
        batches = model.seen[epoch * per_epoch : (epoch + 1) * per_epoch]
        epochs.append(torch.cat([batch.target[:, 0] for batch in batches]))
        rows, expected = (sorted(map(tuple, t.tolist())) for t in (epochs[-1], everything))
        assert rows == expected
    assert not torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], everything)


def test_steps_end_training_where_they_are_fewer_than_the_epochs(
    make_model: Any, windows: Both
) -> None:
    model = make_model()
    assert fit(model, windows, max_epochs=100, max_steps=7).steps == 7
    assert len(model.seen) == 7


def test_without_epochs_windows_are_drawn_as_long_as_it_takes(
    make_model: Any, windows: Both
) -> None:
    model = make_model()
    steps = 3 * len(windows[0])  # far more than one pass
    fit(model, windows, max_steps=steps, patience=None)
    assert [len(batch) for batch in model.seen] == [8] * steps
    starts = torch.cat([batch.target[:, 0, 0] for batch in model.seen])
    assert len(starts.unique()) == len(windows[0])


def test_gradients_are_clipped_to_their_largest_norm(
    make_model: Any, windows: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms: list[float] = []
    step = UncompiledAdamW.step

    def recorded(optimizer: UncompiledAdamW, closure: Any = None) -> Any:
        def loss_and_norm() -> Any:
            loss = closure()
            weights = [p.grad for group in optimizer.param_groups for p in group["params"]]
            norms.append(torch.cat([grad.flatten() for grad in weights]).norm().item())
            return loss

        return step(optimizer, loss_and_norm)

    monkeypatch.setattr(UncompiledAdamW, "step", recorded)
    fit(make_model(weight=50.0), windows, max_steps=4, gradient_clip=0.25)
    assert norms == pytest.approx([0.25] * 4, rel=1e-3)
    norms.clear()
    fit(make_model(weight=50.0), windows, max_steps=4, gradient_clip=1e9)
    assert min(norms) > 100


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_averaging_decides_which_weights_remain(
    make_model: Any, windows: Both, no_windows: Windows, averaging: float
) -> None:
    """The average lags behind weights that move steadily towards the optimum."""
    model, plain = make_model(), make_model()
    options = {"max_steps": 10, "learning_rate": 0.02, "warmup": 0.0}
    fit(model, (windows[0], no_windows), averaging=averaging, **options)
    fit(plain, (windows[0], no_windows), averaging=0.0, **options)
    if averaging:
        assert 0 < model.weight.item() < plain.weight.item()
    else:
        assert states_equal(model, plain)


def test_training_starts_from_the_weights_it_is_given(make_model: Any, windows: Both) -> None:
    model = make_model(weight=0.7)
    before = copy.deepcopy(model)
    fit(model, windows, max_steps=1, learning_rate=1e-9)
    assert model.weight.item() == pytest.approx(before.weight.item(), abs=1e-6)


@pytest.mark.parametrize("validated", [True, False])
def test_when_weights_are_no_longer_finite_then_error(
    make_model: Any, windows: Both, no_windows: Windows, validated: bool
) -> None:
    model = make_model(weight=float("nan"))
    data = windows if validated else (windows[0], no_windows)
    with pytest.raises(ValueError, match=r"training diverged: .*; lower learning_rate"):
        fit(model, data, max_steps=3)


def test_when_training_diverges_late_then_the_best_weights_are_kept(
    windows: Both,
) -> None:
    class Explodes(Forgetful):
        def loss(self, batch: Batch) -> Tensor:
            loss = super().loss(batch)
            return loss * float("nan") if self.training and self.looks >= 2 else loss

    model = Explodes(2)
    report = fit(model, windows, max_steps=10, averaging=0.0)
    assert report.best_step == 2
    assert model.weight.isfinite().all()


def test_nothing_is_logged_warned_of_or_printed_and_loggers_keep_their_level(
    make_model: Any,
    windows: Both,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(make_model(), windows, max_steps=3)
    assert logger.level == level
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if "lightning" in record.name] == []


def test_an_interrupt_reaches_the_caller_as_one(windows: Both) -> None:
    class Interrupted(Forgetful):
        def loss(self, batch: Batch) -> Tensor:
            raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(Interrupted(1), windows, max_steps=3)
    assert signal.getsignal(signal.SIGINT) is handler


def test_loggers_keep_their_level_when_training_fails(windows: Both) -> None:
    class Broken(Forgetful):
        def loss(self, batch: Batch) -> Tensor:
            raise RuntimeError("broken")

    logger = logging.getLogger("lightning.pytorch")
    logger.setLevel(logging.INFO)
    with pytest.raises(RuntimeError, match="broken"):
        fit(Broken(1), windows, max_steps=3)
    assert logger.level == logging.INFO


def test_a_watch_sees_at_each_look_the_network_that_was_looked_at(
    make_model: Any, windows: Both
) -> None:
    everything = windows[1].batch(torch.arange(len(windows[1])))
    shown: list[tuple[float, float, bool]] = []

    def watch(done: float, model: nn.Module) -> None:
        judged = copy.deepcopy(model)
        shown.append((done, judged.loss(everything).item(), model.training))

    report = fit(make_model(), windows, watch=watch, max_steps=12, validations=4, patience=None)
    assert [done for done, _, _ in shown] == [0.25, 0.5, 0.75, 1.0]
    assert [loss for _, loss, _ in shown] == pytest.approx([loss for _, loss in report.history])
    assert not any(training for _, _, training in shown)


def test_a_watch_leaves_training_as_it_is(make_model: Any, windows: Both) -> None:
    one, watched = make_model(), make_model()
    fit(one, windows, max_steps=9)
    fit(watched, windows, watch=lambda done, model: None, max_steps=9)
    assert states_equal(one, watched)


def test_without_held_out_windows_a_watch_is_not_called(
    make_model: Any, windows: Both, no_windows: Windows
) -> None:
    shown: list[float] = []
    data = (windows[0], no_windows)
    fit(make_model(), data, watch=lambda done, _: shown.append(done), max_steps=3)
    assert shown == []


def test_what_a_watch_raises_ends_training_and_reaches_the_caller(
    make_model: Any, windows: Both
) -> None:
    class Enough(Exception):
        pass

    def watch(done: float, model: nn.Module) -> None:
        if done >= 0.5:
            raise Enough

    torch.manual_seed(7)
    state = torch.get_rng_state()
    model, level = make_model(), logging.getLogger("lightning.pytorch").level
    with pytest.raises(Enough):
        fit(model, windows, watch=watch, max_steps=8)
    assert len(model.seen) == 4
    assert torch.equal(state, torch.get_rng_state())
    assert logging.getLogger("lightning.pytorch").level == level
