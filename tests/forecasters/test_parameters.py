"""Forecasters as scikit-learn's estimators: one declaration serves all that it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsformer.forecasters import (
    FORECASTERS,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TSFormerForecaster,
)
from tsformer.forecasters.wrapping import WrappingForecaster

Make = Callable[..., Any]


def test_get_params_lists_every_field_and_set_params_changes_it(make_single: Make) -> None:
    forecaster = make_single()
    parameters = forecaster.get_params()
    assert set(parameters) == {field.name for field in fields(forecaster)}
    changed = forecaster.set_params(horizon=9, freq="D")
    assert changed is forecaster
    assert (forecaster.horizon, forecaster.freq) == (9, "D")
    with pytest.raises(ValueError, match="Invalid parameter 'h'"):
        forecaster.set_params(h=3)


def test_a_clone_has_the_same_parameters_and_nothing_learned(
    make_single: Make, make_frame: Make
) -> None:
    df = make_frame().rename(columns={"unique_id": "shop", "ds": "day", "y": "sold"})
    columns = {"id_col": "shop", "time_col": "day", "target_col": "sold"}
    forecaster = make_single(**columns, quantiles=(0.3, 0.6)).fit(df)
    twin = clone(forecaster)
    assert twin.get_params() == forecaster.get_params()
    assert [name for name in vars(twin) if name.endswith("_")] == []
    pd.testing.assert_frame_equal(twin.fit(df).predict(), forecaster.predict(), check_exact=True)


def test_the_constructor_only_stores_what_it_is_given(make_forecaster: Make) -> None:
    """Wrong values wait for `fit`, as scikit-learn's searches need it."""
    levels = np.array([0.3])
    forecaster = make_forecaster(horizon="wrong", quantiles=levels)
    assert forecaster.horizon == "wrong"
    assert forecaster.quantiles is levels


@pytest.mark.parametrize(
    "kind", [k for k in FORECASTERS.values() if not issubclass(k, WrappingForecaster)]
)
def test_parameters_are_keywords_and_the_horizon_is_needed(kind: type) -> None:
    with pytest.raises(TypeError, match="positional"):
        kind(24)
    if kind is TSFormerForecaster:  # serves any horizon
        assert kind().horizon == 1
    else:
        with pytest.raises(TypeError, match="horizon"):
            kind()
    assert kind(horizon=24).get_params()["horizon"] == 24


def test_repr_is_short_and_shows_what_was_changed() -> None:
    assert repr(SeasonalNaiveForecaster(horizon=3)) == "SeasonalNaiveForecaster(horizon=3)"
    text = repr(PatchTSTForecaster(horizon=24, d_model=8, quantiles=(0.1, 0.9), random_state=0))
    assert text == "PatchTSTForecaster(d_model=8, horizon=24, quantiles=(0.1, 0.9))"


