"""Forecasts that add up: reconciliation over a hierarchy, with weights of hierarchicalforecast.

A hierarchy has nodes, each the sum of others or a bottom node; every one is a series and is
forecast for itself. Reconciliation projects all these forecasts onto what adds up (Wickramasuriya,
Athanasopoulos & Hyndman 2019): `S P y`, where `S` says what each node is the sum of, and `P` makes
forecasts of the bottom nodes from those of all.

    hierarchy = {"total": ["north", "south"], "north": ["coast", "hills"]}
    forecaster.fit(df)  # a long frame of all five nodes
    backtest = forecaster.cross_validation(df, n_windows=20)
    reconcile(forecaster.predict(level=[80]), hierarchy, backtest=backtest)

`hierarchicalforecast.utils.aggregate(df, spec)` makes such a frame from its bottom nodes, and the
summing matrix, which serves as `hierarchy`, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import ndtri

from tsformer.data.answers import key_columns, quantile_columns
from tsformer.interop.node_table import NodeTable
from tsformer.interop.summing import SummingMatrix, read_hierarchy

Method = Literal["bottom_up", "ols", "wls_struct", "wls_var", "mint_cov", "mint_shrink"]

_OF_ERRORS = ("wls_var", "mint_cov", "mint_shrink")
_DRAWS = 2000
_EXTRA = "reconciliation needs hierarchicalforecast: pip install 'tsformer[hierarchical]'"


def reconcile(
    forecast: Any,
    hierarchy: Mapping[Any, Sequence[Any]] | Any,
    *,
    method: Method = "wls_var",
    backtest: Any = None,
    random_state: int = 0,
) -> Any:
    """Return the same frame with forecasts that add up: `mean`, and quantiles of coherent paths.

    With a backtest, quantiles are those of joint forecasts, projected one by one, as Panagiotelis
    et al. (2023) show to be a coherent distribution: at each node and step they have the quantiles
    of `forecast`, and nodes hang together as the errors of the backtest do (a Gaussian copula).
    Without one nothing is known of that, and each quantile moves as far as its mean. Quantiles of
    sums are not the sums of quantiles, so these do not add up, whatever is done. `"ols"` and
    `"wls_struct"` spread the errors of large nodes onto small ones, whose intervals become wide
    where a backtest is given.

    The paths of `predict_samples` are projected path by path. They are drawn for each series by
    itself, hence too narrow in sum where errors of the bottom nodes go together.

    Args:
        forecast: the frame, pandas or polars, of `predict`, `predict_samples` or `cross_validation`
            for all nodes.
        hierarchy: the children of each node that has some; or a summing matrix as a frame, a row
            per node, its id first, and a column per bottom node.
        method: how `P` weighs the nodes: `"bottom_up"` takes the bottom nodes alone, `"ols"` all
            alike, `"wls_struct"` by the number of bottom nodes in each. The others learn it from
            the backtest: `"wls_var"` from variances, `"mint_cov"` from all covariances, and
            `"mint_shrink"` from these shrunk towards none, which wants many windows.
        backtest: the frame of `cross_validation` for all nodes; windows that end before the first
            step of `forecast`. Errors at all its steps count alike.
        random_state: seed of the joint forecasts.

    Raises:
        ImportError: where the extra `hierarchical` is not installed.
        ValueError: for nodes that are missing or unknown, naming them; for a method that needs a
            backtest where there is none.
    """
    summing = read_hierarchy(hierarchy)
    errors = None if backtest is None else _errors(backtest, summing)
    projection = summing.matrix @ _weights(summing, method, errors)  # [N, N]
    table = NodeTable.of(forecast, summing, "forecast")
    if backtest is not None:
        _refuse_later(backtest, forecast)
    if "sample" in table.frame.columns:
        target = table.frame.columns[-1]
        return table.write({target: projection @ table.read(target)})
    key_columns(forecast, "forecast")  # refuses what is no answer
    quantiles = quantile_columns(forecast)
    mean = table.read("mean")
    coherent = projection @ mean
    base = np.stack([table.read(column) for column in quantiles], axis=-1)  # [N, K, Q]
    if errors is None or len(quantiles) < 2:
        moved = base + (coherent - mean)[..., None]
    else:
        ranks = _joint_ranks(errors, np.random.default_rng(random_state))
        moved = _projected_quantiles(base, np.array([*quantiles.values()]), ranks, projection)
    columns = {column: moved[..., number] for number, column in enumerate(quantiles)}
    return table.write({"mean": coherent, **columns})


def _weights(summing: SummingMatrix, method: str, errors: np.ndarray | None) -> np.ndarray:
    """Return `P`, `[bottom, N]`."""
    if method not in get_args(Method):
        raise ValueError(f"method={method!r} must be one of {', '.join(get_args(Method))}")
    if method in _OF_ERRORS and errors is None:
        raise ValueError(
            f"method={method!r} learns from errors; pass the frame of cross_validation as "
            "backtest=, or take 'bottom_up', 'ols' or 'wls_struct'"
        )
    if method == "mint_cov" and errors is not None and errors.shape[1] <= errors.shape[0]:
        raise ValueError(
            f"method='mint_cov' needs more than {errors.shape[0]} steps of backtest for as many "
            f"nodes and got {errors.shape[1]}; pass more windows, or take 'mint_shrink'"
        )
    return _fit(summing.matrix, method, errors).P


def _fit(matrix: np.ndarray, method: str, errors: np.ndarray | None) -> Any:
    """Return hierarchicalforecast's fitted method, with its `P` and `W`."""
    try:
        from hierarchicalforecast.methods import BottomUp, MinTrace
    except ImportError as error:
        raise ImportError(_EXTRA) from error
    nothing = np.zeros((len(matrix), 1))  # the weights do not depend on the forecast
    if method == "bottom_up":
        return BottomUp().fit(S=matrix, y_hat=nothing)
    learned = {}
    if errors is not None:
        learned = {"y_insample": errors, "y_hat_insample": np.zeros_like(errors)}
    try:
        return MinTrace(method).fit(S=matrix, y_hat=nothing, **learned)
    except Exception as error:  # it has no narrower class for covariances without an inverse
        raise ValueError(
            f"method={method!r} found no weights in the backtest ({error}); pass more windows, or "
            "take 'wls_var'"
        ) from error


