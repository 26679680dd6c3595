from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from tsformer.forecasters.attention import AttentionMap
from tsformer.plotting import plot_attention

HOURS = np.datetime64("2024-03-01T05:00:00", "us") + np.arange(6) * np.timedelta64(1, "h")


def make_map(
    layer: int = 0, n_heads: int = 2, name: str = "attention", times: np.ndarray | None = HOURS
) -> AttentionMap:
    generator = np.random.default_rng(layer)
    weights = generator.dirichlet(np.ones(6), size=(3, n_heads, 6))
    repeated = None if times is None else np.stack([times + 2 * n for n in range(3)])
    ids = np.array(["a", "b", "c"], dtype=object)
    return AttentionMap(
        layer=layer, name=f"network.{layer}.{name}", weights=weights, times=repeated, ids=ids
    )


def pictures(figure: Figure) -> dict[str, np.ndarray]:
    """Return what is shown by the label of its row; the colour bar is none of it."""
    return {
        axis.get_ylabel() or f"{number}": np.asarray(axis.images[0].get_array())
        for number, axis in enumerate(figure.axes)
        if axis.images
    }


def test_each_head_of_each_layer_is_shown_as_the_mean_over_series(tmp_path: Path) -> None:
    maps = [make_map(0), make_map(1)]
    figure = plot_attention(maps)
    shown = list(pictures(figure).values())
    expected = [layer.weights.mean(axis=0)[head] for layer in maps for head in (0, 1)]
    assert len(shown) == 4
    for one, other in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [axis.get_title() for axis in figure.axes[:2]] == ["head 0", "head 1"]
    figure.savefig(tmp_path / "attention.png")
    assert (tmp_path / "attention.png").read_bytes().startswith(b"\x89PNG")


def test_all_pictures_have_one_scale() -> None:
    maps = [make_map(0), make_map(1)]
    figure = plot_attention(maps)
    limits = {axis.images[0].get_clim() for axis in figure.axes[:4]}
    shares = np.concatenate([layer.weights.mean(axis=0) for layer in maps])
    ((low, high),) = limits
    assert low == 0
    assert np.mean(shares > high) == pytest.approx(0.01, abs=0.01)
    assert (shares > high).any()


def test_one_series_can_be_chosen_and_names_the_tokens() -> None:
    layer = make_map(times=np.arange(6))
    figure = plot_attention([layer], series="b")
    np.testing.assert_array_equal(pictures(figure)["layer 0"], layer.weights[1, 0])
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert labels == ["2", "4", "5", "7"]
    with pytest.raises(ValueError, match="series='z' is not among those of the maps, such as 'a'"):
        plot_attention([layer], series="z")


@pytest.mark.parametrize(
    ("step", "first"),
    [("1h", "01 Mar 05h"), ("1D", "01 Mar"), ("30D", "Mar 2024")],
)
def test_times_are_told_as_finely_as_they_follow_each_other(step: str, first: str) -> None:
    times = pd.date_range("2024-03-01 05:00", periods=6, freq=step).to_numpy()
    figure = plot_attention([make_map(times=times.astype("datetime64[us]"))])
    assert figure.axes[0].get_yticklabels()[0].get_text() == first


def test_tokens_that_are_no_patches_are_numbered() -> None:
    figure = plot_attention([make_map(times=None, name="variate_attention")])
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0", "2", "3", "5"]
    assert figure.axes[0].get_ylabel() == "layer 0\nvariate attention"


def test_layers_that_lost_heads_leave_room() -> None:
    figure = plot_attention([make_map(0, 0), make_map(1, 3), make_map(2, 1)])
    shown = [bool(axis.images) for axis in figure.axes[:9]]
    assert shown == [False] * 3 + [True] * 3 + [True, False, False]
    assert figure.axes[0].texts[0].get_text() == "layer 0\nno heads"
    without = plot_attention([make_map(0, 0)])
    assert len(without.axes) == 1


def test_without_maps_there_is_nothing_to_show() -> None:
    with pytest.raises(ValueError, match="maps is empty"):
        plot_attention([])
