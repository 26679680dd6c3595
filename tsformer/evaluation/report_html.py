"""The report as one HTML page that needs nothing else: tables that sort, pictures inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from importlib import resources
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib import image as images

from tsformer.evaluation.environment import machines
from tsformer.evaluation.ranking import mean_ranks, order_by_wins, win_rates
from tsformer.evaluation.report_overview import overview_grid, overview_note
from tsformer.evaluation.report_pictures import Drawn
from tsformer.evaluation.results import (
    LOGARITHMS,
    absolute,
    compare_all,
    means,
    relative_name,
    seed_table,
    unfinished,
    with_published,
)
from tsformer.evaluation.suite import SuiteSpec
from tsformer.evaluation.tables import Grid, grid
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
        drawn: the file, with its words.
        source: its bytes, as an address.
        width, height: pixels.
    """

    drawn: Drawn
    source: str
    width: int
    height: int


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
        overview=overview_grid(suite, results),
        overview_note=overview_note(suite, results),
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
    source = f"data:image/png;base64,{content}"
    return Picture(drawn=drawn, source=source, width=width, height=height)


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
