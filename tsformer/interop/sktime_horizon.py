"""The forecasting horizon of sktime as steps ahead, and forecasts on the index that it wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from tsformer.interop.sktime_frames import INSTANCE, TIME, series_ends, series_names


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The steps that sktime asks for.

    Attributes:
        steps: `[n]`, steps ahead of the series that ends first.
        times: the times that are asked for, of all series alike; None where steps are.
    """

    steps: np.ndarray
    times: pd.Index | None

    @classmethod
    def of(cls, fh: Any, ends: pd.Series) -> Self:
        """Return what a `ForecastingHorizon` asks for of series that end there."""
        earliest = pd.Index([ends.min()])
        is_duration = isinstance(fh.to_pandas(), pd.TimedeltaIndex)
        counted = fh.to_absolute(earliest) if is_duration else fh
        steps = counted.to_relative(earliest).to_numpy()
        return cls(steps=steps, times=None if fh.is_relative else fh.to_pandas())

    @property
    def horizon(self) -> int:
        """H, steps that have to be forecast."""
        return int(self.steps.max())

    def rows(self, times: pd.Index, begins: np.ndarray) -> np.ndarray:
        """Return the rows of what is asked for, `[S, n]`.

        Args:
            times: of rows that are the coming steps of one series after the other.
            begins: `[S]`, the row of each series' first step.

        Raises:
            ValueError: where a time that is asked for is not among those of a series.
        """
        if self.times is None:
            return begins[:, None] + self.steps - 1
        found = [_find(self.times, times[begin : begin + self.horizon]) for begin in begins]
        return begins[:, None] + np.stack(found)


def _find(asked: pd.Index, coming: pd.Index) -> np.ndarray:
    """Return where the times that are asked for stand among those to come of a series, `[n]`."""
    found = coming.get_indexer(asked)
    if (found < 0).any():
        raise ValueError(
            f"fh asks for {asked[int((found < 0).argmax())]}, which is none of the times to come "
            f"of a series, {coming[0]} to {coming[-1]}; ask for one of these"
        )
    return found


def on_index(
    forecast: pd.DataFrame,
    columns: Sequence[str],
    *,
    wanted: Wanted,
    like: pd.Index,
    n_variates: int,
) -> tuple[pd.Index, np.ndarray]:
    """Return the wanted steps of a forecast: sktime's index, `[S * n]`, and `[S * n, C, Q]`.

    Args:
        forecast: what `predict` answered to rows of `training_frame`.
        columns: Q of its columns.
        wanted: which n steps of each series.
        like: the index of y: the series, in its order, and the kind of times.
        n_variates: C.
    """
    horizon = wanted.horizon
    places = _places(forecast[:: n_variates * horizon], like)
    times = same_kind(forecast[TIME], like)
    rows = wanted.rows(times, places * n_variates * horizon)  # of the first variate
    rows_of_all = rows[..., None] + np.arange(n_variates) * horizon  # [S, n, C]
    values = forecast[list(columns)].to_numpy()[rows_of_all]
    index = _below_keys(times[rows.reshape(-1)], like, len(wanted.steps))
    return index, values.reshape(-1, n_variates, len(columns))


def _places(rows: pd.DataFrame, like: pd.Index) -> np.ndarray:
    """Return where the series of an index stand among rows, one for each of them, `[S]`."""
    if like.nlevels == 1:
        return np.zeros(1, dtype=np.int64)
    return pd.Index(rows[INSTANCE]).get_indexer(series_names(series_ends(like).index))


def _below_keys(times: pd.Index, like: pd.Index, n_times: int) -> pd.Index:
    """Return times below the keys of their series, each of which has `n_times`."""
    if like.nlevels > 1:
        keys = series_ends(like).index.repeat(n_times)
        levels = [keys.get_level_values(level) for level in range(keys.nlevels)]
        times = pd.MultiIndex.from_arrays([*levels, times])
    return times.set_names(like.names)


def same_kind(times: pd.Series, like: pd.Index) -> pd.Index:
    """Return times as an index has them: periods, dates or whole numbers."""
    kind = like.get_level_values(-1)
    if isinstance(kind, pd.PeriodIndex):
        return pd.PeriodIndex(times, freq=kind.freq)
    return pd.Index(times)
