"""Ranges, and the spaces that forecasters offer: whatever is drawn from them fits together."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsformer.data.frame import Schema, read_panel
from tsformer.forecasters.conformal import ConformalForecaster
from tsformer.forecasters.pretraining import Pretrained
from tsformer.forecasters.search_spaces import (
    Choice,
    FloatRange,
    IntRange,
    Range,
    context_lengths,
    encoder_sizes,
    grid,
    search_space,
    season_lengths,
    space_of,
)
from tsformer.forecasters.trained import TrainedForecaster
from tsformer.training.settings import TrainingReport

Make = Callable[..., Any]


def panel_of(df: pd.DataFrame) -> Any:
    return read_panel(df, Schema())[0]


# ranges


def test_a_range_of_whole_numbers_holds_its_ends_and_what_its_steps_reach() -> None:
    numbers = IntRange(2, 11, step=3)
    assert [n for n in range(-20, 20) if n in numbers] == [2, 5, 8, 11] == list(numbers.values)
    assert np.int64(5) in numbers
    assert 5.0 not in numbers
    assert None not in numbers


def test_a_range_of_real_numbers_holds_its_ends_and_all_between() -> None:
    numbers = FloatRange(0.5, 2)
    assert all(value in numbers for value in (0.5, 1, np.float32(1.5), 2.0))
    assert not any(value in numbers for value in (0.49, 2.01, float("nan"), None, "1"))


def test_a_choice_holds_its_values_of_any_type() -> None:
    choice = Choice(value for value in (None, "batch", (1, 2)))
    assert choice.values == (None, "batch", (1, 2))
    assert None in choice
    assert (1, 2) in choice
    assert "layer" not in choice


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: IntRange(3, 2), ValueError, "low=3 must not be above high=2"),
        (lambda: IntRange(0, 2, log=True), ValueError, "low=0 must be above 0 where log=True"),
        (lambda: IntRange(1, 2.5), TypeError, r"high=2\.5 must be a whole number"),
        (lambda: IntRange(True, 2), TypeError, "low=True must be a whole number"),
        (lambda: IntRange(1, 4, step=2), ValueError, "step=2 must lead from low=1 to high=4"),
        (lambda: IntRange(1, 4, step=0), ValueError, "step=0 must lead from low=1 to high=4"),
        (lambda: IntRange(1, 5, step=2, log=True), ValueError, "exclude each other"),
        (lambda: FloatRange(1, 0.5), ValueError, r"low=1 must not be above high=0\.5"),
        (lambda: FloatRange(0, 1, log=True), ValueError, "low=0 must be above 0 where log=True"),
        (lambda: FloatRange(0, float("inf")), TypeError, "high=inf must be a finite number"),
        (lambda: FloatRange("0", 1), TypeError, "low='0' must be a finite number"),
        (lambda: Choice([]), ValueError, r"values=\[\] must be a list of at least one value"),
        (lambda: Choice("batch"), ValueError, "values='batch' must be a list"),
    ],
)
def test_what_is_no_range_is_refused(
    make: Callable[[], Range], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_grid_is_the_product_of_all_values_where_it_is_small() -> None:
    space: dict[str, Range] = {"a": IntRange(1, 5, step=2), "b": Choice(["x", None])}
    expected = [{"a": a, "b": b} for a, b in product([1, 3, 5], ["x", None])]
    assert grid(space, 6) == expected
    assert grid(space, 5) is None
    assert grid({**space, "c": FloatRange(0, 1)}, 1000) is None


# what forecasters offer


def test_every_forecaster_offers_a_space_of_its_own_parameters(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster, df = make_forecaster(), make_frame()
    space = search_space(forecaster, df)
    assert space
    assert set(space) <= set(forecaster.get_params())
    assert all(isinstance(values, Range) for values in space.values())


@pytest.mark.parametrize("freq", ["h", "D", "MS"])
def test_parameters_as_they_are_lie_in_the_space(make_single: Make, freq: str) -> None:
    df = pd.DataFrame({"ds": pd.date_range("2020-01-31", periods=60, freq=freq), "y": range(60)})
    forecaster = type(make_single())(horizon=4)
    own = forecaster.get_params()
    outside = {n for n, values in search_space(forecaster, df).items() if own[n] not in values}
    assert outside <= {"season_length"}  # None, which is a number there


def test_whatever_is_drawn_fits_together(
    make_forecaster: Make, make_frame: Make, untrained: None
) -> None:
    fit_corners(make_forecaster(), make_frame(length=80))


@pytest.mark.parametrize(
    ("sizes", "name", "unfit"),
    [
        ({"patch_length": 12}, "context_length", 8),
        ({"stride": 3}, "context_length", 16),
        ({"d_model": 36, "n_heads": 4}, "d_model", 18),
    ],
)
def test_what_does_not_fit_to_the_other_parameters_is_left_out(
    make_patchtst: Make,
    make_frame: Make,
    untrained: None,
    sizes: dict[str, int],
    name: str,
    unfit: int,
) -> None:
    forecaster, df = make_patchtst(context_length=None, **sizes), make_frame(length=80)
    with pytest.raises(ValueError, match="stride|patch_length|d_model"):
        clone(forecaster).set_params(**{name: unfit}).fit(df)
    assert unfit not in search_space(forecaster, df)[name]
    fit_corners(forecaster, df)


def test_sizes_that_known_weights_have_are_not_searched(
    make_patchtst: Make, make_frame: Make
) -> None:
    forecaster = make_patchtst()
    free = search_space(forecaster, make_frame())
    forecaster.pretrained_ = Pretrained(tensors={}, sizes={})
    fixed = search_space(forecaster, make_frame())
    assert set(free) - set(fixed) == {"context_length", "d_model", "n_layers"}
    assert fixed


def test_around_a_forecaster_the_space_is_that_of_the_one_inside(
    make_naive: Make, make_frame: Make
) -> None:
    inside, df = search_space(make_naive(), make_frame()), make_frame()
    space = search_space(ConformalForecaster(forecaster=make_naive()), df)
    assert space == {f"forecaster__{name}": values for name, values in inside.items()}


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainedForecaster, "_train", lambda *_: TrainingReport())


def fit_corners(forecaster: Any, df: pd.DataFrame) -> None:
    """Fit with the least of all ranges, with the most, and with each other end by itself."""
    ends = {name: _ends(values) for name, values in search_space(forecaster, df).items()}
    least, most = ({name: values[end] for name, values in ends.items()} for end in (0, -1))
    points = [least, most]
    points += [{**least, name: value} for name, values in ends.items() for value in values[1:]]
    for point in points:
        clone(forecaster).set_params(**point).fit(df)


def _ends(values: Range) -> list[Any]:
    return list(values.values) if isinstance(values, Choice) else [values.low, values.high]


@pytest.mark.parametrize(
    ("length", "parameters", "expected"),
    [
        (2000, {}, [None, 24, 48, 96, 192, 384]),
        (2000, {"horizon": 100}, [None, 100, 200, 400, 800]),
        (2000, {"season_length": 168}, [None, 168, 336, 672]),
        (2000, {"context_length": 96}, [96, 24, 48, 192, 384]),
        (2000, {"context_length": 100}, [100, 24, 48, 96, 192, 384]),
        (60, {}, [None, 24]),
        (20, {}, [None]),
    ],
)
def test_context_lengths_are_seasons_or_horizons_that_leave_windows_to_learn_from(
    make_patchtst: Make,
    make_frame: Make,
    length: int,
    parameters: dict[str, Any],
    expected: list[int | None],
) -> None:
    defaults = {"horizon": 12, "season_length": None, "context_length": None}
    forecaster = make_patchtst(**{**defaults, **parameters})
    found = context_lengths(forecaster, panel_of(make_frame(["a"], length)))
    assert list(found.values) == expected


def test_short_context_lengths_are_left_out_where_they_would_not_do(
    make_patchtst: Make, make_frame: Make
) -> None:
    forecaster = make_patchtst(context_length=None, season_length=None)
    found = context_lengths(forecaster, panel_of(make_frame(length=500)), shortest=50)
    assert list(found.values) == [None, 96, 192]


def test_widths_are_shared_by_the_heads(make_patchtst: Make) -> None:
    assert encoder_sizes(make_patchtst(d_model=24, n_heads=2))["d_model"] == Choice([24, 12, 48])
    assert encoder_sizes(make_patchtst(d_model=24, n_heads=4))["d_model"] == Choice([24, 48])


@pytest.mark.parametrize(
    ("freq", "length", "expected"),
    [
        ("min", 3000, [1, 60, 1440]),
        ("15min", 1400, [1, 4, 96, 672]),
        ("h", 400, [1, 24, 168]),
        ("h", 335, [1, 24]),
        ("D", 1000, [1, 7, 365]),
        ("W", 150, [1, 52]),
        ("MS", 30, [1, 3, 6, 12]),
        ("QS", 30, [1, 2, 4]),
        ("YS", 30, [1]),
        ("B", 600, [1, 5, 260]),
    ],
)
def test_seasons_are_those_of_the_calendar_that_a_series_has_twice(
    make_frame: Make, freq: str, length: int, expected: list[int]
) -> None:
    assert list(season_lengths(panel_of(make_frame(["a"], length, freq=freq))).values) == expected


def test_without_a_calendar_seasons_are_common_numbers() -> None:
    panel = read_panel(np.arange(30.0), Schema())[0]
    assert list(season_lengths(panel).values) == [1, 4, 5, 7, 12]


def test_a_given_space_replaces_the_forecasters_own(make_naive: Make, make_frame: Make) -> None:
    panel, given = panel_of(make_frame()), {"max_history": IntRange(10, 20)}
    assert space_of(make_naive(), panel, given) == given
    assert set(space_of(make_naive(), panel)) == {"season_length"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"patch": IntRange(1, 2)}, ValueError, "space has 'patch', which is none of .*horizon"),
        ({"horizon": [1, 2]}, TypeError, r"space\['horizon'\]=\[1, 2\] must be an IntRange"),
        ({}, ValueError, "SeasonalNaiveForecaster has nothing to search; pass space="),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused(
    make_naive: Make,
    make_frame: Make,
    given: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        space_of(make_naive(), panel_of(make_frame()), given)
