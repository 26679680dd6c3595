"""The fast path of training, beside a plain one that is written down here."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsformer import hardware
from tsformer.data.frame import Schema, read_panel
from tsformer.data.windows import RandomWindows, Windows, WindowSource, training_range
from tsformer.hardware import (
    attention_gains_from_blocks,
    attention_gains_from_sums,
    feed_forward_gains_from_blocks,
)
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.models.scaled import ScaledModel
from tsformer.training import module as training_module
from tsformer.training.settings import TrainingSettings
from tsformer.training.train import train
from tsformer.types import Batch

CONFIG = PatchTSTConfig(
    context_length=96,
    horizon=24,
    patch_length=16,
    stride=4,
    d_model=24,
    n_heads=3,
    n_layers=2,
    d_ff=40,
    dropout=0.0,
    head="mse",
)
N_STEPS, BATCH, RATE, DECAY, CLIP = 20, 640, 2e-3, 1e-2, 1.0


class PlainPatchTST(nn.Module):
    """PatchTST as its paper writes it down, for complete windows of one variate, in a few lines."""

    def __init__(self, model: ScaledModel, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.weights = {name: p.detach().clone() for name, p in model.network.named_parameters()}
        for tensor in self.weights.values():
            tensor.requires_grad_()

    def normalise(self, tokens: Tensor, name: str) -> Tensor:
        scale, shift = (self.weights[f"{name}.norm.{part}"] for part in ("weight", "bias"))
        mean, variance = tokens.mean(dim=(0, 1)), tokens.var(dim=(0, 1), correction=0)
        return (tokens - mean) / (variance + 1e-5).sqrt() * scale + shift

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def layer(self, tokens: Tensor, name: str) -> Tensor:
        n_batch, n_tokens, width = tokens.shape
        joint = self.linear(tokens, f"{name}.attention.query_key_value")
        gathered = []
        for head in range(CONFIG.n_heads):
            size = width // CONFIG.n_heads
            first = head * size
            query, key, value = (
                joint[..., third * width + first : third * width + first + size]
                for third in range(3)
            )
            scores = torch.einsum("bnk,bmk->bnm", query, key) / math.sqrt(size)
            gathered.append(torch.einsum("bnm,bmk->bnk", scores.softmax(dim=-1), value))
        attended = self.linear(torch.cat(gathered, dim=-1), f"{name}.attention.output")
        tokens = self.normalise(tokens + attended, f"{name}.attention_norm")
        hidden = F.gelu(self.linear(tokens, f"{name}.feed_forward.0"))
        worked = self.linear(hidden, f"{name}.feed_forward.3")
        return self.normalise(tokens + worked, f"{name}.feed_forward_norm")

    def loss(self, batch: Batch) -> Tensor:
        context, future = batch.target[:, 0], batch.future
        assert future is not None
        mean, deviation = context.mean(dim=1, keepdim=True), context.std(dim=1, correction=0)
        deviation = deviation[:, None]
        z = (context - mean) / deviation
        z = torch.cat([z, z[:, -1:].repeat(1, self.stride)], dim=1)
        starts = range(0, z.shape[1] - CONFIG.patch_length + 1, self.stride)
        patches = torch.stack([z[:, s : s + CONFIG.patch_length] for s in starts], dim=1)
        tokens = self.linear(patches, "embedding.value_projection")
        tokens = tokens + self.weights["embedding.position"]
        for number in range(CONFIG.n_layers):
            tokens = self.layer(tokens, f"encoder.layers.{number}")
        forecast = self.linear(tokens.flatten(1), "flatten_head")
        return ((future[:, 0] - mean) / deviation - forecast).square().mean()


def plain_losses(model: ScaledModel, windows: Windows, stride: int) -> list[float]:
    """Return the losses of a loop without Lightning, fused steps or any cleverness."""
    plain = PlainPatchTST(model, stride)
    named = [(n, w) for n, w in plain.weights.items() if n != "embedding.missing_projection.weight"]
    groups = [
        {"params": [w for _, w in named if w.ndim >= 2], "weight_decay": DECAY},
        {"params": [w for _, w in named if w.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, fused=False, foreach=False)
    generator, losses = torch.Generator().manual_seed(0), []
    batches = iter(RandomWindows(windows=windows, batch_size=BATCH, generator=generator))
    for step in range(N_STEPS):
        warmup = 1  # of 20 steps
        done = (step - warmup) / (N_STEPS - warmup)
        share = 1.0 if step < warmup else 0.5 * (1 + math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = RATE * share
        loss = plain.loss(next(batches))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.stack([w.grad.norm() for _, w in named if w.grad is not None]).norm()
        if norm > CLIP:
            for _, weight in named:
                assert weight.grad is not None
                weight.grad *= CLIP / norm
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def make_windows() -> Windows:
    generator = np.random.default_rng(0)
    wave = np.sin(np.arange(700) / 24 * 2 * np.pi + generator.uniform(0, 6, size=(3, 1)))
    panel, _ = read_panel(wave + 0.5 * generator.normal(size=(3, 700)), Schema())
    sizes = CONFIG.context_length, CONFIG.horizon
    return Windows(
        source=WindowSource.of(panel, *sizes), range=training_range(panel.lengths, *sizes)
    )


@pytest.fixture
def n_cores() -> Iterator[Callable[[int], None]]:
    """Return what sets the number of torch's threads; afterwards it is as before."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize(("stride", "few"), [(4, False), (8, True)])
