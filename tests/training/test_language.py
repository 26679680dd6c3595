"""Training of token models: loss falls, the clock rules, an interrupted run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

import tsformer.training.language as language_module
from tsformer.models.gpt import GPT, GPTSettings
from tsformer.models.numbers import NumberVocabulary
from tsformer.training.language import (
    LanguageModule,
    LanguageSettings,
    token_loss,
    train_language,
)
from tsformer.training.synthetic import SyntheticTokens, TokenBatch

needs_muon = pytest.mark.skipif(
    not hasattr(torch.optim, "Muon"), reason="torch.optim.Muon came with torch 2.9"
)
NUMBERS = NumberVocabulary(n_bins=32, seasons=(1, 7, 12))
SETTINGS = LanguageSettings(minutes=0.5, precision="32-true", save_every=1e9)


def make_gpt(seed: int = 0) -> GPT:
    torch.manual_seed(seed)
    return GPT(
        GPTSettings(vocabulary_size=NUMBERS.size, d_model=16, n_heads=2, n_layers=2, d_ff=16)
    )


def make_data(seed: int = 0) -> SyntheticTokens:
    return SyntheticTokens(
        vocabulary=NUMBERS,
        generator=torch.Generator().manual_seed(seed),
        lengths=((16, 0.5), (32, 0.5)),
        tokens_per_batch=256,
        batches_per_draw=4,
    )


class Batches(IterableDataset):
    """The batches of `make_data` from some number on."""

    def __init__(self, first: int = 0) -> None:
        self.first = first

    def __iter__(self) -> Iterator[TokenBatch]:
        return islice(iter(make_data()), self.first, None)


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock on which a step of training takes a second, and nothing else any time."""
    clock = SimpleNamespace(now=0.0)

    def timed_loss(model: GPT, batch: TokenBatch) -> Tensor:
        clock.now += torch.is_grad_enabled()
        return token_loss(model, batch)

    monkeypatch.setattr(language_module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    monkeypatch.setattr(language_module, "token_loss", timed_loss)
    return clock


def train(
    model: GPT,
    checkpoint: Path,
    *,
    settings: LanguageSettings = SETTINGS,
    data: Any = None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    judged = [make_data(seed=9).draw(16, 32)]
    train_language(
        model,
        data or make_data(),
        judged=judged,
        settings=settings,
        checkpoint=checkpoint,
        notify=notify,
    )


@needs_muon
def test_the_loss_falls_and_the_clock_ends_training(
    seconds: SimpleNamespace, tmp_path: Path
) -> None:
    model, lines = make_gpt(), list[str]()
    held_out = make_data(seed=9).draw(16, 32)
    before = token_loss(model, held_out).item()
    train(model, tmp_path / "c", settings=replace(SETTINGS, save_every=9.5), notify=lines.append)
    after = token_loss(model, held_out).item()
    assert after < before - 0.3
    assert seconds.now == 30
    assert [line.split(" steps")[0] for line in lines] == [
        "0.2 min, 10", "0.3 min, 20", "0.5 min, 30", "0.5 min, 30",
    ]  # fmt: skip
    losses = [float(line.split()[-1]) for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] == pytest.approx(after, abs=0.03)  # told in bfloat16
    assert not model.training
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


class PowerCut(Exception):
    pass


@needs_muon
def test_an_interrupted_run_goes_on_as_if_nothing_had_been(
    seconds: SimpleNamespace, tmp_path: Path
) -> None:
    whole = make_gpt()
    train(whole, tmp_path / "whole", data=Batches())

    def cut(line: str) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        train(
            make_gpt(),
            tmp_path / "pieces",
            settings=replace(SETTINGS, save_every=11.5),
            data=Batches(),
            notify=cut,
        )
    saved = torch.load(tmp_path / "pieces", weights_only=True)
    assert saved["elapsed"] == 12
    resumed, lines = make_gpt(seed=5), list[str]()
    train(resumed, tmp_path / "pieces", data=Batches(first=12), notify=lines.append)
    assert lines[0].startswith("0.5 min, ")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    ends = [torch.load(tmp_path / name, weights_only=True) for name in ("whole", "pieces")]
    assert [end["elapsed"] for end in ends] == [30, 30]
    adamw = [end["optimizers"][1]["state"][0] for end in ends]
    assert [state["step"].item() for state in adamw] == [30, 30]
    torch.testing.assert_close(adamw[0]["exp_avg"], adamw[1]["exp_avg"])


@needs_muon
def test_a_finished_run_started_again_leaves_the_weights_alone(
    seconds: SimpleNamespace, tmp_path: Path
) -> None:
    model, again = make_gpt(), make_gpt(seed=5)
    train(model, tmp_path / "c")
    train(again, tmp_path / "c")
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_the_learning_rates_follow_the_clock() -> None:
    settings = LanguageSettings(minutes=10, warmup=0.1, decay=0.5)

    def share(minutes: float) -> float:
        return LanguageModule(make_gpt(), settings, 60 * minutes)._learning_rate_share()

    assert share(0) == pytest.approx(0.01)
    assert share(0.5) == pytest.approx(0.51)
    assert [share(minutes) for minutes in (1, 3, 5)] == [1, 1, 1]
    assert share(7.5) == pytest.approx(0.5)
    assert [share(minutes) for minutes in (10, 11)] == [0, 0]


@needs_muon
def test_each_weight_has_one_optimiser_and_only_matrices_of_blocks_have_muon() -> None:
    module = LanguageModule(make_gpt(), replace(SETTINGS, matrix_learning_rate=0.1))
    muon, adamw = module.configure_optimizers()
    names = {id(parameter): name for name, parameter in module.model.named_parameters()}
    owned = [
        [names[id(p)] for group in optimizer.param_groups for p in group["params"]]
        for optimizer in (muon, adamw)
    ]
    assert sorted(owned[0] + owned[1]) == sorted(names.values())
    assert all(name.startswith("blocks.") and "norm" not in name for name in owned[0])
    assert set(owned[1]) == {
        name for name in names.values() if "norm" in name or "embedding" in name
    }
    assert (muon.param_groups[0]["lr"], adamw.param_groups[0]["lr"]) == (0.1, 3e-3)


def test_the_loss_is_the_weighted_mean_over_tokens() -> None:
    model, batch = make_gpt(), make_data().draw(4, 16)
    weight = torch.rand(batch.weight.shape)
    log_probabilities = model(batch.tokens[:, :-1]).log_softmax(dim=-1)
    total = sum(
        -weight[row, step] * log_probabilities[row, step, batch.tokens[row, step + 1]]
        for row in range(4)
        for step in range(16)
    )
    found = token_loss(model, TokenBatch(batch.tokens, weight))
    torch.testing.assert_close(found, total / weight.sum())


@needs_muon
def test_when_training_diverges_then_the_error_says_so(
    seconds: SimpleNamespace, tmp_path: Path
) -> None:
    model = make_gpt()
    with torch.no_grad():
        model.norm.weight[0] = torch.nan
    with pytest.raises(ValueError, match="training diverged: .*lower learning_rate"):
        train(model, tmp_path / "c", settings=replace(SETTINGS, minutes=0.05))


def test_when_torch_lacks_muon_then_the_error_names_the_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(torch.optim, "Muon", raising=False)
    with pytest.raises(RuntimeError, match=r"needs torch\.optim\.Muon, .* torch 2\.9"):
        train(make_gpt(), tmp_path / "c")


class Harm:
    """Runs code when it is read by anything but a careful reader."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    torch.save({"model": Harm(tmp_path / "harm")}, tmp_path / "c")
    with pytest.raises(Exception, match="Weights only load failed"):
        train(make_gpt(), tmp_path / "c")
    assert not (tmp_path / "harm").exists()


COMPILED = """
import torch
from tsformer.models.gpt import GPT, GPTSettings
from tsformer.training.language import LanguageModule, LanguageSettings, token_loss
from tsformer.training.synthetic import TokenBatch

torch.manual_seed(0)
model = GPT(GPTSettings(vocabulary_size=37, d_model=16, n_heads=2, n_layers=2, d_ff=16))
batch = TokenBatch(torch.randint(37, (4, 17)), torch.rand(4, 16))
module = LanguageModule(model, LanguageSettings(minutes=1, compile=True))
found = []
for loss in (module._loss(model, batch), token_loss(model, batch)):
    model.zero_grad()
    loss.backward()
    found.append([loss.detach(), *(parameter.grad for parameter in model.parameters())])
for one, other in zip(*found, strict=True):
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
"""


def test_nothing_is_compiled_unless_asked() -> None:
    assert LanguageModule(make_gpt(), LanguageSettings(minutes=1))._loss is token_loss


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_the_compiled_loss_and_its_gradient_are_the_same(tmp_path: Path) -> None:
    """In a process of its own: the checks of shapes in tests cannot be compiled."""
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", COMPILED], check=True, env=environment)
