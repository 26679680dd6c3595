"""Prompts value by value: they join to the very text, and are cut between values only."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.prompts import (
    Prompt,
    continuation_tokens,
    fit_window,
    warn_shortened,
    write_prompt,
)
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary, vocabulary_of

HEADERS = ["", "the series has some values: ", "season=12 ", "values:\n", "5"]


def scaled_values(settings: SerializerSettings, n_values: int = 30) -> np.ndarray:
    """Return values of all sizes that settings can write, missing ones where they can."""
    rng = np.random.default_rng(0)
    low = -settings.limit if settings.signed else 0.0
    values = settings.clip(rng.uniform(low, settings.limit, n_values))
    values *= rng.choice([1.0, 0.1], n_values)
    if settings.missing is not None:
        values[[3, 4, 11]] = np.nan
    return values


def test_header_and_values_are_the_tokens_of_the_whole_text(
    vocabulary: Vocabulary, settings: SerializerSettings
) -> None:
    values = scaled_values(settings)
    for header in HEADERS:
        prompt = write_prompt(vocabulary, settings, values, header=header, label="load")
        text = header + settings.serialize(values) + settings.terminator
        assert prompt.tokens == [*vocabulary.beginning, *vocabulary.encode(text)]
        assert len(prompt.values) == len(values)
        assert prompt.label == "load"
        assert prompt.header[: len(vocabulary.beginning)] == vocabulary.beginning


def test_values_are_cut_whole(vocabulary: Vocabulary, settings: SerializerSettings) -> None:
    values = scaled_values(settings)
    words = settings.write_each(values)
    text = settings.serialize(values) + settings.terminator
    read = settings.deserialize(text)
    n_whole = 0
    for header in HEADERS[:-1]:
        prompt = write_prompt(vocabulary, settings, values, header=header)
        spans = vocabulary.spans(vocabulary.encode(header + text), header + text)
        for first in range(1, len(values)):
            before = header + settings.value_separator.join(words[:first])
            # a blank that ends a value may go with the next one, but no other terminator
            end = before if settings.terminator.isspace() else before + settings.terminator
            begin = before + settings.value_separator
            if any(a < len(end.encode()) and len(begin.encode()) < b for a, b in spans):
                continue  # a token that cannot be cut
            cut = vocabulary.decode([t for value in prompt.values[first:] for t in value])
            np.testing.assert_array_equal(settings.deserialize(cut), read[first:])
            n_whole += 1
    assert n_whole >= 50


@pytest.mark.parametrize("name", ["bpe", "characters"])
def test_each_value_has_the_tokens_up_to_the_end_of_its_terminator(
    request: pytest.FixtureRequest, settings: SerializerSettings, name: str
) -> None:
    vocabulary = vocabulary_of(request.getfixturevalue(name))
    values = scaled_values(settings)
    first, *others = (word + settings.terminator for word in settings.write_each(values))
    parts = [first, *(settings.lead + other for other in others)]
    ends = np.cumsum([len(part.encode()) for part in parts])
    text = "".join(parts)
    spans = vocabulary.spans(vocabulary.encode(text), text)
    if any(begin < end < after for begin, after in spans for end in ends.tolist()):
        assert name == "bpe"  # many of its tokens begin with a blank
        assert settings.value_separator.isspace()
        return
    for header in HEADERS:
        prompt = write_prompt(vocabulary, settings, values, header=header)
        begun, *texts = [vocabulary.decode(value) for value in prompt.values]
        assert texts == parts[1:]
        # a token may hold the end of the header and the beginning of the first value
        assert vocabulary.decode(prompt.header) + begun == header + first
        assert begun.endswith(first)


def test_a_token_that_spans_two_values_belongs_to_the_first() -> None:
    vocabulary = pieces_vocabulary(["1", "2", ",", "2,1", ",1,"])
    prompt = write_prompt(vocabulary, preset("plain-digits"), [2.0, 12.0, 2.0])
    assert prompt.values == ((3,), (1, 2), (1, 2))
    prompt = write_prompt(vocabulary, preset("plain-digits"), [1.0, 1.0, 2.0])
    assert prompt.values == ((0,), (4,), (1, 2))
    assert prompt.tokens == vocabulary.encode("1,1,2,")
    vocabulary = pieces_vocabulary(["1", "2,", ",", "1,2,1,", "x: ", "x", ": 1"])
    prompt = write_prompt(vocabulary, preset("plain-digits"), [1.0, 2.0, 1.0, 1.0])
    assert prompt.values == ((3,), (), (), (0, 2))


def test_a_token_of_the_header_and_the_first_value_belongs_to_the_value() -> None:
    vocabulary = pieces_vocabulary(["1", ",", "x", ":", ": 1"])
    prompt = write_prompt(vocabulary, preset("plain-digits"), [11.0, 1.0], header="x: ")
    assert prompt.header == (2,)
    assert prompt.values == ((4, 0, 1), (0, 1))


def test_special_tokens_stand_before_the_header(unigram: Any) -> None:
    vocabulary = vocabulary_of(unigram)
    prompt = write_prompt(vocabulary, preset("llmtime-llama"), [0.5], header="minus 5 ")
    assert prompt.tokens[0] == unigram.token_to_id("<s>")
    assert prompt.tokens == unigram.encode("minus 5 500,").ids


def test_a_series_that_cannot_be_written_is_refused(characters: Vocabulary) -> None:
    with pytest.raises(ValueError, match="value 1 is 100; .* scale the values"):
        write_prompt(characters, preset("llmtime-llama"), [1.0, 100.0])
    with pytest.raises(ValueError, match="begins with none of the pieces"):
        write_prompt(characters, preset("llmtime-llama"), [1.0], header="Values: ")


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.integers(0, 5),
    st.integers(0, 60),
    st.integers(0, 4),
)
def test_the_window_keeps_as_many_whole_values_as_fit(
    sizes: list[int], n_header: int, window: int, horizon: int
) -> None:
    values = tuple((number,) * size for number, size in enumerate(sizes))
    prompt = Prompt(header=(99,) * n_header, values=values, label="load", number=3)
    room = window - n_header - horizon * max(sizes)
    kept = max(n for n in range(len(sizes) + 1) if n == 0 or sum(sizes[-n:]) <= room)
    if not kept:
        with pytest.raises(ValueError, match="load: the model's window of"):
            fit_window(prompt, window, horizon)
        return
    cut, left_out = fit_window(prompt, window, horizon)
    assert cut.values == values[len(sizes) - kept :]
    assert left_out == len(sizes) - kept
    assert (cut.header, cut.label, cut.number) == (prompt.header, "load", 3)
    assert len(cut.tokens) + horizon * max(sizes) <= window
    assert prompt.values == values


def test_a_shortened_text_ends_as_the_whole_one(bpe: Any) -> None:
    vocabulary, settings = vocabulary_of(bpe), preset("llmtime-llama")
    values = scaled_values(settings)
    prompt = write_prompt(vocabulary, settings, values, header="values:\n")
    cut, left_out = fit_window(prompt, window=100, horizon=3)
    assert 0 < left_out < len(values) - 1
    text = vocabulary.decode(cut.tokens).removeprefix("values:\n")
    np.testing.assert_array_equal(
        settings.deserialize(text), settings.deserialize(settings.serialize(values[left_out:]))
    )


def test_the_error_says_how_large_the_window_and_a_value_are() -> None:
    prompt = Prompt(header=(1, 2), values=((3, 4), (3, 4, 5)), label="load")
    with pytest.raises(
        ValueError,
        match=r"load: the model's window of 10 tokens has no room for one value of 3 tokens beside "
        r"2 tokens of text and 2 values to come; forecast fewer steps",
    ):
        fit_window(prompt, window=10, horizon=2)
    assert fit_window(prompt, window=11, horizon=2)[1] == 1


def test_what_was_left_out_is_said_once() -> None:
    with pytest.warns(UserWarning, match="load: the first 7 values do not fit .* left out; a sma"):
        warn_shortened(["wind", "load", "sun"], [0, 7, 0])
    with pytest.warns(
        UserWarning, match=r"and some of 2 other series; .* context_length"
    ) as caught:
        warn_shortened(["wind", "load", "sun"], [1, 2, 3])
    assert len(caught) == 1
    assert caught[0].filename == __file__  # it points to the caller
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_shortened(["wind", "load"], [0, 0])
        warn_shortened([], [])


def test_prompt_and_continuation_join_to_the_text(
    vocabulary: Vocabulary, settings: SerializerSettings
) -> None:
    values, header = scaled_values(settings), "the series has some values: "
    text = header + settings.serialize(values) + settings.terminator
    for n_known in (1, 12, 29):
        prompt = write_prompt(vocabulary, settings, values[:n_known], header=header)
        following = continuation_tokens(vocabulary, settings, values[n_known:])
        joined = vocabulary.decode([*prompt.tokens, *following])
        assert joined in (text, " " + text)


def test_a_continuation_is_as_the_tokenizer_would_go_on(bpe: Any) -> None:
    vocabulary, settings = vocabulary_of(bpe), preset("llmtime-llama")
    values = scaled_values(settings)
    whole = write_prompt(vocabulary, settings, values)
    for n_known in (1, 12, 29):
        prompt = write_prompt(vocabulary, settings, values[:n_known])
        following = continuation_tokens(vocabulary, settings, values[n_known:])
        assert [*prompt.tokens, *following] == whole.tokens


def test_a_terminator_that_sticks_to_what_follows_is_written_apart() -> None:
    vocabulary = pieces_vocabulary(["1", "2", "12", ",", " ", ", ", ", 1"])
    settings = preset("llmtime-llama", precision=0)
    following = continuation_tokens(vocabulary, settings, [12.0, 1.0])
    assert vocabulary.decode(following) == " 12, 1,"
    assert vocabulary.pieces[following[0]] == b" "
    with pytest.raises(ValueError, match="no token for b' 12, 1,'; change the settings"):
        continuation_tokens(pieces_vocabulary(["1", "2", ",", ", "]), settings, [12.0, 1.0])
