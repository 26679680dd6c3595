from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsformer.forecasters import SeasonalNaiveForecaster
from tsformer.forecasters.coverage import coverage_report
from tsformer.plotting import plot_calibration, plot_error_by_horizon

Make = Callable[..., Any]
Line = Callable[[Axes, str], np.ndarray]
Check = Callable[[Figure], None]


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    usual = {"horizon": 3, "season_length": 4, "quantiles": (0.1, 0.25, 0.75, 0.9)}
    return SeasonalNaiveForecaster(**{**usual, **parameters})


@pytest.fixture
def backtest(make_frame: Make) -> pd.DataFrame:
    """Return three windows for each of two series, some of the truth missing."""
    df = make_frame()
    df.loc[[36, 38, 75], "y"] = np.nan
    return naive().cross_validation(df, n_windows=3)


@pytest.mark.parametrize("form", [lambda b: b, pl.from_pandas, coverage_report])
def test_coverage_is_that_of_the_report(
    backtest: pd.DataFrame, line: Line, form: Callable[[Any], Any]
) -> None:
    report = coverage_report(backtest)
    overall = report[(report["kind"] == "interval") & (report["step"] == "all")]
    (axis,) = plot_calibration({"naive": form(backtest)}).axes
    promised, found = line(axis, "naive")
    np.testing.assert_allclose(promised, 100 * overall["nominal"])
    np.testing.assert_allclose(found, 100 * overall["coverage"])


def test_the_diagonal_is_where_promises_are_kept(
    backtest: pd.DataFrame, assert_readable: Check
) -> None:
    figure = plot_calibration({"one": backtest, "other": backtest})
    (axis,) = figure.axes
    diagonal = axis.lines[0]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert axis.get_xlim() == axis.get_ylim() == (0, 100)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "other"]
    assert_readable(figure)
    assert not plot_calibration(backtest).legends


def test_errors_are_means_over_windows_step_by_step(
    backtest: pd.DataFrame, make_frame: Make, line: Line, assert_readable: Check
) -> None:
    wider = naive(quantiles=(0.1, 0.9)).cross_validation(make_frame(), n_windows=3)
    figure = plot_error_by_horizon({"naive": backtest, "wider": wider})
    left, right = figure.axes
    step = backtest.groupby(["unique_id", "cutoff"]).cumcount() + 1
    absolute = (backtest["y"] - backtest["0.5"]).abs().groupby(step).mean()
    np.testing.assert_allclose(line(left, "naive"), [[1, 2, 3], absolute])
    losses = []
    for level in (0.1, 0.5, 0.9):  # what both have
        error = backtest["y"] - backtest[f"{level:g}"]
        losses.append(2 * np.where(error > 0, level * error, (level - 1) * error))
    expected = pd.Series(np.mean(losses, axis=0)).groupby(step).mean()
    np.testing.assert_allclose(line(right, "naive")[1], expected)
    assert right.get_title(loc="left") == "quantile loss, mean over 3 levels"
    assert left.get_ylim()[0] == 0
    assert_readable(figure)


def test_windows_of_other_lengths_count_where_they_are(make_frame: Make, line: Line) -> None:
    one = naive(horizon=3).cross_validation(make_frame(["a"]))
    two = naive(horizon=2).cross_validation(make_frame(["b"]))
    left = plot_error_by_horizon({"both": pd.concat([one, two])}).axes[0]
    errors = [(frame["y"] - frame["0.5"]).abs().to_numpy() for frame in (one, two)]
    expected = [*(errors[0][:2] + errors[1]) / 2, errors[0][2]]
    np.testing.assert_allclose(line(left, "both")[1], expected)


def test_without_common_quantiles_there_is_one_panel(backtest: pd.DataFrame) -> None:
    bare = backtest[["unique_id", "ds", "cutoff", "y", "mean", "0.5"]]
    assert len(plot_error_by_horizon({"a": backtest, "b": bare}).axes) == 1
    assert len(plot_error_by_horizon(backtest).axes) == 2


@pytest.mark.parametrize("plot", [plot_calibration, plot_error_by_horizon])
def test_what_cannot_be_judged_is_refused(
    backtest: pd.DataFrame, plot: Callable[[Any], Figure]
) -> None:
    with pytest.raises(ValueError, match="mine does not hold what came, as it has no column"):
        plot({"mine": backtest.drop(columns=["cutoff", "y"])})
    with pytest.raises(ValueError, match="backtests is empty"):
        plot({})
    with pytest.raises(TypeError, match="is of type int"):
        plot(3)


def test_quantiles_without_an_interval_are_refused(backtest: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"0.1, 0.25, 0.5 of mine make no central interval"):
        plot_calibration({"mine": backtest.drop(columns=["0.75", "0.9"])})


def test_models_with_dollars_in_their_names_are_no_maths(
    backtest: pd.DataFrame, words: Callable[[Figure], list[str]]
) -> None:
    models = {"$_$": backtest, "US$ per A$": backtest}
    for figure in (plot_calibration(models), plot_error_by_horizon(models)):
        assert {*models} < {*words(figure)}
