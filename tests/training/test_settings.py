from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from tsformer.training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"max_steps": 0}, ValueError, "max_steps=0 must be at least 1$"),
        ({"max_steps": True}, TypeError, "max_steps=True must be a whole number$"),
        ({"max_steps": None}, TypeError, "max_steps=None must be a whole number$"),
        ({"batch_size": -5}, ValueError, "batch_size=-5"),
        ({"validations": 0}, ValueError, "validations=0"),
        ({"max_validation_windows": 0}, ValueError, "max_validation_windows=0"),
        ({"max_epochs": 0}, ValueError, "max_epochs=0 must be at least 1, or None$"),
        ({"max_epochs": 1.5}, TypeError, "max_epochs=1.5 must be a whole number, or None$"),
        ({"patience": 0}, ValueError, "patience=0 must be at least 1, or None$"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate=0.0 must be above 0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate=nan must be above 0"),
        ({"learning_rate": None}, TypeError, "learning_rate=None must be a number"),
        ({"gradient_clip": 0}, ValueError, "gradient_clip=0 must be above 0"),
        ({"warmup": 1.0}, ValueError, "warmup=1.0 must be at least 0 and below 1"),
        ({"averaging": 1.0}, ValueError, "averaging=1.0 must be at least 0 and below 1"),
        ({"precision": 8}, ValueError, "precision=8 is unknown; choose one of '32-true', "),
    ],
)
def test_wrong_settings_are_named(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        TrainingSettings(**wrong)


def test_none_means_no_limit_where_it_may() -> None:
    settings = TrainingSettings(max_epochs=None, patience=None)
    assert (settings.max_epochs, settings.patience) == (None, None)


def test_numbers_of_numpy_are_numbers() -> None:
    assert TrainingSettings(max_steps=np.int64(7), learning_rate=np.float32(0.5)).max_steps == 7


def test_settings_do_not_change_and_changed_copies_are_checked() -> None:
    settings = TrainingSettings()
    with pytest.raises(FrozenInstanceError):
        settings.max_steps = 3  # type: ignore[misc]
    with pytest.raises(ValueError, match="max_steps=0"):
        replace(settings, max_steps=0)
