"""Times as files have them: dates without hyphens, and offsets that change with the clocks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.cli.times import with_dates

NAIVE = ["--forecaster", "SeasonalNaiveForecaster"]


def write(path: Path, times: Any) -> Path:
    pd.DataFrame({"ds": times, "y": np.arange(len(times)) % 7}).to_csv(path, index=False)
    return path


def answered(out: str) -> list[str]:
    return pd.read_csv(io.StringIO(out), dtype=str)["ds"].tolist()


@pytest.mark.parametrize(
    ("freq", "form", "end"), [("D", "%Y%m%d", "2024-01-31"), ("MS", "%Y%m", "2023-12-01")]
)
@pytest.mark.parametrize("n_steps", [5, 40])
def test_compact_dates_are_forecast_as_dates(
    call: Any, tmp_path: Path, freq: str, form: str, end: str, n_steps: int
) -> None:
    times = pd.date_range(end=end, periods=n_steps, freq=freq)
    plain = call("predict", write(tmp_path / "a.csv", times), *NAIVE, "--horizon", 2)
    compact = write(tmp_path / "b.csv", times.strftime(form).astype(int))
    for words in ([], ["--freq", freq]):
        code, out, err = call("predict", compact, *NAIVE, "--horizon", 2, *words)
        assert (code, out) == (0, plain.out)
        assert (
            err == f"tsformer: column 'ds' has dates: {times[0]:{form}} is read as {times[0]:%F}\n"
        )


@pytest.mark.parametrize("first", [20240101, 20240100, 1990, 1])
def test_counted_steps_stay_counted(call: Any, tmp_path: Path, first: int) -> None:
    file = write(tmp_path / "a.csv", range(first, first + 40))
    code, out, err = call("predict", file, *NAIVE, "--horizon", 2)
    assert (code, err) == (0, "")
    assert answered(out) == [str(first + 40), str(first + 41)]


def test_other_tables_follow_the_first() -> None:
    dates = pd.DataFrame({"ds": pd.to_datetime(["2024-01-30", "2024-01-31"])})
    counts = pd.DataFrame({"ds": [20240198, 20240199, 20240200]})
    one = pd.DataFrame({"ds": [20240201], "cutoff": [20240131]})
    assert with_dates(one, like=dates)["ds"].tolist() == [pd.Timestamp("2024-02-01")]
    assert with_dates(one, like=dates)["cutoff"].tolist() == [pd.Timestamp("2024-01-31")]
    assert with_dates(one, like=counts)["ds"].tolist() == [20240201]
    assert one["ds"].tolist() == [20240201]


def clock_change(n_steps: int, freq: str) -> pd.DatetimeIndex:
    return pd.date_range("2024-03-29", periods=n_steps, freq=freq, tz="Europe/Berlin")


def test_hours_across_a_clock_change_are_read_back_as_utc(call: Any, tmp_path: Path) -> None:
    times = clock_change(96, "h")
    code, out, err = call("predict", write(tmp_path / "a.csv", times), *NAIVE, "--horizon", 3)
    assert code == 0
    assert "has offsets that change; its times are read as UTC" in err
    expected = pd.date_range(times[-1].tz_convert("UTC"), periods=4, freq="h")[1:]
    assert answered(out) == [str(time) for time in expected]


def test_days_across_a_clock_change_are_those_of_their_own_clocks(
    call: Any, tmp_path: Path
) -> None:
    file = write(tmp_path / "a.csv", clock_change(9, "D"))
    code, out, err = call("predict", file, *NAIVE, "--horizon", 2)
    assert code == 0
    assert "has offsets that change; they are left out" in err
    assert answered(out) == ["2024-04-07", "2024-04-08"]


@pytest.mark.parametrize("freq", ["h", "D"])
def test_own_answers_across_a_clock_change_are_drawn(call: Any, tmp_path: Path, freq: str) -> None:
    pytest.importorskip("pyarrow")
    times = clock_change(40, freq)
    history = pd.DataFrame({"ds": times, "y": np.arange(40) % 7})
    history.iloc[: -10 if freq == "h" else -38].to_parquet(tmp_path / "a.parquet")
    words = [tmp_path / "a.parquet", *NAIVE, "--horizon", 30]
    assert call("predict", *words, "--output", tmp_path / "f.csv").code == 0
    assert "+02:00" in (tmp_path / "f.csv").read_text()
    drawn = call("plot", tmp_path / "a.parquet", tmp_path / "f.csv", "--output", tmp_path / "a.svg")
    assert drawn == (0, "", "")


def test_texts_with_one_offset_or_none_are_left_to_the_forecaster() -> None:
    for texts in (["2024-01-01T00:00Z"] * 2, ["2024-01-01", "2024-01-02"], ["a", "b"], []):
        frame = pd.DataFrame({"ds": pd.Series(texts, dtype=object)})
        pd.testing.assert_frame_equal(with_dates(frame), frame)


def test_a_frequency_of_dates_for_counted_steps_names_the_remedy(call: Any, tmp_path: Path) -> None:
    pd.DataFrame({"ds": range(20), "y": range(20)}).to_csv(tmp_path / "a.csv", index=False)
    code, _, err = call("predict", tmp_path / "a.csv", *NAIVE, "--freq", "D")
    assert code == 1
    assert "does not fit times that are whole numbers; leave --freq out, or write the" in err
