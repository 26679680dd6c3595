from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.tokens import TokenizedPanel, tokenize_series
from tsformer.llm.vocabulary import pieces_vocabulary
from tsformer.plotting import plot_tokens
from tsformer.plotting.tokens import letter_kinds, short_number

Make = Callable[..., Any]
Check = Callable[[Figure], None]
VALUES = np.array([1.5, -2.25, np.nan, 3.0])
SETTINGS = SerializerSettings(decimal_point=".", precision=2, digits=1, half_bin=False)


def tokens_of(
    values: np.ndarray = VALUES,
    settings: SerializerSettings | str = SETTINGS,
    pieces: str = "0123456789 ,.-na",
    more: tuple[str, ...] = (),
) -> TokenizedPanel:
    return tokenize_series(values, pieces_vocabulary([*pieces, *more]), settings, scaler="identity")


def boxes_of(axes: list[Axes]) -> list[tuple[float, float, Any]]:
    boxes = [box for axis in axes for box in axis.patches]
    return [(box.get_x(), box.get_x() + box.get_width(), box.get_facecolor()) for box in boxes]


def names_of(figure: Figure) -> dict[Any, str]:
    legend = figure.legends[0]
    words = [text.get_text() for text in legend.get_texts()]
    colours = [patch.get_facecolor() for patch in legend.get_patches()]
    return dict(zip(colours, words, strict=True))


def test_letters_are_digits_signs_points_separators_or_missing() -> None:
    text = SETTINGS.serialize(VALUES)
    assert text == "1.50, -2.25, nan, 3.00"
    short = {"digits": "d", "sign": "-", "decimal point": ".", "separator": "_"}
    kinds = "".join(short.get(kind, "m") for kind in letter_kinds(text, SETTINGS))
    assert kinds == "d.dd__-d.dd__mmm__d.dd"


@pytest.mark.parametrize("name", ["llmtime-gpt3", "llmtime-llama", "pattern-machine", "binned"])
def test_every_letter_has_a_kind_in_every_preset(name: str) -> None:
    settings = preset(name)
    text = settings.serialize([0.5, 0.25, np.nan, 0.75]) + settings.terminator
    kinds = letter_kinds(text, settings)
    assert len(kinds) == len(text)
    blank = settings.digit_separator + settings.value_separator
    for letter, kind in zip(text, kinds, strict=True):
        if letter.isdigit():
            assert kind == "digits"
        elif letter in blank:
            assert kind == "separator"
        else:
            assert kind == "missing value"


def test_each_token_is_a_box_in_the_colour_of_its_kind(assert_readable: Check) -> None:
    figure = plot_tokens(tokens_of(more=("nan", "25", ", -", ", ")))
    _, below = figure.axes
    boxes, names = boxes_of([below]), names_of(figure)
    found = [("1.50, -2.25, nan, 3.00"[int(a) : int(b)], names[colour]) for a, b, colour in boxes]
    assert found == [
        ("1", "digits"),
        (".", "decimal point"),
        ("5", "digits"),
        ("0", "digits"),
        (", -", "several kinds"),
        ("2", "digits"),
        (".", "decimal point"),
        ("25", "digits"),
        (", ", "separator"),
        ("nan", "missing value"),
        (", ", "separator"),
        ("3", "digits"),
        (".", "decimal point"),
        ("0", "digits"),
        ("0", "digits"),
    ]
    letters = "".join(text.get_text() for text in below.texts)
    assert letters.replace("·", " ") == "1.50, -2.25, nan, 3.00"
    assert_readable(figure)


def test_values_stand_over_the_middle_of_their_text() -> None:
    above, below = plot_tokens(tokens_of()).axes
    drawn = above.lines[0]
    np.testing.assert_array_equal(drawn.get_xdata(), [2, 8.5, 14.5, 20])
    np.testing.assert_array_equal(drawn.get_ydata(), VALUES)
    assert above.get_xlim() == below.get_xlim()
    numbers = {text.get_position()[0]: text.get_text() for text in above.texts}
    assert numbers == {2: "1.5", 8.5: "−2.25", 14.5: "", 20: "3"}


def test_long_texts_go_on_in_further_rows(assert_readable: Check) -> None:
    values = np.sin(np.arange(100.0))
    figure = plot_tokens(tokens_of(values), n_values=60)
    above, below = figure.axes[::2], figure.axes[1::2]
    assert len(above) > 2
    drawn = np.concatenate([axis.lines[0].get_ydata() for axis in above])
    np.testing.assert_allclose(drawn, values[:60], atol=0.005)
    text = "".join(letter.get_text() for axis in below for letter in axis.texts).replace("·", " ")
    assert text == SETTINGS.serialize(values[:61])[: len(text)]
    boxes = boxes_of(below)
    assert all(one[1] == other[0] for one, other in pairwise(boxes))
    title = "0: the first 60 of 100 values"
    assert figure.axes[0].get_title(loc="left").startswith(title)
    assert_readable(figure)


def test_a_token_of_parts_of_two_values_is_of_several_kinds() -> None:
    figure = plot_tokens(tokens_of(more=("0, -2",)))
    (colour,) = {box[2] for box in boxes_of([figure.axes[1]]) if box[1] - box[0] == 5}
    assert names_of(figure)[colour] == "several kinds"


def test_the_packages_own_model_has_a_token_for_each_value(assert_readable: Check) -> None:
    tokens = tokenize_series(np.arange(30.0), "nanogpt")
    figure = plot_tokens(tokens, n_values=10)
    (one,) = tokens.series
    boxes = boxes_of(list(figure.axes[1::2]))
    assert len(boxes) == one.ends[9]
    drawn = np.concatenate([axis.lines[0].get_ydata() for axis in figure.axes[::2]])
    np.testing.assert_allclose(drawn, np.arange(10.0), atol=one.largest_error)
    assert_readable(figure)


def test_one_series_can_be_chosen() -> None:
    tokens = tokens_of(np.array([[1.0, 2.0], [3.0, 4.0]]))
    figure = plot_tokens(tokens, series=1)
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [3, 4])
    assert "1: 2 values" in figure.axes[0].get_title(loc="left")
    with pytest.raises(ValueError, match="series=7 is not among those of the tokens, such as 0"):
        plot_tokens(tokens, series=7)
    with pytest.raises(ValueError, match="n_values=0 must be at least 1"):
        plot_tokens(tokens, n_values=0)


def test_nothing_known_is_drawn_as_nothing() -> None:
    figure = plot_tokens(tokens_of(np.array([0.0, np.nan, np.nan])), n_values=1)
    assert len(figure.axes) == 2
    settings = preset("llmtime-llama")
    missing = tokenize_series(
        np.array([np.nan, 1.0]), pieces_vocabulary([*"0123456789, Na"]), settings, scaler="identity"
    )
    assert "1" in plot_tokens(missing).axes[0].get_title(loc="left")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(112.0, "112"), (-0.12345, "−0.1235"), (12345.6, "12346"), (0.0, "0"), (1e9, "1.00e+09")],
)
def test_numbers_are_short(value: float, expected: str) -> None:
    assert short_number(value) == expected


def test_a_name_with_dollars_is_no_maths(words: Callable[[Figure], list[str]]) -> None:
    named = pd.DataFrame({"unique_id": "$_$", "ds": range(4), "y": VALUES})
    tokens = tokenize_series(named, pieces_vocabulary([*"0123456789 ,.-na"]), SETTINGS)
    assert any(word.startswith("$_$: 4 values, ") for word in words(plot_tokens(tokens)))
