"""One function that trains a model on a panel of windows."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from tsformer.data.windows import Windows
from tsformer.hardware import training_gains_from_pieces
from tsformer.memory import freed_memory_kept
from tsformer.training.lightning import EarlyStopping, pl
from tsformer.training.module import (
    AverageWeights,
    KeepBest,
    TrainingModule,
    Watch,
    Watched,
    WindowData,
)
from tsformer.training.pieces import OneCore, Pieces
from tsformer.training.settings import TrainingReport, TrainingSettings


def train(
    model: nn.Module,
    *,
    training: Windows,
    validation: Windows,
    settings: TrainingSettings,
    seed: int,
    watch: Watch | None = None,
) -> TrainingReport:
    """Train `model` in place, leave it with its best weights in evaluation mode, and report.

    The same seed on the same machine, with as many threads, gives the same numbers; torch's global
    generator is left as it was. Nothing is written or logged.

    Args:
        model: a `ForecastModel`.
        training: windows to train on; at least one.
        validation: windows held out; may be none, then the last weights are kept.
        settings: see `TrainingSettings`.
        seed: of the windows that are drawn, and of dropout.
        watch: called at each look at the held out windows with the share of the steps taken and
            the model, in evaluation mode on the device it is trained on, its weights the average.
            What it raises ends training and reaches the caller; it may not change the model.
    """
    began = time.perf_counter()
    total_steps = _total_steps(settings, len(training))
    validated = len(validation) > 0
    report = TrainingReport()
    data = WindowData(training, validation, settings, seed)
    with _quiet(), freed_memory_kept(), torch.random.fork_rng():
        torch.manual_seed(seed)
        callbacks = _callbacks(settings, report if validated else None, watch)
        pieces = _pieces(model, training, settings)
        if pieces is not None:
            callbacks.append(OneCore())
        trainer = _trainer(settings, total_steps, callbacks, validated)
        module = TrainingModule(model, settings, total_steps, pieces)
        try:
            trainer.fit(module, datamodule=data)
        except SystemExit as error:  # so Lightning answers Ctrl-C, which would end the program
            raise KeyboardInterrupt from error
    report.steps = trainer.global_step
    if not validated:
        report.best_step = report.steps
    model.cpu().eval()
    _refuse_divergence(model)
    report.seconds = time.perf_counter() - began
    return report


def _total_steps(settings: TrainingSettings, n_windows: int) -> int:
    if settings.max_epochs is None:
        return settings.max_steps
    per_epoch = math.ceil(n_windows / settings.batch_size)
    return min(settings.max_steps, settings.max_epochs * per_epoch)


def _pieces(model: nn.Module, training: Windows, settings: TrainingSettings) -> Pieces | None:
    """Return how batches are cut into pieces, where that is faster."""
    on_cpu = settings.accelerator == "cpu" or not torch.accelerator.is_available()
    plain = settings.precision == "32-true" and settings.devices == 1 and not settings.compile
    learning = all(weight.requires_grad for weight in model.parameters())  # or pieces might differ
    n_windows = settings.batch_size * len(training.source.values)  # of one variate
    count = torch.get_num_threads()
    n_tokens = n_windows * getattr(model, "tokens_in_pieces", 0) // count
    if on_cpu and plain and learning and training_gains_from_pieces(n_tokens, count):
        return Pieces(model, count)
    return None


def _callbacks(
    settings: TrainingSettings, report: TrainingReport | None, watch: Watch | None
) -> list[pl.Callback]:
    """Return what happens as training goes; `report` is None where nothing is held out."""
    callbacks: list[pl.Callback] = []
    if report is not None:
        callbacks.append(KeepBest(report))
        if settings.patience is not None:
            callbacks.append(EarlyStopping("val_loss", patience=settings.patience))
        if watch is not None:
            callbacks.append(Watched(watch))
    if settings.averaging:
        callbacks.append(AverageWeights(settings.averaging))  # after those that look at it
    return callbacks


def _trainer(
    settings: TrainingSettings, total_steps: int, callbacks: list[pl.Callback], validated: bool
) -> pl.Trainer:
    return pl.Trainer(
        max_steps=total_steps,
        max_epochs=-1,
        val_check_interval=max(1, total_steps // settings.validations),
        check_val_every_n_epoch=None,
        limit_val_batches=1.0 if validated else 0,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.gradient_clip,
        callbacks=callbacks,
        accelerator=settings.accelerator,
        devices=settings.devices,
        precision=settings.precision,
        enable_progress_bar=settings.progress_bar,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )


def _refuse_divergence(model: nn.Module) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in model.state_dict().values()):
        raise ValueError("training diverged: the weights are no longer finite; lower learning_rate")


@contextmanager
def _quiet() -> Iterator[Any]:
    """Keep Lightning's remarks on hardware, loaders and schedules to itself."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", message=r".*lightning.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
