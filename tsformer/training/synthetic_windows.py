"""Batches of synthetic windows, found from the number of a step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator

from tsformer.prior.windows import WindowDraw, draw_windows

_JUDGED = 256  # held out windows of each shape
_DRAWN_TOGETHER = 8  # batches of one shape, since small draws cost more per series
_LAP = 1_000_000  # steps after which shapes come in the same order again


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Patches of context and horizon, and the share of the steps that are of this shape."""

    context: int
    horizon: int
    share: float


class SyntheticBatches:
    """The batches of all steps, each found from its number alone; no series comes twice.

    Args:
        shapes: each step has one of them.
        tokens_per_batch: patches of a step, about.
        patch_length: steps of a patch.
        seed: of everything that is drawn.
        device: where it is drawn.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        *,
        tokens_per_batch: int,
        patch_length: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.shapes, self.tokens_per_batch = tuple(shapes), tokens_per_batch
        self.patch_length, self.seed, self.device = patch_length, seed, device
        generator = Generator().manual_seed(seed)
        shares = torch.tensor([shape.share for shape in shapes])
        order = torch.multinomial(shares, _LAP, replacement=True, generator=generator)
        chosen = F.one_hot(order, len(shapes))
        self._shape, self._number = order.tolist(), (chosen.cumsum(0) - chosen)
        self._held_out: list[WindowDraw] = []
        self._pools: dict[int, tuple[tuple[int, int], list[WindowDraw]]] = {}

    def __getitem__(self, step: int) -> WindowDraw:
        lap, place = divmod(step, len(self._shape))
        number = self._shape[place]
        many = int(self._number[place, number])
        pool, position = divmod(many, _DRAWN_TOGETHER)
        if number not in self._pools or self._pools[number][0] != (lap, pool):
            self._pools[number] = ((lap, pool), self._draw(number, lap, pool))
        return self._pools[number][1][position]

    def held_out(self) -> list[WindowDraw]:
        """Return windows of each shape that no step has."""
        if not self._held_out:
            shapes = enumerate(self.shapes)
            self._held_out = [self._drawn(shape, _JUDGED, -1 - number) for number, shape in shapes]
        return self._held_out

    def _draw(self, number: int, lap: int, pool: int) -> list[WindowDraw]:
        shape = self.shapes[number]
        size = max(1, self.tokens_per_batch // (shape.context + shape.horizon))
        key = 1 + number + len(self.shapes) * (pool + _LAP * lap)
        drawn = self._drawn(shape, size * _DRAWN_TOGETHER, key)
        parts = zip(*(tensor.split(size) for tensor in drawn), strict=True)
        return [WindowDraw(*part) for part in parts]

    def _drawn(self, shape: Shape, n: int, key: int) -> WindowDraw:
        seed = (self.seed * 1_000_003 + key) * 2_654_435_761 % 2**63
        generator = Generator(self.device).manual_seed(seed)
        steps = self.patch_length
        return draw_windows(generator, n, shape.context * steps, shape.horizon * steps)
