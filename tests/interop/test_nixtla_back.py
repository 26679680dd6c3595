"""Frames of Nixtla's libraries, read back: models known by their bounds, columns that stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.forecasters import SeasonalNaiveForecaster, coverage_report
from tsformer.interop.nixtla import from_nixtla, nixtla_columns

KINDS = pytest.mark.parametrize("kind", ["pandas", "polars"])
QUANTILES = {"0.1": "lo-80.0", "0.5": "median", "0.9": "hi-80.0"}


def as_kind(frame: pd.DataFrame, kind: str) -> Any:
    return frame if kind == "pandas" else pytest.importorskip("polars").from_pandas(frame)


@pytest.fixture(scope="module")
def windows() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=40)
    parts = [
        pd.DataFrame({"unique_id": name, "ds": days, "y": generator.normal(10, 2, 40)})
        for name in ("b", "a")
    ]
    naive = SeasonalNaiveForecaster(horizon=4, season_length=4, quantiles=(0.1, 0.9))
    return naive.cross_validation(pd.concat(parts), n_windows=2)


@pytest.fixture
def theirs(windows: pd.DataFrame) -> pd.DataFrame:
    """Return what NeuralForecast answers with MQLoss: the median first, and no mean."""
    bounds = {f"NHITS-{QUANTILES[c]}": windows[c] for c in ("0.5", "0.1", "0.9")}
    return windows[["unique_id", "ds", "cutoff"]].assign(**bounds, y=windows["y"])


@KINDS
@pytest.mark.parametrize("name", [None, "NHITS"])
def test_model_known_by_its_bounds_alone_has_quantiles_and_no_mean(
    windows: pd.DataFrame, theirs: pd.DataFrame, kind: str, name: str | None
) -> None:
    back = from_nixtla(as_kind(theirs, kind), name)
    assert back.equals(as_kind(windows.drop(columns="mean"), kind))


def test_report_reads_quantiles_beside_a_median_that_stands_for_the_mean(
    windows: pd.DataFrame, theirs: pd.DataFrame
) -> None:
    answer = from_nixtla(theirs)
    with pytest.raises(ValueError, match="no column 'mean'"):
        coverage_report(answer, level=[80])
    answer.insert(answer.columns.get_loc("0.1"), "mean", answer["0.5"])
    pd.testing.assert_frame_equal(coverage_report(answer), coverage_report(windows))


@KINDS
@pytest.mark.parametrize("target", ["y", "sales"])
def test_ids_and_times_of_any_name_stay_in_their_places(
    windows: pd.DataFrame, kind: str, target: str
) -> None:
    names = {"unique_id": "shop", "ds": "day", "y": target}
    ours = windows.rename(columns=names)
    ours["shop"] = ours["shop"].map({"a": 1, "b": 2})
    theirs = nixtla_columns(ours, "Naive")
    assert from_nixtla(as_kind(theirs, kind)).equals(as_kind(ours, kind))
    report = coverage_report(from_nixtla(theirs), level=[80])
    pd.testing.assert_frame_equal(report, coverage_report(windows, level=[80]))


@KINDS
def test_forecast_without_bounds_is_found_behind_numbered_ids_and_steps(kind: str) -> None:
    theirs = as_kind(pd.DataFrame({"shop": [1, 1], "day": [8, 9], "Naive": [2.0, 3.0]}), kind)
    back = from_nixtla(theirs)
    assert list(back.columns) == ["shop", "day", "mean"]
    assert back["mean"].to_list() == [2.0, 3.0]


def test_columns_of_no_model_stay_behind_the_answers(windows: pd.DataFrame) -> None:
    theirs = nixtla_columns(windows, "One").merge(
        nixtla_columns(windows, "Two"), on=["unique_id", "ds", "cutoff", "y"]
    )
    theirs.insert(2, "price", 1.5)
    theirs.insert(5, "promo", 1)
    theirs["note"] = "x"
    back = from_nixtla(theirs, "Two")
    assert back.columns.tolist() == [*windows.columns, "price", "promo", "note"]
    pd.testing.assert_frame_equal(back[windows.columns], windows)
    report = coverage_report(back, level=[80])
    pd.testing.assert_frame_equal(report, coverage_report(windows, level=[80]))


def test_points_of_another_model_cannot_be_told_from_a_covariate_and_stay() -> None:
    theirs = pd.DataFrame({"unique_id": "a", "ds": [1, 2], "One": [1.0, 2.0], "Two": [3.0, 4.0]})
    back = from_nixtla(theirs, "Two")
    assert back.to_dict("list") == {
        "unique_id": ["a", "a"], "ds": [1, 2], "mean": [3.0, 4.0], "One": [1.0, 2.0],
    }  # fmt: skip


def test_model_that_cannot_be_told_from_a_covariate_is_asked_for(theirs: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"has 2 models, \['NHITS', 'price'\]; say by name="):
        from_nixtla(theirs.assign(price=1.5))
    assert "price" in from_nixtla(theirs.assign(price=1.5), "NHITS").columns
    with pytest.raises(ValueError, match=r"has 0 models, \[\].*columns \['unique_id', 'ds'\]"):
        from_nixtla(theirs[["unique_id", "ds"]])


@pytest.mark.parametrize("name", ["NHITS-lo-80.0", "y", "Other"])
def test_name_of_a_bound_or_a_key_is_no_model(theirs: pd.DataFrame, name: str) -> None:
    with pytest.raises(ValueError, match=f"name='{name}' is not a column of forecasts"):
        from_nixtla(theirs, name)


def test_columns_that_would_be_called_alike_are_named(theirs: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="'NHITS-lo-80.0' and 'NHITS-lo-80' would both be '0.1'"):
        from_nixtla(theirs.assign(**{"NHITS-lo-80": 1.0}))
    with pytest.raises(ValueError, match="'mean' and 'NHITS' would both be 'mean'; drop one"):
        from_nixtla(theirs.assign(NHITS=1.0, mean=1.0), "NHITS")
