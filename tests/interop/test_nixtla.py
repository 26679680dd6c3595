"""Frames go into Nixtla's evaluation as they are; the renamed ones, and back."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from tsformer.forecasters import SeasonalNaiveForecaster, coverage_report
from tsformer.interop.nixtla import from_nixtla, nixtla_columns

HORIZON, SEASON = 4, 4
KEYS = ["unique_id", "ds", "cutoff", "y"]


def make_frame(length: int = 40) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=length)
    parts = [
        pd.DataFrame({"unique_id": name, "ds": days, "y": generator.normal(10, 2, length)})
        for name in ("b", "a")
    ]
    return pd.concat(parts, ignore_index=True)


def make_naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{"horizon": HORIZON, "season_length": SEASON, **parameters})


@pytest.fixture(scope="module")
def windows() -> pd.DataFrame:
    return make_naive().cross_validation(make_frame(), n_windows=2)


def as_kind(frame: pd.DataFrame, kind: str) -> Any:
    return frame if kind == "pandas" else pytest.importorskip("polars").from_pandas(frame)


def as_rows(frame: Any) -> list[dict[str, Any]]:
    return frame.to_dict("records") if isinstance(frame, pd.DataFrame) else frame.to_dicts()


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_evaluate_takes_cross_validation_unchanged(kind: str) -> None:
    evaluation = pytest.importorskip("utilsforecast.evaluation")
    losses = pytest.importorskip("utilsforecast.losses")
    df = as_kind(make_frame(), kind)
    windows = make_naive().cross_validation(df, n_windows=2)
    models = ["mean", "0.5"]
    scores = evaluation.evaluate(windows, [losses.mae, losses.rmse], models=models)
    rows = {(row["unique_id"], row["cutoff"], row["metric"]): row for row in as_rows(scores)}
    assert len(rows) == 2 * 2 * 2
    for (name, cutoff, metric), row in rows.items():
        part = [w for w in as_rows(windows) if (w["unique_id"], w["cutoff"]) == (name, cutoff)]
        for model in models:
            errors = np.array([w[model] - w["y"] for w in part])
            expected = np.abs(errors).mean() if metric == "mae" else np.sqrt((errors**2).mean())
            assert row[model] == pytest.approx(expected)


def test_mase_over_a_training_frame_is_that_of_a_loop() -> None:
    evaluation = pytest.importorskip("utilsforecast.evaluation")
    losses = pytest.importorskip("utilsforecast.losses")
    df = make_frame()
    past = df.groupby("unique_id", sort=False).head(36)
    naive = make_naive().fit(past)
    answer = naive.predict().merge(df, on=["unique_id", "ds"])
    mase = partial(losses.mase, seasonality=SEASON)
    scores = evaluation.evaluate(answer, [mase], models=["0.5"], train_df=past, agg_fn="mean")
    expected = []
    for name, part in answer.groupby("unique_id"):
        history = past.loc[past["unique_id"] == name, "y"].to_numpy()
        scale = np.abs(history[SEASON:] - history[:-SEASON]).mean()
        expected.append(np.abs(part["y"] - part["0.5"]).mean() / scale)
    assert scores["0.5"].item() == pytest.approx(np.mean(expected))


def test_quantile_losses_read_our_columns(windows: pd.DataFrame) -> None:
    losses = pytest.importorskip("utilsforecast.losses")
    found = losses.quantile_loss(windows, models={"0.9": "0.9"}, q=0.9)
    for name, part in windows.groupby("unique_id"):
        error = part["y"] - part["0.9"]
        expected = np.maximum(0.9 * error, -0.1 * error).mean()
        score = found.loc[found["unique_id"] == name, "0.9"]
        assert score.mean() == pytest.approx(expected)


def test_columns_get_the_names_of_the_interval_that_they_bound() -> None:
    naive = make_naive(quantiles=(0.005, 0.1, 0.9))
    ours = naive.fit(make_frame()).predict()
    renamed = nixtla_columns(ours, "Naive")
    assert renamed.columns.tolist() == [
        "unique_id", "ds", "Naive", "Naive-lo-99", "Naive-lo-80", "Naive-median", "Naive-hi-80",
    ]  # fmt: skip
    np.testing.assert_array_equal(renamed.to_numpy()[:, 2:], ours.to_numpy()[:, 2:])
    assert ours.columns[2] == "mean"  # the argument is not changed


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_level_keeps_its_intervals_only(kind: str, windows: pd.DataFrame) -> None:
    renamed = nixtla_columns(as_kind(windows, kind), level=[80, 60])
    bounds = [f"TSFormer-{side}" for side in ("lo-80", "lo-60", "median", "hi-60", "hi-80")]
    assert list(renamed.columns) == [*KEYS, "TSFormer", *bounds]
    np.testing.assert_array_equal(renamed["TSFormer-hi-60"].to_numpy(), windows["0.8"])


def test_coverage_of_renamed_columns_is_that_of_our_report(windows: pd.DataFrame) -> None:
    evaluation = pytest.importorskip("utilsforecast.evaluation")
    losses = pytest.importorskip("utilsforecast.losses")
    renamed = nixtla_columns(windows, level=[80])
    metrics = [losses.coverage, losses.mqloss]
    scores = evaluation.evaluate(renamed, metrics, models=["TSFormer"], level=[80])
    report = coverage_report(windows, level=[80])
    expected = report.query("kind == 'interval' and step == 'all'")["coverage"].item()
    found = scores.loc[scores["metric"] == "coverage_level80", "TSFormer"]
    assert found.mean() == pytest.approx(expected)
    assert 0.4 < expected < 1  # an interval that held nothing, or all, would tell nothing


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_two_forecasters_are_evaluated_in_one_frame(kind: str) -> None:
    evaluation = pytest.importorskip("utilsforecast.evaluation")
    losses = pytest.importorskip("utilsforecast.losses")
    df = as_kind(make_frame(), kind)
    seasonal, last = (
        nixtla_columns(naive.cross_validation(df, n_windows=2), name, level=[80])
        for name, naive in {"Seasonal": make_naive(), "Last": make_naive(season_length=1)}.items()
    )
    both = seasonal.merge(last, on=KEYS) if kind == "pandas" else seasonal.join(last, on=KEYS)
    assert len(both) == len(seasonal)
    models = ["Seasonal", "Last"]
    scores = evaluation.evaluate(both, [losses.scaled_crps], models=models, level=[80])
    alone = evaluation.evaluate(last, [losses.scaled_crps], models=["Last"], level=[80])
    np.testing.assert_allclose(
        np.sort(scores["Last"].to_numpy()), np.sort(alone["Last"].to_numpy())
    )
    assert (scores["Seasonal"].to_numpy() != scores["Last"].to_numpy()).all()


@pytest.mark.parametrize("renamed", [False, True])
def test_plot_series_draws_forecasts(renamed: bool) -> None:
    plotting = pytest.importorskip("utilsforecast.plotting")
    df = make_frame()
    answer = make_naive().fit(df).predict()
    answer = nixtla_columns(answer, level=[80]) if renamed else answer
    models, level = (["TSFormer"], [80]) if renamed else (["mean", "0.5"], None)
    figure = plotting.plot_series(df, answer, models=models, level=level)
    axis = figure.axes[0]
    assert [line.get_label() for line in axis.lines] == ["y", *models]
    assert len(axis.collections) == len(level or [])
    drawn = axis.lines[1].get_ydata()
    pyplot.close(figure)
    expected = answer.loc[answer["unique_id"] == "b", models[0]]
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], expected)


def test_variates_stay_apart() -> None:
    df = make_frame().assign(price=lambda frame: frame["y"] * 2)
    windows = make_naive(target_col=["y", "price"]).cross_validation(df)
    renamed = nixtla_columns(windows, "Naive", level=[80])
    assert renamed.columns[:5].tolist() == ["unique_id", "ds", "cutoff", "variate", "y"]
    assert renamed["variate"].tolist() == windows["variate"].tolist()


def test_answer_for_a_pandas_series_gets_columns_of_ids_and_times() -> None:
    evaluation = pytest.importorskip("utilsforecast.evaluation")
    losses = pytest.importorskip("utilsforecast.losses")
    series = make_frame().query("unique_id == 'a'").set_index("ds")["y"]
    answer = make_naive().cross_validation(series)
    renamed = nixtla_columns(answer, level=[80])
    assert renamed["ds"].tolist() == answer.index.tolist()
    scores = evaluation.evaluate(renamed, [losses.mae], models=["TSFormer"])
    expected = np.abs(answer["mean"] - answer["y"]).mean()
    assert scores["TSFormer"].item() == pytest.approx(expected)


def test_missing_quantile_is_named_with_the_remedy(windows: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"95 % needs the quantile 0.025.*level=\[95\]"):
        nixtla_columns(windows, level=[95])
    with pytest.raises(ValueError, match="no column 'mean'"):
        nixtla_columns(make_frame())


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_there_and_back_is_the_same(kind: str, windows: pd.DataFrame) -> None:
    ours = as_kind(windows, kind)
    other = nixtla_columns(windows, "Other")
    both = as_kind(other.merge(nixtla_columns(windows), on=KEYS), kind)
    for back in (from_nixtla(as_kind(other, kind)), from_nixtla(both, "TSFormer")):
        assert type(back) is type(ours)
        assert back.equals(ours)


def test_report_reads_what_statsforecast_answered() -> None:
    statsforecast = pytest.importorskip("statsforecast")
    models = pytest.importorskip("statsforecast.models")
    engine = statsforecast.StatsForecast(models=[models.SeasonalNaive(SEASON)], freq="D")
    theirs = engine.cross_validation(
        h=HORIZON, df=make_frame(), n_windows=2, step_size=HORIZON, level=[80]
    )
    back = from_nixtla(theirs)
    assert set(back.columns) == {*KEYS, "mean", "0.1", "0.9"}
    ours = make_naive().cross_validation(make_frame(), n_windows=2)
    order = ["unique_id", "ds"]
    same = back.sort_values(order)["mean"].to_numpy()
    np.testing.assert_allclose(same, ours.sort_values(order)["mean"], rtol=1e-6)
    report = coverage_report(back, level=[80]).query("kind == 'interval' and step == 'all'")
    inside = (theirs["y"] >= theirs["SeasonalNaive-lo-80"]) & (
        theirs["y"] <= theirs["SeasonalNaive-hi-80"]
    )
    assert report["coverage"].item() == pytest.approx(inside.mean())


def test_model_that_cannot_be_told_is_asked_for(windows: pd.DataFrame) -> None:
    both = nixtla_columns(windows, "One").merge(nixtla_columns(windows, "Two"), on=KEYS)
    with pytest.raises(ValueError, match=r"2 models, \['One', 'Two'\]; say by name="):
        from_nixtla(both)
    with pytest.raises(ValueError, match="name='Three' is not a column"):
        from_nixtla(both, "Three")
