"""What a search may try: ranges of parameters, and those that suit a forecaster and its data.

A forecaster names its ranges in `_search_space`; what several of them need is here. None of this
knows who searches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass
from itertools import product
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from tsformer.data.frame import read_panel
from tsformer.data.panel import Panel

if TYPE_CHECKING:
    from tsformer.forecasters.base import Forecaster

_HOUR, _DAY, _WEEK, _YEAR = (hours * 3_600_000_000 for hours in (1, 24, 168, 365 * 24))
_LONGEST_CONTEXT = 2048


@dataclass(frozen=True)
class IntRange:
    """Whole numbers from `low` to `high`, both included.

    Attributes:
        step: distance from one to the next.
        log: whether small numbers are as likely as large ones, by orders of magnitude.
    """

    low: int
    high: int
    _: KW_ONLY
    step: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{name}={value!r} must be a whole number, or use FloatRange")
        _refuse_disorder(self, lowest=1 if self.log else -math.inf)
        if self.step < 1 or (self.high - self.low) % self.step:
            raise ValueError(f"step={self.step} must lead from low={self.low} to high={self.high}")
        if self.log and self.step > 1:
            raise ValueError(f"step={self.step} and log=True exclude each other; leave one out")

    @property
    def values(self) -> Iterable[int]:
        """All numbers, ascending."""
        return range(self.low, self.high + 1, self.step)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, Integral) and int(value) in self.values


@dataclass(frozen=True)
class FloatRange:
    """Real numbers from `low` to `high`; `log` as for `IntRange`."""

    low: float
    high: float
    _: KW_ONLY
    log: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
                raise TypeError(f"{name}={value!r} must be a finite number")
        _refuse_disorder(self, lowest=math.ulp(0.0) if self.log else -math.inf)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, Real) and self.low <= float(value) <= self.high


@dataclass(frozen=True)
class Choice:
    """One of `values`, which need no order and may be of any type."""

    values: tuple[Any, ...]

    def __init__(self, values: Iterable[Any]) -> None:
        object.__setattr__(self, "values", tuple(values))
        if isinstance(values, str) or not self.values:
            raise ValueError(f"values={values!r} must be a list of at least one value")

    def __contains__(self, value: object) -> bool:
        return value in self.values


Range = IntRange | FloatRange | Choice


def search_space(forecaster: Forecaster, df: Any) -> dict[str, Range]:
    """Return what `tune` searches where it is told nothing else, by parameter.

    To change an entry: `space={**search_space(forecaster, df), "d_model": Choice([64])}`. Whatever
    is drawn fits together, also with the parameters of `forecaster` that are not searched.
    """
    return space_of(forecaster, read_panel(df, forecaster._schema)[0])


def space_of(
    forecaster: Forecaster, panel: Panel, given: Mapping[str, Range] | None = None
) -> dict[str, Range]:
    """Return a given space, or the forecaster's own.

    Raises:
        ValueError: for an unknown parameter, or where there is nothing to search.
        TypeError: for an entry that is no range.
    """
    space = dict(forecaster._search_space(panel) if given is None else given)
    if not space:
        raise ValueError(f"{type(forecaster).__name__} has nothing to search; pass space=")
    known = sorted(forecaster.get_params())
    for name, values in space.items():
        if name not in known:
            raise ValueError(f"space has {name!r}, which is none of {', '.join(known)}")
        if not isinstance(values, Range):
            raise TypeError(
                f"space[{name!r}]={values!r} must be an IntRange, a FloatRange or a Choice, such "
                "as Choice([16, 32])"
            )
    return space


def grid(space: Mapping[str, Range], at_most: int) -> list[dict[str, Any]] | None:
    """Return all points of a space, or None where these are more than `at_most`."""
    axes = []
    for values in space.values():
        if isinstance(values, FloatRange):
            return None
        axes.append(tuple(values.values))
        if math.prod(map(len, axes)) > at_most:
            return None
    return [dict(zip(space, point, strict=True)) for point in product(*axes)]


def context_lengths(forecaster: Any, panel: Panel, *, shortest: int = 1) -> Choice:
    """Return the forecaster's own context length, and one to sixteen seasons or horizons.

    Longer ones than default contexts may be are left out, as are those below `shortest`.
    """
    season_length = forecaster.season_length or panel.freq.season_length
    unit = max(season_length, int(forecaster.horizon), 4)
    typical = int(np.quantile(panel.lengths, 0.75)) - int(forecaster.horizon)
    longest = min(typical * 2 // 3, _LONGEST_CONTEXT)
    lengths = [n * unit for n in (1, 2, 4, 8, 16) if shortest <= n * unit <= longest]
    own = forecaster.context_length
    return Choice([own, *(length for length in lengths if length != own)])


def encoder_sizes(forecaster: Any) -> dict[str, Range]:
    """Return ranges of a transformer: widths that its heads can share, layers and dropout."""
    own, per_head = int(forecaster.d_model), 2 * int(forecaster.n_heads)
    wider = [width for width in (own // 2, own * 2) if width and width % per_head == 0]
    return {
        "d_model": Choice([own, *wider]),
        "n_layers": IntRange(1, 4),
        "dropout": FloatRange(0.0, 0.4),
    }


def season_lengths(panel: Panel) -> Choice:
    """Return the usual seasons of a frequency, of which a typical series has two, and 1 for none.

    Where there is no calendar, these are common numbers of steps.
    """
    freq = panel.freq
    if freq.unit == "fixed":
        shorter = [
            period // freq.step for period in (_HOUR, _DAY, _WEEK) if period % freq.step == 0
        ]
        seasons = [*shorter, round(_YEAR / freq.step)]
    elif freq.unit == "month":
        seasons = [months // freq.step for months in (3, 6, 12) if months % freq.step == 0]
    elif freq.unit == "business":
        seasons = [days // freq.step for days in (5, 260) if days % freq.step == 0]
    else:
        seasons = [4, 5, 7, 12, 24, 52, 168]
    longest = int(np.quantile(panel.lengths, 0.75)) // 2
    return Choice([1, *sorted({season for season in seasons if 1 < season <= longest})])


def _refuse_disorder(given: IntRange | FloatRange, lowest: float) -> None:
    if given.low > given.high:
        raise ValueError(f"low={given.low} must not be above high={given.high}")
    if given.low < lowest:
        raise ValueError(f"low={given.low} must be above 0 where log=True")
