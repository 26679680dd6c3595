from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from tsformer.data.answers import bands, quantile_columns, read_history, read_windows
from tsformer.forecasters import SeasonalNaiveForecaster

Make = Callable[..., Any]


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{"horizon": 3, "season_length": 4, **parameters})


def test_a_forecast_is_read_series_by_series(make_frame: Make) -> None:
    forecast = naive(quantiles=(0.1, 0.9)).fit(make_frame()).predict()
    windows = read_windows(forecast)
    assert [window.name for window in windows] == ["b", "a"]
    for window in windows:
        rows = forecast[forecast["unique_id"] == window.name]
        assert window.levels == (0.1, 0.5, 0.9)
        np.testing.assert_array_equal(window.quantiles, rows[["0.1", "0.5", "0.9"]])
        np.testing.assert_array_equal(window.mean, rows["mean"])
        np.testing.assert_array_equal(window.median, rows["0.5"])
        np.testing.assert_array_equal(window.times, rows["ds"].to_numpy())
        assert window.truth is None
        assert window.cutoff is None
        assert window.variate is None


def test_a_backtest_is_read_window_by_window(make_frame: Make) -> None:
    df = make_frame()
    backtest = naive().cross_validation(df, n_windows=2)
    for frame in (backtest, pl.from_pandas(backtest)):
        windows = read_windows(frame)
        keys = [(window.name, pd.Timestamp(window.cutoff)) for window in windows]
        assert keys == list(
            dict.fromkeys(zip(backtest["unique_id"], backtest["cutoff"], strict=True))
        )
        truth = np.concatenate([window.truth for window in windows])
        np.testing.assert_array_equal(truth, backtest["y"])


def test_rows_may_be_ordered_by_time(make_frame: Make) -> None:
    forecast = naive().fit(make_frame()).predict()
    by_time = forecast.sort_values("ds", kind="stable")
    for one, other in zip(read_windows(forecast), read_windows(by_time), strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one.times, other.times)
        np.testing.assert_array_equal(one.quantiles, other.quantiles)


def test_several_targets_are_windows_of_their_own(make_frame: Make) -> None:
    df = make_frame().assign(z=lambda frame: 2 * frame["y"])
    forecast = naive(target_col=["z", "y"]).fit(df).predict()
    keys = [(window.name, window.variate) for window in read_windows(forecast)]
    assert keys == [("b", "z"), ("b", "y"), ("a", "z"), ("a", "y")]
    panel, layout = read_history(df, forecast)
    assert layout.variates == ("z", "y")
    np.testing.assert_allclose(panel.values[0], 2 * panel.values[1])


def in_form(df: pd.DataFrame, form: str) -> Any:
    """Return a long frame of the series `b` and `a` in another form."""
    wide = df.pivot(index="ds", columns="unique_id", values="y")[["b", "a"]]
    hours = [*pd.date_range("2024-03-30", periods=40, freq="h", tz="Europe/Berlin")] * 2
    makers: dict[str, Callable[[], Any]] = {
        "long": lambda: df,
        "renamed": lambda: df.rename(columns={"unique_id": "shop", "ds": "day"}),
        "GluonTS names": lambda: df.set_axis(["item_id", "timestamp", "target"], axis=1),
        "polars": lambda: pl.from_pandas(df),
        "wide": lambda: wide,
        "wide without names": lambda: wide.rename_axis(None, axis=1).rename_axis(None),
        "series": lambda: wide["b"],
        "array": lambda: wide.to_numpy().T,
        "one array": lambda: wide["b"].to_numpy(),
        "no ids": lambda: df[df["unique_id"] == "b"].drop(columns="unique_id"),
        "index": lambda: df.set_index("ds"),
        "periods": lambda: df.assign(ds=pd.PeriodIndex(df["ds"], freq="D")),
        "zone": lambda: df.assign(ds=df["ds"].dt.tz_localize("Europe/Berlin")),
        "hours of a zone": lambda: df.assign(ds=hours),
    }
    return makers[form]()


FORMS = ["long", "renamed", "GluonTS names", "polars", "wide", "wide without names", "series"]
FORMS += ["array", "one array", "no ids", "index", "periods", "zone", "hours of a zone"]


@pytest.mark.parametrize("form", FORMS)
def test_history_of_any_form_ends_one_step_before_its_forecast(make_frame: Make, form: str) -> None:
    df = in_form(make_frame(), form)
    names = {"id_col": "shop", "time_col": "day"} if form == "renamed" else {}
    forecast = naive(**names).fit(df).predict()
    panel, layout = read_history(df, forecast)
    windows = read_windows(forecast, layout)
    assert len(windows) == len(panel)
    numbers = {name: number for number, name in enumerate(panel.ids.tolist())}
    for window in windows:
        number = 0 if window.name is None else numbers[window.name]
        np.testing.assert_array_equal(window.times, panel.future_times(3)[number])


def test_intervals_are_made_of_pairs_around_the_median() -> None:
    assert bands((0.05, 0.1, 0.5, 0.7, 0.9)) == [(1, 4, 0.8)]
    assert bands((0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)) == [
        (0, 6, 0.95),
        (1, 5, 0.8),
        (2, 4, 0.5),
    ]
    assert bands((0.3, 0.7)) == [(0, 1, 0.4)]  # 1 - 0.7 is not quite 0.3
    assert bands((0.5,)) == []


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ([1, 2], TypeError, "forecast is of type list; pass the frame that predict"),
        (pd.DataFrame({"ds": [1]}), ValueError, "forecast has no column 'mean' among"),
        (
            pd.DataFrame({"a": ["x"], "ds": [1], "y": [2.0], "mean": [1.0]}),
            ValueError,
            r"forecast has the columns \['a', 'ds', 'y'\] before its answers",
        ),
    ],
)
def test_what_is_no_answer_is_refused(wrong: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read_windows(wrong)


def test_clocks_have_to_be_the_same(make_frame: Make) -> None:
    df = make_frame()
    forecast = naive().fit(df).predict()
    _, layout = read_history(df.assign(ds=df["ds"].dt.tz_localize("Asia/Tokyo")), forecast)
    with pytest.raises(ValueError, match="times of forecast have the time zone None, those of df"):
        read_windows(forecast, layout)


def test_quantile_columns_are_numbers_between_0_and_1() -> None:
    frame = pd.DataFrame(columns=["mean", "0.1", "0.975", "1e-05", "1", "2024", "x0.5", "0"])
    assert quantile_columns(frame) == {"0.1": 0.1, "0.975": 0.975, "1e-05": 1e-05}
