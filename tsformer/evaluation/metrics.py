"""Scores, computed by GluonTS's own evaluators over all windows and series together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from gluonts.ev.metrics import MAE, MASE, MSE, ND, Coverage, MeanWeightedSumQuantileLoss
from gluonts.ev.ts_stats import seasonal_error

from tsformer.data.panel import Panel
from tsformer.types import Forecast

_STARRED = {"MSE*": MSE, "MAE*": MAE}
LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def middle_levels(n: int) -> tuple[float, ...]:
    """Return 0.1 … 0.9 for n = 9, else the middles of n equal parts of 0 … 1."""
    return LEVELS if n == 9 else tuple((k + 0.5) / n for k in range(n))


class Scores:
    """Collects windows and returns the scores over all of them.

    - `MASE`: mean absolute error of the median, each window's divided by the mean absolute
      seasonal difference of its history (Hyndman & Koehler 2006). Windows whose history has no
      such difference do not count in it.
    - `CRPS`: mean weighted quantile loss at `levels`, 0.1 … 0.9, also called WQL: an estimate of
      the continuous ranked probability score divided by the mean absolute value.
    - `ND`: mean absolute error of the median divided by the mean absolute value.
    - `NLL`: mean negative log density of a value in nats, in units of the data, if it was told.
    - `coverage80`, `width80`: share of values within the 10 % and 90 % quantiles, and the mean
      distance of these divided by the mean absolute value.
    - `MSE`, `MAE`: of the mean forecast, in units of the data.
    - `MSE*`, `MAE*`: the same over the first `n_starred` windows only.
    """

    def __init__(
        self,
        season_length: int,
        levels: Sequence[float] = LEVELS,
        n_starred: int | None = None,
    ) -> None:
        self.season_length = season_length
        self._left = n_starred or 0  # windows that still count in the starred scores
        self.crps_levels = tuple(levels)
        self.levels = tuple(sorted({*levels, *LEVELS}))  # that a forecast must have
        self._evaluators: dict[str, Any] = {
            "MASE": MASE()(axis=None),
            "CRPS": MeanWeightedSumQuantileLoss(quantile_levels=list(levels))(axis=None),
            "ND": ND()(axis=None),
            "MSE": MSE(forecast_type="mean")(axis=None),
            "MAE": MAE(forecast_type="mean")(axis=None),
        }
        self._below = {level: Coverage(q=level)(axis=None) for level in LEVELS}
        self._starred: dict[str, Any] = {}
        if n_starred:
            self._starred = {
                name: evaluator(forecast_type="mean")(axis=None)
                for name, evaluator in _STARRED.items()
            }
        self._width, self._level = 0.0, 0.0
        self._nats, self._scored = 0.0, 0

    def update(self, history: Panel, truth: np.ndarray, forecast: Forecast) -> np.ndarray:
        """Take in windows; return the error of each, `[W]`, of whose values MASE is the mean.

        NaN where nothing is known of the truth, or the history has no seasonal difference.

        Args:
            history: one series per window.
            truth: `[W, H]`, NaN = missing, which does not count.
            forecast: at `levels`.
        """
        label = np.ma.masked_invalid(truth)
        scale = seasonal_errors(history, self.season_length)[:, None]
        data = {"label": label, "mean": forecast.mean}
        data |= {str(level): forecast.quantile(level) for level in self.levels}
        scaled = np.ma.masked_where(np.broadcast_to(~(scale > 0), label.shape), label)
        for name, evaluator in self._evaluators.items():
            chosen = {**data, "label": scaled, "seasonal_error": np.where(scale > 0, scale, 1)}
            evaluator.update(chosen if name == "MASE" else data)
        for evaluator in self._below.values():
            evaluator.update(data)
        if self._left:
            first = {"label": label[: self._left], "mean": forecast.mean[: self._left]}
            for evaluator in self._starred.values():
                evaluator.update(first)
            self._left -= len(first["label"])
        width = forecast.quantile(0.9) - forecast.quantile(0.1)
        self._width += float(width[~label.mask].sum()) if label.mask.any() else float(width.sum())
        self._level += float(np.abs(label).sum())
        errors = np.abs(scaled - forecast.quantile(0.5)).mean(axis=1)
        return np.ma.filled(errors, np.nan) / np.where(scale > 0, scale, 1)[:, 0]

    def update_density(self, log_density: np.ndarray) -> None:
        """Take in log densities of what came, `[W, H]`, NaN for missing values."""
        known = ~np.isnan(log_density)
        self._nats -= float(log_density[known].sum())
        self._scored += int(known.sum())

    def calibration(self) -> dict[float, float]:
        """Return the share of values at or below each of the quantiles 0.1 … 0.9."""
        return {level: float(evaluator.get()) for level, evaluator in self._below.items()}

    def result(self) -> dict[str, float]:
        """Return the scores."""
        values = {name: float(evaluator.get()) for name, evaluator in self._evaluators.items()}
        values |= {name: float(evaluator.get()) for name, evaluator in self._starred.items()}
        below = self.calibration()
        values["coverage80"] = below[0.9] - below[0.1]
        values["width80"] = self._width / self._level if self._level else np.nan
        if self._scored:
            values["NLL"] = self._nats / self._scored
        return values


def seasonal_errors(history: Panel, season_length: int) -> np.ndarray:
    """Return each series' mean absolute seasonal difference, `[S]`; 0 where it has none."""
    errors = np.zeros(len(history))
    for number in range(len(history)):
        values = np.ma.masked_invalid(history.series(number)[0].astype(np.float64))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # mean of nothing
            error = seasonal_error(values, season_length)
        errors[number] = np.ma.filled(np.nan_to_num(np.ma.filled(error, 0.0)), 0.0).item()
    return errors
