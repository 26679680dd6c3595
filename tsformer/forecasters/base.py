"""The facade: `fit`, `predict` and their kin, for every forecaster alike.

A forecaster is a keyword-only dataclass on top of scikit-learn's `BaseEstimator`: one declaration
of the fields serves `__init__`, `get_params`, `clone` and `repr`. What is learned ends in an
underscore. A subclass learns from a panel and forecasts a panel; frames are dealt with here.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from os import PathLike
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from tsformer.data.frame import Schema, read_panel
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel, concatenate, extend
from tsformer.forecasters.answers import forecast_rows, sample_rows
from tsformer.forecasters.backtest import Backtest
from tsformer.forecasters.checks import FitReport, inspect_panel, positive_integer, quantile_levels
from tsformer.forecasters.fallback import PooledValues
from tsformer.forecasters.history import append_validation, read_like
from tsformer.forecasters.persistence import save_forecaster
from tsformer.forecasters.score import mean_absolute_scaled_error, split_last
from tsformer.forecasters.words import known_words, refuse_unknown
from tsformer.types import Forecast

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(BaseEstimator, ABC):
    """What all forecasters share.

    Args:
        horizon: steps to forecast.
        quantiles: probabilities of the quantiles to report, each between 0 and 1.
        freq: pandas alias of the step between times; inferred where None.
        season_length: steps of the main season; by `freq` where None.
        id_col, time_col, target_col: columns of a long frame; found where they are called
            `unique_id, ds, y` or `item_id, timestamp, target`.
    """

    horizon: int
    quantiles: Sequence[float] = DECILES
    freq: str | None = None
    season_length: int | None = None
    id_col: str | None = None
    time_col: str | None = None
    target_col: str | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse words of other libraries with the right one as a hint."""
        refuse_unknown(cls.__name__, kwargs, [field.name for field in fields(cls)])
        return super().__new__(cls)

    @abstractmethod
    def _learn(self, panel: Panel, val_size: int | np.ndarray | None) -> FitReport:
        """Learn from a panel, the last `val_size` steps of each series held out."""

    @abstractmethod
    def _forecast(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """Return the forecasts of a panel, whose series all have a value."""

    @abstractmethod
    def _sample(self, panel: Panel, horizon: int, n_samples: int) -> np.ndarray:
        """Return coherent paths, `[S, n_samples, H]`, for series that all have a value."""

    @property
    @abstractmethod
    def _memory(self) -> int:
        """Steps at the end of each series that a forecast needs."""

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
            static_df: for forecasters with static covariates only.
            val_df: later rows of the same series, held out from training.
            val_size: steps at the end of each series to hold out; 0 for none, None for a tail of
                at least one horizon where the series is long enough.

        Raises:
            ValueError, TypeError: for parameters or data that cannot be used.
        """
        self._refuse_covariates(static_df=static_df)
        self._check_parameters()
        panel, layout = self._read(df)
        held_out: int | np.ndarray | None = val_size
        if val_df is not None:
            if val_size is not None:
                raise ValueError("val_df and val_size exclude each other; pass one of them")
            panel, held_out = append_validation(panel, self._read(val_df)[0])
        if val_size is not None and val_size != 0:
            positive_integer("val_size", val_size)
        self.fit_panel(panel, held_out)
        self.layout_ = layout
        return self

    def fit_panel(self, panel: Panel, val_size: int | np.ndarray | None = None) -> Self:
        """Learn from a panel; `val_size` may be given per series, `[S]`. Return self."""
        self.season_length_ = self.season_length or panel.freq.season_length
        inspect_panel(panel, 1)  # refuses a panel without values before any work is done
        self.pooled_ = PooledValues.of(panel)
        self.fit_report_ = self._learn(panel, val_size)
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
        check_is_fitted(self)
        steps = positive_integer("horizon", self.horizon if horizon is None else horizon)
        levels = quantile_levels(self.quantiles if quantiles is None else quantiles)
        return self._forecast_all(self.panel_ if panel is None else panel, steps, levels)

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
            future_df, static_df: for forecasters with covariates only.
            horizon: steps, fewer or more than the fitted `horizon`; None for that one.
            quantiles: probabilities instead of the fitted ones; `"0.5"` is always among them.
            level: widths of central intervals in percent, instead of `quantiles`.

        Raises:
            NotFittedError: before `fit`.
        """
        self._refuse_covariates(static_df=static_df, future_df=future_df)
        check_is_fitted(self)
        steps = positive_integer("horizon", self.horizon if horizon is None else horizon)
        levels = quantile_levels(self.quantiles if quantiles is None else quantiles, level)
        panel, layout = self._context(df)
        forecast = self._forecast_all(panel, steps, levels)
        return layout.write(*forecast_rows(panel, layout, forecast))

    @known_words
    def predict_samples(
        self,
        df: Any = None,
        future_df: Any = None,
        *,
        n_samples: int = 100,
        horizon: int | None = None,
    ) -> Any:
        """Return paths whose steps belong together, so that their sums have quantiles too.

        The frame has the columns id, time, `sample` (0, 1, …) and the target's name. The same
        `random_state` gives the same paths.
        """
        self._refuse_covariates(future_df=future_df)
        check_is_fitted(self)
        steps = positive_integer("horizon", self.horizon if horizon is None else horizon)
        n_samples = positive_integer("n_samples", n_samples)
        panel, layout = self._context(df)
        known = panel.select(self.pooled_.forecastable(panel))
        paths = self._sample(known, steps, n_samples)
        paths = self.pooled_.fill_samples(panel, paths, steps, self._generator())
        return layout.write(*sample_rows(panel, layout, paths))

    @known_words
    def cross_validation(
        self,
        df: Any,
        *,
        n_windows: int = 1,
        step_size: int | None = None,
        refit: bool | int = False,
    ) -> Any:
        """Return forecasts from cut-offs near the end of each series, beside what came.

        The forecaster itself stays as it is: copies of it are fitted, each on nothing later than
        its cut-off.

        Args:
            df: the series.
            n_windows: cut-offs per series.
            step_size: steps between cut-offs; None for `horizon`.
            refit: False fits before the first cut-off only, True at every one, k at every k-th.

        Returns:
            A frame with the columns of `predict`, and `cutoff` (the last time that was known) and
            the target's.
        """
        self._check_parameters()
        panel, layout = self._read(df)
        backtest = Backtest(
            n_windows=positive_integer("n_windows", n_windows),
            step_size=positive_integer("step_size", step_size or self.horizon),
            refit=refit,
        )
        return layout.write(*backtest.run(self, panel, layout))

    @known_words
    def score(self, df: Any, y: None = None) -> float:
        """Return the negative mean absolute scaled error over the last horizon of `df`.

        Greater is better, so that scikit-learn's searches can use it. Series that `fit` knows are
        continued from what it saw of them, so that `df` may hold no more than the horizon.
        """
        check_is_fitted(self)
        panel = concatenate(self.panel_, self._read(df, fitted=True)[0])
        history, scored = split_last(panel, self.horizon)
        forecast = self._forecast(history, self.horizon, (0.5,))
        median = forecast.quantile(0.5)
        return -mean_absolute_scaled_error(scored, median, self.season_length_)

    @known_words
    def update(self, df: Any) -> Self:
        """Take in newer rows of fitted series, or new series, without learning; return self."""
        check_is_fitted(self)
        new = self._read(df, fitted=True)[0]
        first_seen = self.panel_.ids[self.layout_.order]
        unseen = new.ids[~np.isin(new.ids, self.panel_.ids)]
        self.panel_ = extend(self.panel_, new).tail(self._memory)
        place = {name: number for number, name in enumerate(self.panel_.ids)}
        order = np.array([place[name] for name in [*first_seen, *unseen]])
        self.layout_ = replace(self.layout_, order=order)
        return self

    def save(self, folder: str | PathLike[str]) -> None:
        """Write the fitted forecaster as `config.json` and `model.safetensors`.

        The folder is written whole or not at all; an earlier save in it is replaced.
        """
        check_is_fitted(self)
        save_forecaster(self, folder)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "panel_")

    def _check_parameters(self) -> None:
        positive_integer("horizon", self.horizon)
        quantile_levels(self.quantiles)
        if self.season_length is not None:
            positive_integer("season_length", self.season_length)

    def _refuse_covariates(self, **given: Any) -> None:
        for name, value in given.items():
            if value is not None:
                raise ValueError(f"{type(self).__name__} takes no covariates; leave {name} out")

    def _read(self, df: Any, fitted: bool = False) -> tuple[Panel, Layout]:
        """Return data as a panel, on the grid of the fitted series if asked."""
        schema = Schema(
            id_col=self.id_col, time_col=self.time_col, target_col=self.target_col, freq=self.freq
        )
        return read_like(df, schema, self.panel_.freq) if fitted else read_panel(df, schema)

    def _context(self, df: Any) -> tuple[Panel, Layout]:
        return (self.panel_, self.layout_) if df is None else self._read(df, fitted=True)

    def _forecast_all(self, panel: Panel, horizon: int, levels: tuple[float, ...]) -> Forecast:
        """Return forecasts of all series; those without a value get the pooled distribution."""
        known = self.pooled_.forecastable(panel)
        if len(known) == len(panel):
            return self._forecast(panel, horizon, levels)
        names = np.delete(panel.ids, known)
        warnings.warn(
            f"{len(names)} series have no value (the first is {names.tolist()[0]!r}); they get "
            "the distribution of all fitted values",
            stacklevel=3,
        )
        forecast = self._forecast(panel.select(known), horizon, levels) if len(known) else None
        return self.pooled_.fill(panel, forecast, horizon, levels)

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(getattr(self, "random_state", 0))
