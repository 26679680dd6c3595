"""The score: MASE by hand, and scikit-learn's searches on top of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TimeSeriesSplit,
    cross_val_score,
)

from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters.score import naive_errors

Make = Callable[..., Any]


def naive_error(values: np.ndarray, season_length: int) -> float:
    """Return the mean absolute seasonal difference of one series, by a loop."""
    lag = season_length if len(values) > season_length else 1
    changes = [abs(values[t] - values[t - lag]) for t in range(lag, len(values))]
    return float(np.nanmean(changes))


def test_score_is_the_negative_mase_scaled_by_what_fit_saw(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(["b", "a", "c"])
    df.loc[df["unique_id"] == "c", "y"] *= 1000
    df.loc[[5, 40, 60], "y"] = np.nan
    known = df[df["ds"] <= df["ds"].iloc[-5]]
    forecaster = make_forecaster(season_length=3).fit(known)
    answer = forecaster.predict().merge(df, on=["unique_id", "ds"])
    ratios = []
    for name, rows in answer.groupby("unique_id"):
        history = known.loc[known["unique_id"] == name, "y"].to_numpy()
        ratios.append((rows["y"] - rows["0.5"]).abs().mean() / naive_error(history, 24))
    assert forecaster.score(df) == pytest.approx(-np.mean(ratios), rel=1e-5)


def test_score_needs_no_more_than_the_horizon_of_fitted_series(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    last = df["ds"] > df["ds"].iloc[-5]
    forecaster = make_forecaster().fit(df[~last])
    assert forecaster.score(df[last]) == forecaster.score(df)


def test_score_looks_at_the_end_of_the_data_given_not_of_the_data_fitted(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    early = df[df["ds"] <= df["ds"].iloc[30]]
    forecaster = make_forecaster().fit(df)
    poisoned = df.assign(y=df["y"].where(df["ds"] <= df["ds"].iloc[30], df["y"] + 100))
    again = make_forecaster().fit(df)
    again.panel_ = make_forecaster().fit(poisoned).panel_
    assert forecaster.score(early) == again.score(early)


def test_unseen_series_are_scaled_by_their_own_history(
    make_forecaster: Make, make_frame: Make
) -> None:
    new = make_frame(["new"], seed=4)
    forecaster = make_forecaster().fit(make_frame())
    history = new.iloc[:-4]
    error = np.abs(new["y"].to_numpy()[-4:] - forecaster.predict(history)["0.5"]).mean()
    expected = -error / naive_error(history["y"].to_numpy(), 24)
    assert forecaster.score(new) == pytest.approx(expected, rel=1e-5)


def test_a_perfect_forecast_scores_zero_and_a_worse_one_less(make_naive: Make) -> None:
    wave = np.tile([1.0, 5.0, 2.0, 8.0], 8)
    assert make_naive().fit(wave).score(wave) == 0
    worse = wave + np.r_[np.zeros(28), np.ones(4)]
    worst = wave + np.r_[np.zeros(28), 2 * np.ones(4)]
    assert 0 > make_naive().fit(wave).score(worse) > make_naive().fit(wave).score(worst)


def test_series_whose_end_is_missing_do_not_count(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame()
    tail = df["ds"] > df["ds"].iloc[-5]
    gone = df.assign(y=df["y"].mask(tail & (df["unique_id"] == "a")))
    forecaster = make_forecaster().fit(df[~tail])
    alone = forecaster.score(df[df["unique_id"] == "b"])
    assert forecaster.score(gone) == pytest.approx(alone, rel=1e-5)  # sums of other blocks
    with pytest.raises(ValueError, match="nothing to score"):
        forecaster.score(df.assign(y=df["y"].mask(tail)))


def test_when_no_series_reaches_beyond_the_horizon_then_error(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster = make_forecaster().fit(make_frame())
    with pytest.raises(ValueError, match="last horizon=4"):
        forecaster.score(make_frame(["new"], 4))


DAYS = pd.date_range("2024-01-01", periods=35, freq="D")


def test_naive_errors_agree_with_a_loop_and_never_vanish() -> None:
    generator = np.random.default_rng(0)
    series = {
        "walk": generator.normal(size=30).cumsum(),
        "gaps": np.where(generator.random(30) < 0.3, np.nan, generator.normal(size=30)),
        "short": np.array([1.0, 4.0, 2.0]),
        "wave": np.tile([1.0, 3.0, 5.0, 7.0, 9.0, 2.0, 1.0], 5),
        "zero": np.zeros(10),
        "one": np.array([-7.0]),
    }
    df = pd.concat(
        pd.DataFrame({"unique_id": name, "ds": DAYS[: len(y)], "y": y})
        for name, y in series.items()
    )
    panel, _ = read_panel(df, Schema())
    found = dict(zip(panel.ids, naive_errors(panel), strict=True))
    assert found["walk"] == pytest.approx(naive_error(series["walk"], 7), rel=1e-5)
    gaps = series["gaps"][np.isfinite(series["gaps"]).argmax() :]
    assert found["gaps"] == pytest.approx(naive_error(gaps, 7), rel=1e-5)
    assert found["short"] == 2.5
    assert found["wave"] == 4  # its mean absolute value: it repeats itself
    assert found["zero"] == 1
    assert found["one"] == 7


def test_grid_search_with_time_series_split_finds_the_season(make_naive: Make) -> None:
    generator = np.random.default_rng(0)
    wave = np.tile([0.0, 10, 0, 0, 5], 16) + generator.normal(size=80)
    df = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=80, freq="D"), "y": wave})
    search = GridSearchCV(
        make_naive(horizon=5, season_length=None),
        {"season_length": [1, 4, 5, 6]},
        cv=TimeSeriesSplit(n_splits=4, test_size=5),
        error_score="raise",
    ).fit(df)
    assert search.best_params_ == {"season_length": 5}
    pd.testing.assert_frame_equal(search.best_estimator_.predict(), search.predict(df))


@pytest.mark.parametrize(
    ("parameter", "values"), [("context_length", (8, 32)), ("season_length", (1, 6))]
)
def test_no_parameter_changes_the_scale_of_the_score(
    make_patchtst: Make, parameter: str, values: tuple[int, int]
) -> None:
    """A search compares forecasts, not how much of the past was kept."""
    df = pd.DataFrame({"ds": np.arange(60), "y": np.r_[np.zeros(50), np.arange(10.0)]})
    for value in values:
        forecaster = make_patchtst(**{parameter: value}).fit(df[:56])
        error = np.abs(df["y"].to_numpy()[-4:] - forecaster.predict()["0.5"]).mean()
        assert -error / forecaster.score(df[56:]) == pytest.approx(5 / 55, rel=1e-5)


class SplitByTime:
    """Splits a long frame in time, so that every series is on both sides."""

    def __init__(self, n_splits: int, horizon: int) -> None:
        self.n_splits, self.horizon = n_splits, horizon

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return self.n_splits

    def split(
        self, X: pd.DataFrame, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from_end = X.groupby("unique_id").cumcount(ascending=False).to_numpy()
        for number in range(self.n_splits, 0, -1):
            end = (number - 1) * self.horizon
            test = (from_end >= end) & (from_end < end + self.horizon)
            yield np.flatnonzero(from_end >= end + self.horizon), np.flatnonzero(test)


def test_randomized_search_over_a_panel_with_a_splitter_of_ones_own(
    make_patchtst: Make, make_frame: Make
) -> None:
    search = RandomizedSearchCV(
        make_patchtst(),
        {"d_model": np.array([4, 8]), "context_length": [8, 16], "learning_rate": [1e-3, 1e-2]},
        n_iter=3,
        cv=SplitByTime(2, 4),
        random_state=0,
        error_score="raise",
    ).fit(make_frame())
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores).all()
    assert (scores < 0).all()
    assert search.best_score_ == scores.max()
    assert search.best_estimator_.predict()["unique_id"].unique().tolist() == ["b", "a"]


def test_cross_val_score_is_the_score_after_each_split(make_naive: Make, make_frame: Make) -> None:
    df, splitter = make_frame(), SplitByTime(3, 4)
    scores = cross_val_score(make_naive(), df, cv=splitter, error_score="raise")
    for score, (train, test) in zip(scores, splitter.split(df), strict=True):
        assert score == make_naive().fit(df.iloc[train]).score(df.iloc[test])