def test_losses_along_training_are_those_of_a_plain_reference(
    stride: int,
    few: bool,
    pieces: int,
    n_cores: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    n_cores(pieces)
    monkeypatch.setattr(hardware, "_APART", 1)
    config = dataclasses.replace(CONFIG, stride=stride)
    model, windows = patchtst(config), make_windows()
    nn.init.normal_(model.network.flatten_head.weight, std=0.02)  # type: ignore[union-attr,arg-type]
    tokens = torch.empty(BATCH // pieces, config.n_patches, config.d_model)
    assert attention_gains_from_sums(tokens, config.d_model // config.n_heads) == few
    assert few or attention_gains_from_blocks(tokens)
    assert feed_forward_gains_from_blocks(tokens)
    expected, losses = plain_losses(model, windows, stride), []

    step = training_module.TrainingModule.training_step

    def recorded(self: Any, batch: Batch, batch_idx: int) -> Tensor:
        assert len(self.pieces or [batch]) == pieces
        loss = step(self, batch, batch_idx)
        losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(training_module.TrainingModule, "training_step", recorded)
    settings = TrainingSettings(
        max_steps=N_STEPS,
        batch_size=BATCH,
        learning_rate=RATE,
        weight_decay=DECAY,
        gradient_clip=CLIP,
        accelerator="cpu",
    )
    nothing = Windows(source=windows.source, range=training_range(np.zeros(3, dtype=int), 96, 24))
    train(model, training=windows, validation=nothing, settings=settings, seed=0)
    assert losses[-1] < 0.9 * losses[0]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


ONE_GRAPH = """
import torch
from tsformer.models.patchtst import PatchTSTConfig, patchtst
from tsformer.types import Batch

sizes = {"context_length": 32, "horizon": 8, "patch_length": 8, "stride": 4, "d_model": 16}
model = patchtst(PatchTSTConfig(**sizes, n_heads=2, n_layers=2, d_ff=16, norm=NORM)).train()
values, known = torch.randn(6, 2, 40), torch.rand(6, 2, 40) > MISSING
batch = Batch(
    target=values[..., :32],
    observed=known[..., :32],
    future=values[..., 32:],
    future_observed=known[..., 32:],
)
compiled = torch.compile(model.loss, backend="eager", fullgraph=True)
torch.manual_seed(0)
ours = compiled(batch)
torch.manual_seed(0)
torch.testing.assert_close(ours, model.loss(batch))
"""


@pytest.mark.parametrize("norm", ["batch", "layer"])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_a_training_step_is_one_graph(norm: str, missing: float) -> None:
    """In a process of its own: here, shapes are checked by what cannot be compiled."""
    script = ONE_GRAPH.replace("NORM", repr(norm)).replace("MISSING", str(missing))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)


def test_a_step_can_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []

    def remember(loss: Any) -> Any:
        compiled.append(loss)
        return loss

    monkeypatch.setattr(torch, "compile", remember)
    model, windows = patchtst(CONFIG), make_windows()
    for wanted in (False, True):
        settings = TrainingSettings(max_steps=1, compile=wanted, accelerator="cpu")
        train(model, training=windows, validation=windows, settings=settings, seed=0)
        assert compiled == [model.loss] * wanted
