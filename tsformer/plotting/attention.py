"""What the tokens of a network look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from tsformer.plotting.dates import short_labels
from tsformer.plotting.panels import number_of
from tsformer.plotting.style import MEDIUM, TINY, new_figure
from tsformer.types import AttentionMap

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
    chosen = None if series is None else number_of(series, maps[0].ids, "the maps")
    weights = [m.weights.mean(axis=0) if chosen is None else m.weights[chosen] for m in maps]
    n_columns = max(1, *(len(heads) for heads in weights))
    figure = new_figure(1.8 * n_columns + 1.2, 1.8 * len(maps) + 0.8)
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
        axis.set_title(f"head {head}", fontsize=MEDIUM)
    if everything.size:
        label = "share of attention"
        bar = figure.colorbar(image, ax=axes, fraction=0.03, extend="max", label=label)
        bar.ax.tick_params(labelsize=TINY)
    figure.supxlabel("token that is looked at", fontsize=MEDIUM)
    figure.supylabel("token that looks", fontsize=MEDIUM)
    return figure


def _token_labels(layer: AttentionMap, series: int) -> list[str]:
    """Return a short name of each token."""
    if layer.times is None:
        return [str(number) for number in range(layer.weights.shape[-1])]
    times = layer.times[series]
    return short_labels(times, (times[-1] - times[0]) / (_TICKS - 1))


def _name_tokens(axis: Axes, labels: list[str], *, left: bool) -> None:
    places = np.unique(np.linspace(0, len(labels) - 1, _TICKS).round().astype(int))
    names = [labels[place] for place in places]
    axis.set_xticks(places, names, fontsize=TINY, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(places, names if left else [""] * len(places), fontsize=TINY)
    axis.tick_params(length=2)


def _name_layer(axis: Axes, layer: AttentionMap, n_heads: int) -> None:
    """Write the layer beside its first head, and what it is where there are several kinds."""
    kind = layer.name.rpartition(".")[2].replace("_", " ")
    name = f"layer {layer.layer}" + ("" if kind == "attention" else f"\n{kind}")
    if n_heads:
        axis.set_ylabel(name, fontsize=MEDIUM)
    else:
        axis.text(0.5, 0.5, f"{name}\nno heads", ha="center", va="center", fontsize=MEDIUM)
