"""What `fit`, `predict` and `predict_samples` promise of every forecaster."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError

from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters import LLMForecaster, TSFormerForecaster

Make = Callable[..., Any]
DECILES = [f"0.{decile}" for decile in range(1, 10)]
NUMBERS = ["mean", *DECILES]


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_fit_returns_the_forecaster_itself(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = make_forecaster()
    assert forecaster.fit(make_frame()) is forecaster
    assert forecaster.update(make_frame(start="2024-01-02")) is forecaster


@pytest.mark.parametrize(
    "ask",
    [
        lambda f, df: f.predict(),
        lambda f, df: f.predict(df),
        lambda f, df: f.predict_samples(df),
        lambda f, df: f.predict_panel(),
        lambda f, df: f.score(df),
        lambda f, df: f.update(df),
        lambda f, df: f.save("never"),
    ],
    ids=["predict", "predict df", "samples df", "predict_panel", "score", "update", "save"],
)
def test_before_fit_there_is_nothing_to_ask(
    request: pytest.FixtureRequest, make_forecaster: Make, make_frame: Make, ask: Callable[..., Any]
) -> None:
    forecaster = make_forecaster()
    untaught = isinstance(forecaster, LLMForecaster | TSFormerForecaster)
    if untaught and request.node.callspec.id.endswith(" df"):
        pytest.skip("learns nothing that could be missing")
    with pytest.raises(NotFittedError, match="not fitted"):
        ask(forecaster, make_frame())


def test_panels_are_fitted_and_forecast_without_frames(
    make_forecaster: Make, make_frame: Make
) -> None:
    panel, _ = read_panel(make_frame(), Schema())
    forecaster = make_forecaster().fit_panel(panel)
    answer = make_forecaster().fit(make_frame()).predict().sort_values(["unique_id", "ds"])
    for forecast in (forecaster.predict_panel(), forecaster.predict_panel(panel, horizon=4)):
        assert forecast.levels == tuple(map(float, DECILES))
        np.testing.assert_array_equal(forecast.mean.reshape(-1), answer["mean"])
        np.testing.assert_array_equal(forecast.quantile(0.9).reshape(-1), answer["0.9"])
    assert forecaster.predict_panel(panel, horizon=2, quantiles=[0.2]).levels == (0.2, 0.5)


def test_the_fitted_data_are_what_is_continued(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame()
    forecaster = make_forecaster().fit(df)
    assert_same(forecaster.predict(df), forecaster.predict())


def test_series_never_seen_are_continued_from_their_own_end(
    make_forecaster: Make, make_frame: Make
) -> None:
    new = make_frame(["z"], 30, start="2031-05-01", seed=1)
    answer = make_forecaster().fit(make_frame()).predict(new)
    assert answer["unique_id"].tolist() == ["z"] * 4
    expected = pd.date_range(new["ds"].iloc[-1], periods=5, freq="h")[1:]
    assert answer["ds"].tolist() == expected.tolist()
    moved = new.assign(y=new["y"] + 1000)
    shifted = make_forecaster().fit(make_frame()).predict(moved)
    np.testing.assert_allclose(shifted[NUMBERS], answer[NUMBERS] + 1000, atol=1e-2)


def test_a_shorter_horizon_is_the_beginning_of_the_longer_one(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster = make_forecaster().fit(make_frame())
    trained = forecaster.predict().groupby("unique_id", sort=False)
    for horizon in (1, 3):
        assert_same(
            forecaster.predict(horizon=horizon), trained.head(horizon).reset_index(drop=True)
        )


def test_a_longer_horizon_rolls_on_from_the_same_beginning_with_right_times(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    forecaster = make_forecaster().fit(df)
    answer = forecaster.predict(horizon=13)
    beginning = answer.groupby("unique_id", sort=False).head(4).reset_index(drop=True)
    pd.testing.assert_frame_equal(beginning, forecaster.predict(), check_exact=False, rtol=1e-5)
    assert np.isfinite(answer[NUMBERS]).all(axis=None)
    assert (np.diff(answer[DECILES]) >= 0).all()
    future = pd.date_range(df["ds"].max(), periods=14, freq="h")[1:]
    assert answer["ds"].tolist() == future.tolist() * 2


def test_order_of_rows_and_series_changes_nothing_but_the_order(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(["b", "a", "c"], 40)
    shuffled = df.sample(frac=1, random_state=0)
    straight, mixed = make_forecaster().fit(df), make_forecaster().fit(shuffled)
    assert mixed.predict()["unique_id"].unique().tolist() == shuffled["unique_id"].unique().tolist()

    def by_series(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.sort_values(["unique_id", "ds"]).reset_index(drop=True)

    for ask in (
        lambda f, data: f.predict(),
        lambda f, data: f.predict(data, horizon=7),
        lambda f, data: f.cross_validation(data),
    ):
        assert_same(by_series(ask(straight, df)), by_series(ask(mixed, shuffled)))
    samples = [
        f.predict_samples(n_samples=3).sort_values(["unique_id", "sample", "ds"])
        for f in (straight, mixed)
    ]
    assert_same(*(s.reset_index(drop=True) for s in samples))
    assert straight.score(df) == mixed.score(shuffled)


def test_a_forecast_does_not_depend_on_what_else_is_in_the_frame(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(["b", "a", "c"])
    df.loc[(df["unique_id"] == "c") & (df.index % 3 > 0), "y"] = np.nan  # a mask in the batch
    df.loc[df["unique_id"] == "b", "y"] *= 1e6
    forecaster = make_forecaster().fit(df)
    together = forecaster.predict(df, horizon=9).groupby("unique_id")
    for name, rows in df.groupby("unique_id"):
        alone = forecaster.predict(rows, horizon=9)[NUMBERS]
        digits = 1e-6 * np.abs(alone.to_numpy()).max()  # sums of other blocks, in float32
        np.testing.assert_allclose(
            alone, together.get_group(name)[NUMBERS], rtol=1e-5, atol=max(digits, 1e-5)
        )


def test_many_series_are_forecast_as_each_alone(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = make_forecaster().fit(make_frame())
    many = make_frame(range(1500), 9)  # more than one block of the network
    answer = forecaster.predict(many)
    for name in (0, 1023, 1024, 1499):
        alone = forecaster.predict(many[many["unique_id"] == name])
        rows = answer[answer["unique_id"] == name]
        np.testing.assert_allclose(alone[NUMBERS], rows[NUMBERS], rtol=1e-5, atol=1e-5)


def test_nothing_is_printed_logged_or_warned_of(
    make_forecaster: Make,
    make_frame: Make,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="lightning"), warnings.catch_warnings():
        warnings.simplefilter("error")
        forecaster = make_forecaster().fit(make_frame())
        forecaster.predict(horizon=9)
        forecaster.predict_samples(n_samples=2)
        forecaster.cross_validation(make_frame())
        forecaster.score(make_frame())
    assert capfd.readouterr() == ("", "")
    assert [r for r in caplog.records if r.name.startswith(("tsformer", "lightning"))] == []


def test_the_frame_given_stays_as_it_was(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame().sample(frac=1, random_state=1)
    before = df.copy()
    make_forecaster().fit(df).predict(df)
    assert_same(df, before)


def test_global_random_generators_are_left_alone(make_forecaster: Make, make_frame: Make) -> None:
    torch.manual_seed(3)
    states = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    forecaster = make_forecaster(random_state=11).fit(make_frame())
    forecaster.predict()
    forecaster.predict_samples(n_samples=2)
    forecaster.cross_validation(make_frame())
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002


def test_the_report_names_what_is_unusual_about_which_series(
    make_patchtst: Make, make_naive: Make, make_frame: Make
) -> None:
    df = make_frame(["full", "gap", "short", "one", "flat", "none"], 32)
    df.loc[(df["unique_id"] == "gap") & (df["ds"].dt.hour == 5), "y"] = np.nan
    df.loc[df["unique_id"] == "flat", "y"] = 3.0
    df.loc[df["unique_id"] == "none", "y"] = np.nan
    first = df.groupby("unique_id").cumcount()
    df = df[
        ~((df["unique_id"] == "short") & (first >= 3) | (df["unique_id"] == "one") & (first > 0))
    ]
    report = make_patchtst().fit(df).fit_report_
    assert report.n_series == 6
    assert report.n_values == df["y"].notna().sum()
    assert report.remarks == {
        "all missing": ["none"],
        "one value": ["one"],
        "constant": ["flat"],
        "shorter than context_length": ["one", "short"],
        "with missing values": ["gap"],
    }
    assert report.training.steps == 2
    naive = make_naive().fit(df).fit_report_
    assert naive.remarks["shorter than season_length"] == ["one", "short"]
    assert naive.training is None


def test_an_ordinary_panel_has_no_remarks(make_forecaster: Make, make_frame: Make) -> None:
    report = make_forecaster().fit(make_frame()).fit_report_
    assert (report.n_series, report.n_values, report.remarks) == (2, 96, {})
