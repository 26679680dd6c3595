"""What a reader wants to know first: which model, how sure that is, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsformer.evaluation.ranking import certainty, intervals, win_rates
from tsformer.evaluation.results import LOGARITHMS, relative, seconds
from tsformer.evaluation.suite import SuiteSpec

_SURE = 0.95
_CLOSE = 1.05  # a model whose mean is at most so many times that of the best is nearly as good


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Three answers, each one or two sentences.

    Attributes:
        best: the model with the lowest mean.
        which, sure, cost: which model to use, how sure that is, what it costs.
    """

    best: str
    which: str
    sure: str
    cost: str


def primary_metric(suite: SuiteSpec) -> str:
    """Return the metric by which models are put in order: CRPS where there is one."""
    return "CRPS" if "CRPS" in suite.metrics else suite.metrics[0]


def verdict(suite: SuiteSpec, results: pd.DataFrame) -> Verdict | None:
    """Return the answers that the results give; None where no model has finished all tasks."""
    metric = primary_metric(suite)
    table = relative(results, metric, suite.baseline).dropna(axis="columns")
    table = table.loc[:, np.isfinite(table.to_numpy(dtype=float)).all(axis=0)]
    n_tasks = results["task"].nunique()
    if table.empty or len(table) < n_tasks:
        return None
    bounds = intervals(table, metric).sort_values("mean", kind="stable")
    best = str(bounds.index[0])
    costs = seconds(suite, results)
    return Verdict(
        best=best,
        which=_which(bounds, metric, suite.baseline, n_tasks),
        sure=_sure(table, bounds, metric),
        cost=_cost(bounds, costs, metric),
    )


def _which(bounds: pd.DataFrame, metric: str, baseline: str, n_tasks: int) -> str:
    best = bounds.index[0]
    tasks = "one task" if n_tasks == 1 else f"{n_tasks} tasks"
    if metric in LOGARITHMS:
        what = f"{bounds['mean'].iloc[0]:+.3f} beside that of {baseline}"
    else:
        what = f"{bounds['mean'].iloc[0]:.3f} of that of {baseline}"
    return f"{best} has the lowest {metric} over {tasks}: {what}."


def _sure(table: pd.DataFrame, bounds: pd.DataFrame, metric: str) -> str:
    if len(table) == 1:
        return "One task says nothing about others."
    low, high = bounds[["low", "high"]].iloc[0]
    spread = f"Had other tasks been drawn from these, it would be {low:.3f} to {high:.3f} (95 %)."
    if len(bounds) == 1:
        return spread
    best, second = bounds.index[:2]
    share = certainty(table, metric, best, second)
    wins = win_rates(table).loc[best, second]
    against = (
        f"The next is {second}: {best} is better than it in {100 * wins:.0f} % of the tasks and in "
        f"{_percent(share)} of such draws"
    )
    end = "." if share >= _SURE else ", so these tasks do not tell the two apart."
    return f"{spread} {against}{end}"


def _cost(bounds: pd.DataFrame, costs: pd.Series, metric: str) -> str:
    best = bounds.index[0]
    said = f"{best} took {seconds_text(costs[best])} for all tasks, training included."
    if metric in LOGARITHMS:
        return said
    near = bounds.index[bounds["mean"] <= _CLOSE * bounds["mean"].iloc[0]]
    fastest = costs[near].idxmin()
    if fastest == best or costs[fastest] > 0.5 * costs[best]:
        return said
    return f"{said} {fastest}, at most {_CLOSE - 1:.0%} worse, took {seconds_text(costs[fastest])}."


def _percent(share: float) -> str:
    """Return a share in percent, never rounded up to what it does not reach."""
    return f"{math.floor(1000 * share) / 10:g} %"


def seconds_text(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < 0.1:
        return "less than 0.1 seconds"
    if seconds < 100:
        return f"{seconds:.2g} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 6000 else f"{seconds / 3600:.1f} hours"
