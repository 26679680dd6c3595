"""`tsformer benchmark`: the summary on the standard output, progress beside it, codes for failures.

What the runs themselves do is tested where they are: tests/evaluation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SUITE = """
name: tiny
title: Tiny
tasks:
  - {name: air, dataset: air_passengers, horizon: 6, season_length: 12, windows: 1}
  - {name: nino, dataset: el_nino, horizon: 6, season_length: 12, windows: 1}
models:
  - {name: SeasonalNaive, forecaster: SeasonalNaiveForecaster}
  - {name: Short, forecaster: SeasonalNaiveForecaster, parameters: {season_length: 1}}
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SUITE)
    return path


def test_the_answer_is_the_summary_and_progress_goes_beside_it(
    call: Any, suite: Path, tmp_path: Path
) -> None:
    words = ["benchmark", suite, "--output", tmp_path / "out"]
    code, out, err = call(*words)
    assert code == 0
    assert out.startswith("Tiny: scores divided by those of SeasonalNaive, geometric means\n\n")
    assert "relative MASE" in out
    assert out.splitlines()[-1].startswith(f"Report: {tmp_path / 'out' / 'tiny' / 'report.'}")
    assert err.count("\n") == 4
    assert err.startswith("tsformer: [1/4] air: SeasonalNaive: MASE ")
    assert (tmp_path / "out" / "tiny" / "results.csv").is_file()
    assert call(*words).err.count("(stored)") == 4
    assert "(stored)" not in call(*words, "--fresh", "--tasks", "air").err


def test_tasks_and_models_can_be_chosen(call: Any, suite: Path, tmp_path: Path) -> None:
    words = ["benchmark", suite, "--output", tmp_path / "out", "--tasks", "air"]
    assert call(*words, "--models", "SeasonalNaive").err.count("\n") == 1
    code, _, err = call(*words, "--models", "Oracle")
    assert code == 1
    assert "there is no model 'Oracle'" in err


def test_when_a_run_fails_then_the_others_are_reported_and_the_code_is_1(
    call: Any, suite: Path, tmp_path: Path
) -> None:
    suite.write_text(SUITE.replace("season_length: 1}", "season_length: -1}"))
    code, out, err = call("benchmark", suite, "--output", tmp_path / "out", "--tasks", "air")
    assert code == 1
    assert "air: Short: failed: ValueError: " in err
    assert "relative MASE" in out


def test_two_results_are_compared(call: Any, suite: Path, tmp_path: Path) -> None:
    from tsformer.evaluation.compare import compare_files

    for name in ("a", "b"):
        assert call("benchmark", suite, "--output", tmp_path / name, "--tasks", "air").code == 0
    files = [tmp_path / name / "tiny" / "results.csv" for name in ("a", "b")]
    assert call("benchmark", "--compare", *files) == (0, compare_files(*files) + "\n", "")
    code, _, err = call("benchmark", suite, "--compare", *files)
    assert code == 2
    assert "and no suite" in err


def test_a_suite_that_does_not_exist_is_an_error(call: Any) -> None:
    code, _, err = call("benchmark", "nope")
    assert (code, err) == (
        1,
        "tsformer: nope: there is no such suite; pass a YAML file, or 'quick'\n",
    )
