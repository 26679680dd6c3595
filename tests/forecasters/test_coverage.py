"""Coverage reports: every figure against a loop over the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError

from tsformer.forecasters.coverage import coverage_of, coverage_report

Make = Callable[..., Any]
KEYS = ["kind", "nominal", "step"]


def expected_rows(frame: pd.DataFrame, steps: list[int], truth: str = "y") -> dict[Any, Any]:
    """Return coverage, width and number by kind, nominal level and step, value by value."""
    hits: dict[Any, list[Any]] = {}
    for step, (_, row) in zip(steps, frame.iterrows(), strict=True):
        value = row[truth]
        if np.isnan(value):
            continue
        for at in ("all", step):
            for low, high in ((0.25, 0.75), (0.1, 0.9)):
                bounds = row[f"{low:g}"], row[f"{high:g}"]
                inside = bounds[0] <= value <= bounds[1]
                entry = (inside, bounds[1] - bounds[0], abs(value))
                hits.setdefault(("interval", round(high - low, 10), at), []).append(entry)
                for level, bound in zip((low, high), bounds, strict=True):
                    entry = (value <= bound, np.nan, abs(value))
                    hits.setdefault(("quantile", level, at), []).append(entry)
    return {
        key: (np.mean([e[0] for e in found]), sum(e[1] for e in found) / sum(e[2] for e in found),
              len(found))
        for key, found in hits.items()
    }  # fmt: skip


def assert_report(report: pd.DataFrame, expected: dict[Any, Any]) -> None:
    assert report.columns.tolist() == [*KEYS, "coverage", "width", "n_values"]
    found = {tuple(row[:3]): row[3:] for row in report.itertuples(index=False)}
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        np.testing.assert_allclose(found[key], figures, equal_nan=True)


@pytest.fixture
def windows(make_naive: Make, make_frame: Make) -> pd.DataFrame:
    """Return two windows for each of two series of different ends, some values missing."""
    df = pd.concat([make_frame(["b"], 40), make_frame(["a"], 36, seed=1)])
    df.loc[[30, 35], "y"] = np.nan
    naive = make_naive(quantiles=(0.1, 0.25, 0.75, 0.9))
    return naive.cross_validation(df, n_windows=2, step_size=2)


def test_windows_of_cross_validation_are_counted_value_by_value(windows: pd.DataFrame) -> None:
    report = coverage_report(windows, level=[50, 80])
    assert_report(report, expected_rows(windows, 4 * [1, 2, 3, 4]))
    for same in (
        coverage_report(windows),
        coverage_report(pl.from_pandas(windows), level=[80, 50]),
    ):
        pd.testing.assert_frame_equal(same, report)


def test_names_of_columns_do_not_matter(windows: pd.DataFrame) -> None:
    names = {"unique_id": "shop", "ds": "day", "y": "sold"}
    report = coverage_report(windows.rename(columns=names))
    pd.testing.assert_frame_equal(report, coverage_report(windows))


def test_a_horizon_of_one_step_has_one_step(make_naive: Make, make_frame: Make) -> None:
    answer = make_naive(horizon=1).cross_validation(make_frame(), n_windows=3)
    report = coverage_report(answer, level=[80])
    assert report["step"].tolist() == 3 * ["all", 1]
    assert (report["n_values"] == 6).all()


def test_times_may_stand_in_the_index(make_naive: Make, make_frame: Make) -> None:
    df = make_frame(["a"])
    long = make_naive().cross_validation(df, n_windows=2)
    series = make_naive().cross_validation(df.set_index("ds")["y"], n_windows=2)
    pd.testing.assert_frame_equal(
        coverage_report(series, level=[80]), coverage_report(long, level=[80])
    )


def test_a_forecast_is_judged_by_the_truth_that_comes_with_it(
    make_naive: Make, make_frame: Make
) -> None:
    df = make_frame()
    later = df.groupby("unique_id").cumcount() >= 44
    answer = make_naive(quantiles=(0.1, 0.25, 0.75, 0.9)).fit(df[~later]).predict()
    expected = expected_rows(answer.merge(df, on=["unique_id", "ds"]), 2 * [1, 2, 3, 4])
    assert_report(coverage_report(answer, df, level=[50, 80]), expected)
    renamed = df.rename(columns={"y": "sold"}).sample(frac=1, random_state=0)
    assert_report(coverage_report(answer, renamed, level=[50, 80], target_col="sold"), expected)


def test_a_forecaster_forecasts_the_last_horizon_itself(
    make_forecaster: Make, make_frame: Make
) -> None:
    df = make_frame()
    later = df.groupby("unique_id").cumcount() >= 44
    forecaster = make_forecaster(quantiles=(0.1, 0.25, 0.75, 0.9)).fit(df[~later])
    expected = coverage_report(forecaster.predict(), df)
    assert expected["nominal"].unique().tolist() == [0.5, 0.8, 0.1, 0.25, 0.75, 0.9]
    for truth in (df, df[later]):
        pd.testing.assert_frame_equal(coverage_report(forecaster, truth), expected)


def test_several_variates_are_counted_apart(make_naive: Make, make_frame: Make) -> None:
    df = make_frame()
    df["z"] = 2 * df["y"]
    forecaster = make_naive(target_col=["y", "z"])
    both = coverage_report(forecaster.cross_validation(df, n_windows=2))
    one = coverage_report(make_naive().cross_validation(df, n_windows=2))
    assert (both["n_values"] == 2 * one["n_values"]).all()
    np.testing.assert_allclose(both["coverage"], one["coverage"])
    assert both["step"].tolist() == one["step"].tolist()


def test_arrays_without_a_known_value_are_reported_without_figures() -> None:
    report = coverage_of(np.full((2, 3), np.nan), np.zeros((2, 3, 2)), (0.1, 0.9), [80])
    assert (report["n_values"] == 0).all()
    assert report["coverage"].isna().all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": [99]}, r"no column '0.005'; pass .* for the quantiles 0.005, 0.995"),
        ({"level": [100]}, "level=100 must lie between 0 and 100 percent"),
    ],
)
def test_quantiles_that_a_frame_lacks_are_named(
    windows: pd.DataFrame, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        coverage_report(windows, **wrong)


def test_quantiles_that_make_no_interval_are_refused(make_naive: Make, make_frame: Make) -> None:
    answer = make_naive(quantiles=(0.1, 0.8)).cross_validation(make_frame())
    with pytest.raises(ValueError, match="quantiles 0.1, 0.5, 0.8 make no central interval"):
        coverage_report(answer)


def test_a_forecast_without_the_truth_is_refused(make_naive: Make, make_frame: Make) -> None:
    df = make_frame()
    forecaster = make_naive().fit(df)
    answer = forecaster.predict(level=[80])
    with pytest.raises(ValueError, match="the truth is missing; pass it as df"):
        coverage_report(answer, level=[80])
    with pytest.raises(ValueError, match="df has no column 'ds'; it needs unique_id, ds"):
        coverage_report(answer, df.drop(columns="ds"), level=[80])
    with pytest.raises(ValueError, match="df has no column 'y'"):
        coverage_report(answer, df.rename(columns={"y": "sold"}), level=[80])
    with pytest.raises(ValueError, match="forecast has no column 'mean'"):
        coverage_report(answer.drop(columns="mean"), df)
    with pytest.raises(ValueError, match="df is None; a forecaster needs data"):
        coverage_report(forecaster)
    with pytest.raises(NotFittedError):
        coverage_report(make_naive(), df)
    with pytest.raises(TypeError, match="forecast is of type int; pass the frame"):
        coverage_report(3)
