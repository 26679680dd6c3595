"""Pre-training on synthetic series, in steps that can be interrupted anywhere and go on."""

from __future__ import annotations

import copy
import csv
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsformer.files import write_whole
from tsformer.hardware import SetPrecision, check_precision
from tsformer.models.zero_shot import TSFormer
from tsformer.prior.windows import WindowDraw
from tsformer.training.lightning import Fabric
from tsformer.training.optimizers import muon_and_adamw
from tsformer.training.synthetic_windows import Shape, SyntheticBatches

_GIVEN = ("highest", "weight_decay")  # of a group of parameters, whatever a checkpoint says
Judge = Callable[[TSFormer], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """How long and how fast to train: warm-up, plateau, decay (Hu et al. 2024, MiniCPM).

    The plateau can be continued at any later time: its last state is kept when the decay begins.

    Attributes:
        steps: in all.
        decay: the last of them, in which the learning rates fall to zero.
        warmup: the first of them, in which they rise.
        tokens_per_batch: patches of a step, about.
        shapes: of the windows; each step has one of them.
        learning_rate: of AdamW, for embeddings, readout and vectors.
        matrix_learning_rate: of Muon (Jordan et al. 2024), for the matrices of the layers.
        weight_decay: of the matrices.
        gradient_clip: largest norm of the gradient.
        averaging: how slowly the moving average of the weights forgets; it is what is released.
        precision: as Lightning's Fabric takes it.
        compile: whether `torch.compile` fuses the loss and its gradient.
        seed: of weights and series.
        save_every: seconds between checkpoints.
        judge_every: steps between looks at held out series.

    Raises:
        ValueError: for values that cannot be.
    """

    steps: int
    decay: int
    warmup: int = 300
    tokens_per_batch: int = 8192
    shapes: tuple[Shape, ...]
    learning_rate: float = 2e-3
    matrix_learning_rate: float = 5e-3
    weight_decay: float = 0.02
    gradient_clip: float = 1.0
    averaging: float = 0.998
    precision: SetPrecision = "bf16-mixed"
    compile: bool = True
    seed: int = 0
    save_every: float = 180.0
    judge_every: int = 1000

    def __post_init__(self) -> None:
        for name in ("steps", "warmup", "tokens_per_batch", "judge_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging={self.averaging} must be at least 0 and below 1")
        check_precision(self.precision, ("32-true", "bf16-mixed"))
        if not 0 < self.decay <= self.steps:
            raise ValueError(f"decay={self.decay} must be from 1 to steps={self.steps}")
        if not self.shapes:
            raise ValueError("shapes are missing; give at least one")


class PriorFitting:
    """One pre-training: model, optimisers, moving average, and where it stands.

    Args:
        model: trained in place.
        settings: see `PretrainingSettings`.
        folder: of `latest.pt`, `plateau.pt` and `curve.csv`; what is there is gone on from.
        judge: tells how good a model is, by name.
        notify: called with a line about the progress.
    """

    def __init__(
        self,
        model: TSFormer,
        settings: PretrainingSettings,
        folder: Path,
        judge: Judge | None = None,
        notify: Callable[[str], None] = print,
    ) -> None:
        self.settings, self.folder, self.judge, self.notify = settings, folder, judge, notify
        self.fabric = Fabric(accelerator="auto", devices=1, precision=settings.precision)
        self.model = model.to(self.fabric.device)
        self.optimizers = muon_and_adamw(model, model.network.layers, settings)
        self.average = {name: t.detach().clone() for name, t in model.state_dict().items()}
        self.step, self.seconds, self.series = 0, 0.0, 0
        self.batches = SyntheticBatches(
            settings.shapes,
            tokens_per_batch=settings.tokens_per_batch,
            patch_length=model.config.patch_length,
            seed=settings.seed,
            device=self.fabric.device,
        )
        self._score = model.score
        if settings.compile:
            self._score = torch.compile(model.score, dynamic=True)

    def run(self) -> None:
        """Train to the last step; the model has its moving average afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        self.model.train()
        began = saved = time.perf_counter()
        total = torch.zeros((), device=self.fabric.device)
        count = 0
        while self.step < self.settings.steps:
            if self.step == self.settings.steps - self.settings.decay:
                self._save("plateau.pt")
            loss, n_series = self._take_step()
            total, count = total + loss, count + 1
            self.step, self.series = self.step + 1, self.series + n_series
            now = time.perf_counter()
            self.seconds, began = self.seconds + now - began, now
            if self.step % self.settings.judge_every == 0 or self.step == self.settings.steps:
                self._report(float(total) / count)
                total, count = torch.zeros_like(total), 0
                began = time.perf_counter()
            if now - saved > self.settings.save_every:
                self._save("latest.pt")
                saved = began = time.perf_counter()
        self._save("latest.pt")
        self.model.load_state_dict(self.average)
        self.model.cpu().eval()

    def _take_step(self) -> tuple[Tensor, int]:
        batch = self.batches[self.step]
        share = _learning_rate_share(self.step, self.settings)
        with torch.no_grad():
            described = self.model.prepare(*batch)
        with self.fabric.autocast():
            loss = self._score(*described)
        self.fabric.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group["highest"]
            optimizer.step()
            optimizer.zero_grad()
        with torch.no_grad():
            kept = min(self.settings.averaging, self.step / (self.step + 10))
            own = self.model.state_dict()
            torch._foreach_lerp_(
                list(self.average.values()), [own[name] for name in self.average], 1 - kept
            )
        return loss.detach(), len(batch.values)

    def _report(self, loss: float) -> None:
        """Tell the losses and scores of the moving average, and write them down."""
        own = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        self.model.eval()
        scores: dict[str, float] = {"train": loss}
        for shape, batch in zip(self.settings.shapes, self.batches.held_out(), strict=True):
            name = f"held out {shape.context}+{shape.horizon}"
            scores[name] = typical_error(self.model, batch)
        if self.judge is not None:
            scores.update(self.judge(copy.deepcopy(self.model).cpu()))
        self.model.load_state_dict(own)
        self.model.train()
        row = {"step": self.step, "seconds": round(self.seconds), "series": self.series}
        _append_row(self.folder / "curve.csv", {**row, **scores})
        told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.notify(f"step {self.step}, {self.seconds / 60:.0f} min: {told}")

    def _save(self, name: str) -> None:
        state = {
            "model": self.model.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "decays_from": self.settings.steps - self.settings.decay,
            "seconds": self.seconds,
            "series": self.series,
        }
        write_whole(self.folder / name, lambda draft: torch.save(state, draft))

    def _resume(self) -> None:
        """Go on from the latest state; where that decays sooner than wanted, from the plateau."""
        state = self._read("latest.pt")
        decays_from = self.settings.steps - self.settings.decay
        if state is None or state["decays_from"] < min(state["step"], decays_from):
            state = self._read("plateau.pt") or state
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.average = {k: t.to(self.fabric.device) for k, t in state["average"].items()}
        for optimizer, own in zip(self.optimizers, state["optimizers"], strict=True):
            given = [{k: group[k] for k in _GIVEN} for group in optimizer.param_groups]
            optimizer.load_state_dict(own)
            for group, values in zip(optimizer.param_groups, given, strict=True):
                group.update(values)
        self.step, self.seconds, self.series = (state[k] for k in ("step", "seconds", "series"))
        _forget_rows(self.folder / "curve.csv", self.step)

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        if not path.exists():
            return None
        return torch.load(path, map_location="cpu", weights_only=True)


@torch.no_grad()
def typical_error(model: TSFormer, batch: WindowDraw) -> float:
    """Return the geometric mean over windows of `TSFormer.errors`."""
    device = next(model.parameters()).device
    errors, count = model.errors(*model.prepare(*(tensor.to(device) for tensor in batch)))
    return float(errors[count > 0].clamp(min=1e-6).log().mean().exp())


def read_settings(values: Mapping[str, Any]) -> PretrainingSettings:
    """Return settings from a YAML file's mapping.

    Raises:
        ValueError: for a name that is none of them.
    """
    known = {field.name for field in fields(PretrainingSettings)}
    unknown = set(values) - known
    if unknown:
        raise ValueError(f"{sorted(unknown)} are no settings; known are {', '.join(sorted(known))}")
    shapes = tuple(Shape(**shape) for shape in values.get("shapes", ()))
    return PretrainingSettings(**{**values, "shapes": shapes})


def _learning_rate_share(step: int, settings: PretrainingSettings) -> float:
    rising = (step + 1) / settings.warmup
    falling = (settings.steps - step) / settings.decay
    return min(1.0, rising, falling)


def _forget_rows(path: Path, step: int) -> None:
    """Leave out what was written of later steps, which are taken again."""
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
        path.unlink()
        for row in rows:
            _append_row(path, row)


def _append_row(path: Path, row: Mapping[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
