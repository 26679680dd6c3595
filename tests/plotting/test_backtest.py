from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.plotting import plot_cross_validation

Make = Callable[..., Any]
Line = Callable[[Axes, str], np.ndarray]


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    usual = {"horizon": 3, "season_length": 4, "quantiles": (0.1, 0.9)}
    return SeasonalNaiveForecaster(**{**usual, **parameters})


def cutoffs_of(axis: Axes) -> list[float]:
    vertical = [one for one in axis.lines if len(set(one.get_xdata())) == 1]
    return [float(axis.convert_xunits(one.get_xdata()[0])) for one in vertical]


def test_windows_are_drawn_over_the_truth(
    make_frame: Make, line: Line, assert_readable: Callable[[Figure], None]
) -> None:
    df = make_frame()
    backtest = naive().cross_validation(df, n_windows=3)
    figure = plot_cross_validation(df, backtest, n_history=5)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["b", "a"]
    for axis, name in zip(figure.axes, ["b", "a"], strict=True):
        own, rows = df[df["unique_id"] == name], backtest[backtest["unique_id"] == name]
        np.testing.assert_allclose(line(axis, "truth")[1], own["y"].tail(14), rtol=1e-6)
        assert cutoffs_of(axis) == date2num(rows["cutoff"].unique()).tolist()
        drawn = [one for one in axis.lines if one.get_label() == "median"]
        medians = np.concatenate([one.get_ydata() for one in drawn])
        np.testing.assert_array_equal(medians, rows["0.5"])
        edges = [polygon.get_paths()[0].vertices[:, 1] for polygon in axis.collections]
        assert [edge.min() for edge in edges] == rows.groupby("cutoff")["0.1"].min().tolist()
        assert [edge.max() for edge in edges] == rows.groupby("cutoff")["0.9"].max().tolist()
    assert_readable(figure)


def test_windows_that_overlap_take_turns_in_two_colours(make_frame: Make) -> None:
    df = make_frame(["a"])

    def colours(step_size: int) -> list[str]:
        backtest = naive().cross_validation(df, n_windows=3, step_size=step_size)
        (axis,) = plot_cross_validation(df, backtest).axes
        return [one.get_color() for one in axis.lines if one.get_label() == "median"]

    first, second, third = colours(2)
    assert first == third != second
    assert len(set(colours(3))) == 1


def test_means_are_drawn_where_asked(make_frame: Make) -> None:
    df = make_frame(["a"])
    backtest = naive().cross_validation(df, n_windows=2)
    (axis,) = plot_cross_validation(df, backtest, show_mean=True).axes
    means = np.concatenate([one.get_ydata() for one in axis.lines if one.get_label() == "mean"])
    np.testing.assert_array_equal(means, backtest["mean"])


def test_the_target_is_found_by_its_name_in_the_backtest(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"]).rename(columns={"y": "sold"})
    backtest = naive(target_col="sold").cross_validation(df)
    figure = plot_cross_validation(df, backtest, n_history=2)
    np.testing.assert_allclose(line(figure.axes[0], "truth")[1], df["sold"].tail(5), rtol=1e-6)


def test_series_that_are_left_out_are_told(
    make_frame: Make, texts: Callable[[Figure], list[Any]]
) -> None:
    df = make_frame(list("abc"))
    figure = plot_cross_validation(df, naive().cross_validation(df), max_series=2)
    assert "the first 2 of 3 series" in [text.get_text() for text in texts(figure)]


def test_a_forecast_is_no_backtest(make_frame: Make) -> None:
    df = make_frame()
    with pytest.raises(ValueError, match="backtest has no column 'cutoff'; .*plot_forecast"):
        plot_cross_validation(df, naive().fit(df).predict())
