"""Statistical baselines from statsforecast, as an extra: AutoETS, AutoARIMA, AutoTheta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from tsformer.data.panel import Panel
from tsformer.types import Forecast


@dataclass(kw_only=True)
class StatisticalBaseline:
    """One of statsforecast's models, fitted anew to every window's history.

    Args:
        model: a name in `statsforecast.models`.
        horizon: steps to forecast.
        season_length: of the model.
        max_history: steps of history that it sees; more makes automatic models very slow.
    """

    model: str
    horizon: int
    season_length: int = 1
    max_history: int = 1000

    def __post_init__(self) -> None:
        try:
            from statsforecast import models
        except ImportError as error:
            raise ImportError(
                "statistical baselines need statsforecast: pip install 'tsformer[baselines]'"
            ) from error
        if not hasattr(models, self.model):
            raise ValueError(f"forecaster={self.model!r} is neither ours nor statsforecast's")

    def fit_panel(self, panel: Panel, val_size: int | None = None) -> Self:
        """Return self: everything is fitted in `predict_panel`."""
        return self

    def predict_panel(self, panel: Panel, *, quantiles: tuple[float, ...]) -> Forecast:
        """Return forecasts; gaps are filled by straight lines, as these models need.

        Where the model fails on a series, its seasonal naive forecast stands in.
        """
        from statsforecast import StatsForecast, models

        model = getattr(models, self.model)(season_length=self.season_length)
        naive = models.SeasonalNaive(season_length=self.season_length)
        engine = StatsForecast(models=[model], freq=1, n_jobs=1, fallback_model=naive)
        levels = sorted({round(abs(1 - 2 * q) * 100, 6) for q in quantiles if q != 0.5})
        answer = engine.forecast(df=self._frame(panel), h=self.horizon, level=levels or None)  # type: ignore[arg-type]
        name = repr(model) if repr(model) in answer.columns else self.model
        return self._forecast(answer, name, quantiles)

    def _frame(self, panel: Panel) -> pd.DataFrame:
        tail = panel.tail(self.max_history)
        series = np.repeat(np.arange(len(tail)), tail.lengths)
        frame = pd.DataFrame({"unique_id": series, "ds": np.arange(len(series))})
        frame["y"] = tail.values[0].astype(np.float64)
        frame["y"] = frame.groupby("unique_id")["y"].transform(
            lambda values: values.interpolate(limit_direction="both")
        )
        return frame

    def _forecast(self, answer: Any, name: str, quantiles: tuple[float, ...]) -> Forecast:
        def column(label: str) -> np.ndarray:
            return answer[label].to_numpy(dtype=np.float64).reshape(-1, self.horizon)

        columns = []
        for level in quantiles:
            side = "lo" if level < 0.5 else "hi"
            width = f"{round(abs(1 - 2 * level) * 100, 6):g}"
            matching = [c for c in answer.columns if c in _names(name, side, width)]
            columns.append(column(name) if level == 0.5 else column(matching[0]))
        return Forecast(
            mean=column(name), quantiles=np.stack(columns, axis=-1), levels=tuple(quantiles)
        )


def _names(model: str, side: str, width: str) -> tuple[str, str]:
    return f"{model}-{side}-{width}", f"{model}-{side}-{float(width)}"
