"""The covariates of a panel as JSON and arrays, for `save` and `load`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from tsformer.data.panel import Covariates, Panel

_KINDS = ("past_covariates", "future_covariates", "static_covariates")


def covariates_to_json(panel: Panel) -> dict[str, Any]:
    """Return the names and levels of each kind that the panel has."""
    return {
        kind: {
            "names": list(covariates.names),
            "levels": {name: list(levels) for name, levels in covariates.levels.items()},
        }
        for kind in _KINDS
        if (covariates := getattr(panel, kind)) is not None
    }


def covariate_arrays(panel: Panel) -> dict[str, np.ndarray]:
    """Return their values."""
    return {
        f"panel.{kind}": covariates.values
        for kind in _KINDS
        if (covariates := getattr(panel, kind)) is not None
    }


def read_covariates(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """Return the covariates that were saved, by kind."""
    return {
        kind: Covariates(
            names=tuple(described["names"]),
            values=tensors[f"panel.{kind}"].numpy(),
            levels={name: tuple(levels) for name, levels in described["levels"].items()},
        )
        for kind, described in config.items()
    }
