"""sktime's frames of y and X as rows that tsformer reads: series, time, targets, covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

INSTANCE, TIME = "instance", "time"


def target_label(name: Any) -> str:
    """Return what a column of y is called as a target; names need not be text in sktime."""
    return f"y[{name!r}]"


def covariate_label(name: Any) -> str:
    """Return what a column of X is called as a covariate."""
    return f"X[{name!r}]"


def training_frame(y: pd.DataFrame, X: pd.DataFrame | None) -> pd.DataFrame:
    """Return the rows of y, with their covariates; these are missing where X has no such row."""
    targets = {target_label(name): y[name].array for name in y.columns}
    rows = _rows(y.index).assign(**targets)
    if X is None:
        return rows
    return _with_covariates(rows, X if X.index.equals(y.index) else X.reindex(y.index))


def covariate_frame(X: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of X."""
    return _with_covariates(_rows(X.index), X)


def _rows(index: pd.Index) -> pd.DataFrame:
    """Return the times of an index, and the names of their series where there are several."""
    times = index.get_level_values(-1)
    if index.nlevels == 1:
        return pd.DataFrame({TIME: times})
    codes, keys = pd.factorize(index.droplevel(-1))
    return pd.DataFrame({INSTANCE: series_names(keys).take(codes), TIME: times})


def _with_covariates(rows: pd.DataFrame, X: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(**{covariate_label(name): X[name].array for name in X.columns})


def series_names(keys: pd.Index) -> pd.Index:
    """Return what series with these keys are called: themselves, or one text for several levels."""
    if keys.nlevels == 1:
        return keys
    return pd.Index([str(tuple(map(str, key))) for key in keys], dtype=object)


def series_ends(index: pd.Index) -> pd.Series:
    """Return the last time of each series, by its key; by 0 where there is one series."""
    if index.nlevels == 1:
        return pd.Series(index[-1:], index=[0])
    keys = index.droplevel(-1)
    last = ~keys.duplicated(keep="last")
    return pd.Series(index.get_level_values(-1)[last], index=keys[last])


def is_newer(index: pd.Index, known: pd.Index) -> bool:
    """Return whether some series goes on beyond what is known, or is not known at all."""
    ends = series_ends(index)
    before = series_ends(known).reindex(ends.index)
    return bool((before.isna() | (ends > before)).any())


def up_to(frame: pd.DataFrame, index: pd.Index) -> pd.DataFrame:
    """Return a frame without the rows that come after the ends of the series in an index."""
    several = frame.index.nlevels > 1
    keys = frame.index.droplevel(-1) if several else pd.Index(np.zeros(len(frame), dtype=int))
    ends = series_ends(index).reindex(keys)
    return frame[~(frame.index.get_level_values(-1) > pd.Index(ends))]
