from __future__ import annotations

import sys

import numpy as np
import pytest

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel
from tsformer.evaluation.baselines import StatisticalBaseline
from tsformer.evaluation.metrics import LEVELS

pytest.importorskip("statsforecast")


def make_panel(rows: int = 3, length: int = 48) -> Panel:
    steps = np.arange(length)
    noise = np.random.default_rng(0).normal(size=(rows, length))
    return read_panel(50 + steps + 5 * np.sin(steps * np.pi / 6) + noise, Schema())[0]


@pytest.mark.parametrize("name", ["AutoTheta", "AutoETS"])
def test_forecasts_are_those_of_statsforecast_itself(name: str) -> None:
    from statsforecast import models

    panel = make_panel()
    baseline = StatisticalBaseline(model=name, horizon=6, season_length=12)
    forecast = baseline.fit_panel(panel).predict_panel(panel, quantiles=LEVELS)
    for number in range(len(panel)):
        values = panel.series(number)[0].astype(np.float64)
        theirs = getattr(models, name)(season_length=12).forecast(values, h=6, level=[80])
        np.testing.assert_allclose(forecast.mean[number], theirs["mean"], rtol=1e-6)
        np.testing.assert_allclose(forecast.quantile(0.1)[number], theirs["lo-80"], rtol=1e-6)
        np.testing.assert_allclose(forecast.quantile(0.9)[number], theirs["hi-80"], rtol=1e-6)
    assert (np.diff(forecast.quantiles, axis=-1) >= 0).all()


def test_several_windows_of_one_series_are_kept_apart() -> None:
    panel = make_panel()
    twice = panel.select([0, 0, 1])
    baseline = StatisticalBaseline(model="AutoTheta", horizon=4, season_length=12)
    forecast = baseline.predict_panel(twice, quantiles=(0.1, 0.5, 0.9))
    assert forecast.mean.shape == (3, 4)
    np.testing.assert_array_equal(forecast.mean[0], forecast.mean[1])


def test_gaps_are_filled_by_straight_lines() -> None:
    panel, holed = make_panel(rows=1), make_panel(rows=1)
    holed.values[0, 20] = np.nan
    panel.values[0, 20] = (panel.values[0, 19] + panel.values[0, 21]) / 2
    baseline = StatisticalBaseline(model="AutoTheta", horizon=4, season_length=12)
    np.testing.assert_allclose(
        baseline.predict_panel(holed, quantiles=(0.5,)).mean,
        baseline.predict_panel(panel, quantiles=(0.5,)).mean,
        rtol=1e-4,
    )


def test_only_so_much_history_is_seen() -> None:
    panel = make_panel(rows=1)
    baseline = StatisticalBaseline(model="AutoTheta", horizon=4, season_length=12, max_history=30)
    expected = baseline.predict_panel(panel.tail(30), quantiles=(0.5,)).mean
    np.testing.assert_array_equal(baseline.predict_panel(panel, quantiles=(0.5,)).mean, expected)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ValueError, match="'AutoMagic' is neither ours nor statsforecast's"):
        StatisticalBaseline(model="AutoMagic", horizon=4)


def test_without_statsforecast_the_error_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "statsforecast", None)
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[baselines\]'"):
        StatisticalBaseline(model="AutoTheta", horizon=4)
