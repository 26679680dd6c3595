"""A forecaster around transformed targets: laws that are known, leakage, state, odd series."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, PowerTransformer, StandardScaler

from tsformer import load
from tsformer.data.panel import Panel
from tsformer.forecasters import (
    FORECASTERS,
    BoxCoxTransform,
    ConformalForecaster,
    Differencing,
    Forecaster,
    LogTransform,
    PatchTSTForecaster,
    RecurrentForecaster,
    SeasonalNaiveForecaster,
    TransformedForecaster,
    transform_columns,
)
from tsformer.forecasters.checks import FitReport, inspect_panel
from tsformer.types import Forecast

Make = Callable[..., Any]
LEVELS = (0.05, 0.1, 0.3, 0.5, 0.8, 0.95)
NAMES = [f"{level:g}" for level in LEVELS]
TRANSFORMERS = {
    "log": LogTransform(),
    "box-cox": BoxCoxTransform(),
    "guerrero": BoxCoxTransform(method="guerrero", season_length=4),
    "differences": Differencing(lag=4),
    "log-differences": make_pipeline(LogTransform(), Differencing()),
    "standard": StandardScaler(),
    "power": PowerTransformer(),
    "function": FunctionTransformer(np.arcsinh, np.sinh),
    "chain": make_pipeline(make_pipeline(StandardScaler(), "passthrough"), Differencing(order=2)),
}
ADDING = ["differences", "log-differences", "chain"]


@dataclass(kw_only=True, eq=False, repr=False)
class Noise(Forecaster):
    """Forecasts independent normal values with the moments of the last hundred steps.

    Args:
        tied: one shock moves all steps of a path.
        skewed: the mean is a deviation above the median, which is no normal law's.
    """

    tied: bool = False
    skewed: bool = False

    @property
    def _memory(self) -> int:
        return 100

    def _learn(self, panel: Panel, val_size: Any) -> FitReport:
        return inspect_panel(panel, 1, "one step")

    def moments(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        values = [panel.series(number)[0].astype(float) for number in range(len(panel))]
        moments = [[np.nanmean(one), np.nanstd(one)] for one in values]
        middle, deviation = np.array(moments).T[:, :, None]
        return middle, deviation

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        middle, deviation = self.moments(panel)
        quantiles = middle[..., None] + deviation[..., None] * ndtri(levels)
        return Forecast(
            mean=np.repeat(middle + self.skewed * deviation, horizon, axis=1),
            quantiles=np.repeat(quantiles, horizon, axis=1),
            levels=levels,
        )

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        middle, deviation = self.moments(panel)
        shape = (len(panel), n_samples, 1 if self.tied else horizon)
        shocks = self._generator().normal(size=shape) * np.ones((1, 1, horizon))
        return middle[..., None] + deviation[..., None] * shocks

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    def _restore(self, state: dict[str, Any], tensors: dict[str, Any]) -> None:
        """Nothing is learned."""


def frame(values: np.ndarray, name: str = "a", start: str = "2024-01-01") -> pd.DataFrame:
    times = pd.date_range(start, periods=len(values), freq="h")
    return pd.DataFrame({"unique_id": name, "ds": times, "y": values})


def shops(length: int = 60, n_series: int = 3, seed: int = 0) -> pd.DataFrame:
    """Return series above 0 that differ in size and length."""
    generator = np.random.default_rng(seed)
    parts = []
    for number in range(n_series):
        steps = generator.normal(scale=0.1, size=length - 5 * number)
        wave = np.resize([0.0, 0.4, 0.1, 0.2], len(steps))
        values = 10.0**number * np.exp(wave + steps.cumsum())
        parts.append(frame(values, f"s{number}"))
    return pd.concat(parts, ignore_index=True)


def transformed(transformer: Any, inside: Any = None, **parameters: Any) -> TransformedForecaster:
    inside = inside or SeasonalNaiveForecaster(horizon=6, season_length=4, quantiles=LEVELS)
    return TransformedForecaster(forecaster=inside, transformer=clone(transformer), **parameters)


def noise(**parameters: Any) -> Noise:
    return Noise(**{"horizon": 16, "quantiles": LEVELS, **parameters})


@pytest.fixture(params=TRANSFORMERS)
def transformer(request: pytest.FixtureRequest) -> Any:
    return clone(TRANSFORMERS[request.param])


# laws that are known


def test_a_normal_law_of_logarithms_is_log_normal() -> None:
    values = np.exp(np.random.default_rng(0).normal(1, 0.8, size=100))
    mu, sigma = np.log(values).mean(), np.log(values).std()
    answer = transformed(LogTransform(), noise()).fit(frame(values)).predict()
    np.testing.assert_allclose(answer[NAMES], [np.exp(mu + sigma * ndtri(LEVELS))] * 16, rtol=1e-5)
    np.testing.assert_allclose(answer["mean"], np.exp(mu + sigma**2 / 2), rtol=2e-3)


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name not in ADDING])
def test_a_quantile_is_that_of_the_transform_turned_back(name: str) -> None:
    values = np.exp(np.random.default_rng(0).normal(1, 0.5, size=100))[:, None]
    fitted = clone(TRANSFORMERS[name]).fit(values)
    normal = fitted.transform(values)
    quantiles = normal.mean() + normal.std() * ndtri(LEVELS)[:, None]
    answer = transformed(TRANSFORMERS[name], noise()).fit(frame(values[:, 0])).predict()
    expected = fitted.inverse_transform(quantiles)[:, 0]
    np.testing.assert_allclose(answer[NAMES], [expected] * 16, rtol=1e-5)
    draws = normal.mean() + normal.std() * ndtri((np.arange(10_000) + 0.5) / 10_000)
    mean = fitted.inverse_transform(draws[:, None]).mean()
    np.testing.assert_allclose(answer["mean"], mean, rtol=2e-3)


def test_a_transform_that_falls_turns_quantiles_round() -> None:
    falling = FunctionTransformer(np.negative, np.negative)
    df = frame(np.random.default_rng(0).normal(size=100))
    inside = noise(quantiles=(0.2, 0.3, 0.9, 0.97))
    answer, plain = (model.fit(df).predict() for model in (transformed(falling, inside), inside))
    pd.testing.assert_frame_equal(answer, plain, rtol=1e-5, check_exact=False)


@pytest.mark.parametrize("transformer", [StandardScaler(), Differencing(), Differencing(lag=3)])
def test_the_mean_is_that_of_the_forecaster_where_the_transform_is_linear(transformer: Any) -> None:
    values = np.random.default_rng(0).normal(5, 2, size=100).cumsum()
    fitted = clone(transformer).fit(values[:, None])
    made = fitted.transform(values[:, None])
    means = np.full((16, 1), np.nanmean(made) + np.nanstd(made))
    answer = transformed(transformer, noise(skewed=True), n_samples=50).fit(frame(values)).predict()
    np.testing.assert_allclose(answer["mean"], fitted.inverse_transform(means)[:, 0], rtol=1e-4)


def widths(answer: pd.DataFrame) -> np.ndarray:
    return (answer["0.95"] - answer["0.05"]).to_numpy()


def test_intervals_of_a_random_walk_grow_like_the_root_of_the_horizon() -> None:
    walk = np.random.default_rng(0).normal(size=101).cumsum()
    sigma = np.diff(walk).std()
    answer = transformed(Differencing(), noise(), n_samples=4000).fit(frame(walk)).predict()
    expected = 2 * ndtri(0.95) * sigma * np.sqrt(np.arange(1, 17))
    np.testing.assert_allclose(widths(answer), expected, rtol=0.05)
    drift = walk[-1] + np.diff(walk).mean() * np.arange(1, 17)
    np.testing.assert_allclose(answer["mean"], drift, rtol=1e-4)
    np.testing.assert_allclose(answer["0.5"], drift, atol=0.15 * sigma)


def test_what_ties_steps_together_is_that_of_the_forecasters_paths() -> None:
    walk = np.random.default_rng(0).normal(size=101).cumsum()
    answer = transformed(Differencing(), noise(tied=True)).fit(frame(walk)).predict()
    expected = 2 * ndtri(0.95) * np.diff(walk).std() * np.arange(1, 17)
    np.testing.assert_allclose(widths(answer), expected, rtol=0.01)


def test_a_random_walk_of_logarithms_is_log_normal() -> None:
    walk = np.random.default_rng(0).normal(scale=0.1, size=101).cumsum()
    mu, sigma = np.diff(walk).mean(), np.diff(walk).std()
    chain = make_pipeline(LogTransform(), Differencing())
    answer = transformed(chain, noise(), n_samples=4000).fit(frame(np.exp(walk))).predict()
    steps = np.arange(1, 17)[:, None]
    law = walk[-1] + mu * steps + sigma * np.sqrt(steps) * ndtri(LEVELS)
    np.testing.assert_allclose(np.log(answer[NAMES]), law, atol=0.03)
    mean = np.exp(walk[-1] + (mu + sigma**2 / 2) * steps[:, 0])
    np.testing.assert_allclose(answer["mean"], mean, rtol=0.01)


def test_within_one_season_nothing_adds_up_and_quantiles_are_exact() -> None:
    values = np.random.default_rng(0).normal(size=108).cumsum()
    changes = values[8:] - values[:-8]
    answer = transformed(Differencing(lag=8), noise()).fit(frame(values)).predict()
    law = changes.mean() + changes.std() * ndtri((0.1, 0.3, 0.5, 0.8))
    expected = values[-8:, None] + law
    np.testing.assert_allclose(answer[["0.1", "0.3", "0.5", "0.8"]][:8], expected, atol=2e-3)


@pytest.mark.parametrize("name", ["log", "box-cox", "differences", "log-differences"])
def test_samples_have_the_law_of_the_forecast(name: str) -> None:
    forecaster = transformed(TRANSFORMERS[name], n_samples=2000).fit(shops(n_series=1))
    answer = forecaster.predict()
    paths = forecaster.predict_samples(n_samples=4000).groupby("ds")["y"]
    for level in LEVELS[1:-1]:
        share = [(path <= answer[f"{level:g}"][k]).mean() for k, (_, path) in enumerate(paths)]
        np.testing.assert_allclose(share, level, atol=0.03)
    error = (paths.mean().to_numpy() - answer["mean"]) / paths.std().to_numpy()
    np.testing.assert_allclose(error, 0, atol=0.06)


# what may be known


def test_no_forecast_knows_what_comes_later(transformer: Any) -> None:
    df = shops()
    changed = df.copy()
    late = changed["ds"] > changed.groupby("unique_id")["ds"].transform("max") - pd.Timedelta("6h")
    changed.loc[late, "y"] = 1e4 - 7 * changed.loc[late, "y"]
    answer, other = (
        transformed(transformer, n_samples=20).cross_validation(given, refit=True)
        for given in (df, changed)
    )
    assert not np.allclose(answer["y"], other["y"])
    pd.testing.assert_frame_equal(answer.drop(columns="y"), other.drop(columns="y"))


def test_windows_of_one_fit_are_transformed_as_that_fit_was() -> None:
    df = shops(n_series=1)
    answer = transformed(BoxCoxTransform()).cross_validation(df, n_windows=2)
    fitted = transformed(BoxCoxTransform()).fit(df[:-12])
    for cutoff, rows in answer.groupby("cutoff"):
        expected = fitted.predict(df[df["ds"] <= cutoff])
        np.testing.assert_allclose(rows[NAMES], expected[NAMES], rtol=1e-6)


def test_held_out_steps_are_not_learned_from() -> None:
    df = shops(n_series=1)
    changed = df.assign(y=np.where(df.index < len(df) - 8, df["y"], 1000.0))
    first, second = (
        transformed(StandardScaler()).fit(given, val_size=8).transforms_[0].steps[0]
        for given in (df, changed)
    )
    assert first.mean_ == second.mean_
    with_all = transformed(StandardScaler()).fit(changed).transforms_[0].steps[0]
    assert first.mean_ != with_all.mean_


def test_known_series_keep_their_transform_and_new_ones_get_their_own(transformer: Any) -> None:
    df = shops()
    forecaster = transformed(transformer, n_samples=20).fit(df)
    new = frame(shops(n_series=1, seed=5)["y"].to_numpy(), "new")
    answer = forecaster.predict(pd.concat([new, df]))
    alone = transformed(transformer, n_samples=20).fit(new)
    pd.testing.assert_frame_equal(answer[:6], alone.predict(), rtol=1e-6)
    rest = answer[6:].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, forecaster.predict(), rtol=1e-6)


def test_a_short_given_history_does_not_change_the_transform_of_a_known_series() -> None:
    df = shops(n_series=1)
    inside = SeasonalNaiveForecaster(horizon=6, season_length=4, max_history=20)
    for name in ("box-cox", "log-differences"):
        forecaster = transformed(TRANSFORMERS[name], inside).fit(df)
        pd.testing.assert_frame_equal(forecaster.predict(df[-21:]), forecaster.predict(), rtol=1e-6)


def test_a_forecast_does_not_depend_on_what_else_is_asked(
    transformer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    df = shops(n_series=5)
    forecaster = transformed(transformer, n_samples=20).fit(df)
    together = forecaster.predict()
    for name, rows in df.groupby("unique_id"):
        alone = together[together["unique_id"] == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(forecaster.predict(rows), alone, rtol=1e-6)
    monkeypatch.setattr(transform_columns, "_BLOCK", 2)
    blocks = transformed(transformer, n_samples=20).fit(df)
    assert len(blocks.transforms_) == 3
    pd.testing.assert_frame_equal(blocks.predict(), together, rtol=1e-6)


# state


def test_update_goes_on_from_new_ends_without_learning(transformer: Any) -> None:
    df, new = shops(), frame(shops(n_series=1, seed=5)["y"].to_numpy(), "new")
    last = df.groupby("unique_id").cumcount(ascending=False) < 7
    forecaster = transformed(transformer, n_samples=20).fit(df[~last])
    expected = forecaster.predict(pd.concat([df, new]))
    forecaster.update(pd.concat([df[last], new[:-7]]))
    assert len(forecaster.transforms_[0].rows) == 4
    own = forecaster.transforms_
    forecaster.update(new[-7:])
    assert forecaster.transforms_ is own
    known = expected["unique_id"] != "new"
    answer = forecaster.predict()
    pd.testing.assert_frame_equal(answer[known], expected[known], rtol=1e-6)
    again = forecaster.predict(pd.concat([df, new]))
    pd.testing.assert_frame_equal(answer, again, rtol=1e-6)


@pytest.mark.parametrize("name", ["log", "log-differences"])
def test_a_recurrent_forecaster_inside_reads_new_values_only(name: str) -> None:
    inside = RecurrentForecaster(
        horizon=4, context_length=12, max_steps=1, d_model=8, n_heads=2, n_layers=1, d_ff=8
    )
    df = shops(n_series=1)
    forecaster = transformed(TRANSFORMERS[name], inside, n_samples=20).fit(df[:-3])
    forecaster.update(df[-3:])
    lost = 1 if name == "log-differences" else 0
    assert forecaster.forecaster_.states_.lengths.tolist() == [len(df) - lost]
    recent = forecaster.forecaster_.panel_
    assert forecaster.forecaster_._reading(recent).lengths.tolist() == [len(df) - lost]
    pd.testing.assert_frame_equal(forecaster.predict(), forecaster.predict(df), rtol=1e-4)


def test_a_saved_forecaster_forecasts_the_same(transformer: Any, tmp_path: Path) -> None:
    df = shops()
    forecaster = transformed(transformer, n_samples=20).fit(df)
    forecaster.save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert repr(again.transformer) == repr(forecaster.transformer)
    new = frame(df["y"].to_numpy()[:20], "new")
    for given in (None, df[df["unique_id"] == "s1"], new):
        pd.testing.assert_frame_equal(again.predict(given), forecaster.predict(given))
    more = frame(np.array([3.0, 4.0]), "s0", "2024-01-03 12:00")
    pd.testing.assert_frame_equal(again.update(more).predict(), forecaster.update(more).predict())


def test_what_load_could_not_make_again_is_not_saved(tmp_path: Path) -> None:
    one = FunctionTransformer(lambda values: 2 * values, lambda values: values / 2)
    forecaster = transformed(one).fit(shops())
    with pytest.raises(ValueError, match="function .* cannot be saved"):
        forecaster.save(tmp_path / "saved")
    assert list(tmp_path.iterdir()) == []

    class OwnScaler(StandardScaler):
        """One that nobody else knows."""

    forecaster = transformed(OwnScaler()).fit(shops())
    with pytest.raises(ValueError, match="OwnScaler.* cannot be saved: it is none of the estim"):
        forecaster.save(tmp_path / "saved")


@pytest.mark.parametrize("turned", [False, True])
def test_it_goes_inside_a_conformal_forecaster_and_around_it(turned: bool, tmp_path: Path) -> None:
    inside = SeasonalNaiveForecaster(horizon=3, season_length=4)
    if turned:
        forecaster: Any = transformed(
            make_pipeline(LogTransform(), Differencing()), ConformalForecaster(forecaster=inside)
        )
    else:
        forecaster = ConformalForecaster(forecaster=transformed(LogTransform(), inside))
    answer = forecaster.fit(shops()).predict()
    forecaster.save(tmp_path / "saved")
    pd.testing.assert_frame_equal(load(tmp_path / "saved").predict(), answer)


# odd series


def test_missing_values_constant_and_short_series_are_forecast(transformer: Any) -> None:
    df = shops(n_series=1)
    gaps = df.assign(unique_id="gaps", y=df["y"].where(df.index % 7 > 0))
    gaps.loc[gaps.index[-2:], "y"] = np.nan
    constant = df.assign(unique_id="constant", y=5.0)
    negative = df.assign(unique_id="negative", y=-df["y"])
    short = frame(np.array([3.0, 4.0]), "short")
    missing = frame(np.array([np.nan] * 9), "missing")
    series = [df, gaps, constant, negative, short, missing]
    forecaster = transformed(transformer, n_samples=20).fit(pd.concat(series))
    with pytest.warns(UserWarning, match="1 series have no value"):
        answer = forecaster.predict()
    assert np.isfinite(answer[["mean", *NAMES]].to_numpy()).all()
    assert (answer[NAMES].diff(axis=1)[NAMES[1:]] >= -1e-6).all(axis=None)
    same = answer[answer["unique_id"] == "constant"]
    np.testing.assert_allclose(same[["mean", *NAMES]], 5.0, rtol=1e-4)


def test_series_of_which_nothing_is_left_are_listed() -> None:
    df = pd.concat([shops(n_series=1), frame(np.arange(3.0), "short")])
    forecaster = transformed(Differencing(lag=4)).fit(df)
    assert forecaster.fit_report_.remarks["nothing left by the transform"] == ["short"]
    assert (
        "nothing left by the transform"
        not in transformed(LogTransform()).fit(df).fit_report_.remarks
    )


def test_where_nothing_is_left_of_any_series_the_error_says_so() -> None:
    with pytest.raises(
        ValueError, match=r"transformer=Differencing\(lag=9\) leaves no value of an"
    ):
        transformed(Differencing(lag=9)).fit(shops(length=9, n_series=1))


def test_values_beyond_the_inverse_become_the_nearest_that_it_has() -> None:
    """Yeo & Johnson's curve for values that are skewed to the left ends somewhere."""
    values = 10 - np.exp(np.random.default_rng(0).normal(size=100))
    inside = noise(quantiles=(1e-6, 0.5, 1 - 1e-6))
    answer = transformed(PowerTransformer(), inside).fit(frame(values)).predict()
    numbers = answer.iloc[:, 2:].to_numpy()
    assert np.isfinite(numbers).all()
    assert (answer["1e-06"] < answer["0.5"]).all()
    assert (answer["0.5"] < answer["0.999999"]).all()


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_several_targets_have_transforms_of_their_own(name: str) -> None:
    one = shops(n_series=2)
    df = one.rename(columns={"y": "sales"}).assign(visits=7 * one["y"].to_numpy()[::-1] + 3)
    inside = SeasonalNaiveForecaster(horizon=6, season_length=4)
    together = clone(inside).set_params(target_col=["sales", "visits"])
    answer = transformed(TRANSFORMERS[name], together).fit(df).predict()
    for target in ("sales", "visits"):
        alone = clone(inside).set_params(target_col=target)
        expected = transformed(TRANSFORMERS[name], alone).fit(df).predict()
        rows = answer[answer["variate"] == target].drop(columns="variate").reset_index(drop=True)
        if name not in ADDING:
            pd.testing.assert_frame_equal(rows, expected, rtol=1e-6)
        width = expected["0.9"] - expected["0.1"]
        for column in ("mean", "0.1", "0.5", "0.9"):  # paths of two targets differ by chance
            np.testing.assert_allclose((rows[column] - expected[column]) / width, 0, atol=0.1)


