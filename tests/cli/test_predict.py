"""`tsformer predict` answers as the same call in Python does."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer import (
    ConformalForecaster,
    DLinearForecaster,
    SeasonalNaiveForecaster,
    TrainedTSFormerForecaster,
    TSFormerForecaster,
)

NAIVE = ["--forecaster", "SeasonalNaiveForecaster"]
TINY = ["--forecaster", "DLinearForecaster", "--parameters.max_steps", "2"]
USUAL = "tsformer: horizon=12, which is usual for a step of 'MS'; others by --horizon\n"


def read(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), parse_dates=["ds"])


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Fail unless ids, times and columns are equal, and numbers as float32 are."""
    assert list(found) == list(expected)
    for name in found:
        if expected[name].dtype.kind == "f":
            numbers = (frame[name].to_numpy(np.float32) for frame in (found, expected))
            np.testing.assert_array_equal(*numbers)
        else:
            assert found[name].tolist() == expected[name].tolist()


def test_without_options_tsformer_forecasts_a_usual_horizon(
    call: Any, file: Path, sales: pd.DataFrame
) -> None:
    code, out, err = call("predict", file)
    assert (code, err) == (0, USUAL)
    assert_same(read(out), TSFormerForecaster(horizon=12).predict(sales))


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["--level", 80, 95], {"level": [80, 95]}),
        (["--quantiles", 0.25, 0.75], {"quantiles": [0.25, 0.75]}),
        ([], {}),
    ],
)
def test_levels_and_quantiles_are_those_asked_for(
    call: Any, file: Path, sales: pd.DataFrame, words: list[Any], asked: dict[str, Any]
) -> None:
    code, out, err = call("predict", file, *NAIVE, "--horizon", 3, *words)
    assert (code, err) == (0, "")
    assert_same(read(out), SeasonalNaiveForecaster(horizon=3).fit(sales).predict(**asked))


def test_a_class_that_learns_is_fitted_with_its_parameters(
    call: Any, file: Path, sales: pd.DataFrame
) -> None:
    words = ["--horizon", 3, "--parameters.random_state", 1, "--parameters.context_length", 12]
    code, out, err = call("predict", file, *TINY, *words)
    assert (code, err) == (0, "")
    forecaster = DLinearForecaster(horizon=3, max_steps=2, random_state=1, context_length=12)
    assert_same(read(out), forecaster.fit(sales).predict())


