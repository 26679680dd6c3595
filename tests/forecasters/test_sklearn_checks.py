"""scikit-learn's own checks of estimators: all that make sense for a forecaster pass.

The others are listed with a reason; the list is strict, so that a check that passes must leave it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from tsformer.forecasters import (
    BoxCoxTransform,
    ConformalForecaster,
    Differencing,
    DLinearForecaster,
    EnsembleForecaster,
    LogTransform,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
    TransformedForecaster,
    TSFormerForecaster,
)

SHARED: dict[str, Any] = {"horizon": 2, "season_length": 2}
SMALL: dict[str, Any] = {"context_length": 8, "max_steps": 1}
SIZES: dict[str, Any] = {"d_model": 4, "n_heads": 1, "n_layers": 1, "d_ff": 4}

NAIVE = SeasonalNaiveForecaster(**SHARED)
FORECASTERS = [
    NAIVE,
    TSFormerForecaster(**SHARED),
    PatchTSTForecaster(**SHARED, **SMALL, **SIZES),
    TrainedTSFormerForecaster(**SHARED, **SMALL, **SIZES),
    DLinearForecaster(**SHARED, **SMALL),
    ConformalForecaster(forecaster=SeasonalNaiveForecaster(horizon=1)),
    TransformedForecaster(forecaster=NAIVE, transformer=LogTransform()),
    EnsembleForecaster(forecaster=NAIVE, others=[DLinearForecaster(**SHARED, **SMALL)]),
]
TRANSFORMS = [LogTransform(), BoxCoxTransform(), Differencing(lag=2)]

# To a forecaster, an array [samples, features] of these checks is one of [series, time].
NO_FEATURES = (
    "a row is a series and its columns are steps, of which there may be another number at every "
    "predict: there are no features to count"
)
BY_ID = (
    "series of an array are known by their number, as the answer's ids show: row 3 alone is series "
    "0, and goes on from what fit saw of that one"
)
ONE_SERIES = "an array of one dimension is a single series, not an error"
OF_FORECASTERS = {
    "check_dtype_object": "a value that is no number is a ValueError, which names series and step",
    "check_estimators_empty_data_messages": (
        "an array without values is a ValueError that speaks of series and time: features there "
        "are none"
    ),
    "check_fit1d": ONE_SERIES,
    "check_fit2d_predict1d": ONE_SERIES,
    "check_methods_sample_order_invariance": BY_ID,
    "check_methods_subset_invariance": BY_ID,
    "check_n_features_in": NO_FEATURES,
    "check_n_features_in_after_fitting": NO_FEATURES,
}
OF_CONFORMAL = {
    "check_fit2d_1feature": (
        "series of one step leave none to calibrate on, which is a ValueError in these words"
    ),
}
OVER_TIME = "rows are steps in order of time: a change is none without the step before it"
OF_DIFFERENCING = {
    "check_methods_sample_order_invariance": OVER_TIME,
    "check_methods_subset_invariance": OVER_TIME,
}


def reasons(estimator: Any) -> dict[str, str]:
    """Return the checks that an estimator fails, each with the reason."""
    if isinstance(estimator, Differencing):
        return OF_DIFFERENCING
    if estimator in TRANSFORMS:
        return {}
    of_one = OF_CONFORMAL if isinstance(estimator, ConformalForecaster) else {}
    return OF_FORECASTERS | of_one


@parametrize_with_checks(FORECASTERS, expected_failed_checks=reasons)
def test_forecasters_pass_the_checks_of_estimators(estimator: Any, check: Any) -> None:
    check(estimator)


@parametrize_with_checks(TRANSFORMS, expected_failed_checks=reasons)
def test_transforms_pass_the_checks_of_transformers(estimator: Any, check: Any) -> None:
    check(estimator)


def test_a_check_that_passes_must_leave_the_list(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getini("xfail_strict") is True


@pytest.fixture(params=FORECASTERS, ids=lambda forecaster: type(forecaster).__name__)
def forecaster(request: pytest.FixtureRequest) -> Any:
    return clone(request.param)


def weekly(length: int = 48) -> pd.DataFrame:
    """Return one daily series that repeats itself every five days, and grows."""
    noise = np.random.default_rng(0).normal(scale=0.02, size=length)
    wave = np.resize([1.0, 1.5, 1, 1, 2], length) * np.exp(0.01 * np.arange(length) + noise)
    return pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=length), "y": wave})


def three_series() -> pd.DataFrame:
    one = weekly()
    parts = [one.assign(unique_id=name, y=size * one["y"]) for size, name in enumerate("cab", 1)]
    return pd.concat(parts, ignore_index=True)


# what the checks that do not apply ask, in a forecaster's words


def test_the_order_of_series_changes_nothing_but_the_order(forecaster: Any) -> None:
    df = three_series()
    turned = pd.concat([part for _, part in df.groupby("unique_id")])
    answer, other = (clone(forecaster).fit(df).predict(given) for given in (df, turned))
    assert answer["unique_id"].unique().tolist() == ["c", "a", "b"]
    keys = ["unique_id", "ds"]
    pd.testing.assert_frame_equal(
        answer.sort_values(keys, ignore_index=True), other.sort_values(keys, ignore_index=True)
    )


def test_a_series_alone_is_forecast_as_among_others(forecaster: Any) -> None:
    df = three_series()
    forecaster.fit(df)
    together, alone = (forecaster.predict(given) for given in (df, df[df["unique_id"] == "a"]))
    together = together[together["unique_id"] == "a"].reset_index(drop=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-5)


def test_sparse_data_are_refused_by_every_method(forecaster: Any) -> None:
    zeros = sparse.csr_array(np.eye(9))
    forecaster.fit(np.arange(1.0, 40))
    for method in (forecaster.fit, forecaster.predict, forecaster.score, forecaster.update):
        with pytest.raises(TypeError, match=r"sparse, and zeros are values .* pass data\.toarray"):
            method(zeros)


# tags


def test_tags_say_what_a_forecaster_takes_and_needs(forecaster: Any) -> None:
    tags = get_tags(forecaster)
    assert tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
    assert not tags.target_tags.required
    assert tags.estimator_type is None
    assert tags.requires_fit == (not isinstance(forecaster, TSFormerForecaster))


def test_tsformer_needs_a_fit_where_it_is_to_be_trained() -> None:
    assert get_tags(TSFormerForecaster(horizon=2, finetune_steps=5)).requires_fit
    assert get_tags(
        TransformedForecaster(forecaster=TSFormerForecaster(), transformer=LogTransform())
    ).requires_fit


# searches, clones and pipelines


def test_a_search_finds_the_transform_and_the_season_inside() -> None:
    search = GridSearchCV(
        TransformedForecaster(
            forecaster=SeasonalNaiveForecaster(horizon=5, season_length=5),
            transformer=Differencing(),
        ),
        {"transformer": [LogTransform(), Differencing(lag=5)], "forecaster__season_length": [1, 5]},
        cv=TimeSeriesSplit(n_splits=3, test_size=5),
        error_score="raise",
    ).fit(weekly())
    best = search.best_params_
    assert best["transformer"].get_params() == {"lag": 5, "order": 1}
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    assert set(search.cv_results_["rank_test_score"]) == {1, 2, 3, 4}
    answer = search.best_estimator_.predict()
    pd.testing.assert_frame_equal(answer, search.predict(weekly()))


def test_parameters_of_the_transform_are_searched_like_others() -> None:
    chain = make_pipeline(LogTransform(), Differencing())
    forecaster = TransformedForecaster(
        forecaster=SeasonalNaiveForecaster(horizon=5, season_length=1), transformer=chain
    )
    search = GridSearchCV(
        forecaster,
        {"transformer__differencing__lag": [1, 3, 5]},
        cv=TimeSeriesSplit(n_splits=3, test_size=5),
        error_score="raise",
    ).fit(weekly())
    assert search.best_params_ == {"transformer__differencing__lag": 5}
    assert chain.named_steps["differencing"].lag == 1


def test_a_clone_has_transforms_of_its_own_that_nothing_has_fitted() -> None:
    chain = make_pipeline(StandardScaler(), Differencing(lag=2))
    forecaster = TransformedForecaster(forecaster=NAIVE, transformer=chain, n_samples=7)
    twin = clone(forecaster.fit(weekly()))
    assert twin.transformer is not chain
    assert repr(twin) == repr(forecaster)
    assert [name for name in vars(twin) if name.endswith("_")] == []
    for step in (*chain.named_steps.values(), *twin.transformer.named_steps.values()):
        assert [name for name in vars(step) if name.endswith("_")] == []
    pd.testing.assert_frame_equal(twin.fit(weekly()).predict(), forecaster.predict())


def test_a_forecaster_is_the_last_step_of_a_pipeline(forecaster: Any) -> None:
    df = weekly()
    doubled = FunctionTransformer(lambda frame: frame.assign(y=2 * frame["y"]))
    pipeline = Pipeline([("double", doubled), ("forecaster", forecaster)]).fit(df)
    expected = clone(forecaster).fit(df.assign(y=2 * df["y"])).predict(df.assign(y=2 * df["y"]))
    pd.testing.assert_frame_equal(pipeline.predict(df), expected)
