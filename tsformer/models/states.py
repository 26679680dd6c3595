"""States: all that a recurrent network keeps of the series that it has read."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from tsformer.nn.running_scale import Moments


class State(NamedTuple):
    """What is kept of all whole patches of R series.

    Attributes:
        memory: `[R, layers, heads, d_head, d_head]`, of the attention.
        moments: `[R]` each, for the scale.
        last: `[R, P]`, the last of the patches, raw units.
        last_observed: `[R, P]`, which of its values are known.
    """

    memory: Tensor
    moments: Moments
    last: Tensor
    last_observed: Tensor

    def select(self, rows: Tensor) -> State:
        """Return the state of some series, in this order."""
        moments = Moments(*(part[rows] for part in self.moments))
        return State(self.memory[rows], moments, self.last[rows], self.last_observed[rows])

    def replaced(self, rows: Tensor, others: State) -> State:
        """Return the same with the state of some series from another."""

        def put(mine: Tensor, its: Tensor) -> Tensor:
            return mine.index_copy(0, rows, its)

        return State(
            put(self.memory, others.memory),
            Moments(*map(put, self.moments, others.moments)),
            put(self.last, others.last),
            put(self.last_observed, others.last_observed),
        )
