"""What is held out of a search, and how forecasts of it are judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsformer.data.panel import Panel
from tsformer.forecasters.checks import positive_integer
from tsformer.forecasters.parameters import DECILES
from tsformer.forecasters.score import split_last


@dataclass(frozen=True, kw_only=True)
class Window:
    """What may be known of each series at its cut-off, and what came: `[S * C, H]`, raw units."""

    history: Panel
    truth: np.ndarray

    def some(self, n_series: int) -> Window:
        """Return at most so many series, evenly spread."""
        total = len(self.history)
        if total <= n_series:
            return self
        chosen = np.linspace(0, total - 1, n_series).round().astype(np.int64)
        truth = self.truth.reshape(total, -1, self.truth.shape[1])[chosen]
        truth = truth.reshape(-1, truth.shape[2])
        return Window(history=self.history.select(chosen), truth=truth)


def held_out_windows(panel: Panel, horizon: int, n_windows: int, step_size: int) -> list[Window]:
    """Return the windows after each cut-off, the earliest first.

    Raises:
        ValueError: where no series is long enough for one of them.
    """
    later = np.arange(positive_integer("n_windows", n_windows))[::-1]
    steps = later * positive_integer("step_size", step_size)
    split = [split_last(panel.head(panel.lengths - step), horizon) for step in steps]
    if not any(np.isfinite(truth).any() for _, truth in split):
        raise ValueError("no series has a value in the held out windows; pass longer series")
    return [Window(history=history, truth=truth) for history, truth in split]


def weighted_quantile_loss(
    truth: np.ndarray, quantiles: np.ndarray, scale: np.ndarray | None = None
) -> float:
    """Return the mean over the deciles of the quantile loss divided by the mean absolute value.

    Args:
        truth: `[W, H]`, NaN = missing.
        quantiles: `[W, H, 9]`.
        scale: not used.
    """
    known, levels = np.isfinite(truth), np.asarray(DECILES)
    errors = truth[known][:, None] - quantiles[known]
    losses = 2 * np.maximum(levels * errors, (levels - 1) * errors)
    return float(losses.mean(axis=1).sum() / (np.abs(truth[known]).sum() or 1.0))


def scaled_error(
    truth: np.ndarray, quantiles: np.ndarray, scale: np.ndarray | None = None
) -> float:
    """Return the mean absolute error of the median, each in units of its `scale`, `[W]`."""
    errors = np.abs(truth - quantiles[:, :, DECILES.index(0.5)])
    if scale is not None:
        errors = errors / scale[:, None]
    return float(errors[np.isfinite(truth)].mean())


METRICS = {"crps": weighted_quantile_loss, "mase": scaled_error}
