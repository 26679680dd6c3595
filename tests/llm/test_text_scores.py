"""Log probabilities of tokens, added up value by value."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tsformer.llm.serialize import PRESETS, preset
from tsformer.llm.text_scores import score_texts

DIGITS = preset("plain-digits", fixed_width=True)


class Elsewhere:
    """A `TextModel` that cuts texts into given tokens."""

    name = "elsewhere"

    def __init__(self, *tokens: str) -> None:
        self.tokens = tokens
        self.asked: list[tuple[str, str, str]] = []

    def complete(self, prompt: str, **given: object) -> list[str]:
        raise NotImplementedError

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        self.asked.append((prompt, continuation, label))
        tokens = self.tokens or tuple(continuation)
        return [(token, -(2.0**-place)) for place, token in enumerate(tokens)]


def test_the_tokens_of_each_value_are_added_up() -> None:
    model = Elsewhere("01", "2,", "3", "45", ",", "678,")
    nats = score_texts(model, DIGITS, "111,", [12, 345, 678], label="series 'a'")
    np.testing.assert_allclose(nats, [1 + 1 / 2, 1 / 4 + 1 / 8 + 1 / 16, 1 / 32])
    assert model.asked == [("111,", "012,345,678,", "series 'a'")]


def test_a_token_that_spans_two_values_counts_to_the_first() -> None:
    nats = score_texts(Elsewhere("012,3", "45,", "678,"), DIGITS, "1,", [12, 345, 678])
    np.testing.assert_allclose(nats, [1, 1 / 2, 1 / 4])
    nats = score_texts(Elsewhere("012,345,678,"), DIGITS, "1,", [12, 345, 678])
    np.testing.assert_allclose(nats, [1, 0, 0])


def test_empty_tokens_count_to_the_value_that_goes_on_or_the_last() -> None:
    nats = score_texts(Elsewhere("", "012,", "", "345,", ""), DIGITS, "1,", [12, 345])
    np.testing.assert_allclose(nats, [1 + 1 / 2, 1 / 4 + 1 / 8 + 1 / 16])


@pytest.mark.parametrize("name", PRESETS)
def test_blanks_before_a_value_belong_to_it(name: str) -> None:
    settings = PRESETS[name]
    scaled = np.array([0.3, 0.5, 0.1]) * settings.reference
    model = Elsewhere()
    nats = score_texts(model, settings, "x" + settings.terminator, scaled)
    sizes = [
        len(settings.lead + word + settings.terminator) for word in settings.write_each(scaled)
    ]
    ends = np.cumsum([0, *sizes])
    expected = [sum(2.0**-k for k in range(a, b)) for a, b in pairwise(ends)]
    np.testing.assert_allclose(nats, expected)
    text = "x" + settings.terminator + model.asked[0][1]
    assert text == "x" + settings.value_separator + settings.serialize(scaled) + settings.terminator


@pytest.mark.parametrize("tokens", [("012,", "345"), ("12,", "345,"), ("012,345,", "6")])
def test_when_the_tokens_do_not_spell_the_values_then_the_error_names_the_series(
    tokens: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError, match=r"series 'a': elsewhere scored .* instead of '012,'"):
        score_texts(Elsewhere(*tokens), DIGITS, "1,", [12, 345], label="series 'a'")