# forecasters inside


@pytest.mark.parametrize("name", ["log", "log-differences"])
def test_every_forecaster_may_stand_inside(name: str, make_forecaster: Make) -> None:
    df = shops(n_series=2)
    inside = make_forecaster(quantiles=LEVELS)
    forecaster = transformed(TRANSFORMERS[name], inside, n_samples=20).fit(df)
    answer = forecaster.predict(horizon=6)
    assert (answer[["mean", *NAMES]] > 0).all(axis=None)  # as nothing but a logarithm has it
    assert (answer[NAMES].diff(axis=1)[NAMES[1:]] >= -1e-6).all(axis=None)
    backtest = forecaster.cross_validation(df, n_windows=2, refit=False)
    assert np.isfinite(backtest[["mean", *NAMES]].to_numpy()).all()


def test_covariates_go_inside() -> None:
    df = shops(n_series=2)
    df["promo"] = df.index % 3 == 0
    inside = PatchTSTForecaster(
        horizon=4,
        context_length=12,
        max_steps=1,
        d_model=8,
        n_heads=2,
        n_layers=1,
        d_ff=8,
        future_covariates=["promo"],
    )
    for name in ("log", "differences"):
        forecaster = transformed(TRANSFORMERS[name], inside, n_samples=20).fit(df)
        assert forecaster.forecaster_.encoder_.n_future > 0
        cut = df.groupby("unique_id").cumcount(ascending=False) >= 4
        answer = forecaster.predict(df[cut], df[~cut].drop(columns="y"))
        flipped = forecaster.predict(df[cut], df[~cut].assign(promo=~df[~cut]["promo"]))
        assert not np.allclose(answer["mean"], flipped["mean"])
        assert len(forecaster.cross_validation(df)) == 8


