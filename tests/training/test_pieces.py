"""Steps by pieces of a batch, beside those of the whole batch."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tsformer import hardware
from tsformer.data.frame import Schema, read_panel
from tsformer.data.windows import Windows, WindowSource, training_range, validation_range
from tsformer.models.itransformer import ITransformerConfig, itransformer
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.models.trained_tsformer import TrainedTSFormerConfig, trained_tsformer
from tsformer.training import train as training
from tsformer.training.pieces import Pieces
from tsformer.training.settings import TrainingReport, TrainingSettings
from tsformer.training.train import train
from tsformer.types import Batch

SIZES: dict[str, Any] = {"context_length": 64, "horizon": 8, "d_model": 16, "n_heads": 2}


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads for torch, and pieces of any size."""
    monkeypatch.setattr(hardware, "_APART", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def make(name: str, dropout: float, **settings: Any) -> ScaledModel:
    torch.manual_seed(0)
    if name == "patchtst":
        model = patchtst(PatchTSTConfig(**SIZES, dropout=dropout, **settings))
    else:
        model = trained_tsformer(TrainedTSFormerConfig(**SIZES, dropout=dropout, **settings))
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.2)
    return model.train()


def make_batch(missing: float, n_complete: int) -> Batch:
    """Return 31 windows with gaps, but the first `n_complete`; one variate is missing wholly."""
    values = torch.randn(31, 3, 72, dtype=torch.float64).cumsum(dim=-1)
    known = torch.rand(31, 3, 72) >= missing
    known[25:, 0] &= missing == 0
    known[:n_complete] = True
    values = torch.where(known, values, 0.0)
    return Batch(
        target=values[..., :64],
        observed=known[..., :64],
        future=values[..., 64:],
        future_observed=known[..., 64:],
        series_scale=torch.rand(31, 3, 1, dtype=torch.float64) + 0.5,
    )


def with_covariates(batch: Batch) -> Batch:
    return replace(
        batch,
        series=torch.arange(31),
        covariates=torch.randn(31, 2, 72, dtype=torch.float64),
        covariates_observed=torch.rand(31, 2, 72) > 0.2,
        static=torch.randn(31, 1, dtype=torch.float64),
    )


@pytest.mark.parametrize("name", ["patchtst", "tsformer"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"norm": "layer"},
        {"head": "student_t"},
        {"head": "mse", "norm": "rms", "n_covariates": 2, "n_static": 1},
    ],
)
@pytest.mark.parametrize(("missing", "n_complete"), [(0.0, 31), (0.3, 0), (0.5, 20)])
def test_by_pieces_a_step_is_that_of_the_whole_batch(
    name: str, settings: dict[str, Any], missing: float, n_complete: int
) -> None:
    """In 64 bits, so that nothing but rounding is left of the difference."""
    whole = make(name, 0.0, **settings).double()
    apart, batch = copy.deepcopy(whole), make_batch(missing, n_complete)
    if "n_covariates" in settings:
        batch = with_covariates(batch)
    expected, loss = whole.loss(batch), Pieces(apart, 4).loss(batch)
    torch.testing.assert_close(loss, expected)
    expected.backward()
    loss.backward()
    for (name, weight), other in zip(apart.named_parameters(), whole.parameters(), strict=True):
        assert (weight.grad is None) == (other.grad is None), name
        torch.testing.assert_close(weight.grad, other.grad, msg=name)
    for (name, buffer), other in zip(apart.named_buffers(), whole.named_buffers(), strict=True):
        torch.testing.assert_close(buffer, other[1], msg=name)


def test_a_batch_is_split_with_all_that_belongs_to_it() -> None:
    batch = with_covariates(make_batch(0.2, 3))
    parts = batch.split(4)
    assert [len(part) for part in parts] == [8, 8, 8, 7]
    for name, whole in vars(batch).items():
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), whole)
    bare = make_batch(0.2, 3).split(2)
    assert all(part.covariates is None and part.series is None for part in bare)


def test_when_nothing_is_known_then_pieces_pass_the_norm_as_the_whole_does() -> None:
    whole = make("patchtst", 0.0).double()
    apart, batch = copy.deepcopy(whole), make_batch(1.0, 0)
    losses = [Pieces(apart, 2).loss(batch), whole.loss(batch)]
    assert [loss.item() for loss in losses] == [0.0, 0.0]
    for buffer, other in zip(apart.buffers(), whole.buffers(), strict=True):
        assert torch.equal(buffer, other)


