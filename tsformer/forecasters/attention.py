"""What the attention of a fitted forecaster looks at."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tsformer.forecasters.inspection import attention_layers_of, own_patches, panel_of
from tsformer.models import inspection
from tsformer.nn.patching import patch_count
from tsformer.types import AttentionMap


def attention_maps(forecaster: Any, df: Any = None) -> list[AttentionMap]:
    """Return what each layer looks at in the contexts that a forecast would start from.

    Layers that are not asked are left out, such as those across variates where there is one.

    Args:
        forecaster: fitted, with a network made of self-attention.
        df: a few series, in any form that `fit` takes, or a panel; None for the fitted ones.
    """
    names = list(attention_layers_of(forecaster))
    panel = panel_of(forecaster, df)
    source = forecaster._windows(panel, np.zeros_like(panel.lengths))[1].source
    batch = source.gather(torch.arange(len(panel)), torch.from_numpy(panel.lengths))
    maps = []
    for number, weights in inspection.attention_maps(forecaster.model_, batch).items():
        by_row = weights.unflatten(0, (len(panel), -1))
        times, steps = None, _last_steps(forecaster, by_row.shape[-1])
        if steps is not None and by_row.shape[1] == panel.n_variates:
            times = panel.freq.times(panel.starts[:, None], panel.lengths[:, None] - 1 + steps)
        maps.append(
            AttentionMap(
                layer=number,
                name=names[number],
                weights=by_row.mean(dim=1).numpy(),
                times=times,
                ids=panel.ids,
            )
        )
    return maps


def _last_steps(forecaster: Any, n_tokens: int) -> np.ndarray | None:
    """Return the last step of each token, 0 being the last known one; None if they are no patches.

    Patches begin with the context, and padding completes the last one; further tokens are patches
    of the horizon.
    """
    if "patch_length" not in forecaster.sizes_:
        return None
    context_length = forecaster.context_length_
    patch_length, stride = own_patches(forecaster)
    n_past = patch_count(context_length, patch_length, stride)
    past = np.minimum(patch_length + stride * np.arange(n_past) - context_length, 0)
    coming = np.arange(patch_length, forecaster.horizon + patch_length, patch_length)
    known = {len(steps): steps for steps in (past, np.r_[past, coming])}
    return known.get(n_tokens)
