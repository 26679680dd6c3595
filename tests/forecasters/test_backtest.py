"""Cross-validation: where it cuts, what it fits, and that it never looks ahead."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

Make = Callable[..., Any]
KEYS = ["unique_id", "ds"]


def known_until(df: pd.DataFrame, cutoffs: pd.Series) -> pd.DataFrame:
    """Return the rows of each series up to its cut-off."""
    return df[df["ds"] <= df["unique_id"].map(cutoffs)]


def test_columns_are_those_of_predict_with_cutoff_and_truth(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster, df = make_forecaster(quantiles=[0.2]), make_frame()
    answer = forecaster.cross_validation(df, n_windows=2)
    assert answer.columns.tolist() == [*KEYS, "cutoff", "y", "mean", "0.2", "0.5"]
    assert answer["cutoff"].dtype == answer["ds"].dtype == df["ds"].dtype
    assert len(answer) == 2 * 2 * 4


def test_cutoffs_end_one_horizon_before_the_end_of_each_series(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = pd.concat([make_frame(["b"], 40), make_frame(["a"], 30, start="2023-05-05")])
    answer = make_forecaster().cross_validation(df, n_windows=3, step_size=2)
    for name, rows in answer.groupby("unique_id"):
        times = df.loc[df["unique_id"] == name, "ds"].to_numpy()
        np.testing.assert_array_equal(rows["cutoff"], times[np.repeat([-9, -7, -5], 4)])
        expected = np.concatenate([times[-8:-4], times[-6:-2], times[-4:]])
        np.testing.assert_array_equal(rows["ds"], expected)


def test_windows_lie_end_to_end_without_a_step_size(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(["a"])
    answer = make_forecaster().cross_validation(df, n_windows=3)
    assert answer["ds"].tolist() == df["ds"].tail(12).tolist()


def test_truth_is_what_the_data_hold_missing_values_included(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    df.loc[[44, 91], "y"] = np.nan
    df = df.drop(index=[45])
    answer = make_forecaster().cross_validation(df, n_windows=2, step_size=3)
    joined = answer.merge(df, on=KEYS, how="left", suffixes=("", "_given"))
    np.testing.assert_array_equal(joined["y"], joined["y_given"].astype(np.float32))
    assert joined["y"].isna().sum() == 2 + 1 + 1  # 44 and 91 in both windows or one, 45 gone
    assert np.isfinite(answer["mean"]).all()


@pytest.mark.parametrize("refit", [True, 2, False])
def test_each_window_is_the_forecast_of_a_forecaster_fitted_before_it(
    make_forecaster: Make, make_frame: Make, refit: bool | int
) -> None:
    df = pd.concat([make_frame(["b"], 40), make_frame(["a"], 33)])
    forecaster = make_forecaster()
    answer = forecaster.cross_validation(df, n_windows=3, refit=refit)
    fitted = None
    for number in range(3):
        window = answer.groupby("unique_id").nth(slice(4 * number, 4 * number + 4))
        known = known_until(df, window.groupby("unique_id")["cutoff"].first())
        if fitted is None or number % {True: 1, 2: 2, False: 3}[refit] == 0:
            fitted = clone(forecaster).fit(known)
        pd.testing.assert_frame_equal(
            window.drop(columns=["cutoff", "y"]).reset_index(drop=True),
            fitted.predict(known),
            rtol=1e-5,  # sums of another batch are rounded in another order
        )


def test_without_a_fit_the_forecaster_is_asked_as_it_was_fitted(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame(length=40)
    known = known_until(
        df, df.groupby("unique_id")["ds"].nth(-13).set_axis(df["unique_id"].unique())
    )
    forecaster = make_forecaster().fit(known)
    answer = forecaster.cross_validation(df, n_windows=3, refit=None)
    first = answer.groupby("unique_id").head(4)
    assert (first["cutoff"] == known["ds"].max()).all()
    pd.testing.assert_frame_equal(
        first.drop(columns=["cutoff", "y"]).reset_index(drop=True), forecaster.predict(), rtol=1e-5
    )
    later = answer.groupby("unique_id").tail(4)
    pd.testing.assert_frame_equal(
        later.drop(columns=["cutoff", "y"]).reset_index(drop=True),
        forecaster.predict(known_until(df, later.groupby("unique_id")["cutoff"].first())),
        rtol=1e-5,
    )


def test_a_forecaster_that_saw_what_is_asked_is_refused(make_naive: Make, make_frame: Make) -> None:
    df = make_frame(length=40)
    with pytest.raises(NotFittedError):
        make_naive().cross_validation(df, refit=None)
    with pytest.raises(ValueError, match="refit=None asks the forecaster as it was fitted, but"):
        make_naive().fit(df).cross_validation(df, refit=None)


@pytest.mark.parametrize(("refit", "fits"), [(False, 1), (True, 5), (2, 3), (4, 2), (9, 1)])
def test_refit_counts_the_windows_between_fits(
    make_naive: Make,
    make_frame: Make,
    monkeypatch: pytest.MonkeyPatch,
    refit: bool | int,
    fits: int,
) -> None:
    forecaster, counted = make_naive(), []
    fit_panel = type(forecaster).fit_panel
    monkeypatch.setattr(
        type(forecaster), "fit_panel", lambda *args: (counted.append(1), fit_panel(*args))[1]
    )
    forecaster.cross_validation(make_frame(), n_windows=5, refit=refit)
    assert len(counted) == fits


@pytest.mark.parametrize("refit", [False, True])
def test_what_comes_after_a_cutoff_leaves_the_forecasts_from_it_unchanged(
    make_forecaster: Make, make_frame: Make, refit: bool
) -> None:
    df = make_frame(length=40)
    forecaster = make_forecaster()
    honest = forecaster.cross_validation(df, n_windows=2, refit=refit)
    first_cutoff, second_cutoff = honest["cutoff"].unique()
    for cutoff in (first_cutoff, second_cutoff):
        poisoned = df.assign(y=df["y"].where(df["ds"] <= cutoff, 1e6))
        answer = forecaster.cross_validation(poisoned, n_windows=2, refit=refit)
        until = honest["cutoff"] <= cutoff
        pd.testing.assert_frame_equal(
            answer[until].drop(columns="y"), honest[until].drop(columns="y"), check_exact=True
        )
        if cutoff == first_cutoff:  # or else nothing was poisoned at all
            assert (answer.loc[~until, "mean"] != honest.loc[~until, "mean"]).all()


def test_series_too_short_for_a_window_are_left_out_with_a_warning(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = pd.concat([make_frame(["b"]), make_frame(["short"], 4), make_frame(["partly"], 8)])
    with pytest.warns(UserWarning, match=r"2 series .* n_windows=2 .*'partly'") as caught:
        answer = make_forecaster().cross_validation(df, n_windows=2)
    assert caught[0].filename == __file__
    assert answer["unique_id"].value_counts().to_dict() == {"b": 8, "partly": 4}


def test_when_no_series_is_long_enough_then_error(make_forecaster: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match="no series is longer than horizon=4"):
        make_forecaster().cross_validation(make_frame(length=4))


def test_polars_and_series_come_back_as_they_came(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame()
    expected = make_forecaster().cross_validation(df)
    answer = make_forecaster().cross_validation(pl.from_pandas(df))
    assert isinstance(answer, pl.DataFrame)
    pd.testing.assert_frame_equal(answer.to_pandas(), expected, check_dtype=False)
    series = df.query("unique_id == 'a'").set_index("ds")["y"]
    answer = make_forecaster().cross_validation(series, n_windows=2)
    assert answer.columns[:2].tolist() == ["cutoff", "y"]
    np.testing.assert_allclose(answer["y"], series.tail(8))
    assert answer.index.tolist() == series.index[-8:].tolist()


def test_cutoffs_keep_the_time_zone(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame(["a"])
    df["ds"] = df["ds"].dt.tz_localize("Asia/Kolkata")
    answer = make_forecaster().cross_validation(df)
    assert answer["cutoff"].tolist() == [df["ds"].iloc[-5]] * 4


def test_the_forecaster_itself_stays_as_it_is(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = make_forecaster()
    before = dict(vars(forecaster))
    forecaster.cross_validation(make_frame())
    assert vars(forecaster) == before
    fitted = make_forecaster().fit(make_frame())
    answer = fitted.predict()
    fitted.cross_validation(make_frame(["z"], seed=5), n_windows=2, refit=True)
    pd.testing.assert_frame_equal(fitted.predict(), answer)


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"n_windows": 0}, ValueError, "n_windows=0"),
        ({"n_windows": 1.5}, TypeError, "n_windows=1.5"),
        ({"step_size": 0}, ValueError, "step_size=0"),
        ({"step_size": -1}, ValueError, "step_size=-1"),
        ({"refit": -1}, ValueError, "refit=-1"),
        ({"refit": 2.5}, TypeError, "refit=2.5"),
        ({"refit": "yes"}, TypeError, "refit='yes'"),
    ],
)
def test_numbers_of_windows_and_steps_are_checked(
    make_forecaster: Make,
    make_frame: Make,
    wrong: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        make_forecaster().cross_validation(make_frame(), **wrong)


def test_a_short_series_that_was_seen_is_refused_too(make_naive: Make, make_frame: Make) -> None:
    long, short = make_frame(["a"], 40), make_frame(["b"], 6)
    forecaster = make_naive().fit(pd.concat([long.head(32), short]))
    with pytest.raises(ValueError, match="it was fitted to series 'b' up to "):
        forecaster.cross_validation(pd.concat([long, short]), n_windows=2, refit=None)


def test_a_fitted_forecaster_is_asked_on_its_own_grid(make_naive: Make, make_frame: Make) -> None:
    forecaster = make_naive().fit(make_frame(length=40))  # daily
    weekly = make_frame(length=40, start="2030-01-01")
    weekly["ds"] = weekly.groupby("unique_id").cumcount() * pd.Timedelta("7D") + weekly["ds"].min()
    with pytest.raises(ValueError, match="the data look like freq="):
        forecaster.cross_validation(weekly, refit=None)


def test_all_windows_are_asked_at_once_whatever_a_forecast_looks_back_on(
    make_naive: Make, make_frame: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecaster, asked = make_naive(), []
    kind, forecast = type(forecaster), type(forecaster)._forecast
    monkeypatch.setattr(kind, "_reach", property(lambda self: sys.maxsize))

    def counted(self: Any, panel: Any, *args: Any) -> Any:
        asked.append(len(panel))
        return forecast(self, panel, *args)

    monkeypatch.setattr(kind, "_forecast", counted)
    forecaster.cross_validation(make_frame(["a", "b"], 40), n_windows=3)
    assert asked == [6]