# parameters


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"transformer": None}, TypeError, "transformer=None has no fit; pass one such as LogTra"),
        ({"transformer": "log"}, TypeError, "transformer='log' has no fit"),
        ({"transformer": LogTransform}, TypeError, "transformer=.*LogTransform.* has no fit"),
        ({"transformer": PCA()}, TypeError, "not known to leave columns apart"),
        ({"transformer": make_pipeline(PCA())}, TypeError, "not known to leave columns apart"),
        ({"transformer": Pipeline([("no", None)])}, ValueError, "has no steps; give it one or mo"),
        ({"transformer": Differencing(lag=0)}, ValueError, "lag=0 must be at least 1"),
        ({"transformer": FunctionTransformer(np.log1p)}, ValueError, "give it an inverse, such as"),
        ({"n_samples": 0}, ValueError, "n_samples=0 must be at least 1"),
    ],
)
def test_wrong_parameters_are_named_by_fit(
    wrong: dict[str, Any], error: type[Exception], message: str
) -> None:
    forecaster = transformed(LogTransform()).set_params(**wrong)
    with pytest.raises(error, match=message):
        forecaster.fit(shops())


def test_a_transform_that_cannot_be_fitted_is_named() -> None:
    df = shops().assign(y=-1.0)
    with pytest.raises(
        ValueError, match=r"transformer=LogTransform\(offset=0.5\) cannot be fitted"
    ):
        transformed(LogTransform(offset=0.5)).fit(df)


def test_another_librarys_word_gets_a_hint() -> None:
    with pytest.raises(TypeError, match="no parameter `transform`; did you mean `transformer`?"):
        TransformedForecaster(forecaster=noise(), transform=LogTransform())  # type: ignore[call-arg]
    assert FORECASTERS["TransformedForecaster"] is TransformedForecaster
