"""What the network of a fitted forecaster relies on, heads and patches, and pruning of its heads.

Importance is what the forecast loses when a thing is taken away, measured on windows that were not
trained on; it says what this network uses, not what the series depend on.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from tsformer.data.panel import Panel
from tsformer.data.windows import EpochWindows
from tsformer.forecasters.checks import positive_integer, refuse_unfitted
from tsformer.forecasters.defaults import default_patches, held_out_sizes
from tsformer.models import inspection
from tsformer.nn.attention import SelfAttention
from tsformer.types import Batch

_BLOCK = 256


def head_importance(
    forecaster: Any, df: Any, *, val_size: int | None = None, max_windows: int = 512
) -> pd.DataFrame:
    """Return how much the loss rises without each attention head: layer, head, importance.

    The loss is the one that was trained on. Heads of a layer that is not asked, such as one across
    variates where there is a single one, have 0. See `tsformer.models.inspection.head_importance`.

    Args:
        forecaster: fitted, with a network made of self-attention.
        df: series in any form that `fit` takes, or a panel. Those that were fitted are judged on
            the steps that `fit` held out.
        val_size: steps at the end of each series that the windows forecast; None as in `fit`.
        max_windows: evenly spread over all of them.
    """
    layers = attention_layers_of(forecaster)
    batches = held_out_windows(forecaster, df, val_size, max_windows)
    rises = inspection.head_importance(forecaster.model_, batches)
    rows = [
        {"layer": number, "name": name, "head": head, "importance": rise}
        for number, name in enumerate(layers)
        for head, rise in enumerate(rises[number].tolist())
    ]
    return pd.DataFrame(rows, columns=["layer", "name", "head", "importance"])


def patch_importance(
    forecaster: Any,
    df: Any,
    *,
    patch_length: int | None = None,
    stride: int | None = None,
    val_size: int | None = None,
    max_windows: int = 512,
) -> pd.DataFrame:
    """Return how much the loss rises when a part of the context is missing.

    One row per patch: `patch`, `first_step`, `last_step`, `importance`. Steps are counted from the
    cut-off: 0 is the last known one. See `tsformer.models.inspection.patch_importance`.

    Args:
        forecaster: fitted, with a network.
        df, val_size, max_windows: as in `head_importance`.
        patch_length: steps of a patch; those of the network's patches where None.
        stride: steps from one patch to the next; the network's, or `patch_length` where that is
            given.
    """
    model = network_of(forecaster)
    if patch_length is None:
        patch_length, own_stride = own_patches(forecaster)
        stride = stride or own_stride
    sizes = {
        "patch_length": min(positive_integer("patch_length", patch_length), model.context_length),
        "stride": positive_integer("stride", stride or patch_length),
    }
    batches = held_out_windows(forecaster, df, val_size, max_windows)
    rises = inspection.patch_importance(model, batches, **sizes)
    spans = np.array(inspection.patch_spans(model.context_length, **sizes))
    return pd.DataFrame(
        {
            "patch": np.arange(len(spans)),
            "first_step": spans[:, 0] - model.context_length + 1,
            "last_step": spans[:, 1] - model.context_length,
            "importance": rises.numpy().astype(np.float64),
        }
    )


def prune_heads(
    forecaster: Any,
    *,
    share: float | None = None,
    heads: Sequence[tuple[int, int]] | None = None,
    df: Any = None,
    val_size: int | None = None,
) -> Any:
    """Return a copy of a fitted forecaster whose network has fewer attention heads.

    Their weights are gone: the copy is smaller and faster. `save` and `load` keep it so, and
    `fit` with `warm_start=True` trains what is left; any other `fit`, and `clone`, know nothing of
    it. The forecaster itself stays as it is.

    Args:
        forecaster: fitted, with a network made of self-attention.
        share: of all heads, 0 to 1; the least important ones go. A layer may lose all of them.
        heads: instead of `share`, pairs of layer and head, as `head_importance` names them.
        df, val_size: what importance is judged by, see there; intervals are calibrated on it again.

    Raises:
        ValueError: unless one of `share` and `heads` is given, and `df` with `share`.
    """
    if (share is None) == (heads is None):
        raise ValueError(f"share={share} and heads={heads}: pass one of them")
    if share is not None:
        heads = _least_important(forecaster, share, df, val_size)
    pruned = copy.deepcopy(forecaster)
    inspection.prune_heads(network_of(pruned), [(layer, head) for layer, head in heads or ()])
    if df is not None:
        judged = held_out_windows(forecaster, df, val_size, 2048)
        with torch.inference_mode():
            pruned.model_.calibrate(judged, held_out=True)
    return pruned


def _least_important(
    forecaster: Any, share: float, df: Any, val_size: int | None
) -> list[tuple[int, int]]:
    if not 0 <= share <= 1:
        raise ValueError(f"share={share} must lie between 0 and 1")
    if df is None:
        raise ValueError("share= needs df=, to judge the heads by; or name them by heads=")
    importance = head_importance(forecaster, df, val_size=val_size)
    count = int(share * len(importance) + 0.5)
    least = importance.sort_values("importance", kind="stable").head(count)
    return list(zip(least["layer"].tolist(), least["head"].tolist(), strict=True))


def own_patches(forecaster: Any) -> tuple[int, int]:
    """Return length and stride of the network's patches, or usual ones where it has none."""
    sizes = forecaster.sizes_
    if "patch_length" not in sizes:
        return default_patches(forecaster.context_length_)
    return sizes["patch_length"], sizes.get("stride", sizes["patch_length"])


def network_of(forecaster: Any) -> Any:
    """Return the network of a fitted forecaster.

    Raises:
        NotFittedError: before `fit`.
        ValueError: for a forecaster without one.
    """
    refuse_unfitted(forecaster)
    if not hasattr(forecaster, "model_"):
        raise ValueError(f"{type(forecaster).__name__} has no network to look into")
    return forecaster.model_


def attention_layers_of(forecaster: Any) -> dict[str, SelfAttention]:
    """Return the self-attention modules of a fitted forecaster by their names.

    Raises:
        ValueError: for a forecaster without any.
    """
    layers = inspection.attention_layers(network_of(forecaster))
    if not layers:
        raise ValueError(f"{type(forecaster).__name__} has no attention heads to look into")
    return layers


def held_out_windows(
    forecaster: Any, df: Any, val_size: int | None, max_windows: int
) -> list[Batch]:
    """Return windows whose future lies in the held out steps, evenly spread."""
    panel = panel_of(forecaster, df)
    sizes = held_out_sizes(panel.lengths, forecaster.horizon, val_size)
    limit = positive_integer("max_windows", max_windows)
    windows = forecaster._windows(panel, sizes)[1]
    if len(windows) == 0:
        raise ValueError(
            f"no series is long enough for a held out window of horizon={forecaster.horizon} steps;"
            " pass longer ones"
        )
    return list(EpochWindows(windows=windows, batch_size=_BLOCK, limit=limit))


def panel_of(forecaster: Any, df: Any) -> Panel:
    """Return data as a panel on the grid of the fitted one, which None stands for."""
    if df is None:
        return forecaster.panel_
    return df if isinstance(df, Panel) else forecaster._context(df)[0]
