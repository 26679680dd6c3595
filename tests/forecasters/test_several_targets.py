"""Several targets at once: a row for each, in the caller's order, from every forecaster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer import load
from tsformer.forecasters import (
    LLMForecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
)
from tsformer.forecasters.score import naive_errors

Make = Callable[..., Any]
SHARED = {"horizon": 4, "season_length": 4}
SMALL = {"context_length": 16, "max_steps": 3, "d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8}
TARGETS = ["sales", "visits", "returns"]
MAKERS: dict[str, Make] = {
    "naive": lambda **p: SeasonalNaiveForecaster(**{**SHARED, **p}),
    "llm": lambda **p: LLMForecaster(**{**SHARED, "model": "ngram", "n_samples": 5, **p}),
    "patchtst": lambda **p: PatchTSTForecaster(**{**SHARED, **SMALL, **p}),
    "tsformer": lambda **p: TrainedTSFormerForecaster(**{**SHARED, **SMALL, **p}),
}
APART = ["naive", "llm"]  # those that take one target at a time
KEYS = ["unique_id", "ds", "variate"]


@pytest.fixture(scope="module", params=MAKERS)
def make(request: pytest.FixtureRequest) -> Make:
    return lambda **given: MAKERS[request.param](**{"target_col": TARGETS, **given})


@pytest.fixture(scope="module", params=APART)
def make_apart(request: pytest.FixtureRequest) -> Make:
    return MAKERS[request.param]


@pytest.fixture(scope="module")
def fitted(make: Make) -> Any:
    """Return a forecaster that no test may change."""
    return make().fit(FRAME)


def wide_frame(length: int = 40, names: str = "ba", seed: int = 0) -> pd.DataFrame:
    """Return hourly series with three targets of different level."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(len(names), length, 3)).cumsum(axis=1) + np.array([0, 100, -50])
    hours = pd.date_range("2024-01-01", periods=length, freq="h")
    return pd.DataFrame(
        {
            "unique_id": np.repeat(list(names), length),
            "ds": np.tile(hours, len(names)),
            **dict(zip(TARGETS, values.reshape(-1, 3).T, strict=True)),
        }
    )


FRAME = wide_frame()


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True
    )


def assert_close(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        one.reset_index(drop=True), other.reset_index(drop=True), rtol=1e-5, atol=1e-5
    )


def test_answers_have_a_row_per_series_target_and_time_in_the_callers_order(fitted: Any) -> None:
    answer = fitted.predict(level=[80])
    assert answer.columns.tolist() == [*KEYS, "mean", "0.1", "0.5", "0.9"]
    assert answer["unique_id"].tolist() == ["b"] * 12 + ["a"] * 12
    assert answer["variate"].tolist() == np.tile(np.repeat(TARGETS, 4), 2).tolist()
    hours = pd.date_range("2024-01-02 16:00", periods=4, freq="h")
    assert answer["ds"].tolist() == [*hours] * 6
    levels = answer.groupby("variate")["mean"].mean()
    assert levels["returns"] < levels["sales"] < levels["visits"]
    assert not answer.duplicated(KEYS).any()


def test_order_of_rows_and_of_targets_is_only_that_of_the_answer(make: Make, fitted: Any) -> None:
    shuffled = FRAME.sample(frac=1, random_state=0)
    answer = fitted.predict(shuffled)
    assert answer["unique_id"].unique().tolist() == shuffled["unique_id"].unique().tolist()
    assert_same(answer.sort_values(KEYS), fitted.predict(FRAME).sort_values(KEYS))
    turned = make(target_col=TARGETS[::-1]).fit(FRAME).predict()
    assert turned["variate"].unique().tolist() == TARGETS[::-1]


@pytest.mark.parametrize("refit", [False, True])
def test_a_target_is_forecast_the_same_alone_and_beside_others(
    make_apart: Make, refit: bool
) -> None:
    settings = {} if make_apart is MAKERS["naive"] else {"scaler": "quantile"}
    together = make_apart(target_col=TARGETS, **settings).fit(FRAME)
    answer = together.predict()
    windows = together.cross_validation(FRAME, n_windows=2, refit=refit)
    for name in TARGETS:
        alone = make_apart(target_col=name, **settings).fit(FRAME)
        rows = answer[answer["variate"] == name].drop(columns="variate")
        assert_same(rows, alone.predict())
        rows = windows[windows["variate"] == name].drop(columns="variate")
        expected = alone.cross_validation(FRAME, n_windows=2, refit=refit)
        assert_same(rows.rename(columns={"y": name}), expected)


