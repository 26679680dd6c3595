"""What X tells of the steps to come, as tsformer reads it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tsformer.data.columns import read_times
from tsformer.forecasters import Forecaster
from tsformer.interop.sktime_frames import INSTANCE, TIME, covariate_frame, series_names
from tsformer.interop.sktime_horizon import Wanted, same_kind


def coming_rows(forecaster: Forecaster, ends: pd.Series, horizon: int) -> pd.DataFrame:
    """Return a row for each of the `horizon` steps after the ends of series: id, if any, and time.

    Args:
        forecaster: fitted; it knows the rhythm of the series.
        ends: the last time of each series, by its key.
        horizon: H.
    """
    layout, freq = forecaster.layout_, forecaster.panel_.freq
    times = read_times(pd.Index(ends), TIME, lambda row: f"series {ends.index[row]!r}")
    last = times.on_the_wall if layout.wall else times.values
    coming = freq.times(last[:, None], np.arange(1, horizon + 1))
    names = np.asarray(series_names(ends.index)).repeat(horizon)
    return layout.write(names, coming.reshape(-1), {})


def future_frame(
    X: pd.DataFrame, names: Sequence[str], rows: pd.DataFrame, wanted: Wanted
) -> pd.DataFrame:
    """Return rows with covariates, which are missing where X has no such row.

    Args:
        X: the covariates.
        names: what those that are needed are called.
        rows: H rows for each series, as `coming_rows` makes them.
        wanted: which of them have to be in X.

    Raises:
        ValueError: where a column is not in X, or a row that is wanted.
    """
    given = covariate_frame(X)
    if lacking := [name for name in names if name not in given.columns]:
        raise ValueError(f"X lacks {lacking}, which fit was given; it has {list(X.columns)}")
    if isinstance(given[TIME].dtype, pd.PeriodDtype):
        given[TIME] = given[TIME].dt.to_timestamp()
    known = rows.merge(given, how="left", on=list(rows.columns), indicator=True)
    there = (known.pop("_merge") == "both").to_numpy()
    times = same_kind(rows[TIME], X.index)
    needed = wanted.rows(times, np.arange(0, len(rows), wanted.horizon)).reshape(-1)
    if not there[needed].all():
        row = int(needed[there[needed].argmin()])
        series = f" of series {rows[INSTANCE].iloc[row]!r}" if INSTANCE in rows else ""
        raise ValueError(
            f"X has no row at {times[row]}{series}; pass it for all times that fh asks for"
        )
    return known
