"""Forecasts of a pre-trained network for a panel: blocks of series that are about equally long."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tsformer.cores import side_by_side
from tsformer.data.panel import Panel
from tsformer.data.windows import WindowSource, latest_windows
from tsformer.forecasters.inference import as_forecast
from tsformer.forecasters.rolling import WindowOrigin, roll
from tsformer.hardware import Precision, half_precision
from tsformer.models.zero_shot import AskedTSFormer, TSFormer
from tsformer.types import Forecast

LONGEST_HORIZON = 1024  # steps that are forecast at once; more are rolled
_SHORTEST = 64  # steps of a block of short series
_PATCHES_AT_ONCE = 2048


def forecast_unseen(
    model: TSFormer,
    panel: Panel,
    horizon: int,
    levels: tuple[float, ...],
    *,
    season_length: int = 1,
    longest: int | None = None,
    precision: Precision = "auto",
) -> Forecast:
    """Return the forecasts of a panel from the ends of its series, one row per variate.

    A forecast depends on its own series alone, whatever else is in the panel.

    Args:
        model: any context, any horizon.
        panel: the series.
        horizon: H.
        levels: of the quantiles.
        season_length: what the calendar suggests; 1 for nothing.
        longest: steps that are looked back at most; None for as many as the network can.
        precision: of the network's products, see `half_precision`.
    """
    halves = half_precision(precision, model.config.d_model)
    mean = torch.empty(len(panel), panel.n_variates, horizon)
    quantiles = torch.empty(*mean.shape, len(levels))
    lengths, at_once = torch.from_numpy(panel.lengths), min(horizon, LONGEST_HORIZON)

    @torch.inference_mode()
    def forecast(block: tuple[Tensor, WindowSource]) -> None:
        series, source = block
        asked = AskedTSFormer(
            model,
            context_length=source.context_length,
            horizon=at_once,
            season_length=season_length,
            halves=halves,
        )
        origin = WindowOrigin(model=asked, batch=source.gather(series, lengths[series]))
        mean[series], quantiles[series] = roll(origin, horizon, levels)

    side_by_side(forecast, blocks(model, panel, at_once, longest, roomy=horizon > at_once))
    return as_forecast(mean.flatten(0, 1), quantiles.flatten(0, 1), levels)


def embed_unseen(model: TSFormer, panel: Panel, season_length: int = 1) -> np.ndarray:
    """Return a vector for each series and variate, `[S * C, D]`."""
    vectors = torch.empty(len(panel), panel.n_variates, model.config.d_model)
    lengths = torch.from_numpy(panel.lengths)

    @torch.inference_mode()
    def embed(block: tuple[Tensor, WindowSource]) -> None:
        series, source = block
        batch = source.gather(series, lengths[series])
        rows = model.embed(batch.target.flatten(0, 1), batch.observed.flatten(0, 1), season_length)
        vectors[series] = rows.unflatten(0, (len(series), -1))

    side_by_side(embed, blocks(model, panel, model.config.patch_length))
    return vectors.flatten(0, 1).numpy()


def blocks(
    model: TSFormer,
    panel: Panel,
    horizon: int,
    longest: int | None = None,
    *,
    roomy: bool = False,
) -> Iterator[tuple[Tensor, WindowSource]]:
    """Yield numbers of series and where their contexts are, as long as the longest of them needs.

    With `roomy`, all have the greatest length, so that forecasts can be appended to them.
    """
    longest = min(longest or model.config.longest_context, model.config.longest_context)
    lengths = np.minimum(panel.lengths, longest)
    doublings = np.ceil(np.log2(np.maximum(lengths, _SHORTEST) / _SHORTEST))
    wanted = np.minimum(_SHORTEST * 2 ** doublings.astype(np.int64), longest)
    wanted = np.full_like(wanted, longest) if roomy else wanted
    for context_length in np.unique(wanted):
        n_patches = (int(context_length) + horizon) // model.config.patch_length + 1
        at_once = max(1, _PATCHES_AT_ONCE // (n_patches * panel.n_variates))
        source = latest_windows(panel, int(context_length))
        some = torch.from_numpy(np.flatnonzero(wanted == context_length))
        for series in some.split(at_once):
            yield series, source
