"""How sure it is that one model is better than another: what other tasks might have said.

Tasks are drawn again with replacement (bootstrap, Efron 1979), as fev-bench does (Shchur et al.
2025); ranks and wins over tasks are those of Demšar (2006). Models that miss a task take no part.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tsformer.evaluation.results import LOGARITHMS, means

_DRAWS = 4000
_SEED = 0


def resampled_means(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return draw × model: the mean over as many tasks, drawn from them with replacement.

    Args:
        table: task × model, relative scores, lower is better; models that miss a task are left out.
        metric: says which mean (see `tsformer.evaluation.results.means`).
    """
    complete = table.dropna(axis="columns")
    if complete.empty:
        return complete.iloc[:0]
    drawn = np.random.default_rng(_SEED).integers(len(complete), size=(_DRAWS, len(complete)))
    logarithm = metric in LOGARITHMS
    with np.errstate(divide="ignore"):  # a perfect score
        values = complete.to_numpy() if logarithm else np.log(complete.to_numpy())
    mean = values[drawn].mean(axis=1)
    return pd.DataFrame(mean if logarithm else np.exp(mean), columns=complete.columns)


def intervals(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return model × `mean`, `low`, `high`: the mean, and what 95 % of the draws lie between.

    One task says nothing about others: the bounds are NaN.
    """
    drawn = resampled_means(table if len(table) > 1 else table.iloc[:0], metric)
    bounds = drawn.quantile([0.025, 0.975]).T
    return pd.DataFrame(
        {"mean": means(table, metric), "low": bounds.get(0.025), "high": bounds.get(0.975)},
        index=table.columns,
        dtype=float,
    )


def order_by_wins(rates: pd.DataFrame) -> pd.DataFrame:
    """Return win rates with the models that win most often first."""
    order = rates.mean(axis=1).sort_values(ascending=False, kind="stable").index
    return rates.loc[order, order]


def mean_ranks(table: pd.DataFrame) -> pd.Series:
    """Return each model's mean rank over tasks, 1 the best; ties share theirs."""
    return table.dropna(axis="columns").rank(axis="columns").mean()


def win_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Return model × model: the share of tasks in which the row is better than the column.

    A tie is half a win; NaN against itself.
    """
    complete = table.dropna(axis="columns") if len(table) else table.iloc[:, :0]
    values = complete.to_numpy()
    left, right = values[:, :, None], values[:, None, :]
    rates = ((left < right) + 0.5 * (left == right)).sum(axis=0) / max(len(values), 1)
    shares = pd.DataFrame(rates, index=complete.columns, columns=complete.columns)
    return shares.mask(np.eye(len(shares), dtype=bool))


def certainty(table: pd.DataFrame, metric: str, better: str, worse: str) -> float:
    """Return the share of draws in which one model's mean is below another's; a tie is a half."""
    drawn = resampled_means(table[[better, worse]], metric)
    below, equal = drawn[better] < drawn[worse], drawn[better] == drawn[worse]
    return float((below + 0.5 * equal).mean())
