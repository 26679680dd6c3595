"""How often the truth lies where a forecast said it would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tsformer.data.answers import (
    as_pandas,
    bands,
    key_columns,
    quantile_columns,
    time_column,
    truth_column,
)
from tsformer.data.joining import concatenate
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import quantile_levels, refuse_unfitted
from tsformer.forecasters.fallback import forecast_all
from tsformer.forecasters.score import split_last

_TARGETS = ("y", "target")


def coverage_report(
    forecast: Any,
    df: Any = None,
    *,
    level: Sequence[float] | None = None,
    target_col: str | None = None,
) -> pd.DataFrame:
    """Return how often the truth lay within central intervals, and below their bounds.

    The frame is pandas', with a row for each interval and each bound, over the whole horizon and
    at each step of it:

    - `kind`: `"interval"`, or `"quantile"` for a bound;
    - `nominal`: the share of values that should lie within the interval, or below the bound;
    - `step`: 1 for the first after the cut-off, and so on; `"all"` for all together;
    - `coverage`: the share that does, the bounds themselves included;
    - `width`: the mean width of the interval, divided by the mean absolute value of the truth;
    - `n_values`: how many values were known.

    Args:
        forecast: the frame of `cross_validation` or `predict`, its rows as they came; or a fitted
            forecaster, which forecasts the last horizon of `df` from what precedes it, as `score`
            does.
        df: the truth: for the frame of `predict` a long frame with the same columns of ids and
            times, for a forecaster any data; the frame of `cross_validation` holds it already.
        level: widths of the intervals in percent; None for all that the forecast's quantiles make.
        target_col: the column of the truth in `df`, if it is not called `y` or `target`.

    Raises:
        ValueError: for frames that lack quantiles, or the truth.
    """
    if isinstance(forecast, Forecaster):
        level = _widths(quantile_levels(forecast.quantiles)) if level is None else level
        levels = quantile_levels((), level)
        return coverage_of(*_last_horizon(forecast, df, levels), levels, level)
    frame = as_pandas(forecast, "forecast")
    level = _widths([*quantile_columns(frame).values()]) if level is None else level
    levels = tuple(quantile for quantile in quantile_levels((), level) if quantile != 0.5)
    names = [f"{quantile:g}" for quantile in levels]
    if missing := [name for name in (*names, "mean") if name not in frame.columns]:
        raise ValueError(
            f"forecast has no column {missing[0]!r}; pass what predict or cross_validation "
            f"returned for the quantiles {', '.join(names)}, or other widths as level="
        )
    truth = _truth(frame, df, target_col)
    return _table(truth, _steps(frame), frame[names].to_numpy(dtype=float), levels, level)


def coverage_of(
    truth: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
    level: Sequence[float] = (50, 80, 90),
) -> pd.DataFrame:
    """Return what `coverage_report` does, for arrays.

    Args:
        truth: `[n, H]`, NaN = missing.
        quantiles: `[n, H, Q]` at `levels`, NaN where there is no forecast.
        levels: the bounds of the intervals among them.
        level: widths of the intervals in percent.
    """
    n_rows, horizon = truth.shape
    steps = np.tile(np.arange(1, horizon + 1), n_rows)
    return _table(truth.reshape(-1), steps, quantiles.reshape(steps.size, -1), levels, level)


def _table(
    truth: np.ndarray,
    steps: np.ndarray,
    quantiles: np.ndarray,
    levels: tuple[float, ...],
    level: Sequence[float],
) -> pd.DataFrame:
    """Return the report of values `[N]`, at their steps `[N]`, with quantiles `[N, Q]`."""
    known = np.isfinite(truth) & np.isfinite(quantiles).all(axis=1)
    below = truth[:, None] <= quantiles
    rows: list[dict[str, Any]] = []
    for width in np.atleast_1d(level):
        low, high = (levels.index(q) for q in quantile_levels((), [width]) if q != 0.5)
        inside = below[:, high] & (truth >= quantiles[:, low])
        distance = quantiles[:, high] - quantiles[:, low]
        for step in ("all", *range(1, int(steps.max(initial=0)) + 1)):
            chosen = known if step == "all" else known & (steps == step)
            scale = np.abs(truth[chosen]).sum()
            interval = {"kind": "interval", "nominal": round(float(width) / 100, 10), "step": step}
            spread = distance[chosen].sum() / scale if scale > 0 else np.nan
            rows.append(interval | _share(inside[chosen]) | {"width": spread})
            for bound in (low, high):
                quantile = {"kind": "quantile", "nominal": levels[bound], "step": step}
                rows.append(quantile | _share(below[chosen, bound]) | {"width": np.nan})
    names = ["kind", "nominal", "step", "coverage", "width", "n_values"]
    frame = pd.DataFrame(rows, columns=names)
    return frame.sort_values(["kind", "nominal"], kind="stable", ignore_index=True)


def _share(hits: np.ndarray) -> dict[str, Any]:
    return {"coverage": hits.mean() if len(hits) else np.nan, "n_values": len(hits)}


def _last_horizon(
    forecaster: Forecaster, df: Any, levels: tuple[float, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the last horizon of the data, `[n, H]`, and the quantiles of its forecast."""
    refuse_unfitted(forecaster)
    if df is None:
        raise ValueError("df is None; a forecaster needs data whose last horizon it can forecast")
    panel = concatenate(forecaster.panel_, forecaster._context(df)[0])
    history, truth = split_last(panel, forecaster.horizon)
    forecast = forecast_all(forecaster, history, forecaster.horizon, levels)
    return truth.astype(np.float64), forecast.quantiles


def _widths(levels: Sequence[float]) -> list[float]:
    """Return the widths in percent of all central intervals that quantiles at these levels make."""
    widths = [round(100 * share, 8) for *_, share in reversed(bands(levels))]
    if not widths:
        raise ValueError(
            f"quantiles {', '.join(f'{level:g}' for level in levels)} make no central interval, as "
            "0.1 and 0.9 do; forecast with level=[80]"
        )
    return widths


def _steps(frame: pd.DataFrame) -> np.ndarray:
    """Return the step of each row in its horizon, counted from 1 where time does not go on."""
    keys = key_columns(frame, "forecast")
    times = pd.Series(np.asarray(time_column(frame, keys)))
    begins = ~(times > times.shift()).to_numpy()
    if "cutoff" in frame.columns:
        cutoffs = frame["cutoff"].reset_index(drop=True)
        begins |= (cutoffs != cutoffs.shift()).to_numpy()
    return times.groupby(begins.cumsum()).cumcount().to_numpy() + 1


def _truth(frame: pd.DataFrame, df: Any, target_col: str | None) -> np.ndarray:
    """Return the truth of each row, NaN where it is not known."""
    if "cutoff" in frame.columns and df is None:
        return frame[truth_column(frame)].to_numpy(dtype=float)
    if df is None or "variate" in frame.columns:
        raise ValueError(
            "the truth is missing; pass it as df, or the frame of cross_validation, which holds it "
            "(of several variates, only that one will do)"
        )
    known, keys = as_pandas(df, "df"), key_columns(frame, "forecast")
    target = target_col or next((name for name in _TARGETS if name in known.columns), None)
    if missing := [name for name in (*keys, target) if name not in known.columns]:
        raise ValueError(
            f"df has no column {missing[0] or 'y'!r}; it needs {', '.join(keys)}, as the forecast "
            "has them, and the truth, whose name target_col= tells"
        )
    joined = frame[keys].merge(known[[*keys, target]], on=keys, how="left", validate="many_to_one")
    return joined[target].to_numpy(dtype=float)
