"""Conformal calibration: intervals that hold what they promise, around any forecaster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer import load
from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.forecasters.conformal import ConformalForecaster
from tsformer.forecasters.conformal_scores import LEVELS, Correction, Judged
from tsformer.types import Forecast

Make = Callable[..., Any]
METHODS = ["split", "adaptive"]
AT_80 = LEVELS.index(0.9) - LEVELS.index(0.5) - 1  # of the central intervals, the one of 80 %


@dataclass(kw_only=True, eq=False, repr=False)
class Overconfident(SeasonalNaiveForecaster):
    """The last season with intervals a third as wide as they should be, and too high."""

    def _forecast(self, panel: Any, horizon: int, levels: tuple[float, ...]) -> Forecast:
        forecast = super()._forecast(panel, horizon, levels)
        errors = forecast.quantiles - forecast.mean[..., None]
        return replace(forecast, quantiles=forecast.mean[..., None] + errors / 3 + 1)


def noise(n_series: int = 10, length: int = 200, seed: int = 0) -> pd.DataFrame:
    """Return white noise of series that differ in size."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(n_series, length)) * 10.0 ** np.arange(n_series)[:, None] / 10
    return pd.DataFrame(
        {
            "unique_id": np.repeat([f"s{number}" for number in range(n_series)], length),
            "ds": np.tile(pd.date_range("2024-01-01", periods=length, freq="h"), n_series),
            "y": values.reshape(-1),
        }
    )


