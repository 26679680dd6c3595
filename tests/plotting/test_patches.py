from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure

from tsformer.forecasters import PatchTSTForecaster, SeasonalNaiveForecaster, TSFormerForecaster
from tsformer.forecasters.attention import attention_maps
from tsformer.plotting import plot_patch_importance, plot_patches

Make = Callable[..., Any]
Check = Callable[[Figure], None]


def bars_of(axis: Axes) -> list[tuple[float, float]]:
    """Return the first and the last step under each bar."""
    return [(bar.get_x() + 0.5, bar.get_x() + bar.get_width() - 0.5) for bar in axis.patches]


def test_bars_stand_under_the_steps_of_each_patch(assert_readable: Check) -> None:
    figure = plot_patches(np.arange(20.0), patch_length=4, stride=2, context_length=10)
    top, below = figure.axes
    np.testing.assert_array_equal(top.lines[0].get_xdata(), np.arange(10, 20))
    np.testing.assert_array_equal(top.lines[0].get_ydata(), np.arange(10, 20))
    assert bars_of(below) == [(10, 13), (12, 15), (14, 17), (16, 19), (18, 19)]
    assert [text.get_text() for text in below.texts] == ["0", "1", "2", "3", "4"]
    rows = [bar.get_y() for bar in below.patches]
    assert rows[0] == rows[2] != rows[1]
    assert_readable(figure)


def test_bars_of_neighbours_in_a_row_differ() -> None:
    _, below = plot_patches(np.arange(12.0), patch_length=3).axes
    assert bars_of(below) == [(0, 2), (3, 5), (6, 8), (9, 11)]
    colours = [bar.get_facecolor() for bar in below.patches]
    assert all(one != other for one, other in pairwise(colours))


def test_a_context_longer_than_the_series_begins_before_it(make_frame: Make) -> None:
    df = make_frame(["a"], length=10)
    top, below = plot_patches(df, patch_length=4, context_length=16).axes
    drawn = top.lines[0]
    assert np.isnan(drawn.get_ydata()).sum() == 6
    assert bars_of(below)[0][0] == date2num(df["ds"].iloc[0]) - 6


def test_sizes_are_those_of_a_fitted_forecaster(make_frame: Make, assert_readable: Check) -> None:
    df = make_frame(length=60)
    sizes = {"context_length": 16, "patch_length": 4, "stride": 2}
    small = {"d_model": 8, "n_heads": 2, "n_layers": 1, "d_ff": 8, "max_steps": 1}
    forecaster = PatchTSTForecaster(horizon=4, **sizes, **small).fit(df)
    figure = plot_patches(df, forecaster, series="a")
    ends = [last for _, last in bars_of(figure.axes[1])]
    times = attention_maps(forecaster)[0].times  # the last time of each token, of the series a
    np.testing.assert_allclose(ends, date2num(times[0]))
    assert figure.axes[0].get_title(loc="left") == "a: 16 steps, 8 patches of 4, a new one every 2"
    assert_readable(figure)


def test_patches_of_tsformer_end_with_the_series(make_frame: Make) -> None:
    df = make_frame(["a"], length=60)
    forecaster = TSFormerForecaster(horizon=4).fit(df)
    _, below = plot_patches(df, forecaster).axes
    patch_length = forecaster.model_.config.patch_length
    bars = bars_of(below)
    assert len(bars) == -(-60 // patch_length)
    assert bars[-1][1] == date2num(df["ds"].iloc[-1])


def test_many_patches_are_readable(make_frame: Make, assert_readable: Check) -> None:
    df = make_frame(["a"], length=200)
    for sizes in ({"patch_length": 2}, {"patch_length": 16, "stride": 1}, {"patch_length": 200}):
        assert_readable(plot_patches(df, **sizes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "patch_length is missing"),
        ({"patch_length": 50}, "patch_length=50 and context_length=40 must ascend from 1"),
        ({"patch_length": 4, "stride": 5}, "stride=5, patch_length=4"),
        ({"patch_length": 4, "stride": 0}, "stride=0"),
        ({"patch_length": 4, "series": "z"}, "series='z' is not among those of df, such as 'a'"),
        ({"forecaster": SeasonalNaiveForecaster(horizon=2)}, "has no patches, or is not fitted"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    make_frame: Make, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plot_patches(make_frame(), **options)


def test_importance_is_drawn_over_the_steps_of_each_patch(tmp_path: Path) -> None:
    importance = pd.DataFrame(
        {
            "patch": [0, 1, 2],
            "first_step": [-7, -5, -3],
            "last_step": [-4, -2, 0],
            "importance": [0.1, -0.05, 0.7],
        }
    )
    figure = plot_patch_importance(importance)
    (axis,) = figure.axes
    bars = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in axis.patches]
    assert bars == [(-7.5, 4, 0.1), (-5.5, 4, -0.05), (-3.5, 4, 0.7)]
    colours = {bar.get_height() > 0: bar.get_facecolor() for bar in axis.patches}
    assert colours[True] != colours[False]
    assert axis.get_xlim() == (-7.5, 0.5)
    figure.savefig(tmp_path / "patches.png")
    assert (tmp_path / "patches.png").stat().st_size > 1000


def test_a_name_with_dollars_is_no_maths(
    make_frame: Make, words: Callable[[Figure], list[str]]
) -> None:
    figure = plot_patches(make_frame(["$_$"], length=20), patch_length=5)
    assert "$_$: 20 steps, 4 patches of 5, a new one every 5" in words(figure)
