"""Training steps by pieces of their batch, side by side: a thread and a core each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from tsformer.cores import together
from tsformer.training.lightning import pl
from tsformer.types import Batch

Gradients = Sequence[Tensor | None]  # None of weights that are not used


class Pieces:
    """A network's loss of a batch and its gradient, by pieces of the batch.

    They are those of the whole batch but for rounding, and for dropout, which each piece draws by
    itself; the seeds of that come from torch's global generator.

    Args:
        model: one with `tokens_in_pieces`, and weights that all learn.
        count: of the pieces; at least 2.
    """

    def __init__(self, model: nn.Module, count: int) -> None:
        self.model: Any = model
        self.weights = list(model.parameters())
        seeds = torch.randint(2**62, (count,)).tolist()
        self.generators = [Generator().manual_seed(seed) for seed in seeds]

    def __len__(self) -> int:
        return len(self.generators)

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of a batch, of at least as many windows as pieces."""
        return _Loss.apply(self, batch, *self.weights)

    def differentiate(self, batch: Batch) -> tuple[Tensor, Gradients]:
        """Return the loss and its gradient, by weight."""
        done = together(self._differentiate, batch.split(len(self)), self.generators)
        losses, gradients = zip(*done, strict=True)
        return sum(losses), [_sum(parts) for parts in zip(*gradients, strict=True)]

    def _differentiate(self, piece: Batch) -> tuple[Tensor, Gradients]:
        loss = self.model.loss(piece)
        return loss.detach(), torch.autograd.grad(loss, self.weights, allow_unused=True)


def _sum(parts: Gradients) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return sum(known[1:], known[0]) if known else None


class _Loss(torch.autograd.Function):
    """A loss whose gradient is known as soon as it is."""

    @staticmethod
    def forward(ctx: Any, pieces: Pieces, batch: Batch, *weights: Tensor) -> Tensor:
        loss, ctx.gradients = pieces.differentiate(batch)
        return loss

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        parts = [None if part is None else part * gradient for part in ctx.gradients]
        return None, None, *parts


class OneCore(pl.Callback):
    """Leaves the cores to the pieces while the network trains.

    What torch has split between cores leaves threads behind that keep a core busy for a while, in
    case there is more; so between the pieces nothing is split. Other threads of the process that
    use torch for the first time while it lasts have one core, too.
    """

    def __init__(self) -> None:
        self.n_threads = torch.get_num_threads()

    def on_train_start(self, *_: Any) -> None:
        """Begin."""
        torch.set_num_threads(1)

    def on_validation_start(self, *_: Any) -> None:
        """Give the cores back for a look at held out windows."""
        torch.set_num_threads(self.n_threads)

    def on_validation_end(self, *_: Any) -> None:
        """Go on."""
        torch.set_num_threads(1)

    def on_train_end(self, *_: Any) -> None:
        """End."""
        torch.set_num_threads(self.n_threads)

    def on_exception(self, *_: Any) -> None:
        """End, too."""
        torch.set_num_threads(self.n_threads)
