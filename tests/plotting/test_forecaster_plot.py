"""`plot` as a method of forecasters."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from tsformer.forecasters import (
    ConformalForecaster,
    SeasonalNaiveForecaster,
    TSFormerForecaster,
)
from tsformer.plotting import plot_forecast

Make = Callable[..., Any]
Line = Callable[[Axes, str], np.ndarray]


def naive(**parameters: Any) -> SeasonalNaiveForecaster:
    return SeasonalNaiveForecaster(**{"horizon": 3, "season_length": 4, **parameters})


@pytest.mark.parametrize(
    "forecaster",
    [
        naive(),
        ConformalForecaster(forecaster=naive()),
        TSFormerForecaster(horizon=3),
    ],
    ids=lambda forecaster: type(forecaster).__name__,
)
def test_a_fitted_forecaster_shows_what_it_knows_and_its_forecast(
    make_frame: Make, line: Line, forecaster: Any
) -> None:
    df = make_frame()
    figure = forecaster.fit(df).plot(n_history=3)
    expected = forecaster.predict(level=[50, 80, 95])
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["b", "a"]
    for axis, name in zip(figure.axes, ["b", "a"], strict=True):
        own = df[df["unique_id"] == name]["y"]
        np.testing.assert_allclose(line(axis, "known")[1], own.tail(3), rtol=1e-6)
        rows = expected[expected["unique_id"] == name]
        np.testing.assert_allclose(line(axis, "median")[1], rows["0.5"])
        assert len(axis.collections) == 3


def test_given_series_and_forecasts_are_shown_instead(make_frame: Make, line: Line) -> None:
    df, other = make_frame(), make_frame(["z"], length=20)
    forecaster = naive().fit(df)
    (axis,) = forecaster.plot(other).axes
    np.testing.assert_allclose(line(axis, "known")[1], other["y"].tail(14), rtol=1e-6)
    forecast = forecaster.predict(df, level=[80])
    figure = forecaster.plot(df, forecast, ids=["a"], n_history=5, show_mean=True)
    same = plot_forecast(df, forecast, ids=["a"], n_history=5, show_mean=True)
    for label in ("known", "median", "mean"):
        one, another = (line(drawn.axes[0], label) for drawn in (figure, same))
        np.testing.assert_array_equal(one, another)


def test_truth_is_shown_beside_the_forecast(make_frame: Make, line: Line) -> None:
    df = make_frame(["a"])
    (axis,) = naive().fit(df[:-3]).plot(truth=df[-3:]).axes
    np.testing.assert_allclose(line(axis, "truth")[1], df["y"].tail(3), rtol=1e-6)


def test_names_of_columns_are_those_of_the_forecaster(make_frame: Make, line: Line) -> None:
    df = make_frame().set_axis(["shop", "day", "sold"], axis=1)
    names = {"id_col": "shop", "time_col": "day", "target_col": ["sold"]}
    figure = naive(**names).fit(df).plot(df)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["b · sold", "a · sold"]


def test_zero_shot_needs_no_fit(make_frame: Make) -> None:
    figure = TSFormerForecaster(horizon=2).plot(make_frame(["a"]))
    assert isinstance(figure, Figure)
    with pytest.raises(NotFittedError):
        naive().plot(make_frame(["a"]))


def test_wrong_words_are_refused(make_frame: Make) -> None:
    with pytest.raises(TypeError, match="SeasonalNaiveForecaster.plot has no parameter `id`"):
        naive().fit(make_frame()).plot(id=["a"])


def test_nothing_global_is_changed_and_pyplot_is_not_imported() -> None:
    program = (
        "import sys, numpy as np\n"
        "from tsformer import SeasonalNaiveForecaster\n"
        "forecaster = SeasonalNaiveForecaster(horizon=2).fit(np.arange(9.0))\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import matplotlib\n"
        "before = dict(matplotlib.rcParams)\n"
        "forecaster.plot()\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert dict(matplotlib.rcParams) == before\n"
    )
    subprocess.run([sys.executable, "-W", "error::UserWarning:tsformer", "-c", program], check=True)
