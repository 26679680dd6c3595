"""Many series in one figure: which are shown, how they are arranged, what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsformer.data.answers import Window
from tsformer.data.layout import Layout
from tsformer.data.panel import Panel
from tsformer.plotting.dates import time_axis
from tsformer.plotting.style import (
    MEDIUM,
    MUTED,
    SMALL,
    TINY,
    dress,
    legend_below,
    new_figure,
    plain,
)

_MOST = 50
_SIZES = {1: (8.0, 3.0), 2: (4.4, 2.2), 3: (3.3, 1.9), 4: (2.7, 1.7), 5: (2.4, 1.6)}
_COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 18: 3, 32: 4}  # up to so many panels
_ORDER = ("known", "truth", "median", "mean")  # in the legend; intervals follow
_USUAL = ("y", "target")


@dataclass(frozen=True, kw_only=True)
class View:
    """What of a forecast is shown.

    Attributes:
        ids: the series, in this order; None for the first ones.
        n_history: steps before the forecast; None for four horizons, two seasons at least.
        max_series: how many series are shown where `ids` names none.
        show_mean: whether the mean is drawn, too.
    """

    ids: Sequence[Any] | None = None
    n_history: int | None = None
    max_series: int = 12
    show_mean: bool = False

    def __post_init__(self) -> None:
        if self.n_history is not None and self.n_history < 0:
            raise ValueError(f"n_history={self.n_history} must be at least 0")
        if not 1 <= self.max_series <= _MOST:
            raise ValueError(f"max_series={self.max_series} must lie between 1 and {_MOST}")
        if self.ids is not None and not 1 <= len(self.ids) <= _MOST:
            raise ValueError(f"ids names {len(self.ids)} series; name 1 to {_MOST}")

    def steps_before(self, horizon: int, season_length: int) -> int:
        """Return how many steps before a forecast are shown."""
        if self.n_history is not None:
            return self.n_history
        return max(4 * horizon, 2 * season_length)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What one panel of a figure shows.

    Attributes:
        title: above it.
        times, values: `[T]`, the series from where it is shown to its end, NaN = missing.
        windows: forecasts of it, in order of time.
    """

    title: str
    times: np.ndarray
    values: np.ndarray
    windows: Sequence[Window]

    @property
    def last_known(self) -> np.generic | None:
        """The last time before the first forecast, None where there is none."""
        before = self.times[self.times < self.windows[0].times[0]]
        return before[-1] if len(before) else None


def make_scenes(
    panel: Panel, layout: Layout, windows: Sequence[Window], view: View
) -> tuple[list[Scene], int]:
    """Return what is shown, and how many series there were to choose from.

    Raises:
        ValueError: for series that are not in the forecast, or in the data.
    """
    numbers = {name: number for number, name in enumerate(panel.ids.tolist())}
    grouped: dict[Any, dict[str | None, list[Window]]] = {}
    for window in windows:
        name = _id_of(window, panel)
        if name not in numbers:
            raise ValueError(
                f"forecast has the series {name!r}, which df has not; pass the series it was made "
                "from"
            )
        grouped.setdefault(name, {}).setdefault(window.variate, []).append(window)
    scenes = [
        _scene(panel, layout, numbers[name], variate, found, view)
        for name in _chosen(list(grouped), view)
        for variate, found in grouped[name].items()
    ]
    return scenes, len(grouped)


def _id_of(window: Window, panel: Panel) -> Any:
    if window.name is not None:
        return window.name
    if len(panel) > 1:
        raise ValueError(
            f"df has {len(panel)} series, but forecast has no column of ids; pass the frame as "
            "predict returned it"
        )
    return panel.ids.tolist()[0]


def _chosen(names: list[Any], view: View) -> list[Any]:
    if view.ids is None:
        return names[: view.max_series]
    for name in view.ids:
        if name not in names:
            raise ValueError(f"ids has {name!r}, which is not in forecast, unlike {names[0]!r}")
    return list(view.ids)


