"""A series as a tokenizer sees it: its text, token by token, under the values that it encodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.tokens import TokenizedPanel, TokenizedSeries
from tsformer.plotting.lines import draw_series
from tsformer.plotting.panels import number_of
from tsformer.plotting.style import (
    AMBER,
    BLUE,
    GREEN,
    MEDIUM,
    MUTED,
    ORANGE,
    PURPLE,
    REFERENCE,
    TINY,
    legend_below,
    new_figure,
    plain,
    tint,
)

_KINDS = {
    "digits": tint(BLUE, 0.35),
    "sign": tint(ORANGE, 0.6),
    "decimal point": tint(GREEN, 0.6),
    "separator": (0.88, 0.88, 0.88),
    "missing value": tint(PURPLE, 0.7),
    "several kinds": tint(AMBER, 0.75),
}
_LETTERS = 96  # in a row
_LETTER_WIDTH, _NUMBER_WIDTH = 5.8, 4.3  # points, of a letter of the text and of a value's digit
_WIDTH, _ROW_HEIGHT = 8.2, 1.15  # inches


@dataclass(frozen=True, kw_only=True)
class _Written:
    """The values that are shown, as text.

    Attributes:
        text: of these values.
        kinds: of each of its letters.
        begins, ends: `[T]`, where each value is in the text, in letters.
        values: `[T]`, what the text decodes to, in the units of the series, NaN = missing.
        tokens: `[N, 2]`, where each token is in the text, in letters.
    """

    text: str
    kinds: list[str]
    begins: np.ndarray
    ends: np.ndarray
    values: np.ndarray
    tokens: np.ndarray


def plot_tokens(tokens: TokenizedPanel, *, series: Any = None, n_values: int = 24) -> Figure:
    """Return the text of a series with the borders of its tokens, under the values it encodes.

    Each box is a token, its colour what it holds; a token of digits and a separator, say, is of
    several kinds. A dot in the middle of a line is a blank.

    Args:
        tokens: what `tsformer.tokenize_series` returned.
        series: the id of the series; None for the first.
        n_values: how many of its first values are shown.

    Raises:
        ValueError: for an unknown series, or no value.
    """
    if n_values < 1:
        raise ValueError(f"n_values={n_values} must be at least 1")
    names = np.array([one.name for one in tokens.series], dtype=object)
    chosen = tokens.series[0 if series is None else number_of(series, names, "the tokens")]
    written = _written(chosen, tokens.settings, n_values)
    rows = _rows(written)
    figure = new_figure(_WIDTH, _ROW_HEIGHT * len(rows) + 0.7)
    ratios = [2.6, 1.0] * len(rows)
    axes = figure.subplots(2 * len(rows), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for number, (first, last) in enumerate(rows):
        above, below = axes[2 * number], axes[2 * number + 1]
        _draw_values(above, written, first, last)
        _draw_text(below, written, first, last)
    shown = [kind for kind in _KINDS if kind in {_kind_of(written, *t) for t in written.tokens}]
    legend_below(figure, [Patch(facecolor=_KINDS[kind]) for kind in shown], shown)
    n_shown, n_all = len(written.values), len(chosen.begins)
    part = f"{n_all} values" if n_shown == n_all else f"the first {n_shown} of {n_all} values"
    rate = f"{chosen.tokens_per_value:.3g}"
    title = f"{plain(chosen.name)}: {part}, {rate} token{'' if rate == '1' else 's'} per value"
    axes[0].set_title(title, loc="left", fontsize=MEDIUM)
    return figure


def letter_kinds(text: str, settings: SerializerSettings) -> list[str]:
    """Return what each letter of a serialised series is."""
    gap, kinds = settings.value_separator, []  # type: str, list[str]
    pieces = text.split(gap)
    for number, piece in enumerate(pieces):
        kinds += ["separator"] * (len(gap) if number else 0)
        closing = settings.terminator if piece.endswith(settings.terminator) else ""
        kinds += _value_kinds(piece.removesuffix(closing), settings)
        kinds += ["separator"] * len(closing)
    return kinds


def _value_kinds(value: str, settings: SerializerSettings) -> list[str]:
    if value == settings.missing:
        return ["missing value"] * len(value)
    minus, *words = settings.words(value)
    gap = ["separator"] * len(settings.digit_separator)
    kinds = ["sign"] * len(minus) + (gap if minus else [])
    for number, word in enumerate(words):
        kind = "decimal point" if word == settings.decimal_point else "digits"
        kinds += (gap if number else []) + [kind] * len(word)
    return kinds


def _written(series: TokenizedSeries, settings: SerializerSettings, n_values: int) -> _Written:
    """Return the first values of a series as text, with the place of everything in it."""
    gap = settings.value_separator
    sizes = [len(piece) for piece in series.text.split(gap)][: len(series.begins)]
    begins = np.cumsum([0, *(size + len(gap) for size in sizes[:-1])])
    closing = len(settings.terminator) if series.text.endswith(settings.terminator) else 0
    ends = begins + sizes
    ends[-1] -= closing if len(series.text.split(gap)) == len(sizes) else 0
    n_shown = min(n_values, len(sizes))
    length = len(series.text) if n_shown == len(sizes) else int(begins[n_shown])
    letters = np.cumsum([0, *(len(letter.encode()) for letter in series.text)])
    first = np.searchsorted(letters, series.spans[:, 0], side="right") - 1
    last = np.searchsorted(letters, series.spans[:, 1], side="left")
    seen = (first < length) & (series.spans[:, 0] < series.spans[:, 1])
    values = series.scaler.inverse(settings.deserialize(series.text))
    return _Written(
        text=series.text[:length],
        kinds=letter_kinds(series.text, settings)[:length],
        begins=begins[:n_shown],
        ends=ends[:n_shown],
        values=values[:n_shown],
        tokens=np.stack([first, np.minimum(last, length)], axis=1)[seen],
    )


def _rows(written: _Written) -> list[tuple[int, int]]:
    """Return the first value of each row of text, and the one after its last."""
    rows, first = [], 0
    for number, end in enumerate(written.ends):
        if end - written.begins[first] > _LETTERS and number > first:
            rows.append((first, number))
            first = number
    return [*rows, (first, len(written.begins))]


def _bounds(written: _Written, first: int, last: int) -> tuple[int, int]:
    """Return where the text of some values begins, and where that of the next ones does."""
    end = len(written.text) if last == len(written.begins) else int(written.begins[last])
    return int(written.begins[first]), end


def _kind_of(written: _Written, begin: int, end: int) -> str:
    """Return what a token holds; blanks do not matter beside something else."""
    letters = zip(written.text[begin:end], written.kinds[begin:end], strict=True)
    kinds = {kind for letter, kind in letters if letter.strip()} or {"separator"}
    return kinds.pop() if len(kinds) == 1 else "several kinds"


def _draw_values(axis: Axes, written: _Written, first: int, last: int) -> None:
    """Draw values over the middle of their texts, each with its number."""
    middles = (written.begins + written.ends)[first:last] / 2
    values = written.values[first:last]
    known = written.values[np.isfinite(written.values)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    spread = (high - low) or 1.0
    bottom, top = low - 0.25 * spread, high + 0.2 * spread
    axis.vlines(middles, bottom, values, color=REFERENCE, linewidth=0.6, zorder=0)
    draw_series(axis, middles, values, color=BLUE, linewidth=0.9, marker="o", markersize=3)
    for middle, label in zip(middles, _numbers(written, first, last), strict=True):
        axis.text(middle, top, label, ha="center", va="bottom", fontsize=TINY, color=MUTED)
    begin, _ = _bounds(written, first, last)
    axis.set(xlim=(begin - 0.5, begin + _LETTERS + 8), ylim=(bottom, top + 0.35 * spread))
    axis.axis("off")


def _numbers(written: _Written, first: int, last: int) -> list[str]:
    """Return values as numbers with as many digits as there is room for, or as empty texts."""
    begin, end = _bounds(written, first, last)
    room = np.diff([*written.begins[first:last], end]) * _LETTER_WIDTH
    for digits in (4, 3, 2):
        labels = [short_number(value, digits) for value in written.values[first:last]]
        if all(
            (len(label) + 1) * _NUMBER_WIDTH <= width
            for label, width in zip(labels, room, strict=True)
        ):
            return labels
    return [""] * (last - first)


def _draw_text(axis: Axes, written: _Written, first: int, last: int) -> None:
    """Draw the tokens of some values as boxes, and the letters in them."""
    begin, end = _bounds(written, first, last)
    for left, right in written.tokens:
        if left < end and right > begin:
            colour = _KINDS[_kind_of(written, left, right)]
            box = Rectangle((left, 0), right - left, 1, facecolor=colour, edgecolor="white", lw=1.2)
            axis.add_patch(box)
    for place in range(begin, end):
        letter = written.text[place]
        style: dict[str, Any] = {"color": MUTED} if not letter.strip() else {}
        axis.text(
            place + 0.5,
            0.47,
            letter if letter.strip() else "·",
            ha="center",
            va="center",
            fontsize=MEDIUM,
            family="monospace",
            **style,
        )
    axis.set(xlim=(begin - 0.5, begin + _LETTERS + 8), ylim=(-0.1, 1.1))
    axis.axis("off")


def short_number(value: float, digits: int = 4) -> str:
    """Return a number with so many digits that count, or all before the point if these are more.

    A missing one is an empty text.
    """
    if np.isnan(value):
        return ""
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits - 2}e}".replace("-", "−")
    if abs(value) >= 10**digits:
        text = f"{value:.0f}"
    else:
        text = np.format_float_positional(value, precision=digits, fractional=False, trim="-")
    return text.replace("-", "−")
