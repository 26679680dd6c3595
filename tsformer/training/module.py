"""The Lightning module, its data and its callback: they know no architecture."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tsformer.data.windows import EpochWindows, RandomWindows, Windows
from tsformer.training.lightning import pl
from tsformer.training.optimizers import UncompiledAdamW
from tsformer.training.pieces import Pieces
from tsformer.training.settings import TrainingReport, TrainingSettings
from tsformer.types import Batch

VALIDATION_BATCH = 256
_SHARE = 0.25  # of a GPU's free memory, at most, for the series; held out ones take it again

Watch = Callable[[float, nn.Module], None]  # share of the steps taken, and the network


class TrainingModule(pl.LightningModule):
    """Trains any `ForecastModel` on its own loss with AdamW, warm-up and cosine decay."""

    def __init__(
        self,
        model: nn.Module,
        settings: TrainingSettings,
        total_steps: int,
        pieces: Pieces | None = None,
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.settings = settings
        self.total_steps = total_steps
        self.pieces = pieces
        loss: Any = model.loss if settings.compile else None
        self.compiled: Any = torch.compile(loss) if settings.compile else None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        if self.pieces is not None and len(batch) >= len(self.pieces):
            return self.pieces.loss(batch)
        return (self.compiled or self.model.loss)(batch)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log the loss of held out windows, averaged over all of them."""
        loss = self.model.loss(batch)
        self.log("val_loss", loss, batch_size=len(batch), on_epoch=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return AdamW, no weight decay on vectors, with a schedule that moves at every step."""
        matrices = [p for p in self.parameters() if p.ndim >= 2]
        vectors = [p for p in self.parameters() if p.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": self.settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        # where gradients are scaled, a fused step would unscale them only after they are clipped
        fused = self.settings.precision == "32-true"
        optimizer = UncompiledAdamW(groups, lr=self.settings.learning_rate, fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._learning_rate_share)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _learning_rate_share(self, step: int) -> float:
        warmup = max(1, round(self.settings.warmup * self.total_steps))
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, self.total_steps - warmup)
        return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class WindowData(pl.LightningDataModule):
    """Windows to train on and windows held out, as Lightning asks for them."""

    def __init__(
        self, training: Windows, validation: Windows, settings: TrainingSettings, seed: int
    ) -> None:
        super().__init__()
        self.training = training
        self.validation = validation
        self.settings = settings
        self.seed = seed

    def train_dataloader(self) -> RandomWindows | EpochWindows:
        """Return random windows, or whole epochs where epochs are counted."""
        rank = 0 if self.trainer is None else self.trainer.global_rank
        generator = torch.Generator().manual_seed(self.seed + rank)
        windows = self._near(self.training)
        kind = RandomWindows if self.settings.max_epochs is None else EpochWindows
        size = self.settings.batch_size
        return kind(windows=windows, batch_size=size, generator=generator)

    def val_dataloader(self) -> EpochWindows:
        """Return the held out windows in a fixed order."""
        return EpochWindows(
            windows=self._near(self.validation),
            batch_size=VALIDATION_BATCH,
            limit=self.settings.max_validation_windows,
        )

    def _near(self, windows: Windows) -> Windows:
        """Return windows that are gathered on the GPU that trains, where they leave room on it."""
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if device.type != "cuda":
            return windows
        free, _ = torch.cuda.mem_get_info(device)
        return windows.to(device) if windows.source.n_bytes < _SHARE * free else windows


class AverageWeights(pl.Callback):
    """Validates and ends with a moving average of the weights (Polyak & Juditsky 1992).

    The average forgets over about `1 / (1 - decay)` steps, and over fewer at the beginning. Its
    forecasts change less from step to step than those of the weights themselves.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.weights: list[Tensor] = []
        self.average: list[Tensor] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with the weights as they are."""
        self.weights = [tensor.detach() for tensor in _floating(pl_module)]
        self.average = [tensor.clone() for tensor in self.weights]

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        """Move the average a little towards the weights."""
        step = trainer.global_step
        share = 1 - min(self.decay, step / (step + 10))
        torch._foreach_lerp_(self.average, self.weights, share)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Exchange weights and average."""
        self._exchange()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Exchange them back."""
        self._exchange()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave the average in place of the weights."""
        self._exchange()

    def _exchange(self) -> None:
        for tensor, average in zip(self.weights, self.average, strict=True):
            kept = tensor.clone()
            tensor.copy_(average)
            average.copy_(kept)


def _floating(module: nn.Module) -> list[Tensor]:
    """Return weights and running statistics, which alone have an average."""
    tensors = [*module.parameters(), *module.buffers()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


class KeepBest(pl.Callback):
    """Remembers the weights of the lowest validation loss and puts them back at the end."""

    def __init__(self, report: TrainingReport) -> None:
        self.report = report
        self.weights: dict[str, Tensor] | None = None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare the loss with the best so far."""
        loss = float(trainer.callback_metrics["val_loss"])
        self.report.history.append((trainer.global_step, loss))
        best = self.report.best_loss
        if math.isfinite(loss) and (best is None or loss < best):
            self.report.best_loss = loss
            self.report.best_step = trainer.global_step
            self.weights = copy.deepcopy(pl_module.state_dict())

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the best weights."""
        if self.weights is not None:
            pl_module.load_state_dict(self.weights)


class Watched(pl.Callback):
    """Shows the network to a function at each look; training ends when that raises."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_validation_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Tell what share of the steps is taken."""
        self.watch(trainer.global_step / pl_module.total_steps, pl_module.model)
