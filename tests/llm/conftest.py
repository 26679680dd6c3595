"""Tokenizers of several kinds, trained here on numbers and words, and ways of writing values."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from tsformer.llm.serialize import PRESETS, SerializerSettings, preset, with_symbols
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary, vocabulary_of

CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyzN.,:;|?_-−= \nαβγδ"
END = "<|end|>"

SETTINGS: dict[str, SerializerSettings] = {
    **PRESETS,
    "fixed width": preset("plain-digits", fixed_width=True),
    "rounded, signed": SerializerSettings(precision=0, half_bin=False, missing=None),
    "decimal point": preset("llmtime-llama", precision=2, decimal_point="."),
    "point among digits": preset("llmtime-gpt3", precision=1, decimal_point="."),
    "nothing before the point": preset("llmtime-llama", digits=0, decimal_point="."),
    "binary on lines": SerializerSettings(base=2, value_separator="\n"),
    "base 36": SerializerSettings(base=36, precision=1, digits=1, missing="?"),
    "pairs of digits": SerializerSettings(
        base=60, precision=1, digits=1, digit_separator=":", value_separator=" | "
    ),
    "Greek": with_symbols(preset("plain-digits", signed=True, minus="−"), "αβγδ"),
    "a word for minus": SerializerSettings(
        base=5, digit_separator="_", minus="minus", value_separator=" ", precision=1
    ),
    "two blanks": SerializerSettings(precision=1, value_separator="  ", fixed_width=True),
}


def training_texts() -> Iterator[str]:
    """Yield lines of numbers in many a form, and of words."""
    rng = np.random.default_rng(0)
    words = [
        "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(2, 7)))
        for _ in range(150)
    ]
    yield from ([CHARACTERS] * 3)
    for separator in (", ", ",", " , ", " ", "\n", " | ", "  "):
        for size in (10, 100, 1000, 100_000):
            yield separator.join(map(str, rng.integers(-size // 4, size, 80)))
        yield separator.join(map(repr, rng.normal(size=40).round(3).tolist()))
        yield separator.join(rng.choice(words, 300))
    for digits in ("αβγδ", "0123456789"):
        for gap in (" ", ":", "_"):
            yield ", ".join(gap.join(rng.choice(list(digits), 4)) for _ in range(40))
    yield "season=12 the series has some values: nan, NaN, minus 5, and so on " * 5


@pytest.fixture(scope="session")
def bpe() -> Any:
    """Return a byte-level tokenizer whose tokens hold up to some digits, as GPT-2's do."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=[END],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    return tokenizer


@pytest.fixture(scope="session")
def unigram() -> Any:
    """Return a tokenizer as SentencePiece trains them, blanks and merged digits included."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.Unigram())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    tokenizer.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=600,
        special_tokens=["<unk>", "<s>", "</s>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(training_texts(), trainer)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    return tokenizer


@pytest.fixture(scope="session")
def characters() -> Vocabulary:
    """Return a vocabulary of single letters."""
    return pieces_vocabulary(CHARACTERS)


@pytest.fixture(scope="session")
def across() -> Vocabulary:
    """Return a vocabulary some of whose pieces begin in one value and end in another."""
    merged = ["12", "345", "00", "1,", ", ", " ,", "7, ", "5, 6", "9,8,7", " 3", "3\n4", "ba", "α,"]
    return pieces_vocabulary([*CHARACTERS, *merged])


@pytest.fixture(scope="session", params=["bpe", "unigram", "characters", "across"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """Return one tokenizer after the other."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def vocabulary(tokenizer: Any) -> Vocabulary:
    """Return the vocabulary of `tokenizer`."""
    return vocabulary_of(tokenizer)


@pytest.fixture(scope="session", params=SETTINGS)
def settings(request: pytest.FixtureRequest) -> SerializerSettings:
    """Return one way of writing after the other."""
    return SETTINGS[request.param]
