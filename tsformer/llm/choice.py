"""Which way of writing values a model foretells best: the choice by validation likelihood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tsformer.llm.context import Context
from tsformer.llm.scaler import Kind
from tsformer.llm.serialize import PRESETS, SerializerSettings
from tsformer.llm.value_model import ValueModel

SCALERS: tuple[Kind, ...] = ("quantile", "standard")
_MOST_SERIES = 3  # that are looked at
_MOST_VALUES = 160  # of each


def ways_likelihoods(
    model: ValueModel,
    contexts: Sequence[Context],
    horizon: int,
    settings: Mapping[str, SerializerSettings] = PRESETS,
    scalers: Sequence[Kind] = SCALERS,
) -> dict[tuple[str, Kind], float]:
    """Return the mean negative log density in nats per value of each way, the best first.

    A way is a name of `settings` and a kind of scaler. The last `horizon` values of each series,
    at most a quarter of what is looked at, are scored given those before (Gruver et al. 2023,
    section 3, choose their hyperparameters so). Densities are those of values in raw units, so
    that bins of any size can be compared. A way that cannot write a series is left out.

    Args:
        model: its own settings and scaler are not looked at.
        contexts: three of them, evenly spread, are looked at.
        horizon: of the forecasts to come.
        settings, scalers: the ways.

    Raises:
        ValueError: where no series is long enough, or no way can be used.
    """
    recent = [replace(c, values=_until_known(c.values)[-_MOST_VALUES:]) for c in contexts]
    long = [c for c in recent if np.isfinite(c.values[: len(c.values) * 3 // 4]).sum() >= 6]
    if not long:
        raise ValueError("no series has the 8 values that a choice of settings needs; name them")
    chosen = np.unique(np.linspace(0, len(long) - 1, _MOST_SERIES).round().astype(int))
    found: dict[tuple[str, Kind], float] = {}
    refused = ""
    for name, written in settings.items():
        for kind in scalers:
            way = replace(model, settings=written, scaler=kind)
            try:
                nats = [_held_out_nats(way, long[number], horizon) for number in chosen]
            except ValueError as error:
                refused = str(error)
                continue
            found[name, kind] = float(np.nanmean(np.concatenate(nats)))
    if not found:
        raise ValueError(f"no settings can be used with this model and these series: {refused}")
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def _until_known(values: np.ndarray) -> np.ndarray:
    """Return values without the missing ones at their end."""
    return values[: len(values) - int(np.isfinite(values[::-1]).argmax())]


def _held_out_nats(model: ValueModel, context: Context, horizon: int) -> np.ndarray:
    held_out = min(horizon, len(context.values) // 4)
    known = replace(context, values=context.values[:-held_out])
    return model.nats([known], context.values[None, -held_out:])[0]
