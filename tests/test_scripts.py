from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
SUITE = """
name: tiny
title: Tiny
tasks:
  - {name: air, dataset: air_passengers, horizon: 6, season_length: 12, windows: 1}
models:
  - {name: SeasonalNaive, forecaster: SeasonalNaiveForecaster}
  - {name: PatchTST, forecaster: PatchTSTForecaster, parameters: {max_steps: 3}, seeds: [0]}
"""


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPTS / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )


def test_benchmark_writes_a_report_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SUITE)
    first = run("benchmark.py", str(tmp_path / "tiny.yaml"), "--output", str(tmp_path / "out"))
    assert first.returncode == 0, first.stderr
    assert "(stored)" not in first.stderr
    assert "relative MASE" in first.stdout
    folder = tmp_path / "out" / "tiny"
    assert (folder / "report.html").is_file()
    assert (folder / "report.md").is_file()
    assert (folder / "results.csv").is_file()
    assert (folder / "pictures" / "task_1_air.png").is_file()
    second = run("benchmark.py", str(tmp_path / "tiny.yaml"), "--output", str(tmp_path / "out"))
    assert second.stderr.count("(stored)") == 2
    shutil.rmtree(folder)


def test_benchmark_says_so_when_a_model_failed(tmp_path: Path) -> None:
    broken = SUITE.replace("max_steps: 3", "patch_length: 10000")
    (tmp_path / "tiny.yaml").write_text(broken)
    result = run("benchmark.py", str(tmp_path / "tiny.yaml"), "--output", str(tmp_path / "out"))
    assert result.returncode == 1
    assert "patch_length=10000 is longer than context_length" in result.stderr
    assert "SeasonalNaive: MASE" in result.stderr


@pytest.mark.parametrize(
    "script",
    [
        "ablate_formats.py",
        "ablate_pretraining.py",
        "bench_gpu.py",
        "bench_llm.py",
        "bench_pruning.py",
        "bench_speed.py",
        "bench_startup.py",
        "bench_zero_shot.py",
        "benchmark.py",
        "build_datasets.py",
        "coverage.py",
        "gallery.py",
        "pretrain.py",
        "scaling_study.py",
        "tokenize_series.py",
        "train_nanogpt.py",
    ],
)
def test_scripts_explain_themselves(script: str) -> None:
    result = run(script, "--help")
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout


def test_series_are_tokenized_as_by_the_command(tmp_path: Path) -> None:
    (tmp_path / "demand.csv").write_text("ds,y\n2024-01-01,3\n2024-01-02,5\n2024-01-03,4\n")
    output = tmp_path / "tokens"
    given = ("demand.csv", "--tokenizer", "ngram", "--output", str(output))
    missing = run("tokenize_series.py", *given)
    assert missing.returncode == 1
    assert missing.stderr == "tsformer: demand.csv: No such file or directory\n"
    result = run("tokenize_series.py", str(tmp_path / "demand.csv"), *given[1:])
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[:3] == ["unique_id", "values", "tokens"]
    assert sorted(path.name for path in output.iterdir()) == ["cost.csv", "tokens.jsonl"]
