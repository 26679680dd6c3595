"""What a recurrent network has read of the series of a panel, and forecasts from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tsformer.data.panel import Panel
from tsformer.data.windows import WindowSource
from tsformer.forecasters.inference import as_forecast
from tsformer.forecasters.rolling import roll
from tsformer.models.states import State
from tsformer.models.streaming import RecurrentModel
from tsformer.types import Forecast, Prediction

_STEPS_AT_ONCE = 20_000_000
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The states of all series of a panel after their whole patches.

    Attributes:
        model: the network that has read them.
        panel: their last steps, at least those since the last whole patch.
        lengths: `[S]`, steps that were read of each series in all.
        state: of `S * C` rows.
    """

    model: RecurrentModel
    panel: Panel
    lengths: np.ndarray
    state: State

    @property
    def begun(self) -> np.ndarray:
        """`[S]`, steps since the last whole patch."""
        return self.lengths % self.model.network.patch_length

    @classmethod
    def of(cls, model: RecurrentModel, panel: Panel, memory: int) -> Reading:
        """Read the series of a panel from their beginning, and keep their last `memory` steps."""
        patch_length, n_variates = model.network.patch_length, panel.n_variates
        counts = panel.lengths // patch_length
        state = model.network.start(torch.zeros(len(panel) * n_variates))
        order, at = np.argsort(counts, kind="stable"), 0
        while at < len(order):
            longest = max(int(counts[order[-1]]) * patch_length * n_variates, 1)
            some = order[at : at + max(1, _STEPS_AT_ONCE // longest)]
            at += len(some)
            # shorter series begin with patches of which nothing is known: these leave no trace
            n_steps = int(counts[some].max()) * patch_length
            state = _advanced(model, state, panel, some, counts[some] * patch_length, n_steps)
        return cls(model=model, panel=panel.tail(memory), lengths=panel.lengths, state=state)

    def extended(self, panel: Panel, memory: int) -> Reading:
        """Return the reading of a panel that continues this one's; only what is new is read.

        Changes of what has been read are not noticed. Series that are new, or do not follow, are
        read as a whole.
        """
        place = {name: number for number, name in enumerate(self.panel.ids.tolist())}
        old = np.array([place.get(name, -1) for name in panel.ids.tolist()], dtype=np.int64)
        rows = _rows(np.maximum(old, 0), panel.n_variates)
        last = self.panel.freq.times(self.panel.starts[old], self.panel.lengths[old] - 1)
        read = panel.freq.index(panel.starts, last)[0] + 1  # steps of `panel` that were read
        follows = (old >= 0) & (read >= self.begun[old])
        new = panel.lengths - read
        begun, patch_length = self.begun[old], self.model.network.patch_length
        counts = (begun + new) // patch_length
        state = self.state.select(rows)
        for count in np.unique(counts[follows & (counts > 0)]):
            some = np.flatnonzero(follows & (counts == count))
            n_steps = int(count) * patch_length
            state = _advanced(
                self.model, state, panel, some, (read - begun + n_steps)[some], n_steps
            )
        lengths, others = self.lengths[old] + new, np.flatnonzero(~follows)
        if len(others):
            whole = Reading.of(self.model, panel.select(others), memory)
            state = state.replaced(_rows(others, panel.n_variates), whole.state)
            lengths[others] = whole.lengths
        return replace(self, panel=panel.tail(memory), lengths=lengths, state=state)

    def of_same(self, model: RecurrentModel, panel: Panel) -> Reading | None:
        """Return the reading of these series if they and the network are those that were read."""
        place = {name: number for number, name in enumerate(self.panel.ids.tolist())}
        numbers = [place.get(name, -1) for name in panel.ids.tolist()]
        if self.model is not model or min(numbers) < 0:
            return None
        known = self.panel.select(numbers)
        same = (
            np.array_equal(known.offsets, panel.offsets)
            and np.array_equal(known.starts, panel.starts)
            and np.array_equal(known.values, panel.values, equal_nan=True)
        )
        if not same:
            return None
        state = self.state.select(_rows(np.array(numbers), panel.n_variates))
        return replace(self, panel=known, lengths=self.lengths[numbers], state=state)

    def forecast(self, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """Return the forecasts of all series, one row per variate, `[S * C, H]`."""
        mean = torch.empty(len(self.panel) * self.panel.n_variates, horizon)
        quantiles = torch.empty(*mean.shape, len(levels))
        with torch.inference_mode():
            for rows, origin in self.origins():
                middle, spread = roll(origin, horizon, levels)
                mean[rows], quantiles[rows] = middle[:, 0], spread[:, 0]
        return as_forecast(mean, quantiles, levels)

    def origins(self) -> Iterator[tuple[Tensor, StateOrigin]]:
        """Yield where forecasts start, and of which rows, for series that are equally far on."""
        lengths = torch.from_numpy(self.panel.lengths)
        for begun in np.unique(self.begun):
            for some in torch.from_numpy(np.flatnonzero(self.begun == begun)).split(_ROWS_AT_ONCE):
                rows = _rows(some.numpy(), self.panel.n_variates)
                values, observed = _steps(self.panel, some, lengths[some], int(begun))
                state = self.state.select(rows)
                yield rows, StateOrigin(self.model, state, values, observed)


@dataclass(frozen=True)
class StateOrigin:
    """Series after a state and the steps since: an `Origin`.

    Attributes:
        values, observed: `[R, p]`, the steps since the last whole patch.
    """

    model: RecurrentModel
    state: State
    values: Tensor
    observed: Tensor

    @property
    def horizon(self) -> int:
        """H, the steps that the network forecasts."""
        return self.model.horizon

    def predict(self, levels: Sequence[float]) -> Prediction:
        """Return what the network says of the next H steps."""
        return self.model.ask(self.state, self.values, self.observed, levels)

    def repeat(self, times: int) -> StateOrigin:
        """Return each series `times` times in a row."""
        rows = torch.arange(len(self.values)).repeat_interleave(times)
        values, observed = self.values[rows], self.observed[rows]
        return StateOrigin(self.model, self.state.select(rows), values, observed)

    def append(self, values: Tensor) -> StateOrigin:
        """Return the series H steps on, whole patches of these taken into the state."""
        values = torch.cat([self.values, values[:, 0]], dim=1)
        observed = torch.ones_like(values, dtype=torch.bool)
        observed[:, : self.observed.shape[1]] = self.observed
        patch_length = self.model.network.patch_length
        whole = values.shape[1] // patch_length * patch_length
        state = self.model.read(self.state, values[:, :whole], observed[:, :whole])
        return StateOrigin(self.model, state, values[:, whole:], observed[:, whole:])


def _rows(series: np.ndarray, n_variates: int) -> Tensor:
    """Return the rows of all variates of some series."""
    return torch.from_numpy((n_variates * series[:, None] + np.arange(n_variates)).reshape(-1))


def _steps(panel: Panel, series: Tensor, cutoffs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` steps before the cut-offs, `[R, count]`, and which of them are known."""
    batch = WindowSource.of(panel, count, horizon=0).gather(series, cutoffs)
    return batch.target.flatten(0, 1), batch.observed.flatten(0, 1)


def _advanced(
    model: RecurrentModel,
    state: State,
    panel: Panel,
    series: np.ndarray,
    cutoffs: np.ndarray,
    n_steps: int,
) -> State:
    """Return the states, those of some series moved on by the steps before their cut-offs.

    Args:
        series, cutoffs: `[s]`, numbers of series, and steps of each before its cut-off.
        n_steps: a multiple of the patch length.
    """
    values, observed = _steps(panel, torch.from_numpy(series), torch.from_numpy(cutoffs), n_steps)
    rows = _rows(series, panel.n_variates)
    with torch.inference_mode():
        later = model.read(state.select(rows), values, observed)
    return state.replaced(rows, later)
