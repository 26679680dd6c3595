"""Permutation importance, on forecasters that use a covariate exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Covariates, Panel
from tsformer.evaluation.metrics import Scores
from tsformer.forecasters.base import Forecaster
from tsformer.forecasters.checks import FitReport
from tsformer.forecasters.importance import _error, covariate_importance, permute
from tsformer.forecasters.score import split_last
from tsformer.types import Forecast

Make = Callable[..., Any]
HORIZON = 3


@dataclass(kw_only=True, eq=False, repr=False)
class Oracle(Forecaster):
    """Forecasts one covariate: its coming values, its last value, or its value."""

    horizon: int = HORIZON
    kind: str = "future_covariates"
    row: int = 0

    def _learn(self, panel: Panel, val_size: Any) -> FitReport:
        return FitReport(n_series=len(panel), n_values=panel.values.size)

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        if self.kind == "future_covariates":
            assert panel.coming is not None
            told = panel.coming[self.row]
        elif self.kind == "past_covariates":
            assert panel.past_covariates is not None
            told = panel.past_covariates.values[self.row, panel.offsets[1:] - 1]
        else:
            assert panel.static_covariates is not None
            told = panel.static_covariates.values[self.row]
        mean = np.broadcast_to(
            np.asarray(told, float).reshape(len(panel), -1), (len(panel), horizon)
        )
        return Forecast(mean=mean, quantiles=np.stack([mean] * len(levels), -1), levels=levels)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        raise NotImplementedError

    @property
    def _memory(self) -> int:
        return 4


def make_panel(values: np.ndarray, **covariates: Any) -> Panel:
    """Return a panel of series of equal length, each covariate with a row that says nothing."""
    panel, _ = read_panel(values, Schema())
    noise = np.random.default_rng(0)
    kinds = {}
    for kind, told in covariates.items():
        told = np.asarray(told, dtype=np.float32).reshape(-1)
        rows = np.stack([told, noise.normal(size=told.shape).astype(np.float32)])
        kinds[kind] = Covariates(names=(f"{kind} used", f"{kind} unused"), values=rows)
    return replace(panel, **kinds)


def importance(panel: Panel, kind: str, **options: Any) -> pd.DataFrame:
    frame = covariate_importance(Oracle(kind=kind).fit_panel(panel), panel, **options)
    return frame.set_index("covariate")


def test_a_ramp_that_is_moved_is_wrong_by_as_much_as_it_was_moved() -> None:
    ramp = np.arange(40.0)
    panel = make_panel(ramp[None], future_covariates=ramp)
    for seed in range(5):
        once = importance(
            panel, "future_covariates", metric="mae", n_repeats=1, random_state=seed
        ).loc["future_covariates used"]
        # the last three steps are those before as many steps as it was moved, at least three
        assert once["importance"] in range(HORIZON, 40 - HORIZON + 1)
        assert np.isnan(once["deviation"])
    often = importance(panel, "future_covariates", metric="mae", n_repeats=200)
    assert often.loc["future_covariates used", "importance"] == pytest.approx(20, abs=2)
    assert often.loc["future_covariates used", "deviation"] == pytest.approx(35 / 12**0.5, abs=1)


@pytest.mark.parametrize("kind", ["future_covariates", "past_covariates", "static_covariates"])
def test_a_covariate_that_is_not_used_does_not_matter(kind: str) -> None:
    levels = np.array([0.0, 10.0, 30.0, 40.0])
    values = np.repeat(levels[:, None], 12, axis=1)
    panel = make_panel(values, **{kind: levels if kind == "static_covariates" else values})
    frame = importance(panel, kind)
    assert list(frame.index) == [f"{kind} used", f"{kind} unused"]
    assert (frame.loc[f"{kind} unused"] == 0).all()
    assert (frame.loc[f"{kind} used"] > 0).all()


@pytest.mark.parametrize("kind", ["future_covariates", "past_covariates", "static_covariates"])
def test_what_tells_two_series_apart_is_worth_their_difference_half_of_the_time(kind: str) -> None:
    levels = np.array([1.0, 11.0])
    values = np.repeat(levels[:, None], 12, axis=1)
    panel = make_panel(values, **{kind: levels if kind == "static_covariates" else values})
    frame = importance(panel, kind, metric="mae", n_repeats=120)
    assert frame.loc[f"{kind} used", "importance"] == pytest.approx(5, abs=1)
    assert frame.loc[f"{kind} used", "deviation"] == pytest.approx(5, abs=0.2)


def test_a_static_covariate_of_a_single_series_cannot_be_judged() -> None:
    panel = make_panel(np.arange(12.0)[None], static_covariates=[3.0])
    assert importance(panel, "static_covariates").isna().all(axis=None)


def test_more_windows_go_further_back() -> None:
    flat = np.zeros(24)
    told = np.where(np.arange(24) < 21, np.arange(24) % 5, 0.0)  # wrong before the last window
    panel = make_panel(flat[None], future_covariates=told)
    oracle = Oracle().fit_panel(panel)
    errors = [_error(oracle, panel, n_windows, "mae") for n_windows in (1, 2)]
    assert errors == [0.0, pytest.approx(told[18:21].mean() / 2)]


def test_the_same_seed_gives_the_same_importance() -> None:
    panel = make_panel(np.random.default_rng(1).normal(size=(3, 20)), future_covariates=range(60))
    one, other, third = (
        importance(panel, "future_covariates", random_state=seed) for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(one, other)
    assert not one.equals(third)


@pytest.mark.parametrize("missing", [False, True])
def test_errors_are_those_of_the_benchmark(make_naive: Make, missing: bool) -> None:
    values = np.random.default_rng(1).normal(size=(3, 40)) + 2
    if missing:
        values[1, -2] = np.nan
    panel, _ = read_panel(values, Schema())
    naive = make_naive().fit_panel(panel.head(panel.lengths - 4))
    history, truth = split_last(panel, 4)
    scores = Scores(season_length=4)
    forecast = naive.predict_panel(history, quantiles=scores.levels)
    scores.update(history, truth.astype(np.float64), forecast)
    assert _error(naive, panel, 1, "crps") == pytest.approx(scores.result()["CRPS"])
    expected = np.nanmean(np.abs(truth - forecast.quantile(0.5)))
    assert _error(naive, panel, 1, "mae") == pytest.approx(expected)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    least=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_each_series_gets_a_covariate_moved_around_in_a_circle(
    lengths: list[int], least: int, seed: int
) -> None:
    total, n_series = sum(lengths), len(lengths)
    values = np.stack([np.arange(total), -np.arange(total)]).astype(np.float32)
    panel = Panel(
        values=np.zeros((1, total), dtype=np.float32),
        offsets=np.r_[0, np.cumsum(lengths)],
        ids=np.arange(n_series),
        starts=np.zeros(n_series, dtype=np.int64),
        freq=read_panel(np.zeros(3), Schema())[0].freq,
        past_covariates=Covariates(names=("a", "b"), values=values),
    )
    generator = np.random.default_rng(seed)
    moved = permute(panel, "past_covariates", 0, least, generator).past_covariates
    assert moved is not None
    assert (moved.values[1] == values[1]).all()
    assert (values[0] == np.arange(total)).all()
    donors = []
    for number in range(n_series):
        got = moved.values[0, panel.offsets[number] : panel.offsets[number + 1]].astype(int)
        donor = int(np.searchsorted(panel.offsets, got[0], side="right")) - 1
        begin, length = panel.offsets[donor], lengths[donor]
        steps = got - begin
        assert (steps == (steps[0] + np.arange(len(got))) % length).all()
        if length > 1:
            assert min(least, length // 2) <= steps[0] <= length - min(least, length // 2)
        donors.append(donor)
    assert sorted(donors) == list(range(n_series))


def test_every_move_of_at_least_so_many_steps_either_way_occurs() -> None:
    panel = make_panel(np.zeros((1, 8)), future_covariates=np.arange(8))
    generator = np.random.default_rng(0)
    moves = set()
    for _ in range(100):
        moved = permute(panel, "future_covariates", 0, 2, generator).future_covariates
        assert moved is not None
        moves.add(int(moved.values[0, 0]))
    assert moves == {2, 3, 4, 5, 6}


def test_missing_values_move_along() -> None:
    told = np.where(np.arange(30) % 7 == 0, np.nan, np.arange(30))
    panel = make_panel(np.zeros((1, 30)), future_covariates=told)
    moved = permute(panel, "future_covariates", 0, 3, np.random.default_rng(0)).future_covariates
    assert moved is not None
    np.testing.assert_array_equal(np.sort(moved.values[0]), np.sort(told))
    assert not np.array_equal(np.isnan(moved.values[0]), np.isnan(told))


def test_a_network_is_judged_through_frames(make_patchtst: Make, make_frame: Make) -> None:
    df = make_frame(length=120)
    promotion = np.random.default_rng(3).integers(0, 2, len(df))
    df["promotion"], df["noise"] = promotion, np.random.default_rng(4).normal(size=len(df))
    df["y"] = np.sin(np.arange(len(df))) + 4 * promotion
    forecaster = make_patchtst(
        future_covariates=["noise", "promotion"], max_steps=40, learning_rate=0.03, batch_size=16
    )
    forecaster.fit(df[df["ds"] < df["ds"].max() - pd.Timedelta(hours=8)], val_size=0)
    frame = covariate_importance(forecaster, df, n_windows=2, metric="mae")
    assert frame["covariate"].tolist() == ["promotion", "noise"]
    promotion_row, noise_row = frame.to_dict("records")
    assert promotion_row["importance"] > 0.5
    assert abs(noise_row["importance"]) < 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "mse"}, "metric='mse' must be 'crps' or 'mae'"),
        ({"n_repeats": 0}, "n_repeats=0 must be at least 1"),
        ({"n_windows": 0}, "n_windows=0 must be at least 1"),
        ({}, "there are no covariates; name columns by static_covariates=, past_covariates= or"),
    ],
)
def test_what_cannot_be_judged_is_said(
    make_naive: Make, make_frame: Make, options: Any, message: str
) -> None:
    df = make_frame()
    with pytest.raises(ValueError, match=message):
        covariate_importance(make_naive().fit(df), df, **options)


def test_before_fit_there_is_nothing_to_judge(make_naive: Make, make_frame: Make) -> None:
    with pytest.raises(NotFittedError):
        covariate_importance(make_naive(), make_frame())
