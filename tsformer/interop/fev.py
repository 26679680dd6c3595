"""Tasks of fev, the library behind fev-bench (Shchur et al. 2025), for any forecaster.

    task = fev.Task(dataset_path="sales.parquet", horizon=24, num_windows=3, seasonality=7)
    summary = evaluate_task(task, TSFormerForecaster(horizon=24))

The task says what is forecast: horizon, quantiles, columns. All else is the forecaster's. Summaries
of several forecasters and tasks are what `fev.leaderboard` takes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tsformer.forecasters.base import Forecaster

_OF_THE_MEAN = ("MSE", "RMSE", "RMSSE")  # metrics that the mean minimises; others, the median
_EXTRA = "tasks of fev need its library: pip install 'tsformer[fev]'"

Predictions = dict[str, list[dict[str, np.ndarray]]]


@dataclass(frozen=True, kw_only=True)
class TaskForecast:
    """What a forecaster answered to a task.

    Attributes:
        windows: for each window, by target, a forecast for each series, as fev wants them.
        training_seconds: of training; 0 where nothing was trained.
        inference_seconds: of all else that the forecaster did.
        trained: whether something was trained on the task's series.
    """

    windows: list[Predictions]
    training_seconds: float
    inference_seconds: float
    trained: bool


def evaluate_task(
    task: Any, forecaster: Forecaster, *, name: str | None = None, refit: bool = True
) -> dict[str, Any]:
    """Return fev's summary: `test_error`, the metrics, seconds, and what the task is.

    Args:
        task: a `fev.Task`.
        forecaster: see `forecast_task`.
        name: what the model is called there; None for its class.
        refit: see `forecast_task`.
    """
    answer = forecast_task(task, forecaster, refit=refit)
    return task.evaluation_summary(
        answer.windows,
        model_name=name or type(forecaster).__name__.removesuffix("Forecaster"),
        training_time_s=answer.training_seconds,
        inference_time_s=answer.inference_seconds,
        trained_on_this_dataset=answer.trained,
    )


def forecast_task(task: Any, forecaster: Forecaster, *, refit: bool = True) -> TaskForecast:
    """Return the forecasts of all windows of a task.

    The point forecast, fev's `predictions`, is the mean where the task's `eval_metric` is one of
    squared errors, else the median.

    Args:
        task: a `fev.Task`.
        forecaster: any. Copies of it get the task's horizon, quantiles and columns, and of its
            covariates the kinds that they take; one that was pre-trained goes on from there.
            Nothing is trained where the forecaster needs no training.
        refit: whether a copy is fitted for every window, or one for all of them, before the first.

    Raises:
        ImportError: where the extra `fev` is not installed.
    """
    covariates = _covariates(forecaster, task)
    fitted, windows, training, inference = None, [], 0.0, 0.0
    for past, future, static in _frames(task):
        known = {"future_df": future} if "future_covariates" in covariates else {}
        also = {"static_df": static} if "static_covariates" in covariates else {}
        if fitted is None or refit:
            began = time.perf_counter()
            fitted = _prepared(forecaster, task, covariates).fit(past, **also)
            spent = time.perf_counter() - began
            if _is_trained(fitted):
                training += spent
            else:  # such a forecaster reads the series in `fit`, and no more
                inference += spent
        began = time.perf_counter()
        answer = fitted.predict(past, **known, **also)
        inference += time.perf_counter() - began
        windows.append(_predictions(answer, task))
    return TaskForecast(
        windows=windows,
        training_seconds=training,
        inference_seconds=inference,
        trained=fitted is not None and _is_trained(fitted),
    )


def _is_trained(fitted: Forecaster) -> bool:
    return fitted.fit_report_.training is not None


def _frames(task: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Yield each window's past, future covariates and static covariates, as pandas frames."""
    try:
        from fev import convert_input_data
    except ImportError as error:
        raise ImportError(_EXTRA) from error
    for window in task.iter_windows():
        yield convert_input_data(window, adapter="pandas")


def _covariates(forecaster: Forecaster, task: Any) -> dict[str, list[str]]:
    """Return the task's covariates of the kinds that the forecaster takes."""
    columns = {
        "static_covariates": task.static_columns,
        "past_covariates": task.past_dynamic_columns,
        "future_covariates": task.known_dynamic_columns,
    }
    taken = _names(forecaster)
    return {kind: list(names) for kind, names in columns.items() if names and kind in taken}


def _prepared(forecaster: Forecaster, task: Any, covariates: dict[str, list[str]]) -> Forecaster:
    """Return a copy that forecasts what the task asks for."""
    target = task.target if isinstance(task.target, str) else list(task.target)
    asked = {
        "horizon": task.horizon,
        "quantiles": tuple(task.quantile_levels) or tuple(forecaster.quantiles),
        "id_col": task.id_column,
        "time_col": task.timestamp_column,
        "target_col": target,
        **covariates,
    }
    names = _names(forecaster)
    return copy.deepcopy(forecaster).set_params(**{names[key]: asked[key] for key in asked})


def _names(forecaster: Forecaster) -> dict[str, str]:
    """Return the parameters' full names: some belong to a forecaster inside another one."""
    return {name.rpartition("__")[2]: name for name in forecaster.get_params()}


def _predictions(answer: Any, task: Any) -> Predictions:
    """Return a window's forecasts by target, series in the task's order."""
    metric = task.eval_metric if isinstance(task.eval_metric, str) else task.eval_metric["name"]
    columns = {"predictions": "mean" if metric.upper() in _OF_THE_MEAN else "0.5"}
    columns |= {str(level): f"{level:g}" for level in task.quantile_levels}
    shape = (-1, len(task.target_columns), task.horizon)
    values = {name: answer[column].to_numpy().reshape(shape) for name, column in columns.items()}
    n_series = len(values["predictions"])
    return {
        target: [
            {name: of_all[series, number] for name, of_all in values.items()}
            for series in range(n_series)
        ]
        for number, target in enumerate(task.target_columns)
    }
