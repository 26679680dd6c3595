"""A weighted mean of forecasters: laws that are known, weights from held out steps, state."""

from __future__ import annotations

from dataclasses import dataclass
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
    """

    horizon: int = 1
    by: float = 0.0

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
        shift = self._generator().uniform(-1, 1, size=(n_samples, 1))
        return self._forecast(panel, horizon, (0.5,)).mean[:, None] + shift


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
    df = pd.DataFrame({"t": np.arange(60), "a": SERIES, "b": SERIES + 1})
    first = Off(horizon=4, time_col="t", target_col=["a", "b"])
    forecaster = EnsembleForecaster(forecaster=first, others=[Off(by=1)], weights="held_out").fit(
        df
    )
    assert forecaster.predict()["variate"].unique().tolist() == ["a", "b"]
    low = EnsembleForecaster(forecaster=first, others=[Off(by=-9)], weights="held_out").fit(df)
    np.testing.assert_array_equal(low.weights_, [1, 0])


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


def test_paths_have_the_quantiles_of_all_and_the_first_ones_order() -> None:
    forecaster = ensemble(Off(by=4), weights=[0.6, 0.4]).fit(SERIES)
    paths = forecaster.predict_samples(n_samples=400).pivot(index="sample", columns="ds")["y"]
    away = paths.to_numpy() - wave(np.arange(60, 64))
    np.testing.assert_allclose(away, away[:, :1] * np.ones(4), atol=1e-5)  # one shift a path
    assert away.mean() == pytest.approx(1.6, abs=0.1)
    assert np.quantile(away, 0.9) == pytest.approx(2.4, abs=0.1)


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
    with pytest.raises(ValueError, match=r"others\[0\] names the covariates \['promo'\]"):
        EnsembleForecaster(forecaster=others[1], others=[first]).fit(df)


def test_a_loaded_one_answers_as_the_saved_one_and_goes_on(tmp_path: Path) -> None:
    others = [SeasonalNaiveForecaster(horizon=1), TSFormerForecaster(context_length=16)]
    first = PatchTSTForecaster(horizon=4, n_heads=2, **TINY)
    forecaster = EnsembleForecaster(forecaster=first, others=others, weights=(1, 2, 3))
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


def test_remarks_of_all_are_reported() -> None:
    report = ensemble(SeasonalNaiveForecaster(horizon=4), by=2).fit(SERIES[:9]).fit_report_
    assert report.n_series == 1
    assert report.remarks["off"] == [2]


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"others": []}, ValueError, "others is empty; give one or more"),
        ({"others": Off()}, TypeError, "others=.* must be a list"),
        ({"others": "Off"}, TypeError, "others='Off' must be a list"),
        ({"others": [3]}, TypeError, r"others\[0\]=3 must be a forecaster of tsformer"),
        ({"others": [DLinearForecaster(horizon=1, max_steps=0)]}, ValueError, "max_steps=0"),
        ({"weights": "best"}, ValueError, "weights='best' is unknown; choose 'equal', 'held_out'"),
        ({"weights": [1]}, ValueError, "are 1; give 2, of forecaster and of each of the others"),
        ({"weights": 3}, TypeError, "weights=3 must be a list"),
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
