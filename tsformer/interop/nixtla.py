"""Forecasts with the columns that Nixtla's libraries use, and back.

`predict` and `cross_validation` answer with `unique_id`, `ds`, `cutoff` and `y` where the caller's
columns have these names, so that `utilsforecast.evaluation.evaluate` and
`utilsforecast.plotting.plot_series` take the frames as they are, with `models=["mean", "0.5"]`.
Only what reads intervals needs Nixtla's names, `TSFormer-lo-80` for the quantile 0.1. The frames
of several forecasters are joined by what they have in common:

    ours = nixtla_columns(forecaster.cross_validation(df), "TSFormer", level=[80])
    naive = nixtla_columns(other.cross_validation(df), "Naive", level=[80])
    both = ours.merge(naive, on=["unique_id", "ds", "cutoff", "y"])
    evaluate(both, [mae, coverage], models=["TSFormer", "Naive"], level=[80])

Nothing here needs a library of Nixtla's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tsformer.data.answers import key_columns, quantile_columns
from tsformer.forecasters.checks import quantile_levels

_KEYS = ("unique_id", "item_id", "ds", "timestamp", "cutoff", "variate", "y", "target")


def nixtla_columns(
    forecast: Any, name: str = "TSFormer", level: Sequence[float] | None = None
) -> Any:
    """Return the same rows with the columns `name`, `name-lo-80`, `name-median`, `name-hi-80`, ….

    All columns but `mean` and the quantiles stay: ids, times, `cutoff`, `variate`, the target. The
    answer for a pandas series, whose index are its times, gets columns `unique_id` and `ds`.

    Args:
        forecast: the frame, pandas or polars, of `predict` or `cross_validation`.
        name: what the forecaster is called among others.
        level: widths in percent of the central intervals to keep, and no other; None for one bound
            of each quantile.

    Raises:
        ValueError: for a frame that lacks `mean`, or a quantile that an interval needs.
    """
    if isinstance(getattr(forecast, "index", None), pd.DatetimeIndex | pd.PeriodIndex):
        forecast = forecast.rename_axis("ds").reset_index().assign(unique_id="y")
    key_columns(forecast, "forecast")  # refuses what is no answer
    quantiles = quantile_columns(forecast)
    wanted = set(quantiles) if level is None else _bounds(quantiles, level)
    renamed = {"mean": name}
    for column, quantile in quantiles.items():
        if column in wanted or quantile == 0.5:
            renamed[column] = f"{name}-{_bound_name(quantile)}"
    kept = [column for column in forecast.columns if column in renamed or column not in quantiles]
    return _renamed(forecast[kept], renamed)


def from_nixtla(forecast: Any, name: str | None = None) -> Any:
    """Return one model's forecasts as `predict` would: ids, times, `mean`, `0.1`, …, `0.9`.

    `coverage_report`, for instance, then reads what statsforecast answered. Where the model has no
    median, there is no column `0.5`.

    Args:
        forecast: a frame, pandas or polars, of a library of Nixtla's.
        name: the model; None where there is only one.

    Raises:
        ValueError: where `name` is not a column, or not given and there are several models.
    """
    name = _only_model(forecast) if name is None else name
    if name not in forecast.columns:
        raise ValueError(f"name={name!r} is not a column; there are {list(forecast.columns)}")
    renamed = {name: "mean"} | {
        column: f"{quantile:g}"
        for column, quantile in sorted(
            _bounds_of(forecast, name).items(), key=lambda bound: bound[1]
        )
    }
    keys = [column for column in forecast.columns if column in _KEYS]
    return _renamed(forecast[[*keys, *renamed]], renamed)


def _bounds(quantiles: dict[str, float], level: Sequence[float]) -> set[str]:
    """Return the columns that bound these intervals."""
    bounds = set()
    for width in level:
        needed = [f"{quantile:g}" for quantile in quantile_levels((), [width]) if quantile != 0.5]
        if missing := [column for column in needed if column not in quantiles]:
            raise ValueError(
                f"level={list(level)}: the interval of {width:g} % needs the quantile "
                f"{missing[0]}; the forecast has {', '.join(quantiles) or 'none'}; forecast with "
                f"level={list(level)} or quantiles=[{', '.join(needed)}]"
            )
        bounds |= {*needed}
    return bounds


def _bound_name(quantile: float) -> str:
    """Return Nixtla's name of a quantile: the side and width of the interval that it bounds."""
    if quantile == 0.5:
        return "median"
    return f"{'lo' if quantile < 0.5 else 'hi'}-{round(abs(100 - 200 * quantile), 8):g}"


def _bounds_of(forecast: Any, name: str) -> dict[str, float]:
    """Return the columns of a model's quantiles, with their levels."""
    pattern = re.compile(rf"{re.escape(name)}-(?:(median)|(lo|hi)-(\d+(?:\.\d+)?))")
    levels = {}
    for column in forecast.columns:
        if found := pattern.fullmatch(column):
            side = {None: 0, "lo": -1, "hi": 1}[found[2]]
            levels[column] = round((100 + side * float(found[3] or 0)) / 200, 10)
    return levels


def _only_model(forecast: Any) -> str:
    """Return the one column that is neither a key nor a bound."""
    bound = re.compile(r".+-(median|(lo|hi)-\d+(\.\d+)?)")
    models = [c for c in forecast.columns if c not in _KEYS and not bound.fullmatch(c)]
    if len(models) != 1:
        raise ValueError(
            f"forecast has {len(models)} models, {models}; say by name= which one is meant"
        )
    return models[0]


def _renamed(frame: Any, names: dict[str, str]) -> Any:
    return frame.rename(columns=names) if isinstance(frame, pd.DataFrame) else frame.rename(names)