def test_a_notebook_can_show_it(make_forecaster: Make, make_frame: Make) -> None:
    fitted = make_forecaster().fit(make_frame())
    assert type(fitted).__name__ in fitted._repr_html_()


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"horizon": 0}, ValueError, "horizon=0 must be at least 1"),
        ({"horizon": -1}, ValueError, "horizon=-1 must be at least 1"),
        ({"horizon": 1.5}, TypeError, "horizon=1.5 must be a whole number"),
        ({"horizon": "3"}, TypeError, "horizon='3' must be a whole number"),
        ({"horizon": True}, TypeError, "horizon=True must be a whole number"),
        ({"horizon": None}, TypeError, "horizon=None must be a whole number"),
        ({"quantiles": [1.5]}, ValueError, "quantiles holds 1.5"),
        ({"quantiles": [0.1, 0]}, ValueError, "quantiles holds 0"),
        ({"quantiles": [np.nan]}, ValueError, "quantiles holds nan"),
        ({"quantiles": ["median"]}, TypeError, "quantiles=.*must be a list of numbers"),
        ({"season_length": 0}, ValueError, "season_length=0"),
        ({"season_length": 2.5}, TypeError, "season_length=2.5"),
        ({"random_state": None}, TypeError, "random_state=None must be a whole number"),
        ({"random_state": -1}, ValueError, "random_state=-1 must be at least 0"),
        ({"freq": "fortnight"}, ValueError, "freq='fortnight' is not a pandas frequency"),
        ({"freq": "7min"}, ValueError, "not a whole number of steps of freq='7min'"),
        ({"id_col": "shop"}, ValueError, r"id_col='shop' is not a column; there are \["),
        ({"time_col": "day"}, ValueError, "time_col='day' is not a column"),
        ({"target_col": "sold"}, ValueError, "target_col='sold' is not a column"),
    ],
)
def test_wrong_parameters_are_named_by_fit(
    make_forecaster: Make,
    make_frame: Make,
    wrong: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        make_forecaster(**wrong).fit(make_frame())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"context_length": 0}, ValueError, "context_length=0 must be at least 1"),
        ({"context_length": 9.5}, TypeError, "context_length=9.5 must be a whole number"),
        ({"patch_length": 17}, ValueError, "patch_length=17 is longer than context_length=16"),
        ({"patch_length": 0}, ValueError, "patch_length=0 must be at least 1"),
        ({"patch_length": 4, "stride": 5}, ValueError, "stride=5 must lie between 1 and"),
        ({"stride": 0}, ValueError, "stride=0 must be at least 1"),
        ({"d_model": 0}, ValueError, "d_model=0 must be at least 1"),
        ({"d_model": 9}, ValueError, "d_model=9 must be a multiple of n_heads=2"),
        ({"n_heads": 0}, ValueError, "n_heads=0 must be at least 1"),
        ({"n_layers": 0}, ValueError, "n_layers=0 must be at least 1"),
        ({"d_ff": None}, TypeError, "d_ff=None must be a whole number"),
        ({"dropout": 1}, ValueError, "dropout=1.0 must be at least 0 and below 1"),
        ({"head": "oracle"}, ValueError, "head='oracle' is unknown; choose one of 'quantile', "),
        (
            {"norm": "group"},
            ValueError,
            "norm='group' is unknown; choose 'batch', 'layer' or 'rms'",
        ),
        ({"learning_rate": 0}, ValueError, "learning_rate=0 must be above 0"),
        ({"learning_rate": "fast"}, TypeError, "learning_rate='fast' must be a number"),
        ({"gradient_clip": -1}, ValueError, "gradient_clip=-1 must be above 0"),
        ({"max_steps": 0}, ValueError, "max_steps=0 must be at least 1"),
        ({"max_steps": 10.5}, TypeError, "max_steps=10.5 must be a whole number"),
        ({"max_epochs": 0}, ValueError, "max_epochs=0 must be at least 1, or None"),
        ({"batch_size": 2.5}, TypeError, "batch_size=2.5 must be a whole number"),
        ({"patience": 0}, ValueError, "patience=0 must be at least 1, or None"),
        ({"precision": "64-true"}, ValueError, "precision='64-true' is unknown; choose one of"),
    ],
)
def test_wrong_sizes_and_settings_are_named_by_fit(
    make_patchtst: Make,
    make_frame: Make,
    wrong: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        make_patchtst(**wrong).fit(make_frame())


def test_numbers_of_numpy_are_numbers(make_patchtst: Make, make_frame: Make) -> None:
    sizes = {"horizon": 4, "context_length": 16, "d_model": 8, "max_steps": 2, "random_state": 1}
    plain = make_patchtst(**sizes).fit(make_frame())
    numpy = {name: np.int64(value) for name, value in sizes.items()}
    answer = make_patchtst(**numpy, learning_rate=np.float64(2e-3)).fit(make_frame()).predict()
    pd.testing.assert_frame_equal(
        answer, plain.set_params(learning_rate=2e-3).fit(make_frame()).predict()
    )


def test_a_single_quantile_needs_no_list(make_forecaster: Make, make_frame: Make) -> None:
    forecaster = make_forecaster(quantiles=0.8).fit(make_frame())
    assert forecaster.predict().columns[2:].tolist() == ["mean", "0.5", "0.8"]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"horizon": 0}, ValueError, "horizon=0"),
        ({"horizon": 2.0}, TypeError, "horizon=2.0"),
        ({"quantiles": [0.5, 1.5]}, ValueError, "quantiles holds 1.5"),
        ({"quantiles": "many"}, TypeError, "quantiles='many'"),
        ({"level": [100]}, ValueError, "level=100 must lie between 0 and 100"),
        ({"level": [0]}, ValueError, "level=0 must lie between 0 and 100"),
        ({"level": [None]}, ValueError, "level=nan must lie between 0 and 100"),
        ({"future_df": 1}, ValueError, "was given no future_covariates=; .* leave future_df out"),
        ({"static_df": 1}, ValueError, "was given no static_covariates=; .* leave static_df out"),
    ],
)
def test_wrong_wishes_are_named_by_predict(
    make_naive: Make,
    make_frame: Make,
    wrong: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        make_naive().fit(make_frame()).predict(**wrong)


def test_wrong_wishes_are_named_by_predict_samples_and_fit(
    make_naive: Make, make_frame: Make
) -> None:
    df = make_frame()
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=f"n_samples={wrong}"):
            make_naive().fit(df).predict_samples(n_samples=wrong)
    with pytest.raises(TypeError, match=r"n_samples=1\.5"):
        make_naive().fit(df).predict_samples(n_samples=1.5)
    with pytest.raises(ValueError, match="leave static_df out"):
        make_naive().fit(df, static_df=df)
    with pytest.raises(ValueError, match="max_history=0"):
        make_naive(max_history=0).fit(df)