def _errors(backtest: Any, summing: SummingMatrix) -> np.ndarray:
    """Return the errors of all nodes, `[N, windows * H]`, a typical node's deviation being 1."""
    table = NodeTable.of(backtest, summing, "backtest")
    columns = list(table.frame.columns)
    if "cutoff" not in columns or "mean" not in columns:
        raise ValueError("backtest must be what cross_validation returned: it lacks the truth")
    errors = table.read(columns[columns.index("mean") - 1]) - table.read("mean")
    errors = errors[:, np.isfinite(errors).all(axis=0)]
    deviations = errors.std(axis=1) if errors.size else np.zeros(1)
    if not deviations.any():
        raise ValueError(
            "backtest tells nothing of errors: they are all the same, or there is no step at which "
            "the truth of all nodes is known; pass more windows"
        )
    return errors / np.median(deviations[deviations > 0])  # small numbers are taken for 0 there


def _refuse_later(backtest: Any, forecast: Any) -> None:
    """Raise a ValueError where the errors were not known when the forecast was made."""
    last, first = (frame[frame.columns[1]] for frame in (backtest, forecast))
    if last.max() >= first.min():
        raise ValueError(
            f"backtest reaches {last.max()}, and forecast begins at {first.min()}: its weights "
            "would know what is forecast; make the backtest of what comes before"
        )


def _joint_ranks(errors: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return ranks of draws, `[N, draws]`, that go together as errors do.

    Correlations are shrunk towards none, as those of `"mint_shrink"` (Schäfer & Strimmer 2005).
    """
    covariance = _fit(np.eye(len(errors)), "mint_shrink", errors).W
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0))
    scores = root @ generator.normal(size=(len(errors), _DRAWS))
    return scores.argsort(axis=1).argsort(axis=1)


def _projected_quantiles(
    base: np.ndarray, levels: np.ndarray, ranks: np.ndarray, projection: np.ndarray
) -> np.ndarray:
    """Return quantiles of projected joint forecasts, `[N, K, Q]`.

    Every node's draws have its quantiles exactly: they are its quantile function, linear in normal
    scores between the known levels and beyond them, at evenly spaced probabilities.

    Args:
        base: `[N, K, Q]` at `levels`.
        levels: `[Q]`, ascending.
        ranks: `[N, draws]`.
        projection: `[N, N]`.
    """
    draws = ranks.shape[1]
    known, wanted = ndtri(levels), ndtri((np.arange(draws) + 0.5) / draws)
    right = np.clip(np.searchsorted(known, wanted), 1, len(known) - 1)
    share = (wanted - known[right - 1]) / (known[right] - known[right - 1])
    moved = np.empty_like(base)
    for step in range(base.shape[1]):
        at = base[:, step]
        spread = at[:, right - 1] + share * (at[:, right] - at[:, right - 1])
        paths = projection @ np.take_along_axis(spread, ranks, axis=1)
        moved[:, step] = np.quantile(paths, levels, axis=1, method="hazen").T
    return moved
