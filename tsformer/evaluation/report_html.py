"""The report as one HTML page that needs nothing else: tables that sort, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib import image as images

from tsformer.evaluation.environment import machines
from tsformer.evaluation.ranking import intervals, mean_ranks, order_by_wins, win_rates
from tsformer.evaluation.report_pictures import Drawn
from tsformer.evaluation.results import (
    LOGARITHMS,
    absolute,
    compare_all,
    means,
    relative_name,
    scope,
    seed_table,
    shown_scores,
    summary,
    unfinished,
    with_published,
)
from tsformer.evaluation.suite import SuiteSpec
from tsformer.evaluation.tables import Cell, Grid, cell, grid
from tsformer.evaluation.verdict import verdict

_FILES = ("report.html.jinja", "report.css", "report.js")
_FORECASTS = (
    "Each row is a model, each column one of its windows: the one in which its error was smallest, "
    "the one in the middle, and the one in which it was largest, in seasonal errors of the history."
)
_PUBLISHED = (
    "Rows and columns in italics are figures that their authors have published; what they cost is "
    "not known here."
)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture in the page.

    Attributes:
        source: its bytes, as an address.
        alt: what it shows, for those who cannot see it.
        width, height: pixels.
        caption: below it.
    """

    source: str
    alt: str
    width: int
    height: int
    caption: str = ""


def report_page(
    suite: SuiteSpec,
    records: Sequence[Mapping[str, Any]],
    results: pd.DataFrame,
    overview: Iterable[Drawn],
    by_task: Mapping[str, Sequence[Drawn]],
) -> str:
    """Return the whole page.

    Args:
        suite: what was run.
        records: of the runs.
        results: the same as a table (`tsformer.evaluation.results.results_frame`).
        overview: pictures of the whole suite.
        by_task: pictures of each task.
    """
    folder = resources.files("tsformer.evaluation") / "templates"
    template, css, script = ((folder / name).read_text(encoding="utf-8") for name in _FILES)
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    metrics = [_metric_part(suite, results, metric) for metric in suite.metrics]
    wins = _wins(suite, results)
    tasks = [
        {"name": task.name, "note": task.note, "pictures": _embedded(by_task[task.name])}
        for task in suite.tasks
        if by_task.get(task.name)
    ]
    lines = unfinished(results)
    seeds = seed_table(suite, results)
    return page.from_string(template).render(
        css=Markup(css),
        script=Markup(script),
        title=suite.title,
        description=suite.description.strip(),
        contents=_contents(metrics, wins, tasks, lines),
        verdict=verdict(suite, results),
        overview=_overview(suite, results),
        overview_note=_overview_note(suite, results),
        overview_pictures=_embedded(overview),
        published_note=_PUBLISHED if suite.published else "",
        metric=suite.primary_metric,
        wins=wins,
        metrics=metrics,
        tasks=tasks,
        forecasts_note=_FORECASTS,
        unfinished=lines,
        machines=machines(records),
        seeds=None if seeds.empty else grid(seeds, "Means over tasks, seed by seed"),
        configuration=_configuration(suite),
    )


def _embedded(drawn: Iterable[Drawn]) -> list[Picture]:
    """Return pictures as parts of the page."""
    return [_picture(picture) for picture in drawn]


def _picture(drawn: Drawn) -> Picture:
    height, width = images.imread(drawn.path).shape[:2]
    content = base64.b64encode(drawn.path.read_bytes()).decode("ascii")
    return Picture(
        source=f"data:image/png;base64,{content}",
        alt=drawn.alt,
        width=width,
        height=height,
        caption=drawn.caption,
    )


def _contents(
    metrics: Sequence[Mapping[str, Any]], wins: Grid | None, tasks: Sequence[Any], lines: list[str]
) -> list[tuple[str, str]]:
    """Return the anchors of the sections that there are, with their names."""
    parts = [("models", "Over all tasks")]
    parts += [("wins", "Wins")] if wins else []
    parts += [(part["anchor"], f"{part['metric']} by task") for part in metrics]
    parts += [("forecasts", "Forecasts")] if tasks else []
    parts += [("unfinished", "Not done")] if lines else []
    return [*parts, ("configuration", "How it was done")]


def _overview_note(suite: SuiteSpec, results: pd.DataFrame) -> str:
    names = [shown_scores(suite, results, metric)[0] for metric in suite.metrics]
    parts = [f"Means {scope(suite, results)}, lower is better."]
    if any(name.startswith("relative") for name in names):
        parts.append(f"Relative: divided by the score of {suite.baseline}; geometric means.")
    if any(name.startswith("difference") for name in names):
        parts.append(f"Difference: from {suite.baseline}; plain means.")
    return " ".join(
        [
            *parts,
            "In brackets, what 95 % of the means lie between when tasks are drawn again. Coverage "
            "is the share of values inside the 80 % interval, width its mean width in mean "
            "absolute values; seconds are sums over tasks.",
        ]
    )


