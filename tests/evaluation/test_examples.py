"""The windows that a report shows: the best, the one in the middle, the worst."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.evaluation.examples import Examples
from tsformer.evaluation.metrics import LEVELS, Scores
from tsformer.evaluation.tasks import Windows
from tsformer.types import Forecast

RNG = np.random.default_rng(0)


def windows_of(names: list[str], length: int = 30, horizon: int = 2) -> Windows:
    frame = pd.DataFrame({name: RNG.normal(size=length) for name in names})
    frame.index = pd.date_range("2024-01-01", periods=length)
    panel, _ = read_panel(frame, Schema())
    return Windows(
        history=panel,
        truth=RNG.normal(size=(len(names), horizon)),
        series=np.arange(len(names)),
        names=np.array(names, dtype=object),
    )


def forecast_of(windows: Windows) -> Forecast:
    quantiles = np.sort(RNG.normal(size=(*windows.truth.shape, len(LEVELS))), axis=-1)
    return Forecast(mean=quantiles.mean(axis=-1), quantiles=quantiles, levels=LEVELS)


def shown(errors: list[list[float]]) -> list[str]:
    """Return the names of the windows that are kept from several parts."""
    examples, number = Examples(), 0
    for part in errors:
        names = [f"w{number + k}" for k in range(len(part))]
        number += len(part)
        windows = windows_of(names)
        examples.update(windows, forecast_of(windows), np.array(part))
    return [example["series"] for example in examples.result()]


def test_the_best_the_median_and_the_worst_are_kept_in_this_order() -> None:
    assert shown([[3.0, 1.0, 5.0, 2.0, 4.0]]) == ["w1", "w0", "w2"]


def test_parts_are_searched_together() -> None:
    assert shown([[3.0, 2.0, 4.0], [1.0, 9.0, 5.0]])[::2] == ["w3", "w4"]


def test_one_window_is_shown_once_and_windows_without_an_error_never() -> None:
    assert shown([[1.0]]) == ["w0"]
    assert shown([[np.nan, 2.0, np.nan]]) == ["w1"]
    assert shown([[np.nan]]) == []


def test_what_is_kept_is_what_was_forecast() -> None:
    windows = windows_of(["a"])
    windows.truth[0, 1] = np.nan
    forecast = forecast_of(windows)
    examples = Examples()
    examples.update(windows, forecast, np.array([0.25]))
    (example,) = examples.result()
    assert example["error"] == 0.25
    assert len(example["history"]) == 8  # four horizons
    assert example["history"] == pytest.approx(windows.history.series(0)[0, -8:].tolist(), rel=1e-5)
    assert example["truth"] == [pytest.approx(windows.truth[0, 0], rel=1e-5), None]
    for name, level in (("low", 0.1), ("median", 0.5), ("high", 0.9)):
        assert example[name] == pytest.approx(forecast.quantile(level)[0].tolist(), rel=1e-5)


def test_the_errors_of_windows_have_mase_as_their_mean() -> None:
    windows = windows_of(["a", "b", "c"])
    forecast = forecast_of(windows)
    scores = Scores(season_length=2)
    errors = scores.update(windows.history, windows.truth, forecast)
    for number in range(3):
        past = windows.history.series(number)[0].astype(float)
        scale = np.abs(past[2:] - past[:-2]).mean()
        missed = np.abs(windows.truth[number] - forecast.quantile(0.5)[number]).mean()
        assert errors[number] == pytest.approx(missed / scale)
    assert scores.result()["MASE"] == pytest.approx(errors.mean())


def test_a_window_without_scale_or_truth_has_no_error() -> None:
    windows = windows_of(["flat", "unknown", "usual"])
    values = windows.history.values
    values[0, :30] = 1.0
    windows.truth[1] = np.nan
    errors = Scores(season_length=1).update(windows.history, windows.truth, forecast_of(windows))
    assert np.isnan(errors).tolist() == [True, True, False]


def test_calibration_counts_the_values_below_each_decile() -> None:
    windows = windows_of(["a", "b", "c"], horizon=4)
    forecast = forecast_of(windows)
    scores = Scores(season_length=1)
    scores.update(windows.history, windows.truth, forecast)
    for level, share in scores.calibration().items():
        assert share == pytest.approx((windows.truth <= forecast.quantile(level)).mean())
    assert [*scores.calibration()] == [*LEVELS]
