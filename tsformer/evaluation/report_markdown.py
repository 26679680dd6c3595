"""The report as Markdown, with links to its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from tsformer.evaluation.environment import machines
from tsformer.evaluation.ranking import order_by_wins, win_rates
from tsformer.evaluation.report_pictures import Drawn
from tsformer.evaluation.results import (
    LOGARITHMS,
    absolute,
    compare_all,
    means,
    scope,
    seed_table,
    summary,
    unfinished,
    with_published,
)
from tsformer.evaluation.suite import SuiteSpec
from tsformer.evaluation.tables import markdown
from tsformer.evaluation.verdict import verdict


def report_text(
    suite: SuiteSpec,
    records: Sequence[Mapping[str, Any]],
    results: pd.DataFrame,
    overview: Iterable[Drawn],
    by_task: Mapping[str, Sequence[Drawn]],
) -> str:
    """Return the whole text; pictures lie in the folder `pictures` beside it."""
    parts = [
        f"# {suite.title}",
        suite.description.strip(),
        *_verdict_part(suite, results),
        "## Over all tasks",
        f"Geometric means {scope(suite, results)}, of each score divided by that of "
        f"{suite.baseline} (of NLL: means of the difference); lower is better. "
        "Coverage and width are means over tasks, seconds are sums.",
        markdown(summary(suite, results).rename_axis(index="model")),
        *map(_link, overview),
        *_wins_part(suite, results),
        *_seed_part(suite, results),
        *_unfinished_part(results),
        *[part for metric in suite.metrics for part in _metric_part(suite, results, metric)],
        *_forecasts_part(suite, by_task),
        "## How it was done",
        *[_machine(machine) for machine in machines(records)],
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict_part(suite: SuiteSpec, results: pd.DataFrame) -> list[str]:
    said = verdict(suite, results)
    return [] if said is None else [f"{said.which} {said.sure} {said.cost}"]


def _wins_part(suite: SuiteSpec, results: pd.DataFrame) -> list[str]:
    metric = suite.primary_metric
    rates = order_by_wins(win_rates(compare_all(suite, results, metric)))
    if len(rates) < 2:
        return []
    said = f"By {metric}: the share of tasks in which the row is better than the column."
    return ["## Wins", said, markdown(rates.rename_axis(index="model"), digits=2)]


def _metric_part(suite: SuiteSpec, results: pd.DataFrame, metric: str) -> list[str]:
    table = with_published(absolute(results, metric), suite, metric)
    if table.empty:
        return []
    last = "mean" if metric in LOGARITHMS else "geometric mean"
    table.loc[last] = means(table, metric)
    return [
        f"## {metric} by task",
        "Means over seeds.",
        markdown(table.rename_axis(index="task"), digits=4),
    ]


def _seed_part(suite: SuiteSpec, results: pd.DataFrame) -> list[str]:
    table = seed_table(suite, results)
    return [] if table.empty else ["Seed by seed:", markdown(table)]


def _unfinished_part(results: pd.DataFrame) -> list[str]:
    lines = unfinished(results)
    return ["## Not done", "\n".join(f"- {line}" for line in lines)] if lines else []


def _forecasts_part(suite: SuiteSpec, by_task: Mapping[str, Sequence[Drawn]]) -> list[str]:
    parts = ["## Forecasts"]
    for task in suite.tasks:
        if drawn := by_task.get(task.name):
            parts += [f"### {task.name}", task.note, *map(_link, drawn)]
    return parts if len(parts) > 1 else []


def _link(drawn: Drawn) -> str:
    return f"![{drawn.alt}](pictures/{drawn.path.name})"


def _machine(lines: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in lines)
