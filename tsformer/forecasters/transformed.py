"""A forecaster that sees transformed targets, and answers in the units of the series."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch

from tsformer.data.grid import as_python
from tsformer.data.panel import Panel
from tsformer.forecasters.checks import FitReport, positive_integer
from tsformer.forecasters.defaults import held_out_sizes
from tsformer.forecasters.fallback import PooledValues, forecast_all, sample_all
from tsformer.forecasters.transform_columns import (
    FittedTransform,
    begin_rows,
    fit_rows,
    undo_rows,
)
from tsformer.forecasters.transform_steps import steps_of
from tsformer.forecasters.transformed_laws import asked_levels, law_by_paths, law_by_quantiles
from tsformer.forecasters.wrapping import WrappingForecaster
from tsformer.types import Forecast

_LONGEST = 10_000  # steps at the end of a series that a transform is fitted to


@dataclass(kw_only=True, eq=False, repr=False)
class TransformedForecaster(WrappingForecaster):
    """Transforms the target before a forecaster learns and forecasts, and turns its answers back.

    The transform is fitted to each series by itself: to what `fit` saw of it, but for steps that
    `val_size` or `val_df` hold out; of a series that is new at `predict` or `update`, to what is
    given of it then. `update` does not change it.

    Quantiles go through a curve as they are, and the mean is integrated over them. Where forecasts
    have to be added up (`Differencing`), both come from paths of the forecaster inside, sampled
    series by series, so that a forecast does not depend on what else is asked; with slow
    forecasters this takes a while. See `law_by_quantiles` and `law_by_paths`.

    Args:
        forecaster: any forecaster, with its horizon, its quantiles and all else.
        transformer: of the target, a transformer in scikit-learn's sense that works column by
            column and has an inverse: `LogTransform`, `BoxCoxTransform`, `Differencing`, one of
            scikit-learn's such as `StandardScaler`, `PowerTransformer` or `FunctionTransformer`,
            or a `Pipeline` of several.
        n_samples: paths that are drawn where forecasts have to be added up; a few dozen for a
            language model inside.
    """

    transformer: Any
    n_samples: int = 500

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not steps_of(self.transformer):
            raise ValueError(f"transformer={self.transformer!r} has no steps; give it one or more")
        positive_integer("n_samples", self.n_samples)

    @property
    def _steps_lost(self) -> int:
        return sum(getattr(step, "steps_lost", 0) for step in steps_of(self.transformer))

    @property
    def _memory(self) -> int:
        return super()._memory + self._steps_lost

    @property
    def _reach(self) -> int:
        return max(super()._reach, _LONGEST)  # a transform of new series learns from them

    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        learned = panel
        if val_size is not None:
            held_out = held_out_sizes(panel.lengths, self.horizon, val_size)
            learned = panel.head(panel.lengths - held_out)
        self.history_ = _history(learned)
        self.transforms_ = fit_rows(self.transformer, self.history_)
        inside = self._inside(panel)
        if not np.isfinite(inside.values).any():
            raise ValueError(
                f"transformer={self.transformer!r} leaves no value of any series (the longest has "
                f"{panel.lengths.max()} steps); pass longer series, or another transformer"
            )
        self.pooled_inside_ = PooledValues.of(inside)
        self.forecaster_ = self._fit_inside(inside, val_size)
        report = self.forecaster_.fit_report_
        return replace(report, remarks=report.remarks | _nothing_left(panel, inside))

    def update_panel(self, panel: Panel) -> Self:
        """Go on with a panel that continues the fitted one; return self."""
        if not self._fits(panel):
            self.history_ = self._known_history(panel)
            self.transforms_ = fit_rows(self.transformer, self.history_)
        return super().update_panel(panel)

    def _begin(self, panel: Panel) -> tuple[Panel, list[FittedTransform]]:
        """Return a panel as the forecaster inside sees it, and how its forecasts turn back."""
        parts = self.transforms_
        if not self._fits(panel):
            parts = fit_rows(self.transformer, self._known_history(panel))
        inside, begun = begin_rows(parts, panel)
        empty = np.minimum(self._steps_lost, inside.lengths - 1)
        return inside.slice(empty, inside.lengths), begun

    def _fits(self, panel: Panel) -> bool:
        """Whether the transforms of the fitted series are those of a panel, row by row."""
        n_fitted = sum(len(part.rows) for part in self.transforms_)
        ids = np.repeat(panel.ids, panel.n_variates)
        return n_fitted == len(ids) and np.array_equal(ids, self.history_.ids)

    def _inside(self, panel: Panel) -> Panel:
        return self._begin(panel)[0]

    def _known_history(self, panel: Panel) -> Panel:
        """Return what the transform of each row is fitted to; its own past where it is new."""
        given, known = _history(panel), self.history_
        n_variates = panel.n_variates
        place = {name: k for k, name in enumerate(known.ids[::n_variates].tolist())}
        first = [place.get(name, -1) * n_variates for name in panel.ids.tolist()]
        rows = np.repeat(first, n_variates) + np.tile(np.arange(n_variates), len(panel))
        fitted = (rows >= 0) & (known.known_counts[np.maximum(rows, 0)] > 0)
        both = replace(
            known,
            values=np.concatenate([known.values, given.values], axis=1),
            offsets=np.r_[known.offsets, known.offsets[-1] + given.offsets[1:]],
            ids=np.concatenate([known.ids, given.ids]),
            starts=np.concatenate([known.starts, given.starts]),
        )
        return both.select(np.where(fitted, rows, len(known) + np.arange(len(rows))))

    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        inside, parts = self._begin(panel)
        known = forecast_all(self.forecaster_, inside, horizon, asked_levels(levels))
        mean = np.full(known.mean.shape, np.nan)
        quantiles = np.full((*mean.shape, len(levels)), np.nan)
        for part in parts:
            if part.along_time:
                paths = self._paths_alone(inside, part.rows, horizon)
                law = law_by_paths(part, known, paths, levels, self._generator())
            else:
                law = law_by_quantiles(part, known, levels)
            mean[part.rows], quantiles[part.rows] = law
        return Forecast(mean=mean, quantiles=quantiles, levels=levels)

    def _paths_alone(self, inside: Panel, rows: np.ndarray, horizon: int) -> np.ndarray:
        """Return paths of rows, `[n, P, H]`, each series sampled as if it were the only one."""
        series, variate = np.divmod(rows, inside.n_variates)
        paths = {
            number: sample_all(self.forecaster_, inside.select([number]), horizon, self.n_samples)
            for number in np.unique(series)
        }
        return np.stack([paths[k][c] for k, c in zip(series, variate, strict=True)])

    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        inside, parts = self._begin(panel)
        return undo_rows(parts, sample_all(self.forecaster_, inside, horizon, n_samples))

    def _handed_down(self) -> dict[str, Any]:
        return super()._handed_down() | {"pooled_": self.pooled_inside_}

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        state, tensors = super()._state()
        arrays = {
            "history.values": self.history_.values,
            "history.offsets": self.history_.offsets,
            "pooled_inside.mean": self.pooled_inside_.mean,
            "pooled_inside.quantiles": self.pooled_inside_.quantiles,
        }
        return state, tensors | {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}

    def _restore(self, state: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        rows = _history(self.panel_)
        self.history_ = replace(
            rows,
            values=tensors["history.values"].numpy(),
            offsets=tensors["history.offsets"].numpy(),
        )
        self.transforms_ = fit_rows(self.transformer, self.history_)
        self.pooled_inside_ = PooledValues(
            mean=tensors["pooled_inside.mean"].numpy(),
            quantiles=tensors["pooled_inside.quantiles"].numpy(),
        )
        super()._restore(state, tensors)


def _history(panel: Panel) -> Panel:
    """Return what transforms learn from: the last steps of every row, without covariates."""
    return panel.tail(_LONGEST).without_covariates().univariate()


def _nothing_left(panel: Panel, inside: Panel) -> dict[str, list[Any]]:
    """Return a remark on series of which no value is left, where there are any."""
    left = inside.univariate().known_counts > 0
    gone = panel.univariate().ids[(panel.univariate().known_counts > 0) & ~left]
    names = list(dict.fromkeys(as_python(name) for name in gone))
    return {"nothing left by the transform": names} if names else {}
