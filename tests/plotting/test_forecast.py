from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.plotting import plot_cross_validation, plot_forecast
from tsformer.plotting.style import COLOURS, tint

Make = Callable[..., Any]
Line = Callable[[Axes, str], np.ndarray]
Fan = Callable[[Axes], dict[str, np.ndarray]]
Check = Callable[[Figure], None]


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    quantiles = (0.025, 0.1, 0.25, 0.75, 0.9, 0.975)
    usual = {"horizon": 3, "season_length": 4, "quantiles": quantiles}
    return SeasonalNaiveForecaster(**{**usual, **parameters})


def legend_words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_history_median_and_intervals_are_those_of_the_frames(
    make_frame: Make, line: Line, fan: Fan
) -> None:
    df = make_frame(["a"])
    forecast = naive().fit(df).predict()
    figure = plot_forecast(df, forecast, n_history=10)
    (axis,) = figure.axes
    np.testing.assert_allclose(line(axis, "known")[1], df["y"].tail(10), rtol=1e-6)
    np.testing.assert_array_equal(line(axis, "known")[0], date2num(df["ds"].tail(10)))
    np.testing.assert_array_equal(line(axis, "median")[1], forecast["0.5"])
    np.testing.assert_array_equal(line(axis, "median")[0], date2num(forecast["ds"]))
    bounds = fan(axis)
    assert list(bounds) == ["95 % interval", "80 % interval", "50 % interval"]
    pairs = (["0.025", "0.975"], ["0.1", "0.9"], ["0.25", "0.75"])
    for name, columns in zip(bounds, pairs, strict=True):
        np.testing.assert_array_equal(bounds[name], forecast[columns].to_numpy().T)
    assert legend_words(figure) == ["known", "median", *bounds]
    shades = [polygon.get_facecolor()[0, 0] for polygon in axis.collections]
    assert shades == sorted(shades, reverse=True)  # red: the narrower the darker
    assert shades[-1] == pytest.approx(tint(COLOURS[0], 0.55)[0])


def test_the_cut_off_is_the_last_known_time(make_frame: Make) -> None:
    df = make_frame(["a"])
    (axis,) = plot_forecast(df, naive().fit(df).predict()).axes
    (cutoff,) = [drawn for drawn in axis.lines if len(set(drawn.get_xdata())) == 1]
    assert axis.convert_xunits(cutoff.get_xdata()[0]) == date2num(df["ds"].iloc[-1])


