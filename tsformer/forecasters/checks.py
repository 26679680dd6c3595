"""Checks of parameters, and of what a panel holds: what is wrong with it, series by series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from tsformer.data.grid import as_python
from tsformer.data.panel import Panel
from tsformer.nn.encoder import make_norm
from tsformer.training.settings import TrainingReport


@dataclass(kw_only=True)
class FitReport:
    """What `fit` met and did.

    Attributes:
        n_series, n_values: series, and values that are not missing.
        remarks: what was unusual, with the ids of the series it was found in.
        training: what happened in training; None where nothing is trained.
    """

    n_series: int
    n_values: int
    remarks: dict[str, list[Any]] = field(default_factory=dict)
    training: TrainingReport | None = None


def refuse_unfitted(forecaster: Any) -> None:
    """Raise scikit-learn's NotFittedError for a forecaster that was not fitted.

    Those whose tags say that they forecast without `fit` included, which scikit-learn lets pass.
    """
    check_is_fitted(forecaster, "panel_")


def positive_integer(name: str, value: Any) -> int:
    """Return a count of at least 1.

    Raises:
        TypeError: for what is not a whole number.
        ValueError: below 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} must be a whole number")
    if value < 1:
        raise ValueError(f"{name}={value} must be at least 1")
    return int(value)


def check_patch_encoder(forecaster: Any) -> None:
    """Raise a ValueError for sizes or a norm that no network of patches can have.

    Sizes of patches may be None: these are then chosen from the data.
    """
    for name in ("patch_length", "stride", "d_model", "n_heads", "n_layers", "d_ff"):
        value = getattr(forecaster, name, None)
        if value is not None or name not in ("patch_length", "stride"):
            positive_integer(name, value)
    make_norm(forecaster.norm, 1)  # refuses an unknown name


def seed(value: Any) -> int:
    """Return a `random_state`: a whole number that is not negative.

    Raises:
        TypeError: for what is not a whole number; None would not be the same twice.
        ValueError: below 0.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"random_state={value!r} must be a whole number; it makes fits repeatable")
    if value < 0:
        raise ValueError(f"random_state={value} must be at least 0")
    return int(value)


def quantile_levels(
    quantiles: Sequence[float] | float, level: Sequence[float] | float | None = None
) -> tuple[float, ...]:
    """Return the levels to report, ascending, 0.5 among them.

    Args:
        quantiles: probabilities; not used where `level` is given.
        level: widths of central intervals in percent: 80 stands for 0.1 and 0.9.

    Raises:
        ValueError: for a level outside (0, 1), or a width outside (0, 100).
    """
    levels = {0.5}
    if level is not None:
        for width in _numbers("level", level):
            if not 0 < width < 100:
                raise ValueError(f"level={width:g} must lie between 0 and 100 percent")
            levels |= {round((100 - width) / 200, 10), round((100 + width) / 200, 10)}
        return tuple(sorted(levels))
    for quantile in _numbers("quantiles", quantiles):
        if not 0 < quantile < 1:
            raise ValueError(f"quantiles holds {quantile:g}; every one must lie between 0 and 1")
        levels.add(float(quantile))
    return tuple(sorted(levels))


def _numbers(name: str, given: Any) -> np.ndarray:
    try:
        return np.atleast_1d(np.asarray(given, dtype=float))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}={given!r} must be a list of numbers") from error


def refuse_all_missing(panel: Panel, variates: Sequence[str] = ()) -> None:
    """Raise a ValueError where no series has a single value, or none of one variate."""
    known = np.isfinite(panel.values).any(axis=1)
    if not known.any():
        names = ", ".join(repr(as_python(name)) for name in panel.ids[:3])
        more = ", …" if len(panel) > 3 else ""
        raise ValueError(f"no series has a value that is not missing ({names}{more})")
    if not known.all():
        number = int(known.argmin())
        name = variates[number] if variates else number
        raise ValueError(
            f"no series has a value of target {name!r} that is not missing; leave it out of "
            "target_col"
        )


def inspect_panel(panel: Panel, length: int, parameter: str) -> FitReport:
    """Return what is unusual about the series of a panel.

    Args:
        panel: the series.
        length: steps that a series should have.
        parameter: what these are called.
    """
    rows = panel.univariate()
    values, starts, count = rows.values[0], rows.offsets[:-1], rows.known_counts
    observed = np.isfinite(values)
    highest = np.maximum.reduceat(np.where(observed, values, -np.inf), starts)
    lowest = np.minimum.reduceat(np.where(observed, values, np.inf), starts)
    found = {
        "all missing": count == 0,
        "one value": count == 1,
        "constant": (count > 1) & (highest == lowest),
        f"shorter than {parameter}": rows.lengths < length,
        "with missing values": (count > 0) & (count < rows.lengths),
    }
    remarks = {
        remark: list(dict.fromkeys(as_python(name) for name in rows.ids[where]))
        for remark, where in found.items()
        if where.any()
    }
    return FitReport(n_series=len(panel), n_values=int(count.sum()), remarks=remarks)


def series_deviations(panel: Panel) -> np.ndarray:
    """Return the standard deviation of each series and variate, `[S, C]`, float32, above 0.

    A series that has none gets 1.
    """
    rows = panel.univariate()
    values = rows.values[0]
    distance = values - np.repeat(rows.means(values), rows.lengths)
    distance *= distance
    deviation = np.sqrt(rows.means(distance))
    deviation = np.where(deviation > 0, deviation, 1.0).astype(np.float32)
    return deviation.reshape(len(panel), panel.n_variates)
