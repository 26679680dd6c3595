"""How often the truth lies within a forecaster's intervals, before and after conformal calibration.

    python scripts/coverage.py --forecaster PatchTSTForecaster --parameters max_steps=150

Every window of the suite `quick` and of M3 monthly, by default: the share of values within the
intervals of 50, 80 and 90 %, and CRPS, of the forecaster alone, fitted to everything, with method
"split" and with method "adaptive", which is told each window's truth before the next. Writes
coverage.csv and coverage.md.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import numpy as np
import pandas as pd
import yaml

from tsformer.data.datasets import DatasetUnavailableError
from tsformer.evaluation.metrics import LEVELS, Scores
from tsformer.evaluation.runner import make_forecaster
from tsformer.evaluation.suite import ModelSpec, TaskSpec, load_suite, restrict
from tsformer.evaluation.tasks import Task, load_task
from tsformer.forecasters.conformal import ConformalForecaster
from tsformer.forecasters.coverage import coverage_of

WIDTHS = (50, 80, 90)  # percent
QUANTILES = tuple(sorted({*LEVELS, 0.05, 0.25, 0.75, 0.95}))


def measure(task: Task, forecaster: Any, refit: bool) -> dict[str, dict[str, float]]:
    """Return coverage, CRPS and the number of values, without and with each method."""
    adaptive = ConformalForecaster(forecaster=forecaster, method="adaptive", refit=refit)
    adaptive.fit_panel(task.training_panel)
    alone = adaptive.forecaster_ if refit else forecaster.fit_panel(task.training_panel)
    # a copy is enough, as the methods only differ in what adaptive learned from the order of time
    split = copy.copy(adaptive).set_params(method="split")
    stretch = np.ones_like(adaptive.correction_.stretch)
    split.correction_ = replace(adaptive.correction_, stretch=stretch)
    tested = {"before": alone, "split": split, "adaptive": adaptive}
    scores = {name: Scores(task.spec.season_length) for name in tested}
    truths: list[np.ndarray] = []
    quantiles: dict[str, list[np.ndarray]] = {name: [] for name in tested}
    for number, windows in enumerate(by_cutoff(task)):
        if number:
            adaptive.update_panel(task.panel.head(task.cutoffs[number]))
        truths.append(windows.truth)
        for name, asked in tested.items():
            forecast = asked.predict_panel(windows.history, quantiles=QUANTILES)
            scores[name].update(windows.history, windows.truth, forecast)
            quantiles[name].append(forecast.quantiles)
    truth = np.concatenate(truths)
    return {
        name: row(coverage_of(truth, np.concatenate(quantiles[name]), QUANTILES, WIDTHS))
        | {"CRPS": scores[name].result()["CRPS"]}
        for name in tested
    }


def by_cutoff(task: Task) -> Iterator[Any]:
    """Yield the windows of each cut-off, in order of time."""
    for cutoffs in task.cutoffs:
        yield from replace(task, cutoffs=cutoffs[None]).windows()


def earlier(task: Task) -> Task:
    """Return the task with windows that end where its own begin: to choose by, and not to report.

    Series without anything to learn from before these are left out.
    """
    span = task.panel.lengths - task.training
    chosen = np.flatnonzero(task.training > span)
    panel = task.panel.head(task.training).select(chosen)
    moved = {
        "training": (task.training - span)[chosen],
        "cutoffs": (task.cutoffs - span)[:, chosen],
    }
    return replace(task, panel=panel, **moved)


def row(report: pd.DataFrame) -> dict[str, float]:
    """Return coverage in percent of each interval over the whole horizon, and the values."""
    overall = report[(report["kind"] == "interval") & (report["step"] == "all")]
    found = dict(zip(overall["nominal"], 100 * overall["coverage"], strict=True))
    shares = {f"coverage {width}": found[width / 100] for width in WIDTHS}
    return shares | {"values": int(overall["n_values"].iloc[0])}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row per method: coverage over all values, mean distance from the nominal one.

    And CRPS divided by that of the forecaster alone, the geometric mean over tasks.
    """
    before = table[table["method"] == "before"].set_index("task")["CRPS"]
    rows = {}
    for method, part in table.groupby("method", sort=False):
        found: dict[str, float] = {}
        for width in WIDTHS:
            shares = part[f"coverage {width}"]
            found[f"coverage {width}"] = float(np.average(shares, weights=part["values"]))
            found[f"distance {width}"] = float((shares - width).abs().mean())
        ratio = part.set_index("task")["CRPS"] / before
        found["relative CRPS"] = float(np.exp(np.log(ratio).mean()))
        rows[method] = found | {"tasks": len(part), "values": int(part["values"].sum())}
    return pd.DataFrame(rows).T


def chosen_tasks(names: list[str]) -> list[TaskSpec]:
    """Return the tasks of suites, those after a colon only: `competition:M3 monthly`."""
    tasks: list[TaskSpec] = []
    for name in names:
        suite, _, part = name.partition(":")
        tasks += restrict(load_suite(suite), [part] if part else None, None).tasks
    return tasks


def main() -> None:
    """Measure every task, writing the tables after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--forecaster", default="SeasonalNaiveForecaster")
    parser.add_argument("--parameters", nargs="*", default=[], help="of it, such as max_steps=150")
    default = ["quick", "competition:M3 monthly"]
    parser.add_argument("--tasks", nargs="+", default=default, help="suites, or suite:task")
    parser.add_argument("--refit", action="store_true", help="fit to everything after all")
    parser.add_argument("--earlier", action="store_true", help="windows before those of the test")
    parser.add_argument("--output", type=Path, default=Path("results/coverage"))
    given = parser.parse_args()

    pairs = [text.partition("=") for text in given.parameters]
    parameters = {name: yaml.safe_load(value) for name, _, value in pairs}
    model = ModelSpec(name=given.forecaster, forecaster=given.forecaster, parameters=parameters)
    rows: list[dict[str, Any]] = []
    given.output.mkdir(parents=True, exist_ok=True)
    for spec in chosen_tasks(given.tasks):
        began = time.perf_counter()
        try:
            task = earlier(load_task(spec)) if given.earlier else load_task(spec)
        except DatasetUnavailableError as error:
            print(f"{spec.name}: {error}", flush=True)
            continue
        results = measure(task, make_forecaster(model, spec, None), given.refit)
        rows += [{"task": spec.name, "method": name} | found for name, found in results.items()]
        table = pd.DataFrame(rows)
        table.to_csv(given.output / "coverage.csv", index=False)
        parts = (table.to_string(index=False, float_format="%.4g"), summary(table).round(3))
        text = "\n\n".join(f"```\n{part}\n```" for part in parts)
        (given.output / "coverage.md").write_text(text + "\n", encoding="utf-8")
        shares = ", ".join(f"{name} {found['coverage 80']:.1f}" for name, found in results.items())
        seconds = time.perf_counter() - began
        print(f"{spec.name}: coverage of 80 % intervals {shares} ({seconds:.0f} s)", flush=True)
    if rows:
        print(summary(pd.DataFrame(rows)).round(3).to_string())


if __name__ == "__main__":
    main()
