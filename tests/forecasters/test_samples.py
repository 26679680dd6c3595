"""Paths: their rows, that they come again, and that they agree with the forecast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

Make = Callable[..., Any]


def test_samples_are_rows_of_numbered_paths(make_forecaster: Make, make_frame: Make) -> None:
    df = make_frame().rename(columns={"y": "target"})
    answer = make_forecaster().fit(df).predict_samples(n_samples=5, horizon=3)
    assert answer.columns.tolist() == ["unique_id", "ds", "sample", "target"]
    assert answer["sample"].tolist() == np.repeat(np.arange(5), 3).tolist() * 2
    assert answer["unique_id"].tolist() == ["b"] * 15 + ["a"] * 15
    future = pd.date_range(df["ds"].max(), periods=4, freq="h")[1:]
    assert answer["ds"].tolist() == future.tolist() * 10


def test_the_same_random_state_draws_the_same_paths(make_single: Make, make_frame: Make) -> None:
    forecaster = make_single(random_state=1).fit(make_frame())
    drawn = forecaster.predict_samples(n_samples=3)
    pd.testing.assert_frame_equal(drawn, forecaster.predict_samples(n_samples=3))
    other = forecaster.set_params(random_state=2).predict_samples(n_samples=3)
    assert (drawn["y"] != other["y"]).all()


def test_quantiles_of_many_paths_are_those_of_the_forecast(
    make_forecaster: Make, make_frame: Make
) -> None:
    forecaster = make_forecaster().fit(make_frame())
    if "n_samples" in forecaster.get_params():  # its quantiles are those of so many samples
        forecaster.set_params(n_samples=2000)
    paths = forecaster.predict_samples(n_samples=2000)
    answer = forecaster.predict().set_index(["unique_id", "ds"])
    width = answer["0.9"] - answer["0.1"]
    drawn = paths.groupby(["unique_id", "ds"], sort=False)["y"]
    for name in ("0.1", "0.3", "0.5", "0.8"):
        error = (drawn.quantile(float(name)) - answer[name]) / width
        assert error.abs().max() < 0.06, name  # some four standard errors of the quantile at 0.1


def test_paths_of_a_random_walk_hang_together(make_forecaster: Make, make_frame: Make) -> None:
    """Sums over the horizon spread more than those of steps that know nothing of each other."""
    forecaster = make_forecaster(season_length=1).fit(make_frame(length=96))
    paths = forecaster.predict_samples(n_samples=1000).query("unique_id == 'a'")
    steps = paths.pivot(index="sample", columns="ds", values="y").to_numpy()
    correlation = np.corrcoef(steps, rowvar=False)
    assert (np.diag(correlation, 1) > 0.3).all()
    assert correlation[0, 1] > correlation[0, 3] > 0
    assert steps.sum(axis=1).var() > 1.3 * steps.var(axis=0).sum()
