from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tsformer.plotting.style import (
    COLOURS,
    DASHES,
    MARKERS,
    ShortNumbers,
    legend_below,
    line_of,
    new_figure,
    plain,
    tint,
)


def lightness(colour: object) -> float:
    """Return L* of CIELAB, 0 to 100: how light a print without colours is."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return float(116 * np.cbrt(luminance) - 16)


def test_colours_get_lighter_in_their_order() -> None:
    found = [lightness(colour) for colour in COLOURS]
    assert found == sorted(found)
    assert found[-1] < 75  # still seen on white
    assert found[-1] - found[0] > 20


def test_tints_are_lighter_the_less_opaque_they_are() -> None:
    found = [lightness(tint(COLOURS[0], opacity)) for opacity in (1.0, 0.55, 0.2, 0.0)]
    assert found == sorted(found)
    assert min(np.diff(found)) > 5
    assert tint("black", 0.25) == (0.75, 0.75, 0.75)
    assert tint(COLOURS[1], 1.0) == pytest.approx(to_rgb(COLOURS[1]))


def test_lines_differ_in_more_than_their_colour() -> None:
    styles = [line_of(number) for number in range(12)]
    assert len({(s["color"], s["linestyle"], s["marker"]) for s in styles}) == 12
    assert len({(s["linestyle"], s["marker"]) for s in styles[: len(COLOURS)]}) == len(COLOURS)
    assert len(COLOURS) == len(DASHES) == len(MARKERS)


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        ([0, 5, 10], ["0", "5", "10"]),
        ([0, 2.5, 5], ["0.0", "2.5", "5.0"]),
        ([-0.5, 0, 0.5], ["−0.5", "0.0", "0.5"]),
        ([8000, 9000], ["8000", "9000"]),
        ([10000, 12500], ["10.0k", "12.5k"]),
        ([0, 100_000], ["0", "100k"]),
        ([0, 1e6, 2e6], ["0", "1M", "2M"]),
        ([0.001, 0.0015], ["0.0010", "0.0015"]),
        ([0, 2e-6], ["0", "2e−06"]),
        ([1e20, 2e20], ["1e+20", "2e+20"]),
        ([0.1 + 0.2, 0.6], ["0.3", "0.6"]),
    ],
)
def test_numbers_are_short_and_exact(ticks: list[float], expected: list[str]) -> None:
    assert ShortNumbers().format_ticks(ticks) == expected
    assert ShortNumbers()(2500.0) == "2500"


def test_a_legend_has_as_many_rows_as_its_words_need() -> None:
    rows = []
    for names in (["a", "b"], ["a long name of a model"] * 6):
        figure = new_figure(5, 3)
        axis = figure.subplots()
        handles = [axis.plot([0, 1], [0, n])[0] for n, _ in enumerate(names)]
        legend_below(figure, handles, names)
        (legend,) = figure.legends
        rows.append(-(-len(names) // legend._ncols))
        figure.canvas.draw()
        assert legend.get_window_extent().width <= figure.bbox.width
    assert rows[0] == 1
    assert rows[1] > 1


def test_nothing_to_name_is_no_legend() -> None:
    figure = new_figure(2, 2)
    legend_below(figure, [], [])
    assert not figure.legends


@pytest.mark.parametrize(
    "name",
    [
        "sales",
        "US$",
        "US$ per A$",
        "$_$",
        "$x^2$",
        r"a\$b",
        r"$\frac$",
        r"\$",
        "a_b^c",
        "$$",
        3,
        None,
    ],
)
def test_names_are_written_letter_by_letter(name: object) -> None:
    figure = new_figure(4, 3)
    axis = figure.subplots()
    figure.suptitle(plain(name))
    axis.set_title(plain(name))
    axis.plot([0, 1], [0, 1], label=plain(name))
    axis.set_xticks([0], [plain(name)])
    legend_below(figure, *axis.get_legend_handles_labels())
    figure.canvas.draw()
    (word,) = figure.legends[0].get_texts()
    for text in (figure._suptitle, axis.title, axis.get_xticklabels()[0], word):
        assert text._preprocess_math(text.get_text()) == (str(name), False)
