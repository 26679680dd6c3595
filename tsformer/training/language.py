"""Trains a causal model of tokens for a given time, in pieces that can be interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from tsformer.models.gpt import GPT
from tsformer.training.lightning import pl
from tsformer.training.optimizers import muon_and_adamw
from tsformer.training.synthetic import SyntheticTokens, TokenBatch


@dataclass(frozen=True, kw_only=True)
class LanguageSettings:
    """How long and how fast to train.

    Attributes:
        minutes: of training, all pieces together; the learning rate follows the clock, so that
            a slow machine takes fewer steps, but ends as well.
        learning_rate: of AdamW, for embeddings and vectors.
        matrix_learning_rate: of Muon (Jordan et al. 2024), for the matrices of the blocks.
        weight_decay: of both.
        warmup: share of the time in which the learning rates rise.
        decay: share of the time, at the end, in which they fall to zero.
        gradient_clip: largest norm of the gradient.
        precision: as Lightning's `Trainer` takes it.
        compile: whether `torch.compile` fuses the loss and its gradient: half a minute for each
            length of sequences, then a quarter faster on a CPU (docs/log.md).
        save_every: seconds between checkpoints.
    """

    minutes: float
    learning_rate: float = 3e-3
    matrix_learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.01
    decay: float = 0.4
    gradient_clip: float = 1.0
    precision: Any = "bf16-mixed"
    compile: bool = False
    save_every: float = 120.0

    def __post_init__(self) -> None:
        for name in ("minutes", "warmup", "decay"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")


class LanguageModule(pl.LightningModule):
    """Next-token cross-entropy; two optimisers stepped together by hand."""

    def __init__(self, model: GPT, settings: LanguageSettings, elapsed: float = 0.0) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model = model
        self.settings = settings
        self.elapsed = elapsed
        self._loss = torch.compile(token_loss, dynamic=False) if settings.compile else token_loss
        self._clock = time.perf_counter()

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.perf_counter()

    def training_step(self, batch: TokenBatch, batch_idx: int) -> Tensor:
        """Take one step on a batch."""
        loss = self._loss(self.model, batch)
        optimizers: Any = self.optimizers()
        share = self._learning_rate_share()
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.parameters(), self.settings.gradient_clip)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = share * group["highest"]
            optimizer.step()
            optimizer.zero_grad()
        now = time.perf_counter()
        self.elapsed, self._clock = self.elapsed + now - self._clock, now
        if self.progress >= 1:
            self.trainer.should_stop = True
        return loss.detach()

    @property
    def progress(self) -> float:
        """Share of the time that has passed."""
        return self.elapsed / (60 * self.settings.minutes)

    def configure_optimizers(self) -> Any:
        """Return Muon for the matrices of the blocks and AdamW for the rest."""
        return muon_and_adamw(self.model, self.model.blocks, self.settings)

    def _learning_rate_share(self) -> float:
        rising = self.progress / self.settings.warmup
        falling = (1 - self.progress) / self.settings.decay
        return max(0.0, min(1.0, rising + 0.01, falling))


def token_loss(model: GPT, batch: TokenBatch) -> Tensor:
    """Return the mean of what each token cost, in nats."""
    logits = model(batch.tokens[:, :-1])
    losses = F.cross_entropy(
        logits.flatten(0, 1).float(), batch.tokens[:, 1:].flatten(), reduction="none"
    )
    weight = batch.weight.flatten()
    return (losses * weight).sum() / weight.sum()


class Progress(pl.Callback):
    """Writes a checkpoint from time to time, and tells how training goes."""

    def __init__(
        self, file: Path, judged: list[TokenBatch], save_every: float, notify: Callable[[str], None]
    ) -> None:
        self.file, self.judged, self.save_every, self.notify = file, judged, save_every, notify
        self._last = time.perf_counter()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Save and report when it is time."""
        if time.perf_counter() - self._last > self.save_every:
            self._save(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Save and report a last time."""
        self._save(trainer, pl_module)

    def _save(self, trainer: pl.Trainer, module: LanguageModule) -> None:
        with torch.no_grad(), torch.autocast(module.device.type, torch.bfloat16):
            there = [TokenBatch(*(part.to(module.device) for part in b)) for b in self.judged]
            losses = [float(token_loss(module.model, batch)) for batch in there]
        state = {
            "model": module.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
            "elapsed": module.elapsed,
            "steps": trainer.global_step,
        }
        draft = self.file.with_suffix(".part")
        torch.save(state, draft)
        draft.replace(self.file)
        self.notify(
            f"{module.elapsed / 60:.1f} min, {trainer.global_step // 2} steps, "
            f"held out loss {' '.join(f'{loss:.4f}' for loss in losses)}"
        )
        self._last = time.perf_counter()


def train_language(
    model: GPT,
    data: SyntheticTokens,
    *,
    judged: list[TokenBatch],
    settings: LanguageSettings,
    checkpoint: Path,
    notify: Callable[[str], None],
) -> None:
    """Train `model` in place; where `checkpoint` exists, go on from it.

    Args:
        model: in evaluation mode afterwards.
        data: what to train on.
        judged: batches whose loss is told.
        settings: see `LanguageSettings`.
        checkpoint: file of weights and optimiser states; read without running any code.
        notify: called with a line about the progress.
    """
    module = LanguageModule(model, settings)
    earlier = None
    if checkpoint.exists():
        earlier = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(earlier["model"])
        module.elapsed = earlier["elapsed"]
    trainer = pl.Trainer(
        max_steps=-1,
        max_epochs=-1,
        callbacks=[Progress(checkpoint, judged, settings.save_every, notify), _Resume(earlier)],
        precision=settings.precision,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )
    trainer.fit(module, DataLoader(data, batch_size=None))
    model.cpu().eval()
    if not all(bool(p.isfinite().all()) for p in model.parameters()):
        raise ValueError("training diverged: the weights are no longer finite; lower learning_rate")


class _Resume(pl.Callback):
    """Gives the optimisers the state they had."""

    def __init__(self, earlier: dict[str, Any] | None) -> None:
        self.earlier = earlier

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load the states."""
        if self.earlier is not None:
            for optimizer, state in zip(
                trainer.optimizers, self.earlier["optimizers"], strict=True
            ):
                optimizer.load_state_dict(state)