def split(df: pd.DataFrame, steps: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    early = df.groupby("unique_id").cumcount() < steps
    return df[early], df[~early]


def coverage(df: pd.DataFrame, low: str = "0.1", high: str = "0.9") -> float:
    known = df["y"].notna()
    return float(((df["y"] >= df[low]) & (df["y"] <= df[high]))[known].mean())


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> list[Judged]:
    """Return a list that gets the forecasts that corrections are learned from."""
    learned: list[Judged] = []
    of = Correction.of

    def catch(judged: Judged, **settings: float) -> Correction:
        learned.append(judged)
        return of(judged, **settings)

    monkeypatch.setattr(Correction, "of", catch)
    return learned


def test_it_does_everything_that_forecasters_can_do(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(length=60)
    known, newer = split(df, 55)
    forecaster = ConformalForecaster(forecaster=make_forecaster(), method="adaptive", n_windows=2)
    forecaster.fit(known)
    columns = ["unique_id", "ds", "mean", *[f"0.{k}" for k in range(1, 10)]]
    answer = forecaster.predict()
    assert answer.columns.tolist() == columns
    assert (np.diff(answer[columns[3:]]) >= 0).all()
    assert len(forecaster.predict(horizon=7)) == 14
    assert len(forecaster.predict(df, level=[50])) == 8
    assert len(forecaster.predict_samples(n_samples=3)) == 24
    assert len(forecaster.cross_validation(df, n_windows=2)) == 16
    assert forecaster.score(df) < 0
    assert forecaster.update(newer).predict()["ds"].min() == df["ds"].max() + pd.Timedelta("1h")


def test_corrections_rest_on_forecasts_that_know_nothing_later(
    make_forecaster: Make, make_frame: Make, caught: list[Judged]
) -> None:
    """They are those of `cross_validation`, which has its own tests of leakage."""
    df = make_frame()
    ConformalForecaster(forecaster=make_forecaster(), n_windows=3, step_size=2).fit(df)
    expected = make_forecaster().cross_validation(df, n_windows=3, step_size=2)
    expected = expected.sort_values(["cutoff", "unique_id"], kind="stable")
    judged = caught[0]
    np.testing.assert_array_equal(judged.truth.reshape(-1), expected["y"])
    np.testing.assert_array_equal(judged.cutoffs, [0, 0, 1, 1, 2, 2])
    for level in (0.1, 0.5, 0.9):
        found = judged.quantiles[..., LEVELS.index(level)].reshape(-1)
        np.testing.assert_allclose(found, expected[f"{level:g}"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("refit", "fitted_to"), [(True, 48), (False, 36)], ids=["refit", "as judged"]
)
def test_the_forecaster_is_fitted_to_everything_or_kept_as_it_was_judged(
    make_patchtst: Make, make_frame: Make, refit: bool, fitted_to: int
) -> None:
    df = make_frame()
    forecaster = ConformalForecaster(
        forecaster=make_patchtst(), n_windows=3, step_size=4, refit=refit
    )
    expected = make_patchtst().fit(split(df, fitted_to)[0]).predict(df)
    answer = forecaster.fit(df).predict(df)
    pd.testing.assert_series_equal(answer["mean"], expected["mean"])
    pd.testing.assert_series_equal(forecaster.predict()["mean"], expected["mean"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("refit", [True, False])
def test_too_narrow_intervals_become_right(method: str, refit: bool) -> None:
    df = noise()
    inside = Overconfident(horizon=4, season_length=4, quantiles=(0.1, 0.25, 0.75, 0.9))
    before = inside.cross_validation(df, n_windows=10)
    assert coverage(before) < 0.4
    forecaster = ConformalForecaster(forecaster=inside, method=method, refit=refit)
    after = forecaster.cross_validation(df, n_windows=10)
    assert 0.76 < coverage(after) < 0.85
    assert 0.44 < coverage(after, "0.25", "0.75") < 0.57
    pd.testing.assert_series_equal(after["mean"], before["mean"])


def test_intervals_that_are_right_stay_about_the_same() -> None:
    df = noise()
    inside = SeasonalNaiveForecaster(horizon=4, season_length=4)
    after = ConformalForecaster(forecaster=inside).fit(df).predict()
    before = inside.fit(df).predict()
    ratio = (after["0.9"] - after["0.1"]) / (before["0.9"] - before["0.1"])
    assert ratio.between(0.85, 1.15).all()


def test_other_requested_quantiles_change_none(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = ConformalForecaster(forecaster=make_forecaster(), n_windows=2).fit(make_frame())
    answer = forecaster.predict(quantiles=[0.1, 0.5])
    pd.testing.assert_frame_equal(answer, forecaster.predict()[answer.columns.tolist()])
    between = forecaster.predict(quantiles=[0.1, 0.12, 0.15])
    assert (between["0.1"] <= between["0.12"]).all()
    assert (between["0.12"] <= between["0.15"]).all()


def test_samples_have_the_corrected_quantiles() -> None:
    df = noise(2)
    df["y"] = df["y"] + 3 * df["y"].groupby(df["unique_id"]).shift(1).fillna(0.0)
    forecaster = ConformalForecaster(
        forecaster=SeasonalNaiveForecaster(horizon=3, season_length=1)
    ).fit(df)
    samples = forecaster.predict_samples(n_samples=20_000)
    pd.testing.assert_frame_equal(samples, forecaster.predict_samples(n_samples=20_000))
    answer = forecaster.predict(quantiles=[0.1, 0.5, 0.9]).set_index(["unique_id", "ds"])
    widths = answer["0.9"] - answer["0.1"]
    for level in (0.1, 0.5, 0.9):
        found = samples.groupby(["unique_id", "ds"])["y"].quantile(level)
        assert ((found - answer[f"{level:g}"]).abs() < 0.03 * widths).all()


def test_series_that_repeat_themselves_stay_certain() -> None:
    df = noise(3)
    df.loc[df["unique_id"] == "s0", "y"] = 7.0
    df.loc[df["unique_id"] == "s1", "y"] = np.tile([1.0, 2.0, 3.0, 4.0], 50)
    inside = SeasonalNaiveForecaster(horizon=4, season_length=4)
    answer = ConformalForecaster(forecaster=inside).fit(df).predict()
    certain = answer[answer["unique_id"] != "s2"]
    np.testing.assert_array_equal(certain["0.1"], certain["mean"])
    np.testing.assert_array_equal(certain["0.9"], certain["mean"])


def test_a_forecaster_without_intervals_gets_some() -> None:
    @dataclass(kw_only=True, eq=False, repr=False)
    class Point(SeasonalNaiveForecaster):
        def _forecast(self, panel: Any, horizon: int, levels: tuple[float, ...]) -> Forecast:
            forecast = super()._forecast(panel, horizon, levels)
            same = np.repeat(forecast.mean[..., None], len(levels), axis=-1)
            return replace(forecast, quantiles=same)

    inside = Point(horizon=4, season_length=4)
    answer = ConformalForecaster(forecaster=inside).cross_validation(noise(), n_windows=10)
    assert 0.74 < coverage(answer) < 0.86


def test_an_update_counts_by_the_share_of_values_that_intervals_missed(make_naive: Make) -> None:
    known, newer = split(noise(5, 160), 156)
    forecaster = ConformalForecaster(forecaster=make_naive(), method="adaptive", learning_rate=0.5)
    forecaster.fit(known)
    before = forecaster.correction_.stretch[AT_80]
    answer = forecaster.predict().merge(newer, on=["unique_id", "ds"])
    missed = 1 - coverage(answer)
    forecaster.update(newer)
    n_values = 5 * 4
    factor = np.exp(0.5 * n_values / (n_values + 20) * (missed - 0.2))
    np.testing.assert_allclose(forecaster.correction_.stretch[AT_80], before * factor)


def test_row_by_row_updates_equal_one_of_all_rows(make_patchtst: Make, make_frame: Make) -> None:
    known, newer = split(make_frame(length=70), 59)
    forecasters = [
        ConformalForecaster(forecaster=make_patchtst(), method="adaptive", n_windows=2).fit(known)
        for _ in range(2)
    ]
    for _, rows in newer.groupby("ds"):
        forecasters[0].update(rows)
    forecasters[1].update(newer)
    stretches = [forecaster.correction_.stretch for forecaster in forecasters]
    np.testing.assert_allclose(stretches[0], stretches[1])
    pd.testing.assert_frame_equal(*(forecaster.predict() for forecaster in forecasters))


def test_intervals_widen_when_the_world_becomes_wilder() -> None:
    """Up to step 160 the noise is what it was, then three times as large."""
    df = noise(5, 220)
    df["y"] = df["y"].where(df.groupby("unique_id").cumcount() < 160, 3 * df["y"])
    inside = SeasonalNaiveForecaster(horizon=4, season_length=4, max_history=2000)
    shares = {}
    for method in METHODS:
        forecaster = ConformalForecaster(forecaster=inside, method=method, n_windows=10)
        forecaster.fit(split(df, 160)[0])
        answers = []
        for end in range(160, 220, 4):
            now = split(split(df, end + 4)[0], end)[1]
            answers.append(forecaster.predict().merge(now, on=["unique_id", "ds"]))
            forecaster.update(now)
        shares[method] = coverage(pd.concat(answers[5:]))
    assert shares["split"] < 0.74
    assert 0.75 < shares["adaptive"] < 0.86


def test_held_out_cutoffs_are_followed_in_order_of_time() -> None:
    """The last are the wildest, which only those notice that know the order."""
    df = noise(5, 200)
    df["y"] = df["y"].where(df.groupby("unique_id").cumcount() < 184, 4 * df["y"])
    inside = SeasonalNaiveForecaster(horizon=4, season_length=4)
    widths = {}
    for method in METHODS:
        forecaster = ConformalForecaster(forecaster=inside, method=method, n_windows=12)
        answer = forecaster.fit(df).predict()
        widths[method] = answer["0.9"] - answer["0.1"]
    assert (widths["adaptive"] > 1.15 * widths["split"]).all()


def test_the_forecaster_inside_knows_of_an_update(make_naive: Make) -> None:
    known, newer = split(noise(2, 60), 50)
    forecaster = ConformalForecaster(forecaster=make_naive(), n_windows=2).fit(known)
    ends = [f.panel_.future_times(1) for f in (forecaster.update(newer), forecaster.forecaster_)]
    np.testing.assert_array_equal(*ends)


def test_without_adapting_an_update_leaves_the_correction(make_naive: Make) -> None:
    known, newer = split(noise(3, 120), 100)
    forecaster = ConformalForecaster(forecaster=make_naive()).fit(known)
    before = forecaster.correction_
    assert forecaster.update(newer).correction_ is before


def test_new_series_join_with_an_update(make_naive: Make, make_frame: Make) -> None:
    df = make_frame(["m", "z"], 60)
    known, newer = split(df, 50)
    forecaster = ConformalForecaster(forecaster=make_naive(), method="adaptive").fit(known)
    forecaster.update(pd.concat([newer, make_frame(["a"], 60, seed=3)]))
    assert forecaster.predict()["unique_id"].unique().tolist() == ["m", "z", "a"]
    assert forecaster.waiting_.tolist() == [0, 2, 2]  # a is new; the others: 10 = 4 + 4 + 2


def test_a_loaded_forecaster_goes_on_as_the_saved_one(
    make_forecaster: Make, make_frame: Make, tmp_path: Path
) -> None:
    known, newer = split(make_frame(length=60), 50)
    forecaster = ConformalForecaster(forecaster=make_forecaster(), method="adaptive", n_windows=2)
    forecaster.fit(known).save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert repr(loaded) == repr(forecaster)
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict(), check_exact=True)
    pd.testing.assert_frame_equal(loaded.coverage_, forecaster.coverage_, check_exact=True)
    one, other = (f.predict_samples(n_samples=3) for f in (loaded, forecaster))
    pd.testing.assert_frame_equal(one, other)
    one, other = (f.update(newer).predict() for f in (loaded, forecaster))
    pd.testing.assert_frame_equal(one, other)
    learned = {name for name in vars(forecaster) if name.endswith("_")} - {"fit_report_"}
    assert {name for name in vars(loaded) if name.endswith("_")} == learned


def test_one_forecaster_may_lie_in_another_and_be_saved(make_naive: Make, tmp_path: Path) -> None:
    within = ConformalForecaster(forecaster=make_naive(), n_windows=2)
    forecaster = ConformalForecaster(forecaster=within, method="adaptive").fit(noise(2))
    assert forecaster.horizon == 4
    forecaster.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load(tmp_path / "saved").predict(), forecaster.predict())


def test_held_out_coverage_is_reported() -> None:
    inside = Overconfident(horizon=2, season_length=1)
    forecaster = ConformalForecaster(forecaster=inside, n_windows=10).fit(noise())
    report = forecaster.coverage_
    assert report.columns.tolist() == [
        "kind", "nominal", "step", "coverage", "width", "n_values",
    ]  # fmt: skip
    overall = report[(report["kind"] == "interval") & (report["step"] == "all")]
    assert overall["n_values"].tolist() == [10 * 10 * 2] * 3
    assert (overall["coverage"] - overall["nominal"]).abs().max() < 0.07


def test_missing_values_are_not_judged(make_naive: Make, caught: list[Judged]) -> None:
    df = noise(3, 60)
    df.loc[df.index[-2:], "y"] = np.nan
    ConformalForecaster(forecaster=make_naive(), n_windows=1).fit(df)
    assert np.isnan(caught[0].truth).sum() == 2


def test_short_series_are_forecast_too_and_named(make_naive: Make, make_frame: Make) -> None:
    df = pd.concat([make_frame(["b", "a"]), make_frame(["short"], 7)])
    forecaster = ConformalForecaster(forecaster=make_naive()).fit(df)
    assert forecaster.fit_report_.remarks["too short to calibrate on"] == ["short"]
    answer = forecaster.predict()
    assert answer["unique_id"].unique().tolist() == ["b", "a", "short"]
    assert np.isfinite(answer.drop(columns=["unique_id", "ds"])).all(axis=None)


def test_when_nothing_can_be_held_out_then_error(make_naive: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match=r"horizon=4 .*the longest has 7 steps"):
        ConformalForecaster(forecaster=make_naive()).fit(make_frame(length=7))
    df = make_frame(length=20)
    df.loc[df.groupby("unique_id").cumcount() >= 15, "y"] = np.nan
    with pytest.raises(ValueError, match="nothing to calibrate on"):
        ConformalForecaster(forecaster=make_naive()).fit(df)


@pytest.mark.parametrize(
    ("length", "given", "cutoffs", "apart"),
    [
        (48, {}, 9, 1),  # (12 - 4) / 1 + 1
        (200, {}, 24, 2),  # (50 - 4) / 2 + 1, as 40 would be less than 2 apart
        (4000, {}, 39, 2),  # twenty horizons: (80 - 4) / 2 + 1
        (48, {"step_size": 4}, 3, 4),
        (48, {"n_windows": 3}, 3, 4),
        (48, {"n_windows": 2, "step_size": 5}, 2, 5),
        (8, {}, 1, 1),
    ],
)
def test_cutoffs_are_spread_over_the_last_quarter_or_twenty_horizons(
    make_naive: Make,
    caught: list[Judged],
    length: int,
    given: dict[str, int],
    cutoffs: int,
    apart: int,
) -> None:
    df = noise(1, length)
    ConformalForecaster(forecaster=make_naive(), **given).fit(df)
    begins = length - 4 - apart * np.arange(cutoffs)[::-1]
    expected = df["y"].to_numpy()[begins[:, None] + np.arange(4)]
    np.testing.assert_allclose(caught[0].truth, expected, rtol=1e-6)


def test_several_variates_are_corrected_each(make_naive: Make) -> None:
    df = noise(2)
    df["z"] = 1000 * df["y"]
    inside = make_naive(target_col=["y", "z"])
    answer = ConformalForecaster(forecaster=inside, method="adaptive").fit(df).predict()
    assert answer["variate"].unique().tolist() == ["y", "z"]
    width = (answer["0.9"] - answer["0.1"]).to_numpy().reshape(2, 2, 4)
    np.testing.assert_allclose(width[:, 1], 1000 * width[:, 0], rtol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"method": "hope"}, ValueError, "method='hope' is unknown; choose one of 'split', 'adap"),
        ({"n_windows": 0}, ValueError, "n_windows=0 must be at least 1"),
        ({"step_size": 1.5}, TypeError, "step_size=1.5 must be a whole number"),
        ({"refit": 2}, TypeError, "refit=2 must be True or False"),
        ({"learning_rate": 0}, ValueError, "learning_rate=0 must be above 0"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate='fast' must be a number"),
    ],
)
def test_wrong_parameters_are_named_by_fit(
    make_naive: Make,
    make_frame: Make,
    wrong: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        ConformalForecaster(forecaster=make_naive(), **wrong).fit(make_frame())
