"""The facade: `fit`, `predict` and their kin, for every forecaster alike.

A forecaster is a keyword-only dataclass on top of scikit-learn's `BaseEstimator`: one declaration
of the fields serves `__init__`, `get_params`, `clone` and `repr`. What is learned ends in an
underscore. A subclass learns from a panel and forecasts a panel; frames are dealt with here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import clone

from tsformer.data.frame import Schema, read_panel
from tsformer.data.future import read_future
from tsformer.data.joining import known_statics
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.data.static import read_static
from tsformer.forecasters.answers import forecast_rows, sample_rows
from tsformer.forecasters.backtest import Backtest
from tsformer.forecasters.checks import (
    FitReport,
    positive_integer,
    quantile_levels,
    refuse_all_missing,
    refuse_unfitted,
)
from tsformer.forecasters.fallback import (
    PooledValues,
    forecast_all,
    sample_all,
    warn_of_unknown,
)
from tsformer.forecasters.history import read_like, read_training, take_in
from tsformer.forecasters.parameters import SharedParameters
from tsformer.forecasters.persistence import save_forecaster
from tsformer.forecasters.pictures import plot as plot_forecasts
from tsformer.forecasters.score import naive_errors, score_panel
from tsformer.forecasters.search_spaces import Range
from tsformer.forecasters.tuning import tune as tune_forecaster
from tsformer.forecasters.words import known_words
from tsformer.types import Forecast


@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(SharedParameters, ABC):
    """What all forecasters can do.

    Several variates of a series come to `_learn`, `_forecast` and `_sample` together where a class
    sets `_jointly`, else as series of their own.
    """

    _jointly: ClassVar[bool] = False

    @abstractmethod
    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        """Learn from a panel, the last `val_size` steps of each series held out."""

    @abstractmethod
    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """Return the forecasts of a panel, `[S * C, H]`, whose series all have a value."""

    @abstractmethod
    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        """Return coherent paths, `[S * C, n_samples, H]`; all series have a value."""

    @property
    @abstractmethod
    def _memory(self) -> int:
        """Steps at the end of each series that a forecast needs."""

    @property
    def _reach(self) -> int:
        """Steps at the end of given series that a forecast looks at, if there are as many."""
        return self._memory

    @property
    def _sight(self) -> int:
        """Steps at the end of a series one of which needs a value, or what all taught is said."""
        return self._reach

    @known_words
    def fit(
        self,
        df: Any,
        y: None = None,
        *,
        static_df: Any = None,
        val_df: Any = None,
        val_size: int | None = None,
    ) -> Self:
        """Learn from series and return self.

        Args:
            df: the series, in any form that `tsformer.data.frame.read_panel` takes.
            y: not used; scikit-learn passes it.
            static_df: the `static_covariates`, one row per series.
            val_df: later rows of the same series, held out from training.
            val_size: steps at the end of each series to hold out; 0 for none, None for a tail of
                at least one horizon where the series is long enough.

        Raises:
            ValueError, TypeError: for parameters or data that cannot be used.
        """
        self._check_parameters()
        panel, layout, held_out = read_training(df, val_df, val_size, self._schema)
        panel = self._with_static(panel, layout, static_df, self._schema)
        self.fit_panel(panel, held_out)
        self.layout_ = layout
        return self

    def fit_panel(self, panel: Panel, val_size: int | np.ndarray | None = None) -> Self:
        """Learn from a panel, which may be kept. Return self.

        `val_size` may be given per series, `[S]`.
        """
        self.season_length_ = int(self.season_length or panel.freq.season_length)
        refuse_all_missing(panel, self._schema.variates)
        self.pooled_ = PooledValues.of(panel)
        self.fit_report_ = self._learn(panel if self._jointly else panel.univariate(), val_size)
        errors = naive_errors(panel).reshape(len(panel), -1)
        self.naive_errors_ = dict(zip(panel.ids.tolist(), errors, strict=True))
        self.panel_ = panel.tail(self._memory)
        return self

    def predict_panel(
        self,
        panel: Panel | None = None,
        *,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
    ) -> Forecast:
        """Return the forecasts of a panel as arrays; None continues the fitted one.

        What `predict` does, without frames.
        """
        refuse_unfitted(self)
        steps = positive_integer("horizon", self.horizon if horizon is None else horizon)
        levels = quantile_levels(self.quantiles if quantiles is None else quantiles)
        return forecast_all(self, self.panel_ if panel is None else panel, steps, levels)

    @known_words
    def predict(
        self,
        df: Any = None,
        future_df: Any = None,
        *,
        static_df: Any = None,
        horizon: int | None = None,
        quantiles: Sequence[float] | None = None,
        level: Sequence[float] | None = None,
    ) -> Any:
        """Return the forecasts as a frame of the caller's kind: id, time, `mean`, quantiles.

        Args:
            df: series to forecast from, also such as `fit` never saw; None continues the fitted
                ones.
            future_df: the `future_covariates` of the steps to come.
            static_df: the `static_covariates` of `df`; those of fitted series are known.
            horizon: steps, fewer or more than the fitted `horizon`; None for that one.
            quantiles: probabilities instead of the fitted ones; `"0.5"` is always among them.
            level: widths of central intervals in percent, instead of `quantiles`.

        Raises:
            NotFittedError: before `fit`.
        """
        fitted = self._fitted(df)
        steps = positive_integer("horizon", self.horizon if horizon is None else horizon)
        levels = quantile_levels(self.quantiles if quantiles is None else quantiles, level)
        panel, layout = fitted._context(df, static_df)
        panel = self._with_future(panel, layout, future_df, steps)
        warn_of_unknown(panel, layout, fitted._sight)
        forecast = forecast_all(fitted, panel, steps, levels)
        return layout.write(*forecast_rows(panel, layout, forecast))

    @known_words
    def predict_samples(
        self,
        df: Any = None,
        future_df: Any = None,
        *,
        static_df: Any = None,
        n_samples: int = 100,
        horizon: int | None = None,
    ) -> Any:
        """Return paths whose steps belong together, so that their sums have quantiles too.

        The frame has the columns id, time, `sample` (0, 1, …) and the target's name. The same
        `random_state` gives the same paths.
        """
        fitted = self._fitted(df)
        steps = positive_integer("horizon", self.horizon if horizon is None else horizon)
        n_samples = positive_integer("n_samples", n_samples)
        panel, layout = fitted._context(df, static_df)
        panel = self._with_future(panel, layout, future_df, steps)
        warn_of_unknown(panel, layout, fitted._sight)
        paths = sample_all(fitted, panel, steps, n_samples)
        return layout.write(*sample_rows(panel, layout, paths))

    @known_words
    def cross_validation(
        self,
        df: Any,
        *,
        static_df: Any = None,
        n_windows: int = 1,
        step_size: int | None = None,
        refit: bool | int | None = False,
    ) -> Any:
        """Return forecasts from cut-offs near the end of each series, beside what came.

        The forecaster itself stays as it is: copies of it are fitted, each on nothing later than
        its cut-off.

        Args:
            df: the series.
            static_df: the `static_covariates`, one row per series.
            n_windows: cut-offs per series.
            step_size: steps between cut-offs; None for `horizon`.
            refit: False fits before the first cut-off only, True at every one, k at every k-th;
                None asks the forecaster as it was fitted, to nothing later than the first cut-off.

        Returns:
            A frame with the columns of `predict`, and `cutoff` (the last time that was known) and
            the target's.
        """
        self._check_parameters()
        if refit is None:
            refuse_unfitted(self)
        step_size = self.horizon if step_size is None else step_size
        backtest = Backtest(n_windows=n_windows, step_size=step_size, refit=refit)
        if refit is None:  # on the grid and with the categories that it knows
            panel, layout = self._context(df, static_df)
        else:
            panel, layout = read_panel(df, self._schema)
            panel = self._with_static(panel, layout, static_df, self._schema)
        return layout.write(*backtest.run(self, panel, layout))

    @known_words
    def score(self, df: Any, y: None = None) -> float:
        """Return the negative mean absolute scaled error over the last horizon of `df`.

        Greater is better, so that scikit-learn's searches can use it. Series that `fit` knows are
        continued from what it saw of them, so that `df` may hold no more than the horizon; their
        errors are scaled by those of the seasonal naive forecast over all that `fit` saw, the
        season being that of the calendar, whatever `season_length`.
        """
        refuse_unfitted(self)
        return score_panel(self, read_like(df, self._known_schema, self.panel_.freq)[0])

    @known_words
    def update(self, df: Any) -> Self:
        """Take in newer rows of fitted series, or new series, without learning; return self."""
        refuse_unfitted(self)
        new = read_like(df, self._known_schema, self.panel_.freq)
        panel, layout = take_in(self.panel_, self.layout_, *new)
        self.update_panel(panel)
        self.layout_ = layout
        return self

    def update_panel(self, panel: Panel) -> Self:
        """Go on with a panel that continues the fitted one; return self."""
        self.panel_ = panel.tail(self._memory)
        return self

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the fitted forecaster as `config.json` and `model.safetensors`.

        The folder is written whole or not at all; an earlier save in it is replaced.
        """
        refuse_unfitted(self)
        save_forecaster(self, folder)

    tune = tune_forecaster  # as methods, with the same parameters
    plot = plot_forecasts

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "panel_")

    def _fitted(self, df: Any) -> Self:
        """Return the forecaster that is asked: itself, or where none is needed, one fitted to df.

        Raises:
            NotFittedError: before `fit`, where it is needed.
        """
        if self._needs_fit or df is None or hasattr(self, "panel_"):
            refuse_unfitted(self)
            return self
        return clone(self).fit(df)

    def _context(self, df: Any, static_df: Any = None) -> tuple[Panel, Layout]:
        """Return what to forecast from; data are put on the grid of the fitted series."""
        if df is None:
            panel, layout = self.panel_, self.layout_
        else:
            panel, layout = read_like(df, self._known_schema, self.panel_.freq)
            panel = known_statics(self.panel_, panel)
        if static_df is None:
            return panel, layout
        return self._with_static(panel, layout, static_df, self._known_schema), layout

    @property
    def _known_schema(self) -> Schema:
        """The columns, with the levels of categories as `fit` saw them."""
        return replace(self._schema, levels=self.panel_.levels)

    def _with_static(self, panel: Panel, layout: Layout, static_df: Any, schema: Schema) -> Panel:
        """Return the panel with what is known of its series."""
        if schema.static_covariates:
            return read_static(static_df, panel, layout, schema)
        if static_df is not None:
            raise ValueError(
                f"{type(self).__name__} was given no static_covariates=; name columns of static_df "
                "by it, where the forecaster takes them, or leave static_df out"
            )
        return panel

    def _with_future(self, panel: Panel, layout: Layout, future_df: Any, horizon: int) -> Panel:
        """Return the panel with what is known of the steps to come."""
        if self._schema.future_covariates:
            return read_future(future_df, panel, layout, self._schema, horizon)
        if future_df is not None:
            raise ValueError(
                f"{type(self).__name__} was given no future_covariates=; name columns of future_df "
                "by it, where the forecaster takes them, or leave future_df out"
            )
        return panel

    def _search_space(self, panel: Panel) -> dict[str, Range]:
        """Return what `tune` searches, by parameter; nothing unless a class says so."""
        return {}

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self.random_state)
