"""Two files of results: what changed is said, by model and by task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.evaluation.compare import compare_files, read_results
from tsformer.evaluation.results import results_frame


@pytest.fixture
def old(records: Any, tmp_path: Path) -> Path:
    path = tmp_path / "old.csv"
    results_frame(records).to_csv(path, index=False)
    return path


def changed(old: Path, **factors: float) -> Path:
    """Return a file in which the scores of the network are others."""
    frame = pd.read_csv(old)
    for metric, factor in factors.items():
        frame.loc[frame["model"] == "Net", metric] *= factor
    path = old.with_name("new.csv")
    frame.to_csv(path, index=False)
    return path


def line_of(text: str, *words: str) -> list[str]:
    """Return the fields of the first line that has all words."""
    return next(line.split() for line in text.splitlines() if all(w in line for w in words))


def test_the_same_results_have_not_changed(old: Path) -> None:
    text = compare_files(old, old)
    assert line_of(text, "Net") == ["Net", "2", "+0.0%", "+0.0%", "+0.0%", "+0.0%"]
    assert "No score of a task changed by 1% (NLL: by 0.01) or more." in text
    assert "Only in" not in text


def test_changes_are_ratios_of_means_over_seeds(old: Path) -> None:
    text = compare_files(old, changed(old, MASE=1.1, CRPS=0.8))
    assert line_of(text, "Net") == ["Net", "2", "+10.0%", "-20.0%", "+0.0%", "+0.0%"]
    assert line_of(text, "SeasonalNaive")[2:4] == ["+0.0%", "+0.0%"]
    assert line_of(text, "first", "Net", "MASE")[-3:] == ["0.75", "0.825", "+10.0%"]
    tasks = text.split("Scores of tasks")[1]
    assert tasks.index("-20.0%") < tasks.index("+10.0%")  # the largest first


def test_a_mean_over_tasks_is_geometric(old: Path) -> None:
    frame = pd.read_csv(old)
    chosen = (frame["model"] == "Net") & (frame["task"] == "first")
    frame.loc[chosen, "MASE"] *= 4.0
    frame.to_csv(old.with_name("new.csv"), index=False)
    text = compare_files(old, old.with_name("new.csv"))
    assert line_of(text, "Net")[2] == f"{np.sqrt(4.0) - 1:+.1%}"


def test_densities_are_subtracted(scored_records: Any, tmp_path: Path) -> None:
    paths = [tmp_path / "old.csv", tmp_path / "new.csv"]
    frame = results_frame(scored_records)
    frame.to_csv(paths[0], index=False)
    frame.assign(NLL=frame["NLL"] - 0.25).to_csv(paths[1], index=False)
    assert "-0.250" in line_of(compare_files(*paths), "Net")


def test_every_score_of_a_suite_is_compared_and_every_name_is_one(
    records: Any, tmp_path: Path
) -> None:
    paths = [tmp_path / "old.csv", tmp_path / "new.csv"]
    frame = results_frame(records).assign(**{"ND": 1.0, "MSE*": 2.0}).replace("Net", "None")
    frame.to_csv(paths[0], index=False)
    frame.assign(**{"MSE*": 3.0}).to_csv(paths[1], index=False)
    text = compare_files(*paths)
    header = next(line for line in text.splitlines() if "MASE" in line).split()
    assert dict(zip(header[1:], line_of(text, "None")[2:], strict=True)) == {
        **dict.fromkeys(["MASE", "CRPS", "ND", "MSE", "MAE"], "+0.0%"),
        "MSE*": "+50.0%",
    }


def test_runs_of_one_side_are_named(old: Path) -> None:
    frame = pd.read_csv(old)
    new = old.with_name("new.csv")
    frame[frame["task"] != "first"].to_csv(new, index=False)
    text = compare_files(old, new)
    assert f"Only in {old}: first: Net, first: SeasonalNaive." in text
    assert f"Only in {new}" not in text
    assert line_of(text, "Net")[1] == "1"


def test_failed_runs_do_not_count(old: Path) -> None:
    frame = pd.read_csv(old)
    frame.loc[frame["model"] == "Net", "status"] = "failed"
    new = old.with_name("new.csv")
    frame.to_csv(new, index=False)
    assert "first: Net" in compare_files(old, new).split("Only in")[1]


def test_files_without_anything_in_common_say_so(old: Path) -> None:
    new = old.with_name("new.csv")
    pd.read_csv(old).assign(task="other").to_csv(new, index=False)
    assert compare_files(old, new).startswith("The two files have no task and model in common.")


def test_parquet_is_read_as_csv_is(old: Path) -> None:
    pytest.importorskip("pyarrow")
    table = old.with_suffix(".parquet")
    pd.read_csv(old).to_parquet(table)
    assert compare_files(table, table).split("\n\n")[0] == compare_files(old, old).split("\n\n")[0]
    pd.testing.assert_frame_equal(read_results(table), read_results(old), check_dtype=False)


def test_what_is_no_file_of_results_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.csv"
    with pytest.raises(FileNotFoundError, match="there is no such file; pass a results.csv"):
        read_results(missing)
    other = tmp_path / "other.csv"
    other.write_text("task,model,status,CRPS\n", encoding="utf-8")
    with pytest.raises(ValueError, match="has no column 'MASE'; pass the results.csv of a"):
        read_results(other)