def test_paths_have_a_row_per_series_target_sample_and_time(fitted: Any) -> None:
    paths = fitted.predict_samples(n_samples=3)
    assert paths.columns.tolist() == [*KEYS, "sample", "y"]
    assert paths["variate"].tolist() == np.tile(np.repeat(TARGETS, 12), 2).tolist()
    assert paths["sample"].tolist() == np.tile(np.repeat([0, 1, 2], 4), 6).tolist()
    levels = paths.groupby("variate")["y"].mean()
    assert levels["returns"] < levels["sales"] < levels["visits"]


def test_cross_validation_carries_the_truth_of_each_target(make: Make) -> None:
    holed = FRAME.assign(visits=FRAME["visits"].mask(FRAME["ds"] == FRAME["ds"].iloc[-2]))
    answer = make().cross_validation(holed, n_windows=2)
    assert answer.columns[:5].tolist() == ["unique_id", "ds", "cutoff", "variate", "y"]
    assert len(answer) == 2 * 2 * 3 * 4
    truth = holed.melt(["unique_id", "ds"], TARGETS, "variate", "truth")
    joined = answer.merge(truth, on=KEYS, how="left")
    np.testing.assert_array_equal(joined["y"], joined["truth"].astype(np.float32))
    assert joined["y"].isna().sum() == 2
    assert (joined["ds"] > joined["cutoff"]).all()
    distance = (joined["mean"] - joined["truth"]).abs()
    assert distance.max() < 40  # less than from one target to another


def test_score_is_the_mean_over_series_and_targets(fitted: Any) -> None:
    longer = wide_frame(44)
    longer.loc[longer["ds"] < FRAME["ds"].iloc[-1] + pd.Timedelta(minutes=1), TARGETS] = FRAME[
        TARGETS
    ].to_numpy()
    answer = fitted.predict().merge(
        longer.melt(["unique_id", "ds"], TARGETS, "variate", "truth"), on=KEYS
    )
    ratios = []
    for (name, variate), rows in answer.groupby(["unique_id", "variate"]):
        series = FRAME.loc[FRAME["unique_id"] == name, variate].to_numpy()
        scale = np.abs(series[24:] - series[:-24]).mean()
        ratios.append((rows["truth"] - rows["0.5"]).abs().mean() / scale)
    assert fitted.score(longer) == pytest.approx(-np.mean(ratios), rel=1e-4)


def test_updates_and_new_series_bring_all_targets(make: Make, fitted: Any) -> None:
    forecaster = make().fit(FRAME)
    newer = wide_frame(46).groupby("unique_id").tail(6)
    whole = pd.concat([FRAME, newer])
    assert_close(forecaster.update(newer).predict(), fitted.predict(whole))
    new = wide_frame(20, "z", seed=5)
    answer = forecaster.update(new).predict()
    assert answer["unique_id"].unique().tolist() == ["b", "a", "z"]
    assert_close(answer[-12:], fitted.predict(new))
    with pytest.raises(ValueError, match="target_col='visits' is not a column"):
        forecaster.update(newer.drop(columns="visits"))


def test_saved_forecasters_remember_their_targets(fitted: Any, tmp_path: Path) -> None:
    fitted.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert_same(loaded.predict(horizon=6), fitted.predict(horizon=6))
    assert_same(loaded.predict_samples(n_samples=2), fitted.predict_samples(n_samples=2))
    assert loaded.score(wide_frame(44)) == fitted.score(wide_frame(44))
    np.testing.assert_array_equal(loaded.pooled_.mean, fitted.pooled_.mean)


def test_polars_and_names_of_gluonts_come_back_as_they_came(make: Make, fitted: Any) -> None:
    expected = fitted.predict()
    answer = make().fit(pl.from_pandas(FRAME)).predict()
    assert isinstance(answer, pl.DataFrame)
    pd.testing.assert_frame_equal(answer.to_pandas(), expected, check_dtype=False)
    names = {"unique_id": "item_id", "ds": "timestamp"}
    forecaster = make().fit(FRAME.rename(columns=names))
    assert_same(forecaster.predict(), expected.rename(columns=names))
    paths = forecaster.predict_samples(n_samples=1)
    assert paths.columns.tolist() == ["item_id", "timestamp", "variate", "sample", "target"]


