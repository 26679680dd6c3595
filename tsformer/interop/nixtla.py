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
from itertools import takewhile
from typing import Any

import pandas as pd

from tsformer.data.answers import key_columns, quantile_columns
from tsformer.forecasters.checks import quantile_levels

_TARGETS = ("y", "target")
_KEYS = ("unique_id", "item_id", "ds", "timestamp", "cutoff", "variate", *_TARGETS)
_BOUND = re.compile(r"(.+)-(?:(median)|(lo|hi)-(\d+(?:\.\d+)?))")


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
    median, there is no column `0.5`. Where it is known by its quantiles alone, as NeuralForecast's
    are with MQLoss, there is no `mean`; what asks for one takes the median after

        answer.insert(answer.columns.get_loc("0.1"), "mean", answer["0.5"])

    Left out are other models' columns, known by their bounds; all others stay, ids, times, cutoff
    and target before the answers, and what else there is behind them.

    Args:
        forecast: a frame, pandas or polars, of a library of Nixtla's.
        name: the model; None where there is only one.

    Raises:
        ValueError: where `name` is no model, or not given and several columns may be one; where
            columns would have the same name.
    """
    models = _models(forecast)
    of_models = _columns_of(models)
    if name is None:
        name = _only_model(forecast, models)
    elif name not in models and name not in {*forecast.columns} - of_models - {*_KEYS}:
        raise ValueError(
            f"name={name!r} is not a column of forecasts, and has no bounds; there are "
            f"{list(forecast.columns)}"
        )
    renamed = {name: "mean"} if name in forecast.columns else {}
    ascending = sorted(models.get(name, {}).items(), key=lambda bound: bound[1])
    renamed |= {column: f"{level:g}" for column, level in ascending}
    keys = _keys(forecast, {*of_models, *renamed})
    others = [c for c in forecast.columns if c not in {*of_models, *renamed, *keys}]
    _refuse_same_names([*keys, *others], renamed)
    return _renamed(forecast[[*keys, *renamed, *others]], renamed)


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


def _models(forecast: Any) -> dict[str, dict[str, float]]:
    """Return the models that have bounds, with the columns of these and their levels."""
    models: dict[str, dict[str, float]] = {}
    for column in forecast.columns:
        if found := _BOUND.fullmatch(str(column)):
            side = {None: 0, "lo": -1, "hi": 1}[found[3]]
            level = round((100 + side * float(found[4] or 0)) / 200, 10)
            models.setdefault(found[1], {})[column] = level
    return models


def _columns_of(models: dict[str, dict[str, float]]) -> set[str]:
    """Return all columns that models with bounds have, or may have."""
    return {*models, *(column for bounds in models.values() for column in bounds)}


def _keys(forecast: Any, answers: set[str]) -> list[str]:
    """Return ids, times, cutoff and target, whatever they are called.

    Nixtla's frames begin with them. Ids and times have no fractions; the target stands behind the
    cutoff.
    """
    columns = [column for column in forecast.columns if column not in answers]
    known = {column for column in columns if column in _KEYS}
    if "cutoff" in known:
        until = columns.index("cutoff")
        known |= {c for c in columns[:until] if not _has_fractions(forecast[c])}
        if not known & {*_TARGETS}:
            known |= {*[column for column in columns[until:] if column not in _KEYS][:1]}
    else:
        known |= {*takewhile(lambda c: c in _KEYS or not _has_fractions(forecast[c]), columns)}
    return [column for column in columns if column in known]


def _has_fractions(column: Any) -> bool:
    """Return whether a column, of pandas or polars, is of numbers that may have fractions."""
    is_float = getattr(column.dtype, "is_float", None)
    return pd.api.types.is_float_dtype(column.dtype) if is_float is None else is_float()


def _only_model(forecast: Any, models: dict[str, dict[str, float]]) -> str:
    """Return the one model: with bounds, or a column of forecasts alone."""
    known = _columns_of(models)
    keys = {*_keys(forecast, known)}
    alone = [c for c in forecast.columns if c not in {*known, *keys}]
    found = [*models, *(column for column in alone if _has_fractions(forecast[column]))]
    if len(found) != 1:
        raise ValueError(
            f"forecast has {len(found)} models, {found}; say by name= which one is meant, of the "
            f"columns {list(forecast.columns)}"
        )
    return found[0]


def _refuse_same_names(kept: list[str], renamed: dict[str, str]) -> None:
    """Raise a ValueError where two columns of the answer would be called alike."""
    before: dict[str, str] = {column: column for column in kept}
    for column, new in renamed.items():
        if new in before:
            raise ValueError(
                f"the columns {before[new]!r} and {column!r} would both be {new!r}; drop one of "
                "them, or rename it"
            )
        before[new] = column


def _renamed(frame: Any, names: dict[str, str]) -> Any:
    return frame.rename(columns=names) if isinstance(frame, pd.DataFrame) else frame.rename(names)
