"""Entries without a value, asked of a predictor that was never trained: GluonTS is the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from gluonts.dataset.common import ListDataset
from gluonts.dataset.split import split
from gluonts.ev.metrics import MASE
from gluonts.model.evaluation import evaluate_model
from gluonts.model.seasonal_naive import SeasonalNaivePredictor

from tsformer.forecasters import LLMForecaster, TSFormerForecaster
from tsformer.interop.gluonts import ForecasterEstimator, ForecasterPredictor

HORIZON = 4
UNTRAINED = [
    TSFormerForecaster(horizon=HORIZON, season_length=4),
    LLMForecaster(horizon=HORIZON, season_length=4, model="ngram", n_samples=5),
]
EMPTY = np.full(30, np.nan)


def make_entry(target: Any, name: str = "x", freq: str = "h", **others: Any) -> dict[str, Any]:
    return {"start": pd.Period("2024-01-02", freq), "target": target, "item_id": name, **others}


def make_walk(seed: int = 0, length: int = 40, level: float = 10.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=length).cumsum() + level


def answers(forecaster: Any, entries: list[Any], **settings: Any) -> list[np.ndarray]:
    """Return the mean and quantiles for each entry, `[1 + Q, H]` or `[1 + Q, H, C]`."""
    predictor = ForecasterPredictor(forecaster=forecaster, **settings)
    return [forecast.forecast_array for forecast in predictor.predict(entries)]


@pytest.mark.parametrize("forecaster", UNTRAINED)
@pytest.mark.parametrize("batch_size", [1, 2, 10])
def test_entry_without_a_value_gets_what_gluonts_says_of_it(
    forecaster: Any, batch_size: int
) -> None:
    entries = [make_entry(EMPTY, "first"), make_entry(make_walk()), make_entry(EMPTY, "last")]
    naive = SeasonalNaivePredictor(prediction_length=HORIZON, season_length=4)
    theirs = next(iter(naive.predict(entries[:1]))).samples
    first, other, last = answers(forecaster, entries, batch_size=batch_size)
    for found in (first, last):
        np.testing.assert_array_equal(found, np.broadcast_to(theirs, found.shape))
    np.testing.assert_allclose(other, answers(forecaster, entries[1:2])[0], rtol=1e-5)


@pytest.mark.parametrize("forecaster", UNTRAINED)
@pytest.mark.parametrize("target", [EMPTY, np.empty(0), [None] * 9, np.full((2, 9), np.nan)])
def test_entry_without_a_value_may_be_alone(forecaster: Any, target: Any) -> None:
    shape = (HORIZON, *np.shape(target)[:-1])
    assert not answers(forecaster, [make_entry(target)])[0][0].any()
    paths = next(ForecasterPredictor(forecaster=forecaster).predict([make_entry(target)], 3))
    np.testing.assert_array_equal(paths.samples, np.zeros((3, *shape)))


@pytest.mark.parametrize("samples", [None, 5])
def test_what_an_empty_entry_is_told_does_not_depend_on_the_others(samples: int | None) -> None:
    predictor = ForecasterPredictor(forecaster=UNTRAINED[0], samples=samples)
    for level in (10.0, 1e6):
        entries = [make_entry(make_walk(level=level)), make_entry(EMPTY)]
        known, unknown = predictor.predict(entries)
        assert np.abs(known.mean).min() > level / 2
        assert not unknown.quantile(0.9).any()


@pytest.mark.parametrize("forecaster", UNTRAINED)
def test_variate_without_a_value_is_zero_and_the_other_as_if_alone(forecaster: Any) -> None:
    walk = make_walk()
    entries = [make_entry(np.stack([np.full(40, np.nan), walk])), make_entry(np.stack([walk] * 2))]
    first, second = answers(forecaster, entries, batch_size=1)
    alone = answers(forecaster, [make_entry(walk)])[0]
    assert not first[..., 0].any()
    for found in (first[..., 1], second[..., 0], second[..., 1]):
        np.testing.assert_allclose(found, alone, rtol=1e-5)


def test_each_frequency_waits_for_its_own_first_value() -> None:
    entries = [
        make_entry(EMPTY),
        make_entry(make_walk(), freq="D"),
        make_entry(EMPTY, freq="D"),
        make_entry(make_walk(1)),
    ]
    found = answers(UNTRAINED[0], entries)
    assert [bool(answer.any()) for answer in found] == [False, True, False, True]
    np.testing.assert_allclose(found[3], answers(UNTRAINED[0], entries[3:])[0], rtol=1e-5)


def test_evaluation_that_refuses_nan_takes_the_answers() -> None:
    series = [make_entry(np.r_[np.full(26, np.nan), np.arange(4.0)]), make_entry(make_walk())]
    _, template = split(ListDataset(series, freq="h"), offset=-HORIZON)
    scores = evaluate_model(
        ForecasterPredictor(forecaster=UNTRAINED[0]),
        test_data=template.generate_instances(prediction_length=HORIZON),
        metrics=[MASE()],
        axis=1,
        seasonality=4,
    )
    assert np.isfinite(scores["MASE[0.5]"].iloc[1])


def test_trained_forecaster_tells_what_it_was_trained_on() -> None:
    walk = make_walk()
    predictor = ForecasterEstimator(forecaster=UNTRAINED[0]).train([make_entry(walk)])
    found = next(predictor.predict([make_entry(EMPTY), make_entry(make_walk(level=1e6))]))
    np.testing.assert_allclose(found.mean, walk.mean(), rtol=1e-5)


def test_what_cannot_be_read_is_told_as_ever() -> None:
    entries = [make_entry(EMPTY), make_entry([1.0, np.inf], "y")]
    with pytest.raises(ValueError, match=r"'target' has inf at entry 1 \('y'\)"):
        answers(UNTRAINED[0], entries)


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_rows_of_features_are_all_named_or_none_is_used(names: list[str]) -> None:
    entry = make_entry(make_walk(), feat_dynamic_real=np.ones((3, 44)))
    forecaster = TSFormerForecaster(horizon=HORIZON, season_length=4, future_covariates=names)
    with pytest.raises(ValueError, match=f"has 3 rows.*names {len(names)}; name each row"):
        answers(forecaster, [entry])
    plain = {key: entry[key] for key in ("start", "target", "item_id")}
    for found, expected in zip(
        answers(UNTRAINED[0], [entry]), answers(UNTRAINED[0], [plain]), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
