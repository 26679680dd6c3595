"""Pictures: each function returns a Matplotlib figure, whose `savefig` writes it to a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from tsformer.data.grid import as_python
from tsformer.forecasters.attention import AttentionMap

_BLUE, _ORANGE = "#0072B2", "#D55E00"  # of Okabe & Ito's colours
_SMALL = 7
_TICKS = 4


def plot_attention(maps: Sequence[AttentionMap], series: Any = None) -> Figure:
    """Return what tokens, from top to bottom, look at, from left to right: layers by heads.

    Darker is more, on one scale for all, which ends where a hundredth of the shares is larger.
    Tokens are named by the last time of their patch, or by their number where they are no patches.

    Args:
        maps: what `tsformer.forecasters.attention.attention_maps` returned.
        series: the id of one series; None for the mean over all, named by the times of the first.
    """
    if not maps:
        raise ValueError("maps is empty; pass what attention_maps returned")
    chosen = None if series is None else _number_of(maps[0].ids, series)
    weights = [m.weights.mean(axis=0) if chosen is None else m.weights[chosen] for m in maps]
    n_columns = max(1, *(len(heads) for heads in weights))
    figure = _figure(1.8 * n_columns + 1.2, 1.8 * len(maps) + 0.8)
    axes = figure.subplots(len(maps), n_columns, squeeze=False)
    everything = np.concatenate([heads.reshape(-1) for heads in weights])
    largest = np.quantile(everything, 0.99) if everything.size else 1.0
    norm = PowerNorm(0.5, vmin=0.0, vmax=largest)  # most shares are far below the largest
    for row, layer, heads in zip(axes, maps, weights, strict=True):
        labels = _token_labels(layer, chosen or 0)
        for axis, picture in zip(row, heads, strict=False):
            image = axis.imshow(picture, cmap="Blues", norm=norm, aspect="auto")
            _name_tokens(axis, labels, left=axis is row[0])
        for axis in row[len(heads) :]:
            axis.axis("off")
        _name_layer(row[0], layer, len(heads))
    for head, axis in enumerate(axes[0]):
        axis.set_title(f"head {head}", fontsize=9)
    if everything.size:
        label = "share of attention"
        bar = figure.colorbar(image, ax=axes, fraction=0.03, extend="max", label=label)
        bar.ax.tick_params(labelsize=_SMALL)
    figure.supxlabel("token that is looked at", fontsize=9)
    figure.supylabel("token that looks", fontsize=9)
    return figure


def plot_patch_importance(importance: pd.DataFrame) -> Figure:
    """Return how much each part of the context matters, along its time.

    Each patch is drawn over its own steps, so that neighbours may overlap. Below 0, the forecast
    is better without it.

    Args:
        importance: what `tsformer.forecasters.inspection.patch_importance` returned.
    """
    begin = importance["first_step"].to_numpy() - 0.5
    end = importance["last_step"].to_numpy() + 0.5
    rises = importance["importance"].to_numpy()
    figure = _figure(7.0, 2.6)
    axis = figure.subplots()
    colours = np.where(rises >= 0, _BLUE, _ORANGE)
    axis.bar(begin, rises, width=end - begin, align="edge", color=colours, alpha=0.2, linewidth=0)
    axis.hlines(rises, begin, end, color=colours, linewidth=2)
    axis.axhline(0.0, color="0.5", linewidth=0.7)
    axis.set_xlim(begin[0], max(end[-1], 0.5))
    axis.set_xlabel("steps from the cut-off", fontsize=9)
    axis.set_ylabel("rise of the loss\nwithout the patch", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _figure(width: float, height: float) -> Figure:
    """Return an empty figure that no window system needs to know."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    return figure


def _number_of(ids: np.ndarray, series: Any) -> int:
    names = [as_python(name) for name in ids]
    if series not in names:
        raise ValueError(f"series={series!r} is not among those of the maps, such as {names[0]!r}")
    return names.index(series)


def _token_labels(layer: AttentionMap, series: int) -> list[str]:
    """Return a short name of each token."""
    if layer.times is None:
        return [str(number) for number in range(layer.weights.shape[-1])]
    times = layer.times[series]
    if times.dtype.kind == "i":
        return [str(time) for time in times]
    between = (times[-1] - times[0]) / (_TICKS - 1)
    if between >= np.timedelta64(28, "D"):
        form = "%b %Y"
    else:
        form = "%d %b" if between >= np.timedelta64(1, "D") else "%d %b %Hh"
    return pd.DatetimeIndex(times).strftime(form).tolist()


def _name_tokens(axis: Axes, labels: list[str], *, left: bool) -> None:
    places = np.unique(np.linspace(0, len(labels) - 1, _TICKS).round().astype(int))
    names = [labels[place] for place in places]
    axis.set_xticks(places, names, fontsize=_SMALL, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(places, names if left else [""] * len(places), fontsize=_SMALL)
    axis.tick_params(length=2)


def _name_layer(axis: Axes, layer: AttentionMap, n_heads: int) -> None:
    """Write the layer beside its first head, and what it is where there are several kinds."""
    kind = layer.name.rpartition(".")[2].replace("_", " ")
    name = f"layer {layer.layer}" + ("" if kind == "attention" else f"\n{kind}")
    if n_heads:
        axis.set_ylabel(name, fontsize=9)
    else:
        axis.text(0.5, 0.5, f"{name}\nno heads", ha="center", va="center", fontsize=9)
