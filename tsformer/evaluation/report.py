"""The report of a suite: a table on the screen, `results.csv`, Markdown and pictures."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import tsformer
from tsformer.evaluation.pictures import draw_task, draw_training
from tsformer.evaluation.suite import SuiteSpec, TaskSpec

_COLUMNS = ["MASE", "CRPS", "ND", "NLL", "coverage80", "width80", "MSE", "MAE", "MSE*", "MAE*"]
_LOGARITHMS = {"NLL"}  # scores that are subtracted instead of divided, and averaged as they are


def results_frame(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per run: task, model, seed, status, scores, seconds, megabytes."""
    rows = []
    for record in records:
        row = {name: record.get(name) for name in ("task", "model", "seed", "status")}
        row |= {name: record.get("scores", {}).get(name, np.nan) for name in _COLUMNS}
        for name in ("pretrain_seconds", "fit_seconds", "predict_seconds", "peak_memory_mb"):
            row[name] = record.get(name, np.nan)
        rows.append(row | {"error": record.get("error", "")})
    return pd.DataFrame(rows)


def relative(results: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return task × model: the metric's mean over seeds, divided by the baseline's.

    The baseline's logarithmic score is subtracted. Tasks without a result of the baseline are left
    out.
    """
    done = results[results["status"] == "done"]
    table = done.pivot_table(index="task", columns="model", values=metric, sort=False)
    if baseline not in table:
        return table.iloc[:0]
    compare = table.sub if metric in _LOGARITHMS else table.div
    return compare(table[baseline], axis=0).dropna(subset=[baseline])


def means(table: pd.DataFrame, metric: str) -> pd.Series:
    """Return each model's geometric mean over tasks; NaN where a task is missing.

    Logarithmic scores have their plain mean.
    """
    if metric in _LOGARITHMS:
        return table.mean(skipna=False)
    with np.errstate(divide="ignore"):  # a perfect score
        return table.apply(np.log).mean(skipna=False).apply(np.exp)


def seed_means(results: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return model × seed: the mean over tasks of the relative metric (see `means`)."""
    done = results[results["status"] == "done"]
    base = done[done["model"] == baseline].set_index("task")[metric]
    of_task = done["task"].map(base)
    logarithm = metric in _LOGARITHMS
    logs = done[metric] - of_task if logarithm else (done[metric] / of_task).map(math.log)
    grouped = logs.groupby([done["model"], done["seed"]], dropna=True)
    complete = grouped.count().eq(results["task"].nunique())
    mean = grouped.mean() if logarithm else grouped.mean().map(math.exp)
    return mean.where(complete).rename(metric).reset_index()


def screen_table(suite: SuiteSpec, results: pd.DataFrame) -> str:
    """Return the summary as plain text."""
    return _summary(suite, results).to_string(float_format=lambda value: f"{value:.3f}")


def write_report(suite: SuiteSpec, records: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Write `results.csv`, `report.md` and one picture per task; return the report's path."""
    folder.mkdir(parents=True, exist_ok=True)
    results = results_frame(records)
    results.to_csv(folder / "results.csv", index=False)
    pictures = [_picture(task, suite, records, folder) for task in suite.tasks]
    parts = [
        f"# {suite.title}",
        suite.description.strip(),
        _environment(),
        "## Over all tasks",
        f"Geometric means of each score divided by that of {suite.baseline} (of NLL: means of the "
        "difference); lower is better. "
        "Coverage and width are means over tasks, seconds are sums.",
        _markdown(_summary(suite, results)),
        *_seed_part(suite, results),
        *_unfinished(results),
        *[part for metric in suite.metrics for part in _metric_part(suite, results, metric)],
        "## Forecasts",
        *[picture for picture in pictures if picture],
    ]
    path = folder / "report.md"
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return path


def _summary(suite: SuiteSpec, results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model."""
    done = results[results["status"] == "done"]
    by_task = done.groupby(["model", "task"])[
        [
            "coverage80",
            "width80",
            "pretrain_seconds",
            "fit_seconds",
            "predict_seconds",
            "peak_memory_mb",
        ]
    ].mean()
    table = pd.DataFrame(
        {
            f"{'difference in' if metric in _LOGARITHMS else 'relative'} {metric}": means(
                relative(results, metric, suite.baseline), metric
            )
            for metric in suite.metrics
        }
    )
    table["coverage80"] = by_task["coverage80"].groupby("model").mean()
    table["width80"] = by_task["width80"].groupby("model").mean()
    if by_task["pretrain_seconds"].notna().any():
        table["pretrain s"] = by_task["pretrain_seconds"].groupby("model").sum(min_count=1)
    table["fit s"] = by_task["fit_seconds"].groupby("model").sum()
    table["predict s"] = by_task["predict_seconds"].groupby("model").sum()
    table["peak MB"] = by_task["peak_memory_mb"].groupby("model").max()
    order = [model.name for model in suite.models if model.name in table.index]
    return table.loc[order]


def _metric_part(suite: SuiteSpec, results: pd.DataFrame, metric: str) -> list[str]:
    done = results[results["status"] == "done"]
    if done.empty:
        return []
    table = done.pivot_table(index="task", columns="model", values=metric, sort=False)
    table = table[[model.name for model in suite.models if model.name in table]]
    for model, tasks in suite.published.items():
        figures = {task: scores[metric] for task, scores in tasks.items() if metric in scores}
        if figures:
            table[f"{model} (published)"] = pd.Series(figures, dtype=float)
    last = "mean" if metric in _LOGARITHMS else "geometric mean"
    table.loc[last] = means(table, metric)
    return [f"## {metric} by task", "Means over seeds.", _markdown(table, digits=4)]


def _seed_part(suite: SuiteSpec, results: pd.DataFrame) -> list[str]:
    seeds = [seed_means(results, metric, suite.baseline) for metric in suite.metrics]
    table = reduce(lambda left, right: left.merge(right, on=["model", "seed"]), seeds)
    if table.empty:
        return []
    table["seed"] = table["seed"].astype(int)
    return ["Seed by seed:", _markdown(table.set_index("model"))]


def _unfinished(results: pd.DataFrame) -> list[str]:
    rows = results[results["status"] != "done"]
    if rows.empty:
        return []
    lines = [f"- {r.task}, {r.model}: {r.status}. {r.error}" for r in rows.itertuples()]
    return ["## Not done", "\n".join(lines)]


def _environment() -> str:
    return (
        f"tsformer {tsformer.__version__}, torch {torch.__version__.split('+')[0]}, Python "
        f"{platform.python_version()}, {torch.get_num_threads()} threads, "
        f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'no GPU'}."
    )


def _picture(
    task: TaskSpec, suite: SuiteSpec, records: Sequence[dict[str, Any]], folder: Path
) -> str:
    """Draw a task's examples and validation curves; return the Markdown that shows them.

    The examples are those of the first seed.
    """
    drawn: dict[str, Any] = {}
    curves: dict[str, list[Any]] = {}
    for record in records:
        if record["task"] == task.name and record["status"] == "done":
            drawn.setdefault(record["model"], record["examples"])
            if history := (record.get("training") or {}).get("history"):
                curves.setdefault(record["model"], []).append(history)
    order = [model.name for model in suite.models if model.name in drawn]
    if not order:
        return ""
    name = "".join(letter if letter.isalnum() else "_" for letter in task.name)
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    draw_task(task.name, {model: drawn[model] for model in order}, pictures / f"{name}.png")
    parts = [f"### {task.name}", task.note, f"![Forecasts of {task.name}](pictures/{name}.png)"]
    if curves:
        draw_training(task.name, curves, pictures / f"{name}_training.png")
        parts.append(f"![Validation losses of {task.name}](pictures/{name}_training.png)")
    return "\n\n".join(part for part in parts if part)


def _markdown(table: pd.DataFrame, digits: int = 3) -> str:
    """Return a Markdown table; its first column is the index."""
    header = [str(table.index.name or ""), *map(str, table.columns)]
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    for name, *values in table.itertuples():
        cells = [_cell(value, digits) for value in values]
        lines.append("| " + " | ".join([str(name), *cells]) + " |")
    return "\n".join(lines)


def _cell(value: Any, digits: int) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.{digits}f}"
    return str(value)