def test_the_mean_is_drawn_where_asked_and_told_apart(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"])
    forecast = naive().fit(df).predict()
    (axis,) = plot_forecast(df, forecast, show_mean=True).axes
    np.testing.assert_array_equal(line(axis, "mean")[1], forecast["mean"])
    styles = {drawn.get_label(): drawn for drawn in axis.lines}
    assert styles["mean"].get_linestyle() != styles["median"].get_linestyle()
    assert styles["mean"].get_color() != styles["median"].get_color()


def test_without_a_median_there_is_the_mean(make_frame: Make) -> None:
    df = make_frame(["a"])
    forecast = naive().fit(df).predict().drop(columns="0.5")
    assert "mean" in legend_words(plot_forecast(df, forecast))
    alone = forecast[["unique_id", "ds", "mean"]]
    assert legend_words(plot_forecast(df, alone)) == ["known", "mean"]


@pytest.mark.parametrize("given", ["in df", "later rows", "everything"])
def test_what_came_is_drawn_wherever_it_stands(make_frame: Make, line: Line, given: str) -> None:
    df = make_frame()
    later = df.groupby("unique_id").cumcount() >= 37
    forecast = naive().fit(df[~later]).predict()
    truth = {"in df": None, "later rows": df[later], "everything": df}[given]
    history = df if given == "in df" else df[~later]
    figure = plot_forecast(history, forecast, truth=truth)
    for axis, name in zip(figure.axes, ["b", "a"], strict=True):
        expected = df[later & (df["unique_id"] == name)]["y"]
        np.testing.assert_allclose(line(axis, "truth")[1], expected, rtol=1e-6)
        assert len(line(axis, "known")[1]) == 14  # two seasons of a week


def test_truth_beyond_the_horizon_is_not_shown(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"])
    forecast = naive().fit(df[:20]).predict()
    (axis,) = plot_forecast(df, forecast).axes
    np.testing.assert_allclose(line(axis, "truth")[1], df["y"][20:23], rtol=1e-6)


def test_truth_as_an_array_holds_the_history_too(make_frame: Make, line: Line) -> None:
    values = make_frame(["a"])["y"].to_numpy()
    forecast = naive().fit(values[:37]).predict()
    (axis,) = plot_forecast(values[:37], forecast, truth=values).axes
    np.testing.assert_allclose(line(axis, "truth"), [[37, 38, 39], values[37:]], rtol=1e-6)
    with pytest.raises(ValueError, match="truth has no value at the times of the forecast"):
        plot_forecast(values[:37], forecast, truth=values[37:])


def test_gaps_are_gaps_and_a_value_between_two_is_a_dot(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"])
    forecast = naive().fit(df).predict()
    holes = df.drop(index=[30, 31, 33])  # 32 stands alone
    (axis,) = plot_forecast(holes, forecast, n_history=20).axes
    drawn = line(axis, "known")
    missing = np.isin(drawn[0], date2num(df["ds"].iloc[[30, 31, 33]]))
    np.testing.assert_array_equal(np.isnan(drawn[1]), missing)
    dots = [one for one in axis.lines if one.get_marker() == "."]
    assert [len(one.get_xdata()) for one in dots] == [1]
    assert dots[0].get_ydata()[0] == pytest.approx(df["y"][32], rel=1e-6)


@pytest.mark.parametrize("n_series", [1, 2, 3, 7, 50])
def test_each_series_has_a_panel_and_no_texts_overlap(
    make_frame: Make, assert_readable: Check, n_series: int
) -> None:
    df = make_frame([f"series {number}" for number in range(n_series)], length=30)
    df["y"] *= 10.0 ** (df.groupby("unique_id", sort=False).ngroup() % 9 - 2)
    figure = plot_forecast(df, naive().fit(df).predict(), max_series=50)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == [f"series {number}" for number in range(n_series)]
    assert_readable(figure)


@pytest.mark.parametrize(
    ("freq", "n_series"), [("h", 7), ("D", 7), ("MS", 7), ("15min", 1), ("W", 1), ("YS", 1)]
)
def test_dates_are_readable_at_any_frequency(
    make_frame: Make, assert_readable: Check, freq: str, n_series: int
) -> None:
    df = make_frame([f"s{number}" for number in range(n_series)], freq=freq)
    assert_readable(plot_forecast(df, naive(horizon=8).fit(df).predict(), show_mean=True))


def test_series_of_other_times_keep_their_own_labels(
    make_frame: Make, assert_readable: Check
) -> None:
    df = make_frame(list("abcd"))
    df.loc[df["unique_id"] == "c", "ds"] += pd.Timedelta(100, "D")
    figure = plot_forecast(df, naive().fit(df).predict())
    assert all(axis.xaxis.get_major_ticks()[0].label1.get_visible() for axis in figure.axes)
    assert_readable(figure)
    alike = plot_forecast(make_frame(list("abcd")), naive().fit(make_frame(list("abcd"))).predict())
    shown = [axis.xaxis.get_major_ticks()[0].label1.get_visible() for axis in alike.axes]
    assert shown == [False, False, True, True]


def test_left_out_series_are_told(make_frame: Make, texts: Callable[[Figure], Any]) -> None:
    df = make_frame(list("dbca"), length=20)
    forecast = naive().fit(df).predict()
    figure = plot_forecast(df, forecast, max_series=3)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["d", "b", "c"]
    assert "the first 3 of 4 series" in [text.get_text() for text in texts(figure)]
    chosen = plot_forecast(df, forecast, ids=["a", "d"], max_series=1)
    assert [axis.get_title(loc="left") for axis in chosen.axes] == ["a", "d"]
    assert not any("the first" in text.get_text() for text in texts(chosen))


def test_a_single_step_is_a_bar(make_frame: Make) -> None:
    df = make_frame(["a"])
    forecast = naive(horizon=1).fit(df).predict()
    (axis,) = plot_forecast(df, forecast).axes
    widest = axis.collections[0].get_segments()[0]
    np.testing.assert_array_equal(widest[:, 1], forecast[["0.025", "0.975"]].to_numpy()[0])
    assert widest[0, 0] == widest[1, 0] == date2num(forecast["ds"].iloc[0])
    assert axis.lines[-1].get_marker() == "_"


def test_several_targets_have_a_panel_each(make_frame: Make, line: Line) -> None:
    df = make_frame().rename(columns={"y": "sold"}).assign(price=lambda frame: 9 - frame["sold"])
    forecast = naive(target_col=["price", "sold"]).fit(df).predict()
    figure = plot_forecast(df, forecast)
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["b · price", "b · sold", "a · price", "a · sold"]
    prices, sold = (line(axis, "known")[1] for axis in figure.axes[2:])
    np.testing.assert_allclose(prices, 9 - sold, rtol=1e-5)


def test_a_named_target_is_the_label(make_frame: Make) -> None:
    df = make_frame(["a"]).rename(columns={"y": "sold"})
    forecast = naive(target_col="sold").fit(df).predict()
    figure = plot_forecast(df, forecast, target_col="sold")
    assert figure._supylabel.get_text() == "sold"
    series = df.set_index("ds")["sold"]
    figure = plot_forecast(series, naive().fit(series).predict())
    assert figure.axes[0].get_title(loc="left") == "sold"


def test_hours_of_a_time_zone_are_told_by_its_clock(
    make_frame: Make, assert_readable: Check, texts: Callable[[Figure], Any]
) -> None:
    df = make_frame(["a"], length=30, freq="h", zone="Asia/Tokyo")
    figure = plot_forecast(df, naive().fit(df).predict(), n_history=10)
    words = [text.get_text() for text in texts(figure)]
    assert "time in Asia/Tokyo" in words
    assert any("00:00\n02 Jan 2024" in word for word in words)  # 15:00 in UTC
    assert_readable(figure)


def test_days_of_a_time_zone_are_its_days(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"], zone="America/New_York")
    (axis,) = plot_forecast(df, naive().fit(df).predict(), n_history=2).axes
    days = line(axis, "known")[0]
    np.testing.assert_array_equal(days % 1, 0)


def test_polars_and_pandas_make_the_same_picture(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"])
    forecast = naive().fit(df).predict()
    (one,) = plot_forecast(df, forecast).axes
    (other,) = plot_forecast(pl.from_pandas(df), pl.from_pandas(forecast)).axes
    for label in ("known", "median"):
        np.testing.assert_array_equal(line(one, label), line(other, label))


def test_long_names_are_shortened(make_frame: Make, assert_readable: Check) -> None:
    df = make_frame(["x" * 200, "y" * 200, "z"], length=20)
    figure = plot_forecast(df, naive().fit(df).predict())
    assert figure.axes[0].get_title(loc="left").endswith("…")
    assert_readable(figure)


def test_names_with_dollars_are_no_maths(
    make_frame: Make, words: Callable[[Figure], list[str]]
) -> None:
    target = "US$ per A$"
    df = make_frame(["$_$", "$" * 200]).rename(columns={"y": target})
    model = naive(target_col=target).fit(df)
    shown = words(plot_forecast(df, model.predict(), target_col=target))
    assert {"$_$", target} < {*shown}
    assert any(word.startswith("$$$") and word.endswith("$…") for word in shown)
    backtest = model.cross_validation(df, n_windows=2)
    assert {"$_$", target} < {*words(plot_cross_validation(df, backtest))}
    series = df[df["unique_id"] == "$_$"].set_index("ds")[target]
    assert target in words(plot_forecast(series, naive().fit(series).predict()))
    two = df.assign(**{"$^$": df[target]})
    both = naive(target_col=[target, "$^$"]).fit(two)
    assert {f"$_$ · {target}", "$_$ · $^$"} < {*words(both.plot(two))}


def test_several_cut_offs_are_no_forecast(make_frame: Make, line: Line) -> None:
    df = make_frame()
    model = naive().fit(df)
    backtest = model.cross_validation(df, n_windows=2)
    message = r"forecast has several cut-offs \(column 'cutoff'\); show it by plot_cross_validation"
    with pytest.raises(ValueError, match=message):
        plot_forecast(df, backtest)
    with pytest.raises(ValueError, match=message):
        model.plot(df, backtest, ids=["a"])
    figure = plot_forecast(df, model.cross_validation(df, n_windows=1))
    for axis in figure.axes:
        assert len(line(axis, "truth")[1]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ids": ["z"]}, "ids has 'z', which is not in forecast, unlike 'b'"),
        ({"ids": []}, "ids names 0 series; name 1 to 50"),
        ({"max_series": 0}, "max_series=0 must lie between 1 and 50"),
        ({"max_series": 51}, "max_series=51 must lie between 1 and 50"),
        ({"n_history": -1}, "n_history=-1 must be at least 0"),
    ],
)
def test_wrong_options_are_named(make_frame: Make, options: dict[str, Any], message: str) -> None:
    df = make_frame()
    with pytest.raises(ValueError, match=message):
        plot_forecast(df, naive().fit(df).predict(), **options)


def test_frames_that_do_not_belong_together_are_refused(make_frame: Make) -> None:
    df = make_frame()
    forecast = naive().fit(df).predict()
    with pytest.raises(ValueError, match="forecast has the series 'b', which df has not"):
        plot_forecast(make_frame(["a"]), forecast)
    with pytest.raises(ValueError, match="df has 2 series, but forecast has no column of ids"):
        plot_forecast(df, forecast.drop(columns="unique_id"))
    zoned = df.assign(ds=df["ds"].dt.tz_localize("UTC"))
    with pytest.raises(ValueError, match="times of truth have the time zone UTC, those of df None"):
        plot_forecast(df, forecast, truth=zoned)
    with pytest.raises(TypeError, match="forecast is of type int"):
        plot_forecast(df, 3)
