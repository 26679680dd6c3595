"""Tasks of fev: its summary against a loop over the windows, and what reaches the forecaster."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tsformer.data.datasets import DatasetUnavailableError, load_dataset
from tsformer.evaluation.runner import evaluate, make_forecaster
from tsformer.evaluation.suite import load_suite
from tsformer.evaluation.tasks import load_task
from tsformer.forecasters import (
    ConformalForecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
    TSFormerForecaster,
)
from tsformer.interop.fev import evaluate_task, forecast_task

os.environ["HF_HUB_OFFLINE"] = "1"  # read when fev is first imported
fev = pytest.importorskip("fev")

HORIZON, SEASON, LEVELS = 4, 4, [0.1, 0.5, 0.9]
SMALL = {"context_length": 16, "max_steps": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what fev prepares from the home folder."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def make_frame(length: int = 40) -> pd.DataFrame:
    """Return two series of different lengths, ids in no order."""
    generator = np.random.default_rng(0)
    parts = []
    for name, steps in (("b", length), ("a", length - 5)):
        days = pd.date_range("2024-01-01", periods=steps)
        values = generator.normal(10, 2, steps)
        parts.append(pd.DataFrame({"id": name, "timestamp": days, "target": values}))
    return pd.concat(parts, ignore_index=True)


def make_task(frame: pd.DataFrame, folder: Path, **fields: Any) -> Any:
    path = folder / "series.parquet"
    frame.to_parquet(path)
    defaults = {"horizon": HORIZON, "seasonality": SEASON, "quantile_levels": LEVELS}
    return fev.Task(dataset_path=str(path), **{**defaults, **fields})


def make_naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{"horizon": 1, "season_length": SEASON, **parameters})


def naive_quantile(_: str, past: np.ndarray, level: float) -> np.ndarray:
    sigma = np.sqrt(((past[SEASON:] - past[:-SEASON]) ** 2).mean())
    return past[-SEASON:][:HORIZON] + norm.ppf(level) * sigma


def expected_scores(
    frame: pd.DataFrame, n_windows: int, horizon: int = HORIZON, quantile: Any = naive_quantile
) -> dict[str, float]:
    """Return the scores of a forecast, window by window and value by value."""
    found = []
    for window in range(n_windows):
        scaled, losses, truths, squares = [], [], [], []
        for name, part in frame.groupby("id"):
            values = part["target"].to_numpy()
            cutoff = len(values) - horizon * (n_windows - window)
            past, truth = values[:cutoff], values[cutoff : cutoff + horizon]
            point = quantile(name, past, 0.5)
            scaled += [np.abs(truth - point) / np.abs(past[SEASON:] - past[:-SEASON]).mean()]
            squares += [(truth - point) ** 2]
            truths += [np.abs(truth)]
            for level in LEVELS:
                error = truth - quantile(name, past, level)
                losses += [2 * np.maximum(level * error, (level - 1) * error)]
        found += [(np.mean(scaled), np.mean(losses) / np.mean(truths), np.mean(squares))]
    return dict(zip(("MASE", "WQL", "MSE"), np.mean(found, axis=0).tolist(), strict=True))


@pytest.mark.parametrize("n_windows", [1, 2])
@pytest.mark.parametrize("refit", [False, True])
def test_scores_are_those_of_a_loop(tmp_path: Path, n_windows: int, refit: bool) -> None:
    frame = make_frame()
    task = make_task(frame, tmp_path, num_windows=n_windows, extra_metrics=["WQL", "MSE"])
    summary = evaluate_task(task, make_naive(), refit=refit)
    expected = expected_scores(frame, n_windows)
    for name, value in expected.items():
        assert summary[name] == pytest.approx(value, rel=1e-5)
    assert summary["test_error"] == summary["MASE"]
    assert summary["num_forecasts"] == 2 * n_windows
    assert summary["model_name"] == "SeasonalNaive"


def test_nothing_is_trained_where_nothing_has_to_be(tmp_path: Path) -> None:
    task = make_task(make_frame(), tmp_path)
    answer = forecast_task(task, TSFormerForecaster(horizon=1))
    assert not answer.trained
    assert answer.training_seconds == 0 < answer.inference_seconds
    expected = TSFormerForecaster(
        horizon=HORIZON, id_col="id", time_col="timestamp", target_col="target"
    )
    past = make_frame().groupby("id").head(36).query("id == 'b'")
    found = answer.windows[0]["target"][1]  # fev orders series by name
    np.testing.assert_allclose(found["0.1"], expected.predict(past)["0.1"], rtol=1e-5)


def test_what_is_trained_is_told(tmp_path: Path) -> None:
    task = make_task(make_frame(), tmp_path, num_windows=2)
    forecaster = PatchTSTForecaster(horizon=1, **SMALL)
    summary = evaluate_task(task, forecaster, name="mine", refit=False)
    assert summary["trained_on_this_dataset"]
    assert summary["training_time_s"] > 0
    assert summary["model_name"] == "mine"
    assert np.isfinite(summary["test_error"])
    assert not hasattr(forecaster, "panel_")  # the caller's stays as it was
    assert forecaster.horizon == 1


def test_mean_is_the_point_forecast_for_squared_errors(tmp_path: Path) -> None:
    forecaster = PatchTSTForecaster(horizon=1, **SMALL)
    points = {}
    for metric in ("MASE", "RMSE", {"name": "RMSSE", "epsilon": 0.1}):
        task = make_task(make_frame(), tmp_path, eval_metric=metric)
        window = forecast_task(task, forecaster).windows[0]["target"][0]
        name = metric if isinstance(metric, str) else metric["name"]
        points[name] = window["predictions"], window["0.5"]
    np.testing.assert_array_equal(*points["MASE"])
    assert (points["RMSE"][0] != points["RMSE"][1]).any()
    np.testing.assert_array_equal(points["RMSE"][0], points["RMSSE"][0])


def make_promoted(length: int = 120) -> pd.DataFrame:
    """Return a series that jumps by 50 on days that nothing but the column `promo` tells."""
    generator = np.random.default_rng(1)
    promo = generator.random(length) < 0.3
    promo[-HORIZON:] = [True, False, False, True]
    values = 10 + 50 * promo + generator.normal(0, 0.5, length)
    days = pd.date_range("2024-01-01", periods=length)
    columns = {"id": "a", "timestamp": days, "target": values, "promo": promo.astype(float)}
    return pd.DataFrame(columns)


def test_future_covariate_that_tells_the_target_is_used(tmp_path: Path) -> None:
    frame = make_promoted()
    task = make_task(frame, tmp_path, known_dynamic_columns=["promo"], eval_metric="MAE")
    informed = evaluate_task(task, TSFormerForecaster(horizon=1))
    blind = evaluate_task(
        make_task(frame, tmp_path, eval_metric="MAE"), TSFormerForecaster(horizon=1)
    )
    assert informed["test_error"] < 5 < blind["test_error"]


def test_all_kinds_of_covariates_reach_a_forecaster_that_takes_them(tmp_path: Path) -> None:
    frame = make_frame().assign(promo=1.0, weather="sun", size=lambda f: f["id"].map(ord))
    frame["promo"] = np.arange(len(frame)) % 3.0
    task = make_task(
        frame,
        tmp_path,
        num_windows=2,
        known_dynamic_columns=["promo"],
        past_dynamic_columns=["weather"],
        static_columns=["size"],
    )
    seen: list[Any] = []

    class Spy(TrainedTSFormerForecaster):
        def _learn(self, panel: Any, val_size: Any) -> Any:
            seen.append(panel)
            return super()._learn(panel, val_size)

    for refit in (True, False):
        answer = forecast_task(task, Spy(horizon=1, **SMALL), refit=refit)
        assert len(answer.windows) == 2
    assert len(seen) == 3  # each window, or the first
    assert seen[0].future_covariates.names == ("promo",)
    assert seen[0].past_covariates.names == ("weather",)
    np.testing.assert_array_equal(seen[0].static_covariates.values, [[97, 98]])
    assert seen[1].lengths.tolist() == [31, 36]
    assert forecast_task(task, make_naive()).windows  # takes none of them


def test_targets_are_forecast_together(tmp_path: Path) -> None:
    frame = make_frame().rename(columns={"target": "x"}).assign(w=lambda f: -3 * f["x"])
    task = make_task(frame, tmp_path, target=["x", "w"], extra_metrics=["WQL"])
    summary = evaluate_task(task, make_naive())
    alone = [
        expected_scores(frame.rename(columns={name: "target"}), 1)["MASE"] for name in ("w", "x")
    ]
    assert alone[0] == pytest.approx(alone[1])
    assert summary["MASE"] == pytest.approx(np.mean(alone), rel=1e-5)
    window = forecast_task(task, make_naive()).windows[0]
    for x, w in zip(window["x"], window["w"], strict=True):
        np.testing.assert_allclose(w["predictions"], -3 * x["predictions"], rtol=1e-5)
        np.testing.assert_allclose(w["0.1"], -3 * x["0.9"], rtol=1e-5)
    assert summary["num_forecasts"] == 4


def test_forecaster_around_another_is_prepared_inside(tmp_path: Path) -> None:
    frame, inside = make_frame(60), make_naive()
    task = make_task(frame, tmp_path, horizon=2, extra_metrics=["WQL"])
    summary = evaluate_task(task, ConformalForecaster(forecaster=inside))
    assert summary["model_name"] == "Conformal"
    assert inside.horizon == 1
    columns = {"id_col": "id", "time_col": "timestamp", "target_col": "target"}
    prepared = make_naive(horizon=2, quantiles=LEVELS, **columns)
    past = frame.drop(frame.groupby("id").tail(2).index)
    answer = ConformalForecaster(forecaster=prepared).fit(past).predict()
    assert (answer["0.9"] != prepared.fit(past).predict()["0.9"]).all()  # the one around shows
    expected = expected_scores(
        frame, 1, 2, lambda name, _, level: answer.loc[answer["id"] == name, f"{level:g}"]
    )
    for metric in ("MASE", "WQL"):
        assert summary[metric] == pytest.approx(expected[metric], rel=1e-5)


def test_without_fev_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task(make_frame(), tmp_path)
    monkeypatch.setitem(sys.modules, "fev", None)
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[fev\]'"):
        forecast_task(task, make_naive())


@pytest.mark.parametrize("name", ["M3 yearly", "Tourism monthly", "FRED-MD"])
def test_chronos_task_has_the_score_of_our_own_harness(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    suite = load_suite("competition")
    spec = next(task for task in suite.tasks if task.name == name)
    model = next(model for model in suite.models if model.name == "SeasonalNaive")
    forecaster = make_forecaster(model, spec, None)
    try:
        ours = evaluate(load_task(spec), forecaster)["scores"]
    except DatasetUnavailableError as error:
        pytest.skip(str(error))
    frame = load_dataset(spec.dataset)
    frame = frame.rename(columns={"unique_id": "id", "ds": "timestamp", "y": "target"})
    if frame["timestamp"].dtype.kind == "i":  # fev knows dates only; seasonal naive reads none
        frame["timestamp"] = pd.to_datetime(frame["timestamp"], unit="D")
    task = make_task(
        frame,
        tmp_path,
        horizon=spec.horizon,
        seasonality=spec.season_length,
        quantile_levels=[round(0.1 * k, 1) for k in range(1, 10)],
        extra_metrics=["WQL"],
    )
    summary = evaluate_task(task, forecaster)
    assert summary["MASE"] == pytest.approx(ours["MASE"], rel=1e-5)
    assert summary["WQL"] == pytest.approx(ours["CRPS"], rel=1e-5)
