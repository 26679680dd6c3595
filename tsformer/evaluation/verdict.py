"""What a reader wants to know first: which model, how sure that is, and what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tsformer.evaluation.ranking import certainty, intervals, win_rates
from tsformer.evaluation.results import LOGARITHMS, compare_all, means, scope, seconds
from tsformer.evaluation.suite import SuiteSpec

_SURE = 0.95
_ENOUGH = 6  # tasks: to win all of fewer is chance once in twenty times, or more (sign test)
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


def verdict(suite: SuiteSpec, results: pd.DataFrame) -> Verdict | None:
    """Return the answers that the results give; None where no model has finished all tasks."""
    metric = suite.primary_metric
    compared = compare_all(suite, results, metric).dropna(axis="columns")
    compared = compared.loc[:, np.isfinite(compared.to_numpy(dtype=float)).all(axis=0)]
    ours = [model.name for model in suite.models if model.name in compared]
    if not len(compared) or not ours:
        return None
    table = compared[ours]
    bounds = intervals(table, metric).sort_values("mean", kind="stable")
    published = means(compared.drop(columns=ours), metric)
    return Verdict(
        best=str(bounds.index[0]),
        which=_which(bounds, published, suite, scope(suite, results)),
        sure=_sure(table, bounds, metric),
        cost=_cost(bounds, seconds(suite, results), metric),
    )


def _which(bounds: pd.DataFrame, published: pd.Series, suite: SuiteSpec, where: str) -> str:
    best, mean, metric = bounds.index[0], bounds["mean"].iloc[0], suite.primary_metric
    divided = f"{mean:.3f} of that of {suite.baseline}"
    what = f"{mean:+.3f} beside {suite.baseline}'s" if metric in LOGARITHMS else divided
    said = f"Of the models run here, {best} has the lowest {metric} {where}: {what}."
    lower = published[published < mean].sort_values()
    if lower.empty:
        return said
    return f"{said} Lower: {lower.index[0]}, {lower.iloc[0]:.3f}."


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
    if share < _SURE:
        return f"{spread} {against}, so these tasks do not tell the two apart."
    few = f", but {len(table)} tasks are too few to be sure" if len(table) < _ENOUGH else ""
    return f"{spread} {against}{few}."


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
