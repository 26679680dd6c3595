"""A weighted mean of forecasters: laws that are known, weights from held out steps, state."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from tsformer import load
from tsformer.data.panel import Panel
from tsformer.forecasters import (
    ConformalForecaster,
    DLinearForecaster,
    EnsembleForecaster,
    Forecaster,
    PatchTSTForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
    TSFormerForecaster,
)
from tsformer.forecasters.checks import FitReport, inspect_panel
from tsformer.types import Forecast

TINY: dict[str, Any] = {"context_length": 8, "max_steps": 2, "d_model": 8, "n_layers": 1, "d_ff": 8}


@dataclass(kw_only=True, eq=False, repr=False)
class Off(Forecaster):
    """Forecasts a sine that it knows, but for an error, with intervals one wide on each side.

    Args:
        by: the error.
        tied: one shift moves all steps of a path.
    """

    horizon: int = 1
    by: float = 0.0
    tied: bool = True

    @property
    def _memory(self) -> int:
        return 5

    def _learn(self, panel: Panel, val_size: Any) -> FitReport:
        report = inspect_panel(panel, 1, "one step")
        report.remarks["off"] = [self.by]
        return report

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        ends = panel.freq.times(panel.starts, panel.lengths)  # whole numbers here
        mean = wave(ends[:, None] + np.arange(horizon)) + self.by
        quantiles = mean[..., None] + 2 * (np.array(levels) - 0.5)
        return Forecast(mean=mean, quantiles=quantiles, levels=levels)

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        steps = 1 if self.tied else horizon
        shift = self._generator().uniform(-1, 1, size=(n_samples, steps))
        return self._forecast(panel, horizon, (0.5,)).mean[:, None] + shift


@dataclass(kw_only=True, eq=False, repr=False)
class OffEach(Off):
    """Forecasts the sine but for an error of each variate's own."""

    by: Any = ()

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        errors = np.tile(self.by, len(panel) // len(self.by))[:, None]
        starts = panel.freq.times(panel.starts, panel.lengths)[:, None]
        mean = wave(starts + np.arange(horizon)) + errors
        return Forecast(mean=mean, quantiles=mean[..., None] + 0 * np.array(levels), levels=levels)


@dataclass(kw_only=True, eq=False, repr=False)
class Scaled(Off):
    """Forecasts the sine times a factor of each series, which are called 0, 1, …"""

    by: Any = ()

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        factors = np.array([self.by[int(name)] for name in panel.ids])[:, None]
        starts = panel.freq.times(panel.starts, panel.lengths)[:, None]
        mean = wave(starts + np.arange(horizon)) * factors
        return Forecast(mean=mean, quantiles=mean[..., None] + 0 * np.array(levels), levels=levels)


def wave(steps: Any) -> np.ndarray:
    return np.sin(0.3 * np.asarray(steps, dtype=float))


def ensemble(*others: Forecaster, by: float = 0.0, **parameters: Any) -> EnsembleForecaster:
    first = Off(horizon=4, by=by)
    return EnsembleForecaster(forecaster=first, others=[*others], **parameters)


def judged(*others: Forecaster, by: float = 0.0) -> EnsembleForecaster:
    return ensemble(*others, by=by, weights="held_out")


SERIES = wave(np.arange(60))


def test_means_and_quantiles_are_averaged_by_weights() -> None:
    forecaster = ensemble(Off(by=3), by=-1, weights=[3, 1]).fit(SERIES)
    np.testing.assert_allclose(forecaster.weights_, [0.75, 0.25])
    answer = forecaster.predict(level=[80])
    np.testing.assert_allclose(answer["mean"], wave(np.arange(60, 64)), atol=1e-6)
    np.testing.assert_allclose(answer["0.9"] - answer["mean"], 0.8, atol=1e-6)


def test_all_weigh_the_same_unless_told_otherwise() -> None:
    forecaster = ensemble(Off(by=3), Off(by=6)).fit(SERIES)
    np.testing.assert_allclose(forecaster.weights_, [1 / 3] * 3)
    np.testing.assert_allclose(forecaster.predict()["mean"], wave(np.arange(60, 64)) + 3, atol=1e-6)


def test_weights_may_be_any_numbers() -> None:
    for weights in (np.array([3, 1]), [1.5e308, 0.5e308], (Fraction(3, 2), Fraction(1, 2))):
        forecaster = ensemble(Off(by=3), weights=weights).fit(SERIES)
        np.testing.assert_allclose(forecaster.weights_, [0.75, 0.25])


def test_weights_are_those_that_forecast_held_out_steps_best() -> None:
    np.testing.assert_allclose(judged(Off(by=3), by=-1).fit(SERIES).weights_, [0.75, 0.25])
    np.testing.assert_array_equal(judged(Off(by=3)).fit(SERIES).weights_, [1, 0])


def test_only_held_out_steps_are_looked_at() -> None:
    changed = SERIES + np.where(np.arange(60) < 48, 3.0, 0.0)
    forecaster = judged(Off(by=3)).fit(changed, val_size=12)
    np.testing.assert_array_equal(forecaster.weights_, [1, 0])
    later = pd.DataFrame({"ds": np.arange(60), "y": SERIES + 3.0 * (np.arange(60) >= 48)})
    told = judged(Off(by=3)).fit(later[:48], val_df=later[48:])
    np.testing.assert_array_equal(told.weights_, [0, 1])


def test_without_held_out_steps_all_weigh_the_same() -> None:
    forecaster = judged(Off(by=3), Off(by=6)).fit(SERIES, val_size=0)
    np.testing.assert_allclose(forecaster.weights_, [1 / 3] * 3)


def test_targets_side_by_side_are_judged_each_by_its_own() -> None:
    df = pd.DataFrame({"t": np.arange(60), "a": SERIES, "b": SERIES + 8})
    first = SeasonalNaiveForecaster(
        horizon=4, season_length=21, time_col="t", target_col=["a", "b"]
    )
    for error, expected in ((0.0, [0, 1]), (9.0, [1, 0])):
        other = OffEach(by=(error, 8 + error))
        forecaster = EnsembleForecaster(forecaster=first, others=[other], weights="held_out")
        np.testing.assert_array_equal(forecaster.fit(df).weights_, expected)


def test_errors_are_counted_in_each_series_own_unit() -> None:
    df = pd.DataFrame({"unique_id": np.repeat([0, 1, 2], 60), "ds": np.tile(np.arange(60), 3)})
    df["y"] = wave(df["ds"]) * np.where(df["unique_id"] == 2, 1e6, 1.0)
    small = Scaled(horizon=4, by=(1.0, 1.0, 0.7e6))  # 30 % off on the large one
    large = Scaled(horizon=4, by=(0.4, 0.4, 1e6))  # 60 % off on the small ones
    forecaster = EnsembleForecaster(forecaster=small, others=[large], weights="held_out").fit(df)
    assert forecaster.weights_[0] > 0.5


def test_all_of_what_is_held_out_counts() -> None:
    changed = SERIES + 3.0 * ((np.arange(60) >= 20) & (np.arange(60) < 50))
    forecaster = judged(Off(by=3)).fit(changed, val_size=40)
    np.testing.assert_array_equal(forecaster.weights_, [0, 1])  # by the last cut-off alone: [1, 0]


def test_what_has_no_weight_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    forecaster = judged(SeasonalNaiveForecaster(horizon=4)).fit(SERIES)
    np.testing.assert_array_equal(forecaster.weights_, [1, 0])
    monkeypatch.delattr(SeasonalNaiveForecaster, "_forecast")
    assert len(forecaster.predict()) == 4


def test_of_many_series_some_are_judged_and_all_are_forecast() -> None:
    df = pd.DataFrame(
        {"unique_id": np.repeat(np.arange(3000), 20), "ds": np.tile(np.arange(20), 3000)}
    )
    df["y"] = wave(df["ds"])
    forecaster = judged(Off(by=1)).fit(df)
    np.testing.assert_array_equal(forecaster.weights_, [1, 0])
    assert len(forecaster.predict()) == 12_000


@pytest.mark.parametrize(("weights", "shift"), [([0.6, 0.4], 1.6), ([0.4, 0.6], 2.4)])
def test_paths_have_the_quantiles_of_all_and_the_heaviest_ones_order(
    weights: list[float], shift: float
) -> None:
    heavy = weights[0] > 0.5
    first, other = Off(horizon=4), Off(by=4)
    (other if heavy else first).tied = False
    forecaster = EnsembleForecaster(forecaster=first, others=[other], weights=weights).fit(SERIES)
    paths = forecaster.predict_samples(n_samples=400).pivot(index="sample", columns="ds")["y"]
    away = paths.to_numpy() - wave(np.arange(60, 64))
    np.testing.assert_allclose(away, away[:, :1] * np.ones(4), atol=1e-5)  # one shift a path
    assert away.mean() == pytest.approx(shift, abs=0.1)
    assert np.quantile(away, 0.9) == pytest.approx(shift + 0.8, abs=0.1)


@dataclass(kw_only=True, eq=False, repr=False)
class Far(Off):
    """Looks back farther."""

    @property
    def _memory(self) -> int:
        return 30


def test_who_sees_no_value_of_a_series_has_no_say_on_it() -> None:
    df = pd.DataFrame({"unique_id": np.repeat(["a", "b"], 60), "ds": np.tile(np.arange(60), 2)})
    df["y"] = np.r_[SERIES, np.where(np.arange(60) < 50, SERIES, np.nan)]
    forecaster = EnsembleForecaster(forecaster=Off(horizon=4, by=3), others=[Far(by=-1)]).fit(df)
    away = forecaster.predict()["mean"] - np.tile(wave(np.arange(60, 64)), 2)
    np.testing.assert_allclose(away, np.repeat([1, -1], 4), atol=1e-5)
    paths = forecaster.predict_samples(n_samples=200).query("unique_id == 'b'")
    mean = paths.groupby("ds")["y"].mean().to_numpy()
    np.testing.assert_allclose(mean - wave(np.arange(60, 64)), -1, atol=0.2)
    alone = EnsembleForecaster(
        forecaster=Off(horizon=4, by=3), others=[Far(by=-1)], weights=[1, 0]
    ).fit(df)
    with pytest.warns(UserWarning, match="have no value in their last 5 steps"):
        alone.predict()


def test_others_are_told_what_the_first_is_told_and_draw_other_numbers() -> None:
    network = DLinearForecaster(horizon=1, context_length=8, max_steps=2)
    wrapped = ConformalForecaster(forecaster=network, n_windows=1)
    first = DLinearForecaster(horizon=3, context_length=8, max_steps=2, random_state=5)
    forecaster = EnsembleForecaster(forecaster=first, others=[network, network, wrapped])
    forecaster.fit(SERIES)
    assert [one.horizon for one in forecaster.others_] == [3, 3, 3]
    assert [one.random_state for one in forecaster.others_] == [6, 7, 8]
    assert (network.horizon, network.random_state) == (1, 0)
    weights = [one.model_.state_dict() for one in forecaster.others_[:2]]
    assert any((weights[0][name] != weights[1][name]).any() for name in weights[0])


def test_it_is_better_than_each_of_two_that_err_differently() -> None:
    generator = np.random.default_rng(0)
    steps = np.arange(400)
    df = pd.DataFrame({"ds": steps, "y": wave(steps) + 0.002 * steps})
    df["y"] += generator.normal(scale=0.3, size=400)
    trained = DLinearForecaster(horizon=8, context_length=64, max_steps=20)
    pretrained = TSFormerForecaster(horizon=8)
    both = EnsembleForecaster(forecaster=trained, others=[pretrained])

    def error(forecaster: Forecaster) -> float:
        found = clone(forecaster).cross_validation(df, n_windows=8)
        return float((found["y"] - found["mean"]).abs().mean())

    assert error(both) < min(error(trained), error(pretrained))


def test_covariates_reach_those_that_name_them() -> None:
    days = pd.date_range("2024-01-01", periods=80)
    df = pd.DataFrame({"ds": days, "promo": np.arange(80) % 5 == 0})
    df["y"] = 5.0 * df["promo"]
    named = {"future_covariates": ["promo"], **TINY, "n_heads": 2}
    first = TrainedTSFormerForecaster(horizon=4, **named)
    others = [PatchTSTForecaster(horizon=4, **named), SeasonalNaiveForecaster(horizon=4)]
    forecaster = EnsembleForecaster(forecaster=first, others=others).fit(df[:-4])
    assert len(forecaster.predict(future_df=df[-4:].drop(columns="y"))) == 4
    with pytest.raises(ValueError, match="promo"):
        forecaster.predict()
    assert forecaster.panel_.future_covariates is not None
    assert forecaster.others_[0].panel_.future_covariates is not None
    assert forecaster.others_[1].panel_.future_covariates is None
    past = TrainedTSFormerForecaster(horizon=4, past_covariates=["promo"], n_heads=2, **TINY)
    for unlike in (others[1], past):
        with pytest.raises(
            ValueError, match=r"others\[0\] names past, future and static covariates"
        ):
            EnsembleForecaster(forecaster=unlike, others=[first]).fit(df)


def test_a_loaded_one_answers_as_the_saved_one_and_goes_on(tmp_path: Path) -> None:
    others = [SeasonalNaiveForecaster(horizon=1), TSFormerForecaster(context_length=16)]
    first = PatchTSTForecaster(horizon=4, n_heads=2, **TINY)
    forecaster = EnsembleForecaster(forecaster=first, others=others, weights=(1, 20, 3))
    forecaster.fit(SERIES[:50]).save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert repr(loaded) == repr(forecaster)
    pd.testing.assert_frame_equal(loaded.predict(), forecaster.predict())
    newer = pd.DataFrame({"unique_id": 0, "ds": np.arange(50, 60), "y": SERIES[50:]})
    answers = [one.update(newer).predict() for one in (loaded, forecaster)]
    pd.testing.assert_frame_equal(*answers)
    assert answers[0]["ds"].tolist() == [60, 61, 62, 63]
    again = clone(forecaster).fit(SERIES).predict()
    assert again["ds"].tolist() == [60, 61, 62, 63]


def test_remarks_and_training_of_all_are_reported() -> None:
    network = DLinearForecaster(horizon=4, context_length=8, max_steps=2)
    report = ensemble(Off(by=3), network, by=2).fit(SERIES).fit_report_
    assert report.n_series == 1
    assert report.remarks["off"] == [2, 3]
    assert report.training is not None


def test_an_own_season_is_kept_and_the_firsts_is_that_of_the_others(tmp_path: Path) -> None:
    naive = SeasonalNaiveForecaster(horizon=1)
    first = SeasonalNaiveForecaster(horizon=4, season_length=7)
    others = [naive, clone(naive).set_params(season_length=3)]
    EnsembleForecaster(forecaster=first, others=others).fit(SERIES).save(tmp_path / "saved")
    forecaster = load(tmp_path / "saved")
    assert [one.season_length_ for one in forecaster.others_] == [7, 3]


def test_two_of_the_same_weights_are_saved(tmp_path: Path) -> None:
    pretrained = TSFormerForecaster(horizon=4)
    several = [TSFormerForecaster(context_length=32), ensemble(TSFormerForecaster())]
    several[1].set_params(forecaster=pretrained)
    forecaster = EnsembleForecaster(forecaster=pretrained, others=several).fit(SERIES)
    forecaster.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load(tmp_path / "saved").predict(), forecaster.predict())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"others": []}, ValueError, "others is empty; give one forecaster or more"),
        ({"others": Off()}, TypeError, "others=.* must be a list of forecasters"),
        ({"others": "Off"}, TypeError, "others='Off' must be a list of forecasters"),
        ({"others": [3]}, TypeError, r"others\[0\]=3 must be a forecaster of tsformer"),
        (
            {"others": [Off(), DLinearForecaster(horizon=1, max_steps=0)]},
            ValueError,
            r"others\[1\]: max_steps=0 must be at least 1",
        ),
        (
            {"others": [ConformalForecaster(forecaster="x")]},  # type: ignore[arg-type]
            TypeError,
            r"others\[0\]: forecaster='x' must be a forecaster",
        ),
        ({"weights": "best"}, TypeError, "weights='best' must be 'equal', 'held_out', or a number"),
        ({"weights": None}, TypeError, "weights=None must be 'equal', 'held_out', or a number"),
        ({"weights": [1]}, ValueError, "are 1; give 2, of forecaster and of each of the others"),
        ({"weights": ["1", 2]}, TypeError, "must be numbers"),
        ({"weights": [1, -1]}, ValueError, "must be 0 or more, and one of them above 0"),
        ({"weights": [0, 0]}, ValueError, "must be 0 or more, and one of them above 0"),
        ({"weights": [1, np.nan]}, ValueError, "must be 0 or more, and one of them above 0"),
    ],
)
def test_wrong_parameters_are_named_by_fit(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    forecaster = ensemble(Off()).set_params(**wrong)
    with pytest.raises(error, match=message):
        forecaster.fit(SERIES)
