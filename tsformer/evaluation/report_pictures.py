"""The pictures of a report, as files that Markdown shows and a page takes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from tsformer.evaluation.pictures import draw_task, draw_training
from tsformer.evaluation.ranking import intervals
from tsformer.evaluation.results import (
    calibration_frame,
    compare_all,
    means,
    relative,
    relative_name,
    seconds,
    summary,
)
from tsformer.evaluation.suite import SuiteSpec, TaskSpec
from tsformer.evaluation.summary_pictures import draw_calibration, draw_costs, draw_intervals

_SHOWN = 3  # models whose forecasts are drawn


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A picture on disk.

    Attributes:
        path: of the PNG file.
        alt: what it shows, for those who cannot see it.
        caption: below it.
    """

    path: Path
    alt: str
    caption: str = ""


def draw_overview(
    suite: SuiteSpec,
    records: Sequence[Mapping[str, Any]],
    results: pd.DataFrame,
    folder: Path,
) -> list[Drawn]:
    """Draw scores with intervals, scores against costs, and calibration, of what there is."""
    metric = suite.primary_metric
    compared = compare_all(suite, results, metric)
    if compared.empty:
        return []
    label = f"{relative_name(metric)}, lower is better"
    scores = means(compared, metric)
    drawn = [Drawn(path=folder / "models.png", alt=f"Models by {metric}", caption=_INTERVALS)]
    draw_intervals(intervals(compared, metric), label, drawn[0].path)
    costs = {
        "time": (seconds(suite, results), "seconds for all tasks, training included"),
        "size": (summary(suite, results).get("parameters"), "parameters"),
    }
    for name, (cost, cost_label) in costs.items():
        if cost is None or (cost.reindex(scores.dropna().index) > 0).sum() < 2:
            continue  # a point alone says nothing
        path = folder / f"{name}.png"
        draw_costs(scores, cost, (cost_label, label), path)
        drawn.append(Drawn(path=path, alt=f"{metric} against {cost_label}", caption=_COSTS[name]))
    shares = calibration_frame(records)
    if len(shares):
        order = [model.name for model in suite.models if model.name in shares.index]
        path = folder / "calibration.png"
        draw_calibration(shares.loc[order], path)
        drawn.append(Drawn(path=path, alt="Calibration of quantiles", caption=_CALIBRATION))
    return drawn


_INTERVALS = "Means over tasks; lines hold 95 % of the means when tasks are drawn again."
_COSTS = {
    "time": "Down and to the left is better; nothing is both better and faster than the grey line.",
    "size": "Numbers in the network; models without one are not shown.",
}
_CALIBRATION = (
    "How much more often values came below each quantile than they should, means over tasks. Above "
    "0 at the left and below it at the right: intervals are too narrow."
)


def draw_tasks(
    suite: SuiteSpec,
    records: Sequence[Mapping[str, Any]],
    results: pd.DataFrame,
    folder: Path,
) -> dict[str, list[Drawn]]:
    """Draw forecasts and validation losses, by task; of models with seeds, those of the first."""
    shown = _best_models(suite, results)
    return {
        task.name: _draw_task(task, shown, records, folder / f"task_{number}_{_letters(task.name)}")
        for number, task in enumerate(suite.tasks, 1)
    }


def _best_models(suite: SuiteSpec, results: pd.DataFrame) -> list[str]:
    """Return the models whose forecasts are drawn, best first; those that miss a task come last."""
    metric = suite.primary_metric
    scores = means(relative(results, metric, suite.baseline), metric)
    names = [model.name for model in suite.models]
    order = scores.reindex(names).sort_values(kind="stable", na_position="last")
    return [str(name) for name in order.index]


def _draw_task(
    task: TaskSpec,
    models: Sequence[str],
    records: Sequence[Mapping[str, Any]],
    path: Path,
) -> list[Drawn]:
    """Draw the forecasts and the losses of a task, at a path without its ending."""
    examples: dict[str, Any] = {}
    curves: dict[str, list[Any]] = {}
    for record in records:
        if record["task"] == task.name and record["status"] == "done":
            examples.setdefault(record["model"], record["examples"])
            if history := (record.get("training") or {}).get("history"):
                curves.setdefault(record["model"], []).append(history)
    shown = [name for name in models if examples.get(name)][:_SHOWN]
    drawn = []
    if shown:
        drawn.append(
            Drawn(path=path.with_name(f"{path.name}.png"), alt=f"Forecasts of {task.name}")
        )
        draw_task(task.name, {model: examples[model] for model in shown}, drawn[-1].path)
    if curves:
        losses = path.with_name(f"{path.name}_training.png")
        drawn.append(Drawn(path=losses, alt=f"Validation losses of {task.name}"))
        draw_training(task.name, curves, losses)
    return drawn


def _letters(name: str) -> str:
    """Return a name that every file system takes."""
    return "".join(letter if letter.isalnum() else "_" for letter in name)
