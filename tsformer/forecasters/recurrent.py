"""The recurrent transformer behind `fit`, `update` and `predict`."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch

from tsformer.data.panel import Panel
from tsformer.forecasters.checks import FitReport, check_patch_encoder, quantile_levels
from tsformer.forecasters.defaults import default_whole_patch
from tsformer.forecasters.reading import Reading
from tsformer.forecasters.search_spaces import Range, context_lengths, encoder_sizes
from tsformer.forecasters.trained import TrainedForecaster
from tsformer.models.recurrent import RecurrentConfig
from tsformer.models.states import State
from tsformer.models.streaming import RecurrentModel, recurrent
from tsformer.nn.running_scale import Moments
from tsformer.types import Forecast


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentForecaster(TrainedForecaster):
    """A transformer with linear attention, which reads series as they come.

    After `fit` it holds a state of fixed size for each series, `states_`; `update` takes new rows
    into it at a cost that does not depend on how long the series is already, and `predict` goes on
    from it. Series given to `predict` are read from their beginning, however long. Rows that were
    read once cannot be changed by an update. Variates are forecast one by one.

    Args:
        context_length: steps of a window in training; older ones are forgotten slowly.
        patch_length: steps that are read at once; about a twelfth of
            `context_length`, whole seasons or a part of one, where None.
        d_model: width of a token.
        n_heads: attention heads, which share the width.
        n_layers: layers.
        d_ff: width of the gated feed-forward parts.
        dropout: of embedding and layers.
        norm: `"batch"`, `"rms"` or `"layer"`.
    """

    patch_length: int | None = None
    d_model: int = RecurrentConfig.d_model
    n_heads: int = RecurrentConfig.n_heads
    n_layers: int = RecurrentConfig.n_layers
    d_ff: int = RecurrentConfig.d_ff
    dropout: float = RecurrentConfig.dropout
    norm: str = RecurrentConfig.norm

    @property
    def _reach(self) -> int:
        return sys.maxsize

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_patch_encoder(self)

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        contexts = context_lengths(self, panel, shortest=self.patch_length or 1)
        space = {**super()._search_space(panel), **encoder_sizes(self)}
        return {**space, "context_length": contexts}

    def _sizes(self) -> dict[str, Any]:
        patch_length = self.patch_length or default_whole_patch(
            self.context_length_, self.season_length_
        )
        config = RecurrentConfig(
            context_length=self.context_length_,
            horizon=int(self.horizon),  # searches pass NumPy's integers
            patch_length=int(patch_length),
            d_model=int(self.d_model),
            n_heads=int(self.n_heads),
            n_layers=int(self.n_layers),
            d_ff=int(self.d_ff),
            dropout=float(self.dropout),
            norm=self.norm,
            head=self.head,
            levels=quantile_levels(self.quantiles),
        )
        return asdict(config)

    def _build(self, sizes: dict[str, Any]) -> RecurrentModel:
        return recurrent(RecurrentConfig(**{**sizes, "levels": tuple(sizes["levels"])}))

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        report = super()._learn(panel, val_size)
        self.states_ = Reading.of(self._network, panel, self._memory)
        return report

    def update_panel(self, panel: Panel) -> Self:
        """Read what is new in a panel that continues the fitted one; return self."""
        self.states_ = self.states_.extended(panel, self._memory)
        return super().update_panel(panel)

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        return self._reading(panel).forecast(horizon, levels)

    def _reading(self, panel: Panel) -> Reading:
        """Return what is known of a panel, or else read it."""
        known = self.states_.of_same(self._network, panel) if hasattr(self, "states_") else None
        return known or Reading.of(self._network, panel, self._memory)

    @property
    def _network(self) -> RecurrentModel:
        assert isinstance(self.model_, RecurrentModel)
        return self.model_

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        state, tensors = super()._state()
        reading = self._reading(self.panel_)
        memory, moments, last, last_observed = reading.state
        tensors |= {
            "states.lengths": torch.from_numpy(reading.lengths),
            "states.memory": memory,
            "states.last": last,
            "states.last_observed": last_observed,
        }
        return state, tensors | {f"states.{k}": v for k, v in moments._asdict().items()}

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        read = {k: v for k, v in tensors.items() if k.startswith("states.")}
        super()._restore(state, {k: v for k, v in tensors.items() if k not in read})
        moments = Moments(*(read[f"states.{name}"] for name in Moments._fields))
        self.states_ = Reading(
            model=self._network,
            panel=self.panel_.tail(self._memory),
            lengths=read["states.lengths"].numpy(),
            state=State(
                memory=read["states.memory"],
                moments=moments,
                last=read["states.last"],
                last_observed=read["states.last_observed"],
            ),
        )