def test_a_folder_is_a_saved_forecaster_which_may_be_asked_for_another_horizon(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    fitted = SeasonalNaiveForecaster(horizon=3).fit(sales)
    fitted.save(tmp_path / "fitted")
    recent = sales.rename(columns={"unique_id": "shop"})
    recent.to_csv(tmp_path / "recent.csv", index=False)
    words = ["predict", tmp_path / "recent.csv", "--forecaster", tmp_path / "fitted"]
    code, out, err = call(*words, "--id_col", "shop")
    assert (code, err) == (0, "")
    assert_same(read(out).rename(columns={"shop": "unique_id"}), fitted.predict())
    code, out, _ = call(*words, "--id_col", "shop", "--horizon", 5, "--level", 50)
    assert_same(
        read(out).rename(columns={"shop": "unique_id"}), fitted.predict(horizon=5, level=[50])
    )
    code, _, err = call(*words, "--parameters.random_state", 1)
    assert code == 2
    assert "--parameters was settled when" in err
    code, _, err = call(*words, "--freq", "D")
    assert code == 2
    assert "--freq was settled when" in err


def test_a_forecaster_inside_another_is_described_as_in_a_suite(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(
        "forecaster: ConformalForecaster\nhorizon: 2\nlevel: [80]\n"
        "parameters: {n_windows: 4, forecaster: SeasonalNaiveForecaster}\n"
    )
    code, out, err = call("predict", file, "--config", tmp_path / "c.yaml")
    assert (code, err) == (0, "")
    inside = SeasonalNaiveForecaster(horizon=2)
    expected = ConformalForecaster(forecaster=inside, n_windows=4).fit(sales).predict(level=[80])
    assert_same(read(out), expected)
    (tmp_path / "c.yaml").write_text(
        "forecaster: ConformalForecaster\nhorizon: 2\nlevel: [80]\nparameters:\n  n_windows: 4\n"
        "  forecaster: {forecaster: SeasonalNaiveForecaster, parameters: {season_length: 5}}\n"
    )
    found = read(call("predict", file, "--config", tmp_path / "c.yaml").out)
    inside = SeasonalNaiveForecaster(horizon=2, season_length=5)
    expected = ConformalForecaster(forecaster=inside, n_windows=4).fit(sales).predict(level=[80])
    assert_same(found, expected)


def test_files_pipes_and_formats_hold_the_same(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    words = [*NAIVE, "--horizon", 3]
    expected = call("predict", file, *words).out
    sales.to_parquet(tmp_path / "sales.parquet")
    assert call("predict", tmp_path / "sales.parquet", *words).out == expected
    monkeypatch.setattr(sys, "stdin", io.StringIO(file.read_text()))
    assert call("predict", "-", *words, "--output", "-").out == expected
    for name in ("a.csv", "a.parquet"):
        assert call("predict", file, *words, "--output", tmp_path / name) == (0, "", "")
    assert (tmp_path / "a.csv").read_text() == expected
    exact = SeasonalNaiveForecaster(horizon=3).fit(sales).predict()
    stored = pd.read_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(stored, exact, check_dtype=False, check_exact=True)


def test_columns_of_other_names_are_told_and_come_back(
    call: Any, sales: pd.DataFrame, tmp_path: Path
) -> None:
    renamed = sales.set_axis(["store", "date", "sold"], axis="columns")
    renamed.to_csv(tmp_path / "a.csv", index=False)
    words = ["--id_col", "store", "--time_col", "date", "--target_col", "sold", "--freq", "MS"]
    code, out, err = call("predict", tmp_path / "a.csv", *NAIVE, "--horizon", 3, *words)
    assert (code, err) == (0, "")
    found = pd.read_csv(io.StringIO(out), parse_dates=["date"])
    expected = SeasonalNaiveForecaster(horizon=3).fit(sales).predict()
    assert_same(found.set_axis(expected.columns, axis="columns"), expected)


def test_a_wide_table_is_forecast_as_the_long_one(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    wide = sales.pivot(index="ds", columns="unique_id", values="y")[["south", "north"]]
    wide.rename_axis(None).to_csv(tmp_path / "found.csv")
    wide.rename_axis("date").to_csv(tmp_path / "told.csv")
    words = [*NAIVE, "--horizon", 3]
    expected = call("predict", file, *words)
    assert call("predict", tmp_path / "found.csv", *words) == expected
    assert call("predict", tmp_path / "told.csv", *words, "--wide") == expected


def test_several_targets_are_forecast_together(
    call: Any, sales: pd.DataFrame, tmp_path: Path
) -> None:
    sales = sales.assign(price=sales["y"] % 7)
    sales.to_csv(tmp_path / "a.csv", index=False)
    words = [*NAIVE, "--horizon", 2, "--target_col", "y", "price"]
    found = read(call("predict", tmp_path / "a.csv", *words).out)
    forecaster = SeasonalNaiveForecaster(horizon=2, target_col=["y", "price"])
    assert_same(found, forecaster.fit(sales).predict())


def test_what_is_known_in_advance_or_of_each_series_comes_from_files(
    call: Any, sales: pd.DataFrame, tmp_path: Path
) -> None:
    sales = sales.assign(promo=np.arange(120) % 5, mood=np.arange(120) % 3)
    past, future = sales[sales["ds"] < "2023-11"], sales[sales["ds"] >= "2023-11"]
    future, static = future.drop(columns="y"), pd.DataFrame({"unique_id": ["north", "south"]})
    static["size"] = [3, 4]
    past, future, static = (
        frame.replace({"unique_id": {"north": "01", "south": "1"}})
        for frame in (past, future, static)
    )
    for name, frame in (("past", past), ("future", future), ("static", static)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    code, out, err = call(
        *["predict", tmp_path / "past.csv", "--forecaster", "TrainedTSFormerForecaster"],
        *["--parameters", '{"max_steps": 2, "d_model": 8, "d_ff": 8, "n_heads": 2, "n_layers": 1}'],
        *["--horizon", 2, "--future_covariates", "promo", "--past_covariates", "mood"],
        *["--static_covariates", "size", "--static", tmp_path / "static.csv"],
        *["--future", tmp_path / "future.csv"],
    )
    assert (code, err) == (0, "")
    forecaster = TrainedTSFormerForecaster(
        **{"horizon": 2, "max_steps": 2, "d_model": 8, "d_ff": 8, "n_heads": 2, "n_layers": 1},
        future_covariates=["promo"],
        past_covariates=["mood"],
        static_covariates=["size"],
    )
    expected = forecaster.fit(past, static_df=static).predict(future_df=future)
    found = pd.read_csv(io.StringIO(out), parse_dates=["ds"], dtype={"unique_id": str})
    assert_same(found, expected)


@pytest.mark.parametrize(
    ("freq", "horizon"), [("h", 48), ("D", 30), ("W-SUN", 8), ("QS-JAN", 8), ("YS-JAN", 6)]
)
def test_the_usual_horizon_is_told_with_the_frequency(
    call: Any, tmp_path: Path, freq: str, horizon: int
) -> None:
    times = pd.date_range("2020-01-01", periods=20, freq=freq)
    pd.DataFrame({"ds": times, "y": range(20)}).to_csv(tmp_path / "a.csv", index=False)
    code, out, err = call("predict", tmp_path / "a.csv", *NAIVE)
    assert code == 0
    assert err.startswith(f"tsformer: horizon={horizon}, which is usual for a step of '{freq}';")
    assert len(read(out)) == horizon


def test_times_without_dates_are_forecast_a_dozen_steps(call: Any, tmp_path: Path) -> None:
    pd.DataFrame({"ds": range(20), "y": range(20)}).to_csv(tmp_path / "a.csv", index=False)
    code, out, err = call("predict", tmp_path / "a.csv", *NAIVE)
    assert code == 0
    assert "horizon=12, which is usual for times without dates" in err
    found = pd.read_csv(io.StringIO(out))
    assert found["ds"].tolist() == list(range(20, 32))
    assert out.splitlines()[1].startswith("20,19,")  # whole numbers have no point


def test_when_it_fails_then_nothing_is_written(call: Any, file: Path, tmp_path: Path) -> None:
    words = ["--horizon", 2, "--output", tmp_path / "out.csv", "--plot", tmp_path / "p.png"]
    assert call("predict", file, *NAIVE, *words, "--level", 200).code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["sales.csv"]
