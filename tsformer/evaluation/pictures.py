"""Pictures of a task: what was known, what came, median and 80 % interval; validation losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from tsformer.plotting.lines import draw_cutoff, draw_fan, draw_known, draw_truth
from tsformer.plotting.style import (
    COLOURS,
    LARGE,
    MEDIUM,
    SMALL,
    TINY,
    dress,
    legend_below,
    new_figure,
    plain,
)

_LEVELS = (0.1, 0.5, 0.9)


def draw_task(title: str, examples: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Write a picture: a row per model, a column per window, which every model has its own of.

    Args:
        title: above the picture.
        examples: model -> examples, as `tsformer.evaluation.runner` keeps them.
        path: of the PNG file.
    """
    n_columns = max(len(windows) for windows in examples.values())
    figure = new_figure(3.6 * n_columns + 0.4, 2.2 * len(examples) + 0.7)
    axes = figure.subplots(len(examples), n_columns, squeeze=False)
    for number, (model, windows) in enumerate(examples.items()):
        for axis, example in zip(axes[number], windows, strict=False):
            draw_forecast(axis, example, COLOURS[number % len(COLOURS)])
            axis.set_title(plain(_window_title(example)), fontsize=SMALL)
        for axis in axes[number][len(windows) :]:
            axis.axis("off")
        axes[number][0].set_ylabel(plain(model))
    legend_below(figure, *axes[0, 0].get_legend_handles_labels())
    figure.suptitle(plain(title), fontsize=LARGE)
    figure.savefig(path, metadata={"Software": None})


def _window_title(example: Mapping[str, Any]) -> str:
    """Return the name of the series, with the error where it was kept."""
    error = example.get("error")
    return example["series"] if error is None else f"{example['series']}: error {error:.2g}"


def draw_training(
    title: str, curves: Mapping[str, Sequence[Sequence[tuple[int, float]]]], path: Path
) -> None:
    """Write a picture of validation losses, a panel per model, a line per seed.

    Args:
        title: above the picture.
        curves: model -> seeds -> `(step, loss)` of each look at the held out windows.
        path: of the PNG file.
    """
    figure = new_figure(3.6 * len(curves) + 0.4, 2.4)
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, (model, seeds) in zip(axes, curves.items(), strict=True):
        for number, history in enumerate(seeds):
            colour = COLOURS[number % len(COLOURS)]
            steps, losses = np.array(history, dtype=float).T
            best = int(np.where(np.isfinite(losses), losses, np.inf).argmin())
            axis.plot(steps, losses, color=colour, linewidth=1.1)
            axis.plot(steps[best], losses[best], "o", color=colour, markersize=4)
        dress(axis, size=TINY)
        axis.set_title(plain(model), fontsize=MEDIUM)
        axis.set_xlabel("step", fontsize=SMALL)
    axes[0].set_ylabel("validation loss", fontsize=SMALL)
    figure.suptitle(plain(title), fontsize=LARGE)
    figure.savefig(path, metadata={"Software": None})


def draw_forecast(axis: Axes, example: Mapping[str, Any], colour: str) -> None:
    """Draw history, truth, median and interval; the x axis counts steps from the cut-off."""
    past, truth = (np.array(example[name], dtype=float) for name in ("history", "truth"))
    parts = [np.array(example[name], dtype=float) for name in ("low", "median", "high")]
    steps = np.arange(1, len(truth) + 1)
    draw_known(axis, np.arange(1 - len(past), 1), past)
    draw_cutoff(axis, 0.5)
    draw_fan(axis, steps, np.stack(parts, axis=1), _LEVELS, colour=colour)
    draw_truth(axis, steps, truth)
    dress(axis, size=TINY)