def test_a_list_of_one_target_is_a_target_with_its_name_in_the_answer(make: Make) -> None:
    answer = make(target_col=["visits"]).fit(FRAME).predict()
    assert answer["variate"].unique().tolist() == ["visits"]
    alone = make(target_col="visits").fit(FRAME).predict()
    assert_same(answer.drop(columns="variate"), alone)


@pytest.mark.filterwarnings("ignore:2 targets have no value")
def test_a_target_that_is_missing_for_one_series_gets_its_pooled_distribution(make: Make) -> None:
    holed = FRAME.assign(visits=FRAME["visits"].mask(FRAME["unique_id"] == "a"))
    forecaster = make().fit(holed)
    assert forecaster.fit_report_.remarks["all missing"] == ["a"]
    message = r"1 targets have no value in their last \d+ steps \(the first is 'visits' of 'a'\)"
    with pytest.warns(UserWarning, match=message) as caught:
        answer = forecaster.predict()
    assert caught[0].filename == __file__
    rows = answer[(answer["unique_id"] == "a") & (answer["variate"] == "visits")]
    known = holed["visits"].dropna()
    np.testing.assert_allclose(rows["mean"], known.mean(), rtol=1e-5)
    np.testing.assert_allclose(rows["0.1"], known.quantile(0.1), rtol=1e-2)
    others = answer.drop(rows.index)
    assert np.isfinite(others["mean"]).all()
    assert (others.groupby(["unique_id", "variate"])["mean"].mean().between(-80, 130)).all()
    with pytest.warns(UserWarning, match=message):
        paths = forecaster.predict_samples(n_samples=300)
    rows = paths[(paths["unique_id"] == "a") & (paths["variate"] == "visits")]
    np.testing.assert_allclose(rows["y"].quantile(0.5), known.median(), rtol=1e-2)
    assert np.isfinite(paths["y"]).all()


def test_when_a_target_is_missing_for_all_series_then_it_is_named(make: Make) -> None:
    with pytest.raises(ValueError, match="no series has a value of target 'visits' that is not"):
        make().fit(FRAME.assign(visits=np.nan))
    with pytest.raises(ValueError, match=r"no series has a value that is not missing \('a', 'b'\)"):
        make().fit(FRAME.assign(**dict.fromkeys(TARGETS, np.nan)))


def test_a_target_that_is_missing_lately_does_not_disturb_the_others(make_apart: Make) -> None:
    forecaster = make_apart(target_col=TARGETS).fit(FRAME)
    usual = forecaster.predict(FRAME)
    with pytest.warns(UserWarning, match="2 targets have no value"):
        answer = forecaster.predict(FRAME.assign(sales=np.nan))
    kept = usual["variate"] != "sales"
    assert_same(answer[kept], usual[kept])
    assert np.isfinite(answer.loc[~kept, "mean"]).all()


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["sales", "sales"], "column 'sales' is named twice among ids, times, targets"),
        (["sales", "ds"], "column 'ds' is named twice"),
        ([], r"target_col=\[\] names no column"),
        (["sales", "profit"], "target_col='profit' is not a column; there are"),
    ],
)
def test_wrong_targets_are_named(make: Make, targets: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(target_col=targets).fit(FRAME)


def test_columns_that_the_answer_has_of_its_own_are_refused(make: Make) -> None:
    frame = FRAME.rename(columns={"unique_id": "variate"})
    forecaster = make(id_col="variate").fit(frame)
    with pytest.raises(ValueError, match="the answer has a column 'variate' of its own"):
        forecaster.predict()


@pytest.mark.parametrize("name", APART)
def test_densities_are_those_of_each_target_alone(name: str) -> None:
    settings = {} if name == "naive" else {"scaler": "quantile"}
    together = MAKERS[name](target_col=TARGETS, **settings).fit(FRAME)
    answer = together.log_density(FRAME)
    assert answer.columns.tolist() == [*KEYS, "y", "log_density"]
    for target in TARGETS:
        alone = MAKERS[name](target_col=target, **settings).fit(FRAME).log_density(FRAME)
        rows = answer[answer["variate"] == target].drop(columns="variate")
        assert_close(rows.rename(columns={"y": target}), alone)


def test_errors_of_the_naive_forecast_are_those_of_each_target(fitted: Any) -> None:
    for number, name in enumerate(TARGETS):
        alone = MAKERS["naive"](target_col=name).fit(FRAME)
        for series in "ab":
            found = fitted.naive_errors_[series][number]
            assert found == pytest.approx(alone.naive_errors_[series][0])
    assert naive_errors(fitted.panel_).shape == (6,)