def test_a_seed_gives_the_dropout_of_all_pieces() -> None:
    """Also that of small tensors, of which torch itself would draw numbers."""
    model, batch = make("patchtst", 0.5).double(), make_batch(0.0, 31)

    def losses(seed: int) -> list[float]:
        torch.manual_seed(seed)
        pieces = Pieces(model, 3)
        return [float(pieces.loss(batch).detach()) for _ in range(3)]

    first = losses(0)
    assert losses(0) == first
    assert len({*first, *losses(1)}) == 6


def test_windows_that_are_the_same_are_not_dropped_out_alike_in_all_pieces() -> None:
    model, batch = make("patchtst", 0.5, norm="layer").double(), make_batch(0.0, 31)
    same = {
        name: value[:1].expand(2, *value.shape[1:])
        for name, value in vars(batch).items()
        if value is not None
    }
    pieces, seen = Pieces(model, 2), []
    model.network.register_forward_hook(lambda _, __, output: seen.append(output))
    pieces.loss(Batch(**same))
    assert len(seen) == 2
    assert not torch.equal(*seen)


class Numbers(list[tuple[str, int]]):
    """Where torch had how many threads."""

    def at(self, place: str) -> set[int]:
        return {count for name, count in self if name == place}


def run(model: nn.Module, numbers: Numbers, **settings: Any) -> TrainingReport:
    """Train for three steps with two looks at held out windows, and write down thread counts."""
    series = np.random.default_rng(0).normal(size=(4, 300)).cumsum(axis=1)
    panel, _ = read_panel(series, Schema())
    source = WindowSource.of(panel, SIZES["context_length"], SIZES["horizon"])
    held_out = np.full(4, 20)

    def watch(*_: Any) -> None:
        numbers.append(("watch", torch.get_num_threads()))

    network = model.network if isinstance(model, ScaledModel) else model
    network.register_forward_hook(
        lambda *_: numbers.append(
            ("training" if model.training else "validation", torch.get_num_threads())
        )
    )
    return train(
        model,
        training=Windows(
            source=source, range=training_range(panel.lengths - 20, 64, SIZES["horizon"])
        ),
        validation=Windows(
            source=source, range=validation_range(panel.lengths, SIZES["horizon"], held_out)
        ),
        settings=TrainingSettings(max_steps=3, validations=3, accelerator="cpu", **settings),
        seed=0,
        watch=watch,
    )


def test_while_pieces_train_torch_has_one_core_and_otherwise_all(two_cores: None) -> None:
    numbers = Numbers()
    run(make("patchtst", 0.1), numbers)
    assert numbers.at("training") == {1}
    assert numbers.at("validation") == numbers.at("watch") == {2}
    assert sum(place == "training" for place, _ in numbers) == 2 * 3
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_when_training_ends_early_then_torch_has_its_cores_again(
    error: type[BaseException], two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(Pieces, "differentiate", fail)
    with pytest.raises(error):
        run(make("patchtst", 0.1), Numbers())
    assert torch.get_num_threads() == 2


def test_the_same_seed_trains_the_same_by_pieces(two_cores: None) -> None:
    models = [make("tsformer", 0.2) for _ in range(2)]
    first, second = (run(model, Numbers()).history for model in models)
    assert first == second
    for weight, other in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(weight, other)


def test_the_last_batch_of_an_epoch_may_have_fewer_windows_than_pieces(two_cores: None) -> None:
    torch.set_num_threads(3)
    n_windows = 4 * (300 - 20 - 64 - 8 + 1)
    numbers = Numbers()
    run(make("patchtst", 0.1), numbers, max_epochs=1, batch_size=(n_windows - 1) // 2)
    assert sum(place == "training" for place, _ in numbers) == 3 + 3 + 1


@pytest.mark.parametrize(
    "settings", [{"precision": "bf16-mixed"}, {"batch_size": 1}, {"compile": True}]
)
def test_when_pieces_would_not_do_then_whole_batches_train(
    settings: dict[str, Any], two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_APART", 4)
    monkeypatch.setattr(torch, "compile", lambda loss: loss)
    numbers = Numbers()
    run(make("patchtst", 0.1), numbers, **settings)
    assert numbers.at("training") == {2}


def test_networks_that_do_not_say_of_how_many_tokens_train_by_whole_batches(
    two_cores: None,
) -> None:
    config = ITransformerConfig(**SIZES)
    numbers = Numbers()
    run(itransformer(config), numbers)
    assert numbers.at("training") == {2}


def test_networks_of_which_a_part_is_frozen_train_by_whole_batches(two_cores: None) -> None:
    model, numbers = make("patchtst", 0.1), Numbers()
    next(model.parameters()).requires_grad_(False)
    run(model, numbers)
    assert numbers.at("training") == {2}


def test_when_there_is_one_core_then_there_are_no_pieces(
    two_cores: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr(training, "Pieces", None)
    run(make("patchtst", 0.1), Numbers())
