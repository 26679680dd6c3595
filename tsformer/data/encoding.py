"""Covariates as a network wants them: standardised numbers, one row per level of a category."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tsformer.data.cycles import calendar_features, cycles
from tsformer.data.panel import Covariates, Panel, ragged_ranges

_MOST_LEVELS = 64


@dataclass(frozen=True, kw_only=True)
class Column:
    """How one covariate becomes numbers.

    Attributes:
        name: of the column.
        loc, scale: mean and deviation of what was known when it was learned. One that never
            changed then has taught nothing: its scale is 0, and it stays 0 whatever it is later.
        levels: of a category, the numbers of those that were known then; None for a number.
    """

    name: str
    loc: float = 0.0
    scale: float = 0.0
    levels: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        """Rows that it becomes; none where nothing was known."""
        return 1 if self.levels is None else len(self.levels)

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return `[size, ...]`, NaN where `values` are, or are a level that was not known."""
        if self.levels is None:
            return ((values - self.loc) / (self.scale or np.inf))[None].astype(np.float32)
        levels = np.array(self.levels, dtype=np.int64).reshape(-1, *[1] * values.ndim)
        known = np.isin(values, self.levels)
        return np.where(known, values == levels, np.nan).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class EncodedCovariates:
    """The covariates of a panel as numbers, NaN = unknown.

    Attributes:
        values: `[K, T]`, those known in the future first, then those of the past only.
        coming: `[K_future, S, H]`, after each series' end; H is 0 where nothing is known.
        static: `[F, S]`.
    """

    values: np.ndarray
    coming: np.ndarray
    static: np.ndarray


@dataclass(frozen=True, kw_only=True)
class CovariateEncoder:
    """How the covariates of a fitted panel become numbers.

    Attributes:
        future, past, static: columns of each kind.
        calendar: cycles whose phases join the future covariates.
    """

    future: tuple[Column, ...] = ()
    past: tuple[Column, ...] = ()
    static: tuple[Column, ...] = ()
    calendar: tuple[str, ...] = ()

    @classmethod
    def of(cls, panel: Panel, *, calendar: bool) -> CovariateEncoder:
        """Learn from what a model may know.

        Raises:
            ValueError: for a category of too many levels, or calendar features of a panel whose
                times are no dates.
        """
        names = cycles(panel.freq) if calendar else ()
        if calendar and panel.freq.unit == "integer":
            raise ValueError("calendar_features=True needs dates, but the times are whole numbers")
        return cls(
            future=_columns(panel.future_covariates),
            past=_columns(panel.past_covariates),
            static=_columns(panel.static_covariates),
            calendar=names,
        )

    @property
    def n_future(self) -> int:
        """Rows that are known in the future."""
        return _size(self.future) + 2 * len(self.calendar)

    @property
    def n_covariates(self) -> int:
        """K, rows along time."""
        return self.n_future + _size(self.past)

    @property
    def n_static(self) -> int:
        """F."""
        return _size(self.static)

    @property
    def size(self) -> int:
        """All rows; 0 where there are no covariates."""
        return self.n_covariates + self.n_static

    def encode(self, panel: Panel, horizon: int) -> EncodedCovariates:
        """Return the covariates of a panel; kinds that it lacks are unknown."""
        n_series, n_steps = len(panel), panel.values.shape[1]
        values = [
            _encode(self.future, panel.future_covariates, n_steps),
            self._calendar_within(panel),
            _encode(self.past, panel.past_covariates, n_steps),
        ]
        coming = self._coming(panel, horizon)
        static = _encode(self.static, panel.static_covariates, n_series)
        return EncodedCovariates(values=np.concatenate(values), coming=coming, static=static)

    def _calendar_within(self, panel: Panel) -> np.ndarray:
        if not self.calendar:
            return np.empty((0, panel.values.shape[1]), dtype=np.float32)
        starts = np.repeat(panel.starts, panel.lengths)
        steps = ragged_ranges(np.zeros_like(panel.lengths), panel.lengths)
        return calendar_features(panel.freq.times(starts, steps), self.calendar)

    def _coming(self, panel: Panel, horizon: int) -> np.ndarray:
        shape = (_size(self.future), len(panel), horizon)
        known = np.full(shape, np.nan, dtype=np.float32)
        if panel.coming is not None and self.future:
            steps = min(horizon, panel.coming.shape[-1])
            rows = [
                column.encode(values[:, :steps])
                for column, values in zip(self.future, panel.coming, strict=True)
            ]
            known[..., :steps] = np.concatenate(rows)
        if not self.calendar:
            return known
        return np.concatenate(
            [known, calendar_features(panel.future_times(horizon), self.calendar)]
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as what JSON can hold."""
        return asdict(self)

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> CovariateEncoder:
        """Return what `to_json` described."""
        kinds = ("future", "past", "static")
        columns = {kind: tuple(map(_column_from_json, config[kind])) for kind in kinds}
        return cls(**columns, calendar=tuple(config["calendar"]))


def _column_from_json(config: Mapping[str, Any]) -> Column:
    levels = config["levels"]
    return Column(**{**config, "levels": None if levels is None else tuple(levels)})


def _size(columns: Sequence[Column]) -> int:
    return sum(column.size for column in columns)


def _columns(covariates: Covariates | None) -> tuple[Column, ...]:
    if covariates is None:
        return ()
    return tuple(
        _column(name, values, covariates.levels.get(name))
        for name, values in zip(covariates.names, covariates.values, strict=True)
    )


def _column(name: str, values: np.ndarray, levels: Sequence[object] | None) -> Column:
    known = values[np.isfinite(values)].astype(np.float64)
    if levels is None and len(known):
        # the deviation of equal values need not be exactly 0
        scale = float(known.std()) if known.min() < known.max() else 0.0
        return Column(name=name, loc=float(known.mean()), scale=scale)
    seen = np.unique(known).astype(np.int64).tolist()  # levels that come later are not known yet
    if len(seen) > _MOST_LEVELS:
        raise ValueError(
            f"covariate {name!r} has {len(seen)} different values that are not numbers, more "
            f"than {_MOST_LEVELS}; group them, or make it a number"
        )
    return Column(name=name, levels=tuple(seen))


def _encode(columns: Sequence[Column], covariates: Covariates | None, length: int) -> np.ndarray:
    if covariates is None or not columns:
        return np.full((_size(columns), length), np.nan, dtype=np.float32)
    rows = zip(columns, covariates.values, strict=True)
    return np.concatenate([column.encode(values) for column, values in rows])
