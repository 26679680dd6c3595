"""The windows that a report shows: where a forecaster was best, ordinary and worst."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tsformer.data.grid import as_python
from tsformer.evaluation.tasks import Windows
from tsformer.types import Forecast

_SHOWN = 4  # horizons of history


class Examples:
    """Keeps the best, the median and the worst of the windows that it is shown, by their error."""

    def __init__(self) -> None:
        self._kept: list[dict[str, Any]] = []

    def update(self, windows: Windows, forecast: Forecast, errors: np.ndarray) -> None:
        """Look at windows; `errors` is `[W]`, NaN = unknown, which are not kept."""
        known = np.flatnonzero(np.isfinite(errors))
        if not len(known):
            return
        order = known[np.argsort(errors[known], kind="stable")]
        rows = windows.history.univariate()
        for window in _spread(order.tolist()):
            self._kept.append(
                {
                    "series": str(as_python(windows.names[window])),
                    "error": float(errors[window]),
                    "history": _rounded(rows.series(window)[0, -_SHOWN * forecast.horizon :]),
                    "truth": _rounded(windows.truth[window]),
                    "median": _rounded(forecast.quantile(0.5)[window]),
                    "low": _rounded(forecast.quantile(0.1)[window]),
                    "high": _rounded(forecast.quantile(0.9)[window]),
                }
            )

    def result(self) -> list[dict[str, Any]]:
        """Return up to three windows as plain lists, the best first.

        Where windows came in several parts, the one in the middle is the median of their medians.
        """
        return _spread(sorted(self._kept, key=lambda example: example["error"]))


def _spread(ordered: Sequence[Any]) -> list[Any]:
    """Return the first, the middle and the last, each once."""
    places = sorted({0, len(ordered) // 2, len(ordered) - 1}) if len(ordered) else []
    return [ordered[place] for place in places]


def _rounded(values: np.ndarray) -> list[float | None]:
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