def _scene(
    panel: Panel,
    layout: Layout,
    number: int,
    variate: str | None,
    windows: Sequence[Window],
    view: View,
) -> Scene:
    channel = layout.variates.index(variate) if variate in layout.variates else 0
    times = panel.times(number)
    values = panel.series(number)[channel].astype(np.float64)
    windows = sorted(windows, key=lambda window: window.times[0])
    first = int(np.searchsorted(times, windows[0].times[0]))
    n_steps = view.steps_before(len(windows[0].times), panel.freq.season_length)
    begin, end = max(first - n_steps, 0), np.searchsorted(times, windows[-1].times[-1], "right")
    words = [] if layout.id_col is None else [str(panel.ids[number])]
    if layout.time_col is None and layout.target_col not in _USUAL:
        words.append(layout.target_col)  # of a pandas series
    return Scene(
        title=" · ".join([*words, *([variate] if variate is not None else [])]),
        times=times[begin:end],
        values=values[begin:end],
        windows=windows,
    )


def number_of(series: Any, ids: np.ndarray, where: str) -> int:
    """Return the place of a series among ids.

    Raises:
        ValueError: where it is not there.
    """
    names = ids.tolist()
    if series not in names:
        raise ValueError(f"series={series!r} is not among those of {where}, such as {names[0]!r}")
    return names.index(series)


def panel_grid(n_panels: int) -> tuple[Figure, list[Axes], int]:
    """Return a figure with panels for so many series, and in how many columns they stand."""
    n_columns = next((number for most, number in _COLUMNS.items() if n_panels <= most), 5)
    n_rows = -(-n_panels // n_columns)
    width, height = _SIZES[n_columns]
    figure = new_figure(width * n_columns, height * n_rows + 0.4)
    axes = figure.subplots(n_rows, n_columns, squeeze=False).reshape(-1)
    for axis in axes[n_panels:]:
        axis.remove()
    return figure, list(axes[:n_panels]), n_columns


def finish(
    figure: Figure, axes: Sequence[Axes], scenes: Sequence[Scene], layout: Layout, n_columns: int
) -> None:
    """Write titles, times and the legend that all panels share."""
    width = _SIZES[n_columns][0]
    zone = None if layout.wall else layout.zone
    limits = [_limits(scene) for scene in scenes]
    alike = all(limit == limits[0] for limit in limits)
    for number, (axis, scene, limit) in enumerate(zip(axes, scenes, limits, strict=True)):
        dress(axis, size=SMALL if n_columns < 3 else TINY, n_ticks=5 if n_columns < 3 else 4)
        axis.set_title(plain(_shortened(scene.title, width)), loc="left", fontsize=MEDIUM)
        _set_limits(axis, *limit)
        time_axis(axis, np.array(limit), zone, width)
        if alike and number + n_columns < len(axes):
            axis.tick_params(labelbottom=False)
        if zone is not None and number + n_columns >= len(axes):
            axis.set_xlabel(f"time in {zone}", loc="right", fontsize=TINY, color=MUTED)
    entries: dict[str, Any] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    order = sorted(entries, key=lambda label: _ORDER.index(label) if label in _ORDER else 9)
    legend_below(figure, [entries[label] for label in order], order)
    one_target = not layout.variates and layout.time_col is not None
    if one_target and layout.target_col not in _USUAL:
        figure.supylabel(plain(layout.target_col), fontsize=SMALL)


def tell_left_out(figure: Figure, n_shown: int, n_series: int) -> None:
    """Write how many series are shown where there are more."""
    figure.suptitle(f"the first {n_shown} of {n_series} series", fontsize=SMALL, color=MUTED)


def _limits(scene: Scene) -> tuple[Any, Any]:
    """Return the first and the last time that is shown."""
    ends = [window.times for window in scene.windows]
    first = scene.times[0] if len(scene.times) else ends[0][0]
    return min(first, ends[0][0]), max(end[-1] for end in ends)


def _set_limits(axis: Axes, first: Any, last: Any) -> None:
    """Leave a little room beside the first and the last time; a single one is in the middle."""
    if first < last:
        edges = axis.convert_xunits(np.array([first, last]))
        room = 0.02 * (edges[1] - edges[0])
        axis.set_xlim(edges[0] - room, edges[1] + room)


def _shortened(title: str, width: float) -> str:
    """Return a title that fits above a panel of so many inches."""
    room = int(width * 72 / (0.65 * MEDIUM))
    return title if len(title) <= room else title[: room - 1] + "…"
