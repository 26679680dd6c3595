"""Results as tables: one row per run, one per task, relative to a baseline, means over tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd

from tsformer.evaluation.suite import SuiteSpec

SCORES = ["MASE", "CRPS", "ND", "NLL", "coverage80", "width80", "MSE", "MAE", "MSE*", "MAE*"]
LOGARITHMS = {"NLL"}  # scores that are subtracted instead of divided, and averaged as they are
_COSTS = ("n_parameters", "pretrain_seconds", "fit_seconds", "predict_seconds", "peak_memory_mb")


def results_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row per run: task, model, seed, status, scores, seconds, megabytes."""
    rows = []
    for record in records:
        row = {name: record.get(name) for name in ("task", "model", "seed", "status")}
        row |= {name: record.get("scores", {}).get(name, np.nan) for name in SCORES}
        row |= {name: record.get(name, np.nan) for name in _COSTS}
        rows.append(row | {"error": record.get("error", "")})
    frame = pd.DataFrame(rows)
    return frame.astype({"n_parameters": float}) if rows else frame


def finished(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the runs that came to an end."""
    return results[results["status"] == "done"]


def calibration_frame(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return model × level: the share of values at or below a quantile, means over tasks."""
    rows = [
        {"model": record["model"], "task": record["task"], "level": float(level), "below": below}
        for record in records
        for level, below in record.get("calibration", {}).items()
    ]
    frame = pd.DataFrame(rows, columns=["model", "task", "level", "below"])
    by_task = frame.groupby(["model", "task", "level"], sort=False)["below"].mean()
    return by_task.groupby(["model", "level"], sort=False).mean().unstack("level")


def absolute(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return task × model: the metric's mean over seeds."""
    return finished(results).pivot_table(index="task", columns="model", values=metric, sort=False)


def with_published(table: pd.DataFrame, suite: SuiteSpec, metric: str) -> pd.DataFrame:
    """Return task × model with the models in the suite's order, published figures after them."""
    table = table[[model.name for model in suite.models if model.name in table]]
    for model, tasks in suite.published.items():
        figures = {task: scores[metric] for task, scores in tasks.items() if metric in scores}
        if figures:
            table = table.assign(**{published_name(model): pd.Series(figures, dtype=float)})
    return table


def published_name(model: str) -> str:
    """Return what a model is called whose figures are published ones."""
    return f"{model} (published)"


def relative(results: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return task × model: the metric's mean over seeds, divided by the baseline's.

    The baseline's logarithmic score is subtracted. Tasks without a result of the baseline are left
    out.
    """
    return relative_to(absolute(results, metric), metric, baseline)


def relative_to(table: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return what `relative` does, for a table of task × model."""
    if baseline not in table:
        return table.iloc[:0]
    compare = table.sub if metric in LOGARITHMS else table.div
    return compare(table[baseline], axis=0).dropna(subset=[baseline])


def compare_all(suite: SuiteSpec, results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return what `relative` does, with published figures as further models."""
    measured = with_published(absolute(results, metric), suite, metric)
    return relative_to(measured, metric, suite.baseline)


def shown_scores(suite: SuiteSpec, results: pd.DataFrame, metric: str) -> tuple[str, pd.DataFrame]:
    """Return what a metric's means are called, and task × model of what they are means of.

    That is what `compare_all` returns or, where the baseline has none of it, the metric itself.
    """
    compared = compare_all(suite, results, metric)
    if len(compared):
        return relative_name(metric), compared
    return metric, with_published(absolute(results, metric), suite, metric)


def scope(suite: SuiteSpec, results: pd.DataFrame) -> str:
    """Return over which tasks means are taken, in words."""
    known = relative(results, suite.primary_metric, suite.baseline).index
    without = [task.name for task in suite.tasks if task.name not in known]
    if not without:
        return f"over {len(suite.tasks)} tasks" if len(suite.tasks) > 1 else "over one task"
    more = f" and {len(without) - 3} more" if len(without) > 3 else ""
    return (
        f"over {len(known)} of {len(suite.tasks)} tasks (those in which {suite.baseline} has a "
        f"score to compare with; not {', '.join(without[:3])}{more})"
    )


def means(table: pd.DataFrame, metric: str) -> pd.Series:
    """Return each model's geometric mean over tasks; NaN where a task is missing.

    Logarithmic scores have their plain mean.
    """
    if metric in LOGARITHMS:
        return table.mean(skipna=False)
    with np.errstate(divide="ignore"):  # a perfect score
        return table.apply(np.log).mean(skipna=False).apply(np.exp)


def seed_means(results: pd.DataFrame, metric: str, baseline: str) -> pd.DataFrame:
    """Return model × seed: the mean over tasks of the relative metric (see `means`)."""
    done = finished(results)
    base = done[done["model"] == baseline].groupby("task")[metric].mean()
    compared = relative_to(
        pd.DataFrame({"score": done[metric], baseline: done["task"].map(base)}), metric, baseline
    )["score"]
    with np.errstate(divide="ignore"):  # a perfect score
        values = compared if metric in LOGARITHMS else np.log(compared)
    grouped = values.groupby([done["model"], done["seed"]], dropna=True)
    complete = grouped.count().eq(done["task"].nunique())
    mean = grouped.mean() if metric in LOGARITHMS else np.exp(grouped.mean())
    return mean.where(complete).rename(metric).reset_index()


def summary(suite: SuiteSpec, results: pd.DataFrame) -> pd.DataFrame:
    """Return one row per model: scores, coverage, width, seconds and megabytes.

    Coverage and width are means over tasks, seconds sums, megabytes and parameters the largest.
    """
    shares = ["coverage80", "width80"]
    by_task = finished(results).groupby(["model", "task"])[[*shares, *_COSTS]].mean()
    by_model = by_task.groupby("model")
    scores = (shown_scores(suite, results, metric) for metric in suite.metrics)
    named = zip(suite.metrics, scores, strict=True)
    table = pd.DataFrame({name: means(scored, metric) for metric, (name, scored) in named})
    for name in shares:
        table[name] = by_model[name].mean()
    if by_task["pretrain_seconds"].notna().any():
        table["pretrain s"] = by_model["pretrain_seconds"].sum(min_count=1)
    table["fit s"] = by_model["fit_seconds"].sum()
    table["predict s"] = by_model["predict_seconds"].sum()
    table["peak MB"] = by_model["peak_memory_mb"].max()
    if by_task["n_parameters"].notna().any():
        table["parameters"] = by_model["n_parameters"].max()
    order = [model.name for model in suite.models if model.name in table.index]
    return table.loc[order]


def seconds(suite: SuiteSpec, results: pd.DataFrame) -> pd.Series:
    """Return each model's seconds over all tasks, training included; means over seeds."""
    table = summary(suite, results)
    return table.filter(regex=" s$").sum(axis=1)


def relative_name(metric: str) -> str:
    """Return what a relative metric is called."""
    return f"{'difference in' if metric in LOGARITHMS else 'relative'} {metric}"


def seed_table(suite: SuiteSpec, results: pd.DataFrame) -> pd.DataFrame:
    """Return a row per model and seed: relative scores, means over tasks; empty without seeds."""
    seeds = [seed_means(results, metric, suite.baseline) for metric in suite.metrics]
    table = reduce(lambda left, right: left.merge(right, on=["model", "seed"]), seeds)
    return table.astype({"seed": int}).set_index("model")


def unfinished(results: pd.DataFrame) -> list[str]:
    """Return a line for each run that did not come to an end, with the first line of its error."""
    rows = results[results["status"] != "done"]
    said = [str(error).strip().partition("\n")[0] for error in rows["error"]]
    named = zip(rows["task"], rows["model"], rows["status"], said, strict=True)
    return [f"{task}, {model}: {status}. {error}" for task, model, status, error in named]
