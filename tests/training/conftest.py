"""Windows of small panels, and networks whose training can be told in advance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tsformer.data.frame import Schema, read_panel
from tsformer.data.windows import Windows, WindowSource, training_range, validation_range
from tsformer.types import Batch

Make = Callable[..., Any]
CONTEXT, HORIZON, HELD_OUT = 4, 2, 6


class Persistence(nn.Module):
    """Forecasts a weight times the last value; keeps what it was given."""

    def __init__(self, weight: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[weight]]))
        self.bias = nn.Parameter(torch.zeros(1))
        self.seen: list[Batch] = []
        self.validated: list[Batch] = []

    def loss(self, batch: Batch) -> Tensor:
        (self.seen if self.training else self.validated).append(batch)
        assert batch.future is not None
        forecast = self.weight * batch.target[:, :, -1:] + self.bias
        return (forecast - batch.future).square().mean()


@pytest.fixture
def make_model() -> type[Persistence]:
    return Persistence


@pytest.fixture(scope="session")
def windows() -> tuple[Windows, Windows]:
    """Return windows to train on and held out ones: two series of 30 steps around 1 and 3."""
    generator = np.random.default_rng(0)
    panel, _ = read_panel(generator.normal([[1.0], [3.0]], 0.1, size=(2, 30)), Schema())
    lengths = panel.lengths - HELD_OUT
    source = WindowSource.of(panel, CONTEXT, HORIZON, lengths=lengths)
    training = Windows(source=source, range=training_range(lengths, CONTEXT, HORIZON))
    later = validation_range(panel.lengths, HORIZON, np.full(2, HELD_OUT))
    return training, Windows(source=WindowSource.of(panel, CONTEXT, HORIZON), range=later)


@pytest.fixture(scope="session")
def no_windows(windows: tuple[Windows, Windows]) -> Windows:
    nothing = validation_range(np.array([30, 30]), HORIZON, np.zeros(2, dtype=np.int64))
    return Windows(source=windows[1].source, range=nothing)
