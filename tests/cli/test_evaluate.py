"""`tsformer evaluate`: scores as a loop would compute them, beside the seasonal naive forecast."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer import DLinearForecaster, SeasonalNaiveForecaster, TSFormerForecaster
from tsformer.cli.evaluate import window_scores
from tsformer.data.frame import Schema, read_panel

LEVELS = [f"0.{n}" for n in range(1, 10)]


def table(text: str) -> pd.DataFrame:
    return pd.read_fwf(io.StringIO(text), index_col=0)


def scores_by_loops(df: pd.DataFrame, windows: pd.DataFrame, season: int) -> dict[str, float]:
    """Return the scores, window by window."""
    errors, losses, inside, widths, level = [], [], [], [], []
    for (name, cutoff), window in windows.groupby(["unique_id", "cutoff"]):
        own = df[(df["unique_id"] == name) & (df["ds"] <= cutoff)]["y"].to_numpy()
        scale = np.nanmean(np.abs(own[season:] - own[:-season]))
        window = window.dropna()
        errors += [*np.abs(window["y"] - window["0.5"]) / scale]
        for column in LEVELS:
            past = window["y"] - window[column]
            losses += [*(2 * np.maximum(float(column) * past, (float(column) - 1) * past))]
        inside += [*((window["0.1"] < window["y"]) & (window["y"] < window["0.9"]))]
        widths += [*(window["0.9"] - window["0.1"])]
        level += [*np.abs(window["y"])]
    return {
        "MASE": np.mean(errors),
        "CRPS": np.sum(losses) / 9 / np.sum(level),
        "coverage80": np.mean(inside),
        "width80": np.sum(widths) / np.sum(level),
    }


def test_scores_are_those_of_a_loop_over_windows(sales: pd.DataFrame) -> None:
    sales = sales.assign(y=sales["y"].astype(np.float32).astype(float))
    windows = SeasonalNaiveForecaster(horizon=5, season_length=7).cross_validation(
        sales, n_windows=4, step_size=2
    )
    panel, layout = read_panel(sales, Schema())
    found = window_scores(panel, layout, windows, 5)
    for name, expected in scores_by_loops(sales, windows, 12).items():
        assert found[name] == pytest.approx(expected, rel=1e-4), name


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_scores_do_not_depend_on_time_zones_ids_or_the_order_of_rows(
    sales: pd.DataFrame, zone: str
) -> None:
    days = sales.assign(ds=np.tile(pd.date_range("2024-03-01", periods=60), 2))
    one = days[days["unique_id"] == "south"].drop(columns="unique_id")
    zoned = days.assign(ds=days["ds"].dt.tz_localize(zone)).sample(frac=1, random_state=0)
    found = []
    for frame in (days, zoned, one, one.assign(unique_id=3)):
        windows = SeasonalNaiveForecaster(horizon=4).cross_validation(frame, n_windows=6)
        found.append(window_scores(*read_panel(frame, Schema()), windows, 4))
    assert found[0] == pytest.approx(found[1])
    assert found[2] == pytest.approx(found[3])


def test_several_targets_count_each_in_its_own_scale(sales: pd.DataFrame) -> None:
    both = sales.assign(x=1000 * sales["y"])
    schema = Schema(target_col=("y", "x"))
    forecaster = SeasonalNaiveForecaster(horizon=3, target_col=["y", "x"])
    together = window_scores(*read_panel(both, schema), forecaster.cross_validation(both), 3)
    alone = SeasonalNaiveForecaster(horizon=3).cross_validation(sales)
    assert together["MASE"] == pytest.approx(
        window_scores(*read_panel(sales, Schema()), alone, 3)["MASE"], rel=1e-4
    )


def test_the_table_compares_with_the_seasonal_naive_forecast(
    call: Any, file: Path, sales: pd.DataFrame
) -> None:
    code, out, err = call("evaluate", file, "--horizon", 4, "--n_windows", 2)
    assert (code, err) == (0, "")
    found = table(out)
    assert list(found) == ["MASE", "CRPS", "coverage80", "width80"]
    assert list(found.index) == ["TSFormerForecaster", "seasonal naive", "ratio"]
    panel, layout = read_panel(sales, Schema())
    for forecaster in (TSFormerForecaster(horizon=4), SeasonalNaiveForecaster(horizon=4)):
        windows = forecaster.cross_validation(sales, n_windows=2)
        expected = window_scores(panel, layout, windows, 4)
        name = type(forecaster).__name__.replace("SeasonalNaiveForecaster", "seasonal naive")
        assert found.loc[name].tolist() == pytest.approx(
            [expected[column] for column in found], abs=6e-4
        )
    assert found["MASE"]["ratio"] == pytest.approx(
        found["MASE"].iloc[0] / found["MASE"].iloc[1], abs=0.01
    )
    assert np.isnan(found["coverage80"]["ratio"])


def test_the_windows_are_written_as_cross_validation_returns_them(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    words = ["--forecaster", "DLinearForecaster", "--parameters.max_steps", 2, "--horizon", 3]
    more = ["--n_windows", 3, "--step_size", 2, "--refit", "2"]
    code, _, err = call("evaluate", file, *words, *more, "--output", tmp_path / "w.parquet")
    assert (code, err) == (0, "")
    forecaster = DLinearForecaster(horizon=3, max_steps=2)
    expected = forecaster.cross_validation(sales, n_windows=3, step_size=2, refit=2)
    found = pd.read_parquet(tmp_path / "w.parquet")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, check_exact=True)


def test_a_saved_forecaster_is_asked_as_it_is_or_fitted_anew(
    call: Any, file: Path, sales: pd.DataFrame, tmp_path: Path
) -> None:
    early = sales[sales["ds"] < "2023-01-01"]
    DLinearForecaster(horizon=3, max_steps=2, quantiles=[0.5]).fit(early).save(tmp_path / "f")
    words = ["evaluate", file, "--forecaster", tmp_path / "f"]
    code, out, err = call(*words)
    assert (code, err) == (0, "")
    assert table(out).index[0] == str(tmp_path / "f")
    assert call(*words, "--refit", "true").out != out
    code, _, err = call(*words, "--horizon", 20)
    assert code == 1
    assert "later than the first cut-off" in err


def test_a_forecaster_around_another_is_scored_too(call: Any, file: Path, tmp_path: Path) -> None:
    inside = ["--parameters.forecaster", "SeasonalNaiveForecaster", "--horizon", 2]
    words = ["--forecaster", "ConformalForecaster", *inside, "--parameters.n_windows", 4]
    code, out, err = call("evaluate", file, *words)
    assert (code, err) == (0, "")
    assert table(out).index[0] == "ConformalForecaster"
    assert call("fit", file, *words, "--output", tmp_path / "f").code == 0
    named = tmp_path / "named.csv"
    named.write_text(file.read_text().replace("unique_id", "shop", 1))
    more = ["--id_col", "shop", "--refit", "false"]
    again = call("evaluate", named, "--forecaster", tmp_path / "f", *more)
    assert (again.code, again.err) == (0, "")
    assert table(again.out).iloc[0].tolist() == table(out).iloc[0].tolist()


def test_the_windows_go_through_a_pipe_and_the_table_beside_it(call: Any, file: Path) -> None:
    words = ["evaluate", file, "--forecaster", "SeasonalNaiveForecaster", "--horizon", 2]
    plain = call(*words)
    code, out, err = call(*words, "--output", "-")
    assert (code, err) == (0, plain.out)
    assert out.startswith("unique_id,ds,cutoff,y,mean,0.1,")
    assert out.count("\n") == 5


def test_a_saved_forecaster_knows_its_columns(
    call: Any, sales: pd.DataFrame, tmp_path: Path
) -> None:
    file, output = tmp_path / "a.csv", tmp_path / "f"
    renamed = sales.set_axis(["shop", "day", "sold"], axis="columns")
    renamed.replace({"shop": {"south": "007", "north": "8"}}).to_csv(file, index=False)
    naive = ["--forecaster", "SeasonalNaiveForecaster", "--horizon", 2]
    columns = ["--id_col", "shop", "--time_col", "day", "--target_col", "sold"]
    assert call("fit", file, *naive, *columns, "--output", output).code == 0
    saved = ["--forecaster", output]
    out = call("predict", file, *saved, "--plot", tmp_path / "a.svg").out
    assert [line.split(",")[0] for line in out.splitlines()] == ["shop", "007", "007", "8", "8"]
    again = call("evaluate", file, *saved, "--refit", "false")
    assert again.err == ""
    expected = call("evaluate", file, *naive, *columns).out
    assert table(again.out).iloc[0].tolist() == table(expected).iloc[0].tolist()
