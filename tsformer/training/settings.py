"""What can be set about training, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from tsformer.hardware import SetPrecision, check_precision


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How to train: the optimiser, its schedule, when to look and when to stop.

    Attributes:
        max_steps: optimiser steps; with `max_epochs` given, whichever ends first.
        max_epochs: passes over all training windows; None draws windows at random instead.
        batch_size: windows per step.
        learning_rate: the highest one, reached after the warm-up.
        weight_decay: of AdamW.
        warmup: share of the steps in which the learning rate rises linearly; it then falls to
            zero along a cosine.
        gradient_clip: largest norm of the gradient.
        averaging: how slowly the moving average of the weights, which is what remains, forgets;
            0 keeps the weights themselves.
        validations: how often the held out windows are looked at.
        patience: validations without improvement before training stops; None never stops early.
        max_validation_windows: evenly spread over all held out windows.
        accelerator, devices: as Lightning's `Trainer` takes them; more than one device starts the
            caller's script anew in each.
        precision: of the arithmetic, as Lightning takes it; weights are always kept in 32 bits.
        compile: compile the loss, which takes half a minute and a C++ compiler.
        progress_bar: show one.
    """

    max_steps: int = 600
    max_epochs: int | None = None
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warmup: float = 0.05
    gradient_clip: float = 1.0
    averaging: float = 0.98
    validations: int = 20
    patience: int | None = 10
    max_validation_windows: int = 512
    accelerator: str = "auto"
    devices: Any = 1
    precision: SetPrecision = "32-true"
    compile: bool = False
    progress_bar: bool = False

    def __post_init__(self) -> None:
        for name in ("max_steps", "batch_size", "validations", "max_validation_windows"):
            _check_count(name, getattr(self, name), "")
        for name in ("max_epochs", "patience"):
            if getattr(self, name) is not None:
                _check_count(name, getattr(self, name), ", or None")
        for name in ("learning_rate", "gradient_clip"):
            if not isinstance(getattr(self, name), Real):
                raise TypeError(f"{name}={getattr(self, name)!r} must be a number")
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be above 0")
        check_precision(self.precision, ("32-true", "bf16-mixed", "16-mixed"))
        if not isinstance(self.compile, bool):
            raise TypeError(f"compile={self.compile!r} must be True or False")
        for name in ("warmup", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 0 and below 1")


def _check_count(name: str, value: Any, alternative: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name}={value!r} must be a whole number{alternative}")
    if int(value) < 1:
        raise ValueError(f"{name}={value} must be at least 1{alternative}")


@dataclass(kw_only=True)
class TrainingReport:
    """What happened.

    Attributes:
        steps: optimiser steps taken.
        best_step: the step whose weights were kept.
        best_loss: validation loss of those weights; None where nothing was held out.
        history: `(step, validation loss)` of each look.
        seconds: wall-clock time.
    """

    steps: int = 0
    best_step: int = 0
    best_loss: float | None = None
    history: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
