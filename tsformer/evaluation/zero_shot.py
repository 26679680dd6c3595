"""How good a network is on real series that it never saw, while it is still being trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from tsformer.data.datasets import DatasetUnavailableError
from tsformer.data.panel import Panel
from tsformer.evaluation.runner import evaluate, make_forecaster
from tsformer.evaluation.suite import ModelSpec, load_suite
from tsformer.evaluation.tasks import Task, load_task
from tsformer.forecasters.zero_shot import forecast_unseen
from tsformer.models.zero_shot import TSFormer
from tsformer.types import Forecast

_NAIVE = ModelSpec(
    name="SeasonalNaive",
    forecaster="SeasonalNaiveForecaster",
    parameters={"season_length": "task"},
)


@dataclass(frozen=True, kw_only=True)
class _Unfitted:
    """A network in the place of a forecaster."""

    model: TSFormer
    horizon: int
    season_length: int

    def fit_panel(self, panel: Panel, val_size: int | None = None) -> Self:
        return self

    def predict_panel(self, panel: Panel, *, quantiles: tuple[float, ...]) -> Forecast:
        return forecast_unseen(
            self.model,
            panel.univariate(),
            self.horizon,
            quantiles,
            season_length=self.season_length,
        )


class RealSeries:
    """Tasks of some suites with the scores of the seasonal naive forecast, loaded once.

    Args:
        suites: by name, with parts of the names of the tasks wanted; none for all. Those whose
            data cannot be had are left out.

    Raises:
        ValueError: where a part names no task of its suite.
    """

    def __init__(self, suites: Mapping[str, Sequence[str]]) -> None:
        self.tasks: list[tuple[str, str, Task, dict[str, float]]] = []
        for name, wanted in suites.items():
            specs = load_suite(name).tasks
            for part in wanted:
                if not any(part in spec.name for spec in specs):
                    raise ValueError(f"suite {name!r} has no task whose name contains {part!r}")
            for spec in specs:
                if wanted and not any(part in spec.name for part in wanted):
                    continue
                try:
                    task = load_task(spec)
                except DatasetUnavailableError:
                    continue
                naive = evaluate(task, make_forecaster(_NAIVE, spec, None))["scores"]
                self.tasks.append((name, spec.name, task, naive))

    def scores(self, model: TSFormer) -> dict[str, float]:
        """Return MASE and CRPS relative to seasonal naive, means over the tasks of each suite."""
        ratios: dict[str, list[float]] = {}
        coverage: list[float] = []
        for suite, name, task, naive in self.tasks:
            asked: Any = _Unfitted(
                model=model,
                horizon=task.spec.horizon,
                season_length=task.panel.freq.season_length,
            )
            scores = evaluate(task, asked)["scores"]
            for metric in ("MASE", "CRPS"):
                ratio = scores[metric] / naive[metric]
                ratios.setdefault(f"{suite} {metric}", []).append(ratio)
                if metric == "MASE":
                    ratios[f"{name} {metric}"] = [ratio]
            coverage.append(scores["coverage80"])
        result = {name: float(np.exp(np.mean(np.log(values)))) for name, values in ratios.items()}
        return {**result, "coverage80": float(np.mean(coverage))} if coverage else {}
