"""Covariates through updates, saves, scores and searches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tsformer import load

Make = Callable[..., Any]
END = pd.Timestamp("2024-01-03")


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def assert_all_moved(one: pd.DataFrame, other: pd.DataFrame) -> None:
    assert (one["mean"] != other["mean"]).all()


def numbers(answer: pd.DataFrame) -> np.ndarray:
    return answer.drop(columns=["unique_id", "ds"]).to_numpy()


def test_updates_move_the_covariates_on(
    make: Make, past: pd.DataFrame, static: pd.DataFrame, longer: pd.DataFrame, after: pd.DataFrame
) -> None:
    forecaster = make().fit(past, static_df=static)
    expected = forecaster.predict(longer, after)
    newer = longer[longer["ds"] >= END]
    assert_same(forecaster.update(newer).predict(future_df=after), expected)


def test_new_series_bring_their_statics_or_are_forecast_without(
    fitted: Any, make_long: Make, future: pd.DataFrame
) -> None:
    new, coming = make_long(30, "z", seed=3), make_long(34, "z", seed=3).tail(4)
    static = pd.DataFrame({"unique_id": ["z"], "size": [4.0], "region": ["south"]})
    told = fitted.predict(new, coming, static_df=static)
    without = fitted.predict(new, coming)
    assert_all_moved(told, without)
    unknown = static.assign(size=np.nan, region=None)
    assert_same(without, fitted.predict(new, coming, static_df=unknown))
    updated = copy.deepcopy(fitted).update(new)
    answer = updated.predict(future_df=pd.concat([future, coming]))
    assert answer["unique_id"].unique().tolist() == ["b", "c", "a", "z"]
    np.testing.assert_allclose(numbers(answer[-4:]), numbers(without), rtol=1e-5, atol=1e-6)


def test_polars_frames_in_are_polars_frames_out(
    make: Make, fitted: Any, past: pd.DataFrame, future: pd.DataFrame, static: pd.DataFrame
) -> None:
    rows, known, of_series = (pl.from_pandas(df) for df in (past, future, static))
    forecaster = make().fit(rows, static_df=of_series)
    for answer, expected in (
        (forecaster.predict(future_df=known), fitted.predict(future_df=future)),
        (forecaster.predict(rows, future), fitted.predict(past, future)),
        (
            forecaster.predict_samples(future_df=known, n_samples=2),
            fitted.predict_samples(future_df=future, n_samples=2),
        ),
        (
            forecaster.cross_validation(rows, static_df=of_series),
            make().cross_validation(past, static_df=static),
        ),
    ):
        assert isinstance(answer, pl.DataFrame)
        pd.testing.assert_frame_equal(answer.to_pandas(), expected, check_dtype=False)


def test_paths_spread_around_the_forecast_for_that_future(
    fitted: Any, future: pd.DataFrame
) -> None:
    paths = fitted.predict_samples(future_df=future, n_samples=400)
    middle = paths.groupby(["unique_id", "ds"], sort=False)["y"].quantile(0.5).to_numpy()
    answer = fitted.predict(future_df=future)
    assert ((middle > answer["0.4"]) & (middle < answer["0.6"])).all()


def test_a_loaded_forecaster_knows_covariates_levels_and_scales(
    fitted: Any,
    tmp_path: Path,
    future: pd.DataFrame,
    longer: pd.DataFrame,
    after: pd.DataFrame,
    kinds: Any,
) -> None:
    fitted.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert loaded.encoder_ == fitted.encoder_
    assert loaded.panel_.levels == fitted.panel_.levels
    assert {"mood", "sky", "region"} == {*loaded.panel_.levels}
    future = future.assign(sky=future["sky"].replace("fog", "hail"))
    assert_same(loaded.predict(future_df=future), fitted.predict(future_df=future))
    assert_same(loaded.predict(longer, after), fitted.predict(longer, after))
    assert loaded.score(longer) == fitted.score(longer)
    newer = longer[longer["ds"] >= END]
    moved = copy.deepcopy(fitted).update(newer)
    assert_same(loaded.update(newer).predict(future_df=after), moved.predict(future_df=after))
    given = {kind: tuple(names) for kind, names in kinds.items()}
    assert {kind: loaded.get_params()[kind] for kind in kinds} == given


def test_score_reads_the_future_of_the_last_horizon(
    fitted: Any, past: pd.DataFrame, longer: pd.DataFrame
) -> None:
    last = longer.groupby("unique_id").tail(4)
    known = longer.drop(last.index)
    answer = fitted.predict(known, last).merge(last, on=["unique_id", "ds"])
    ratios = []
    for name, rows in answer.groupby("unique_id"):
        series = past.loc[past["unique_id"] == name, "y"].to_numpy()
        scale = np.abs(series[24:] - series[:-24]).mean()
        ratios.append((rows["y"] - rows["0.5"]).abs().mean() / scale)
    assert fitted.score(longer) == pytest.approx(-np.mean(ratios), rel=1e-4)


class SplitByTime:
    """Splits a long frame in time, so that every series is on both sides."""

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        return 2

    def split(
        self, X: pd.DataFrame, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from_end = X.groupby("unique_id").cumcount(ascending=False).to_numpy()
        for end in (4, 0):
            yield (
                np.flatnonzero(from_end >= end + 4),
                np.flatnonzero((from_end >= end) & (from_end < end + 4)),
            )


def test_grid_search_finds_that_a_covariate_helps(
    make: Make, past: pd.DataFrame, future: pd.DataFrame
) -> None:
    df = past.assign(y=np.where(past["promo"], 9.0, 1.0))
    search = GridSearchCV(
        make(static_covariates=(), past_covariates=(), max_steps=30),
        {"future_covariates": [["sky"], ["promo"]]},
        cv=SplitByTime(),
        error_score="raise",
    ).fit(df)
    assert search.best_params_ == {"future_covariates": ["promo"]}
    answer = search.best_estimator_.predict(future_df=future)
    promo = future.groupby("unique_id").head(4)["promo"].to_numpy()
    assert answer.loc[promo, "mean"].mean() > answer.loc[~promo, "mean"].mean() + 4


def test_clones_keep_what_was_named(make: Make, fitted: Any, kinds: Any) -> None:
    for forecaster in (make(), fitted):
        again = clone(forecaster)
        assert {kind: getattr(again, kind) for kind in kinds} == kinds
        assert not hasattr(again, "encoder_")
    assert "future_covariates=['promo', 'sky']" in repr(make())
