"""Networks in training are looked at on real series as the benchmark would."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tsformer.evaluation import zero_shot
from tsformer.evaluation.zero_shot import RealSeries
from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.models.tsformer import TSFormerConfig
from tsformer.models.zero_shot import TSFormer
from tsformer.types import Forecast


@pytest.fixture(scope="module")
def real() -> RealSeries:
    return RealSeries({"quick": ["fertility", "us_macro"]})


def test_tasks_that_do_not_exist_are_named_and_none_have_no_scores() -> None:
    with pytest.raises(ValueError, match="'quick' has no task whose name contains 'moon'"):
        RealSeries({"quick": ["moon"]})
    assert RealSeries({}).scores(None) == {}  # type: ignore[arg-type]


def test_the_seasonal_naive_forecast_has_the_score_one(
    real: RealSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def naive(model: Any, panel: Any, horizon: int, levels: Any, season_length: int) -> Forecast:
        season = 4 if horizon == 8 else 1  # those of the tasks
        forecaster = SeasonalNaiveForecaster(horizon=horizon, season_length=season)
        return forecaster.fit_panel(panel).predict_panel(panel, quantiles=levels)

    monkeypatch.setattr(zero_shot, "forecast_unseen", naive)
    scores = real.scores(None)  # type: ignore[arg-type]
    assert set(scores) == {
        "quick MASE", "quick CRPS", "fertility MASE", "us_macro MASE", "coverage80",
    }  # fmt: skip
    for name in ("quick MASE", "quick CRPS", "fertility MASE", "us_macro MASE"):
        assert scores[name] == pytest.approx(1, rel=1e-3)
    assert 0 < scores["coverage80"] < 1


def test_any_network_has_scores_as_it_stands(real: RealSeries) -> None:
    torch.manual_seed(0)
    model = TSFormer(TSFormerConfig(d_model=8, n_heads=2, n_layers=1, d_ff=8)).eval()
    scores = real.scores(model)
    product = scores["fertility MASE"] * scores["us_macro MASE"]
    assert scores["quick MASE"] == pytest.approx(product**0.5, rel=1e-6)
    assert all(0 < value < 20 for value in scores.values())