def _overview(suite: SuiteSpec, results: pd.DataFrame) -> Grid:
    """Return the table of models: scores with intervals, ranks, coverage and costs."""
    shown = {metric: shown_scores(suite, results, metric) for metric in suite.metrics}
    bounds = {name: intervals(table, metric) for metric, (name, table) in shown.items()}
    costs = summary(suite, results).drop(columns=[*bounds])
    first = suite.primary_metric
    ranks = mean_ranks(shown[first][1])
    ordered = bounds[shown[first][0]]["mean"].sort_values(kind="stable").index
    names = dict.fromkeys([*ordered, *(name for table in bounds.values() for name in table.index)])
    rows = []
    for name in map(str, names):
        kind = "" if name in costs.index else "published"
        spent = costs.loc[name] if name in costs.index else pd.Series(np.nan, index=costs.columns)
        scores = [_bounded(table, name, kind) for table in bounds.values()]
        rank = cell(float(ranks.get(name, np.nan)), 1, kind)
        rest = [_cost_cell(str(column), float(value), kind) for column, value in spent.items()]
        rows.append([cell(name, kind=kind), *scores, rank, *rest])
    columns = ["model", *bounds, "mean rank", *map(str, costs)]
    return Grid(caption="Models over all tasks", columns=columns, rows=rows)


def _bounded(bounds: pd.DataFrame, name: str, kind: str) -> Cell:
    """Return a mean with its interval."""
    mean, low, high = bounds.reindex([name]).to_numpy(dtype=float)[0].tolist()
    if np.isnan(mean):
        return cell(mean, kind=kind)
    spread = "" if np.isnan(low) else f" ({low:.2f}–{high:.2f})"
    return Cell(text=f"{mean:.3f}{spread}", value=repr(mean), kind=kind)


def _cost_cell(column: str, value: float, kind: str) -> Cell:
    if column == "parameters" and not np.isnan(value):
        return Cell(text=_millions(value), value=repr(value), kind=kind)
    if column in ("coverage80", "width80") and not np.isnan(value):
        return Cell(text=f"{value:.0%}", value=repr(value), kind=kind)
    return cell(value, 0 if column == "peak MB" else 2, kind)


def _millions(count: float) -> str:
    return f"{count / 1e6:.2g} M" if count < 1e8 else f"{count / 1e6:.0f} M"


def _wins(suite: SuiteSpec, results: pd.DataFrame) -> Grid | None:
    """Return who wins against whom, the models that win most first; None for fewer than two."""
    rates = win_rates(compare_all(suite, results, suite.primary_metric))
    if len(rates) < 2:
        return None
    table = order_by_wins(rates).rename_axis(index="model")
    return grid(table, "Share of tasks won", 2, shade=lambda rate: round(0.5 * rate, 3))


def _metric_part(suite: SuiteSpec, results: pd.DataFrame, metric: str) -> dict[str, Any]:
    """Return the tables of a metric: relative, as measured, and ranks, those that there are."""
    compared = compare_all(suite, results, metric)
    measured = with_published(absolute(results, metric), suite, metric)
    ranked = compared if len(compared) else measured
    ranks = ranked.dropna(axis="columns").rank(axis="columns")
    last = "mean" if metric in LOGARITHMS else "geometric mean"
    relative = f"{_first_large(relative_name(metric))} (to {suite.baseline})"
    tables = [
        (relative, compared, 3, means(compared, metric).rename(last)),
        ("As measured", measured, 4, means(measured, metric).rename(last)),
        ("Ranks of the models that have all tasks", ranks, 1, mean_ranks(ranked).rename("mean")),
    ]
    return {
        "metric": metric,
        "anchor": "metric-" + "".join(c if c.isalnum() else "-" for c in metric.lower()),
        "note": "Means over seeds, lower is better. In bold the best of those run here.",
        "tables": [
            (title, _by_task(table, f"{metric}: {title}", digits, foot))
            for title, table, digits, foot in tables
            if table.size
        ],
    }


def _by_task(table: pd.DataFrame, caption: str, digits: int, foot: pd.Series) -> Grid:
    named = table.rename_axis(index="task")
    return grid(named, caption, digits, foot=foot, mark_lowest=True)


def _first_large(words: str) -> str:
    return words[:1].upper() + words[1:]


def _configuration(suite: SuiteSpec) -> str:
    """Return all that was asked for, as YAML; published figures are in the tables."""
    plain = _plain(replace(suite, published={}))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)


def _plain(value: Any) -> Any:
    """Return what YAML can write without tags; of specifications, fields that say something."""
    if is_dataclass(value):
        given = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: _plain(v) for name, v in given.items() if v not in (None, (), {}, "")}
    if isinstance(value, Mapping):
        return {str(name): _plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
