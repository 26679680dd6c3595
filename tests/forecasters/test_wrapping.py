"""A forecaster around another: one place for what all forecasters are told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from sklearn.base import clone

from tsformer.forecasters.conformal import ConformalForecaster
from tsformer.forecasters.parameters import SharedParameters

Make = Callable[..., Any]


def test_what_all_forecasters_are_told_is_that_of_the_one_inside(make_single: Make) -> None:
    told = {"horizon": 3, "quantiles": (0.2, 0.7), "season_length": 2, "freq": "h", "id_col": "a"}
    inside = make_single(**told, time_col="b", target_col="c", random_state=5)
    forecaster = ConformalForecaster(forecaster=inside)
    for field in fields(SharedParameters):
        assert getattr(forecaster, field.name) == getattr(inside, field.name)
    inside.set_params(horizon=9)
    assert forecaster.horizon == 9


@pytest.mark.parametrize("field", [field.name for field in fields(SharedParameters)])
def test_it_is_not_told_twice(make_naive: Make, field: str) -> None:
    with pytest.raises(
        TypeError, match=f"takes no `{field}`: it has that of the forecaster inside"
    ):
        ConformalForecaster(forecaster=make_naive(), **{field: 1})
    with pytest.raises(ValueError, match=f"Invalid parameter '{field}'"):
        ConformalForecaster(forecaster=make_naive()).set_params(**{field: 1})


def test_other_unknown_words_get_a_hint(make_naive: Make) -> None:
    with pytest.raises(TypeError, match="no parameter `n_splits`; did you mean `n_windows`?"):
        ConformalForecaster(forecaster=make_naive(), n_splits=3)


def test_parameters_of_both_are_read_set_and_cloned(make_patchtst: Make) -> None:
    forecaster = ConformalForecaster(forecaster=make_patchtst(), n_windows=2)
    own = {"forecaster", "method", "n_windows", "step_size", "refit", "learning_rate"}
    assert set(forecaster.get_params(deep=False)) == own
    forecaster.set_params(forecaster__learning_rate=0.1, forecaster__horizon=2, learning_rate=0.5)
    assert forecaster.forecaster.learning_rate == 0.1
    assert (forecaster.horizon, forecaster.learning_rate) == (2, 0.5)
    twin = clone(forecaster)
    assert twin.forecaster is not forecaster.forecaster
    assert repr(twin) == repr(forecaster)
    assert twin.get_params()["forecaster__learning_rate"] == 0.1


def test_the_forecaster_inside_stays_unfitted(make_forecaster: Make, make_frame: Make) -> None:
    inside = make_forecaster()
    before = dict(vars(inside))
    ConformalForecaster(forecaster=inside).fit(make_frame()).predict()
    assert vars(inside) == before


def test_what_is_no_forecaster_is_refused(make_frame: Make) -> None:
    with pytest.raises(TypeError, match="forecaster=3 must be a forecaster of tsformer"):
        ConformalForecaster(forecaster=3).fit(make_frame())


def test_parameters_inside_are_checked(make_naive: Make, make_frame: Make) -> None:
    with pytest.raises(ValueError, match="horizon=0 must be at least 1"):
        ConformalForecaster(forecaster=make_naive(horizon=0)).fit(make_frame())
