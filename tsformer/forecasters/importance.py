"""Which covariates a fitted forecaster relies on, by permutation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from tsformer.data.panel import Panel, ragged_ranges
from tsformer.forecasters.checks import positive_integer, refuse_unfitted
from tsformer.forecasters.covariates import KINDS
from tsformer.forecasters.held_out import scaled_error, weighted_quantile_loss
from tsformer.forecasters.parameters import DECILES
from tsformer.forecasters.score import split_last


def covariate_importance(
    forecaster: Any,
    df: Any,
    *,
    n_windows: int = 1,
    n_repeats: int = 5,
    metric: Literal["crps", "mae"] = "crps",
    random_state: int = 0,
) -> pd.DataFrame:
    """Return how much worse forecasts get when a covariate says nothing, by its permutation.

    Permutation importance (Breiman 2001; Fisher et al. 2019), in a form for time series: each
    series is given the covariate of a series drawn at random (of itself, where there is one only),
    moved around in a circle by a random number of steps, at least a horizon. So its values, their
    order in time and their missing ones stay what they were, but are another series' and another
    time's. A static covariate is exchanged between series; with a single one, it cannot be judged
    and its importance is NaN. Two covariates that say the same stand in for each other, and
    neither seems to matter.

    Args:
        forecaster: fitted, with covariates.
        df: series with their covariates, or a panel. Its last steps, which are forecast, should be
            later than what was trained on.
        n_windows: windows of each series, one horizon apart, the last one at its end.
        n_repeats: permutations of each covariate.
        metric: `"crps"`, the mean weighted quantile loss over the deciles, or `"mae"`, the mean
            absolute error of the median.
        random_state: seed of the permutations.

    Returns:
        A row per covariate, the most important first: `covariate`, `importance` (mean rise of the
        metric over the repeats) and `deviation` (standard deviation over them).
    """
    refuse_unfitted(forecaster)
    if metric not in ("crps", "mae"):
        raise ValueError(f"metric={metric!r} must be 'crps' or 'mae'")
    positive_integer("n_repeats", n_repeats)
    positive_integer("n_windows", n_windows)
    panel = df if isinstance(df, Panel) else forecaster._context(df)[0]
    generator = np.random.default_rng(random_state)
    complete = _error(forecaster, panel, n_windows, metric)
    rows = []
    for kind, number, name in _covariates(panel):
        rises = np.full(n_repeats, np.nan)
        if kind != "static_covariates" or len(panel) > 1:
            for repeat in range(n_repeats):
                permuted = permute(panel, kind, number, forecaster.horizon, generator)
                rises[repeat] = _error(forecaster, permuted, n_windows, metric) - complete
        deviation = rises.std(ddof=1) if n_repeats > 1 else np.nan
        rows.append({"covariate": name, "importance": rises.mean(), "deviation": deviation})
    frame = pd.DataFrame(rows).sort_values("importance", ascending=False, kind="stable")
    return frame.reset_index(drop=True)


def _covariates(panel: Panel) -> list[tuple[str, int, str]]:
    """Return kind, row and name of each covariate."""
    found = []
    for kind in KINDS:
        covariates = getattr(panel, kind)
        if covariates is not None:
            found += [(kind, number, name) for number, name in enumerate(covariates.names)]
    if not found:
        raise ValueError(
            "there are no covariates; name columns by static_covariates=, past_covariates= or "
            "future_covariates= of the forecaster"
        )
    return found


def permute(
    panel: Panel, kind: str, number: int, least: int, generator: np.random.Generator
) -> Panel:
    """Return the panel with one covariate that has lost its place.

    Args:
        panel: the series.
        kind: the attribute of the panel that holds it.
        number: its row there.
        least: fewest steps to move it by, as far as the series are long enough.
        generator: what draws.
    """
    covariates = getattr(panel, kind)
    values = covariates.values.copy()
    if kind == "static_covariates":
        values[number] = generator.permutation(values[number])
    else:
        donors = generator.permutation(len(panel))
        sizes = np.maximum(panel.lengths[donors], 1)
        low = np.minimum(least, sizes // 2)
        moves = generator.integers(low, sizes - low, endpoint=True)
        steps = ragged_ranges(moves, panel.lengths) % np.repeat(sizes, panel.lengths)
        values[number] = values[number][np.repeat(panel.offsets[donors], panel.lengths) + steps]
    return replace(panel, **{kind: replace(covariates, values=values)})


def _error(forecaster: Any, panel: Panel, n_windows: int, metric: str) -> float:
    """Return the error of the forecasts of all windows together."""
    windows = list(_windows(panel, forecaster.horizon, n_windows))
    truth = np.concatenate([truth for _, truth in windows])
    forecasts = [forecaster.predict_panel(past, quantiles=DECILES) for past, _ in windows]
    quantiles = np.concatenate([forecast.quantiles for forecast in forecasts])
    if not np.isfinite(truth).any():
        raise ValueError("no series has a value in the windows that are forecast")
    if metric == "crps":
        return weighted_quantile_loss(truth, quantiles)
    return scaled_error(truth, quantiles)


def _windows(panel: Panel, horizon: int, n_windows: int) -> Iterator[tuple[Panel, np.ndarray]]:
    """Yield history and truth, `[S * C, H]`, of each window."""
    for number in range(n_windows):
        yield split_last(panel.head(panel.lengths - number * horizon), horizon)
