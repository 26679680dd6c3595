"""How all pictures look: colours, lines, sizes, axes and legends, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator

# Okabe & Ito's colours (2008): told apart by colour-blind readers; from dark to light, so that a
# print without colours keeps their order
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER = COLOURS
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))

KNOWN, TRUTH, REFERENCE, MUTED = "0.35", "black", "0.7", "0.4"
TINY, SMALL, MEDIUM, LARGE = 7, 8, 9, 11  # points
HISTORY_WIDTH, TRUTH_WIDTH, MEDIAN_WIDTH = 0.9, 1.0, 1.5

_SUFFIXES = {1e12: "T", 1e9: "G", 1e6: "M", 1e3: "k"}
_PLAIN = 1e4  # numbers below it have no suffix


class ShortNumbers(Formatter):
    """Tick labels that stay short, with digits enough to differ: `12k`, `1.25M`, `0.05`."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of one value by itself."""
        return self.format_ticks([x])[0]

    def format_ticks(self, values: Sequence[float]) -> list[str]:
        """Return the labels of ticks, all with one suffix and as many digits."""
        largest = max(map(abs, values), default=0.0)
        if largest >= 1e16 or 0 < largest < 1e-4:
            return [f"{value:.3g}".replace("-", "−") for value in values]
        unit = next((size for size in _SUFFIXES if largest >= max(size, _PLAIN)), 1.0)
        suffix = _SUFFIXES.get(unit, "")
        shown = [value / unit for value in values]
        digits = next(d for d in range(9) if d == 8 or _are_exact(shown, d))
        rounded = [round(value, digits) + 0.0 for value in shown]  # no "-0"
        texts = [f"{value:.{digits}f}{suffix if value else ''}" for value in rounded]
        return [text.replace("-", "−") for text in texts]


def _are_exact(values: Sequence[float], digits: int) -> bool:
    """Return whether values are told apart, and not rounded, by so many digits after the point."""
    return all(abs(round(value, digits) - value) <= 1e-6 * 10**-digits for value in values)


def plain(text: object) -> str:
    r"""Return a name as Matplotlib has to be given it, so that it is written letter by letter.

    What stands between two `$` would be typeset as mathematics: `US$ per A$` loses its signs, `$_$`
    raises. Escape a name once, after it was shortened.
    """
    return str(text).replace("$", r"\$")


def new_figure(width: float, height: float, dpi: int = 110) -> Figure:
    """Return an empty figure, in inches, that no window system needs to know."""
    figure = Figure(figsize=(width, height), layout="constrained", dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def dress(axis: Axes, *, size: int = SMALL, n_ticks: int = 5) -> None:
    """Make an axis plain: two spines, small labels, a few short numbers upwards."""
    axis.tick_params(labelsize=size, length=3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.yaxis.set_major_locator(MaxNLocator(n_ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.yaxis.set_major_formatter(ShortNumbers())


def tint(colour: str, opacity: float) -> tuple[float, float, float]:
    """Return what a colour of some opacity, 0 to 1, looks like on white."""
    red, green, blue = (1 - opacity * (1 - part) for part in to_rgb(colour))
    return red, green, blue


def legend_below(
    figure: Figure, handles: Sequence[Artist], labels: Sequence[Any], size: int = SMALL
) -> None:
    """Write one legend for all panels below them, in as many rows as its words need."""
    if not handles:
        return
    words = [str(label) for label in labels]
    room = figure.get_figwidth() * 72
    needed = sum(0.55 * size * (len(word) + 6) for word in words)  # the sign and gaps take some
    n_rows = min(len(words), int(needed // room) + 1)
    figure.legend(
        handles,
        words,
        loc="outside lower center",
        ncols=-(-len(words) // n_rows),
        frameon=False,
        fontsize=size,
    )


def line_of(number: int) -> dict[str, Any]:
    """Return colour, dashes and marker of one line among several, told apart also without colour.

    A seventh line begins with the first colour again, but not with the first dashes.
    """
    place, round_ = number % len(COLOURS), number // len(COLOURS)
    return {
        "color": COLOURS[place],
        "linestyle": DASHES[(place + round_) % len(DASHES)],
        "marker": MARKERS[(place + round_) % len(MARKERS)],
        "linewidth": 1.4,
        "markersize": 4,
    }
