"""Pre-trained models of other packages, for comparison on the same work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tsformer.data.panel import Panel
from tsformer.forecasters.inference import interpolate_levels
from tsformer.types import Forecast

_LEAST = 8  # values that Fracast needs
_CONTEXT = 2048
_ROWS = 256


@dataclass(kw_only=True)
class Fracast:
    """Fracast-0, 85,000 parameters in its wheel, trained on real series (package `fracast`).

    Its nine quantiles, 0.1 to 0.9, are its own, and those beyond them are the outermost; the mean
    is their mean. Where a series has fewer than the eight values that it needs, the last one is
    repeated, or 0 where there is none.

    Args:
        horizon: steps to forecast.
    """

    horizon: int

    def __post_init__(self) -> None:
        try:
            from fracast.inference import FracastModel
        except ImportError as error:
            raise ImportError("Fracast-0 needs its package: pip install fracast") from error
        self._model: Any = FracastModel.from_pretrained(weights="fp32")
        parts = (self._model.core, self._model.head)
        self.n_parameters = sum(p.numel() for part in parts for p in part.parameters())

    def fit_panel(self, panel: Panel, val_size: int | None = None) -> Self:
        """Return self: nothing is trained."""
        return self

    def predict_panel(self, panel: Panel, *, quantiles: tuple[float, ...]) -> Forecast:
        """Return forecasts, levels between its own by straight lines."""
        rows = panel.univariate().tail(_CONTEXT)
        levels = np.array(self._model.quantiles)
        found = np.empty((len(rows), self.horizon, len(levels)))
        enough = rows.known_counts >= _LEAST
        for number in np.flatnonzero(~enough):
            known = rows.series(int(number))[0]
            known = known[np.isfinite(known)]
            found[number] = known[-1] if len(known) else 0.0
        for length in np.unique(rows.lengths[enough]):
            some = np.flatnonzero(enough & (rows.lengths == length))
            for part in np.array_split(some, -(-len(some) // _ROWS)):
                context = np.stack([rows.series(int(number))[0] for number in part])
                found[part] = self._model.forecast_batch(context, horizon=self.horizon)
        found.sort(axis=-1)
        wanted = np.broadcast_to(np.array(quantiles), (*found.shape[:2], len(quantiles)))
        by_step = found.reshape(-1, 1, len(levels))
        spread = interpolate_levels(by_step, levels, wanted.reshape(-1, len(quantiles), 1))
        return Forecast(
            mean=found.mean(axis=-1),
            quantiles=spread.reshape(*found.shape[:2], len(quantiles)),
            levels=tuple(quantiles),
        )


PEERS = {"Fracast": Fracast}
