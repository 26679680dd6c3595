"""The first table of the page: a row per model, how good, how sure, at what cost."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsformer.evaluation.ranking import intervals, mean_ranks
from tsformer.evaluation.results import scope, shown_scores, summary
from tsformer.evaluation.suite import SuiteSpec
from tsformer.evaluation.tables import Cell, Grid, cell


def overview_note(suite: SuiteSpec, results: pd.DataFrame) -> str:
    """Return what the numbers of the table mean."""
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


def overview_grid(suite: SuiteSpec, results: pd.DataFrame) -> Grid:
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
    between = "–" if low >= 0 else " to "
    spread = "" if np.isnan(low) else f" ({low:.2f}{between}{high:.2f})"
    return Cell(text=f"{mean:.3f}{spread}", value=repr(mean), kind=kind)


def _cost_cell(column: str, value: float, kind: str) -> Cell:
    if column == "parameters" and not np.isnan(value):
        return Cell(text=_millions(value), value=repr(value), kind=kind)
    if column in ("coverage80", "width80") and not np.isnan(value):
        return Cell(text=f"{value:.0%}", value=repr(value), kind=kind)
    return cell(value, 0 if column == "peak MB" else 2, kind)


def _millions(count: float) -> str:
    return f"{count / 1e6:.2g} M" if count < 1e8 else f"{count / 1e6:.0f} M"
