"""Pictures of forecasts: what was known, what came, median and 80 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe & Ito's colours: told apart by colour-blind readers, and in print by their lightness
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_SHOWN_MODELS = 3


def draw_task(title: str, examples: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Write a picture: a row per model (three at most), a column per series.

    Args:
        title: above the picture.
        examples: model -> examples, as `tsformer.evaluation.runner` keeps them.
        path: of the PNG file.
    """
    models = [*examples][-_SHOWN_MODELS:]
    n_columns = max(len(examples[model]) for model in models)
    figure = Figure(
        figsize=(3.6 * n_columns + 0.4, 2.1 * len(models) + 0.7), layout="constrained", dpi=110
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(models), n_columns, squeeze=False, sharex="col", sharey="col")
    for row, model in zip(axes, models, strict=True):
        colour = _COLOURS[[*examples].index(model) % len(_COLOURS)]
        for axis, example in zip(row, examples[model], strict=False):
            draw_forecast(axis, example, colour)
        row[0].set_ylabel(model)
    for axis, example in zip(axes[0], examples[models[0]], strict=False):
        axis.set_title(example["series"], fontsize=9)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, metadata={"Software": None})


def draw_training(
    title: str, curves: Mapping[str, Sequence[Sequence[tuple[int, float]]]], path: Path
) -> None:
    """Write a picture of validation losses, a panel per model, a line per seed.

    Args:
        title: above the picture.
        curves: model -> seeds -> `(step, loss)` of each look at the held out windows.
        path: of the PNG file.
    """
    figure = Figure(figsize=(3.6 * len(curves) + 0.4, 2.4), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(curves), squeeze=False)[0]
    for axis, (model, seeds) in zip(axes, curves.items(), strict=True):
        for number, history in enumerate(seeds):
            colour = _COLOURS[number % len(_COLOURS)]
            steps, losses = np.array(history, dtype=float).T
            best = int(np.where(np.isfinite(losses), losses, np.inf).argmin())
            axis.plot(steps, losses, color=colour, linewidth=1.1)
            axis.plot(steps[best], losses[best], "o", color=colour, markersize=4)
        axis.set_title(model, fontsize=9)
        axis.set_xlabel("step", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("validation loss", fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, metadata={"Software": None})


def draw_forecast(axis: Axes, example: Mapping[str, Any], colour: str) -> None:
    """Draw history, truth, median and interval; the x axis counts steps from the cut-off."""
    past, truth = (np.array(example[name], dtype=float) for name in ("history", "truth"))
    median, low, high = (np.array(example[k], dtype=float) for k in ("median", "low", "high"))
    steps = np.arange(1, len(truth) + 1)
    axis.plot(np.arange(1 - len(past), 1), past, color="0.35", linewidth=0.9, label="known")
    axis.fill_between(
        steps, low, high, color=colour, alpha=0.25, linewidth=0, label="80 % interval"
    )
    axis.plot(steps, truth, color="black", linewidth=1.0, label="truth")
    axis.plot(steps, median, color=colour, linewidth=1.4, label="median")
    axis.axvline(0.5, color="0.7", linewidth=0.7)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)
