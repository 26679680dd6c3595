"""Sizes chosen from the data where the user chose none."""

from __future__ import annotations

import numpy as np

from tsformer.forecasters.checks import positive_integer


def default_context_length(lengths: np.ndarray, horizon: int, season_length: int) -> int:
    """Return how far back to look: several seasons and horizons, if the series are that long.

    Fourteen days of hours or less, half a year of days, three years of weeks, six of months or
    quarters: chosen on the suite `quick` (see docs/log.md). At least two horizons and 16 steps; at
    most two seasons or 720 steps, and what leaves a typical series a third of its length to slide
    the window over.

    Args:
        lengths: `[S]`, steps of each series to train on.
        horizon: H.
        season_length: steps of a season.
    """
    seasons = {5: 26, 7: 26, 52: 3}.get(season_length, 6 if season_length <= 12 else 14)
    wanted = max(seasons * season_length, 2 * horizon, 16)
    typical = int(np.quantile(lengths, 0.75))
    available = max((typical - horizon) * 2 // 3, season_length, horizon // 2, 4)
    return int(min(wanted, available, max(2 * season_length, 720)))


def default_patches(context_length: int) -> tuple[int, int]:
    """Return patch length and stride: about twelve patches, each overlapping the next by half."""
    stride = max(1, round(context_length / 12))
    return min(2 * stride, context_length), stride


def default_whole_patch(context_length: int, season_length: int) -> int:
    """Return about a twelfth of the context that seasons divide into, or that divides into them.

    The same phase of each season then stands at the same place of a patch.
    """
    wanted = context_length / 12
    seasons = max(1, round(wanted / season_length))
    parts = max(1, round(season_length / wanted))
    divisors = [n for n in range(1, season_length + 1) if season_length % n == 0]
    best = min(divisors, key=lambda n: (abs(n - parts), n))
    patch_length = seasons * season_length if wanted > season_length else season_length // best
    return max(1, min(patch_length, context_length // 2))


def held_out_sizes(
    lengths: np.ndarray, horizon: int, val_size: int | np.ndarray | None
) -> np.ndarray:
    """Return how many steps at the end of each series are held out, `[S]`.

    By default a tenth of a series, but at least one horizon and at most ten; nothing where less
    than one and a half horizons would be left.

    Raises:
        ValueError: where a given `val_size` leaves nothing to train on.
    """
    if isinstance(val_size, np.ndarray):
        return val_size
    if val_size is None:
        sizes = np.clip(lengths // 10, horizon, 10 * horizon)
        return np.where(lengths - sizes >= np.ceil(1.5 * horizon), sizes, 0)
    if val_size == 0:
        return np.zeros_like(lengths)
    positive_integer("val_size", val_size)
    if (lengths <= val_size).all():
        raise ValueError(
            f"val_size={val_size} leaves nothing to train on: the longest series has "
            f"{lengths.max()} steps"
        )
    return np.where(lengths > val_size, val_size, 0)
