"""What tokenizers make of series; alignments are compared with a walk over the bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tsformer.llm.scaler import fit_scaler
from tsformer.llm.serialize import PRESETS, SerializerSettings, preset, with_symbols
from tsformer.llm.tokens import (
    TokenizedSeries,
    align,
    random_alphabet,
    rank_settings,
    tokenize_series,
)
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary, vocabulary_of

RNG = np.random.default_rng(0)
VALUES = RNG.normal(50, 10, size=(2, 40)).cumsum(axis=1).round(2)


def digits_at(settings: SerializerSettings, written: list[str]) -> list[int]:
    """Return for every byte of a text which digit it belongs to, -1 for none."""
    found: list[int] = []
    number = 0
    for place, value in enumerate(written):
        if place:
            found += [-1] * len(settings.value_separator.encode())
        rest = value
        if settings.signed and value.startswith(settings.minus):
            found += [-1] * len(settings.minus.encode())
            rest = value.removeprefix(settings.minus)
        while rest:
            signs = [] if value == settings.missing else settings.alphabet
            sign = max((s for s in signs if rest.startswith(s)), key=len, default="")
            found += [number if sign else -1] * len((sign or rest[0]).encode())
            number += bool(sign)
            rest = rest[len(sign) or 1 :]
    return found


def assert_aligned(vocabulary: Vocabulary, one: TokenizedSeries, written: list[str], gap: str):
    """Compare with a loop: which tokens hold a byte of which value."""
    value_of_byte: list[int] = []
    for number, value in enumerate(written):
        value_of_byte += [-1] * (len(gap.encode()) if number else 0)
        value_of_byte += [number] * len(value.encode())
    place = len(one.text.encode()) - sum(len(vocabulary.pieces[token]) for token in one.ids)
    assert place in (0, -1)
    held: dict[int, list[int]] = {number: [] for number in range(len(written))}
    for number, token in enumerate(one.ids):
        size = len(vocabulary.pieces[token])
        for value in set(value_of_byte[max(place, 0) : place + size]) - {-1}:
            held[value].append(number)
        place += size
    for number, tokens in held.items():
        assert tokens == list(range(one.begins[number], one.ends[number]))


def test_each_value_is_found_among_the_tokens(tokenizer: Any, settings: SerializerSettings) -> None:
    vocabulary = vocabulary_of(tokenizer)
    panel = tokenize_series(VALUES, tokenizer, settings, scaler="minmax")
    assert panel.settings == settings
    for one, values in zip(panel.series, VALUES, strict=True):
        scaled = one.scaler.transform(values.astype(np.float32))
        written = settings.write_each(scaled)
        assert one.text == settings.serialize(scaled)
        assert one.ids == vocabulary.encode(one.text)
        assert vocabulary.decode(one.ids).removeprefix(" ") == one.text
        assert_aligned(vocabulary, one, written, settings.value_separator)
        assert one.tokens_per_value == len(one.ids) / 40


def test_tokens_with_several_digits_are_noticed(
    tokenizer: Any, settings: SerializerSettings
) -> None:
    vocabulary = vocabulary_of(tokenizer)
    values = VALUES.copy()
    values[:, 5:8] = values[:, [4]]
    if settings.missing is not None:
        values[:, 3] = np.nan
    for one in tokenize_series(values, tokenizer, settings, scaler="minmax").series:
        clean = settings.deserialize(one.text)
        digits = digits_at(settings, settings.write_each(clean))
        place, merged = len(digits) - sum(len(vocabulary.pieces[t]) for t in one.ids), False
        assert place in (0, -1)
        for token in one.ids:
            size = len(vocabulary.pieces[token])
            merged |= len(set(digits[max(place, 0) : place + size]) - {-1}) > 1
            place += size
        assert one.merged_digits == merged


def test_digits_apart_are_not_merged_and_digits_together_are(bpe: Any, characters: Any) -> None:
    merges = {
        (name, kind): tokenize_series(VALUES, tokenizer, name).series[0].merged_digits
        for name in ("llmtime-gpt3", "llmtime-llama", "pattern-machine")
        for kind, tokenizer in (("bpe", bpe), ("characters", characters))
    }
    assert [key for key, merged in merges.items() if merged] == [("llmtime-llama", "bpe")]


def test_symbols_of_several_letters_are_one_digit() -> None:
    vocabulary = pieces_vocabulary([*map(str, range(60)), ":", ",", " ", "-", "nan"])
    settings = SerializerSettings(base=60, precision=1, digits=1, digit_separator=":")
    assert not tokenize_series(VALUES, vocabulary, settings).series[0].merged_digits
    hexadecimal = SerializerSettings(base=13, signed=False)
    values = np.array([1.0, np.nan, 2.0])
    letters = pieces_vocabulary([*"0123456789abc, n", "nan"])
    assert not tokenize_series(values, letters, hexadecimal).series[0].merged_digits


def test_the_largest_error_is_that_of_the_text(tokenizer: Any) -> None:
    settings = preset("llmtime-gpt3", precision=2)
    values = VALUES.astype(np.float32).astype(np.float64)
    values[0, 7] = np.nan
    for one, row in zip(tokenize_series(values, tokenizer, settings).series, values, strict=True):
        read = one.scaler.inverse(settings.deserialize(one.text))
        errors = [abs(a - b) for a, b in zip(read, row, strict=True) if b == b]
        assert one.largest_error == pytest.approx(max(errors))
        assert 0 < one.largest_error <= 0.501 * settings.step * one.scaler.scale


def test_alignment_of_merged_digits_by_hand() -> None:
    vocabulary = pieces_vocabulary(["1", "2", "12", ",", "2,1", "nan"])
    written = ["12", "12", "1", "nan"]
    ids = vocabulary.encode(",".join(written))
    assert [vocabulary.pieces[token] for token in ids] == [b"12", b",", b"12", b",", b"1", b",",
                                                          b"nan"]  # fmt: skip
    begins, ends = align(vocabulary, ids, written, ",")
    assert begins.tolist() == [0, 2, 4, 6]
    assert ends.tolist() == [1, 3, 5, 7]
    written = ["2", "11"]  # one token holds parts of both
    begins, ends = align(vocabulary, vocabulary.encode("2,11"), written, ",")
    assert begins.tolist() == [0, 0]
    assert ends.tolist() == [1, 2]


def test_the_table_of_costs(bpe: Any) -> None:
    frame = pd.DataFrame(
        {
            "unique_id": ["load"] * 5 + ["wind"] * 3,
            "ds": [*range(5), *range(3)],
            "y": [1.0, 2.0, np.nan, 4.0, 8.0, 3.0, 1.0, 2.0],
        }
    )
    panel = tokenize_series(frame, bpe, "llmtime-llama", price=2.5)
    cost = panel.cost
    assert cost["unique_id"].tolist() == ["load", "wind"]
    assert cost["values"].tolist() == [5, 3]
    tokens = [len(one.ids) for one in panel.series]
    assert cost["tokens"].tolist() == tokens
    assert cost["tokens_per_value"].tolist() == [tokens[0] / 5, tokens[1] / 3]
    assert cost["merged_digits"].tolist() == [one.merged_digits for one in panel.series]
    assert cost["largest_error"].tolist() == [one.largest_error for one in panel.series]
    np.testing.assert_allclose(cost["price"], np.array(tokens) * 2.5e-6)
    assert "price" not in tokenize_series(frame, bpe).cost
    assert panel.series[0].text.split(", ")[2] == "NaN"


def test_one_scaler_may_serve_all_series(bpe: Any) -> None:
    scaler = fit_scaler(VALUES, "minmax")
    panel = tokenize_series(VALUES, bpe, "llmtime-llama", scaler=scaler)
    assert [one.scaler for one in panel.series] == [scaler] * 2
    own = tokenize_series(VALUES, bpe, "llmtime-llama", scaler="minmax")
    assert own.series[0].scaler == fit_scaler(VALUES[0].astype(np.float32), "minmax")


def test_a_series_that_cannot_be_written_is_named(bpe: Any, unigram: Any) -> None:
    frame = pd.DataFrame({"unique_id": list("aabb"), "ds": [0, 1] * 2, "y": [1, 2, np.nan, np.nan]})
    with pytest.raises(ValueError, match="series 'b': no value is finite"):
        tokenize_series(frame, bpe)
    with pytest.raises(ValueError, match="series 'b': value 0 is missing"):
        tokenize_series(frame, bpe, preset("binned", missing=None), scaler=fit_scaler([1, 2]))
    with pytest.raises(ValueError, match="series 0: value 0 is .* scale the values"):
        tokenize_series(VALUES[:1] + 5e6, bpe, scaler="identity")
    with pytest.raises(ValueError, match="preset='gpt4' is none of"):
        tokenize_series(VALUES, bpe, "gpt4")
    with pytest.raises(ValueError, match="series 0: the tokenizer changes the text at byte"):
        tokenize_series(VALUES, unigram, preset("llmtime-llama", value_separator=" § "))


def test_a_tokenizer_that_changes_texts_is_refused(bpe: Any) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    lower = tokenizers.Tokenizer.from_str(bpe.to_str())
    lower.normalizer = tokenizers.normalizers.Lowercase()
    assert tokenize_series(VALUES, lower).series[0].ids
    with pytest.raises(ValueError, match="series 0: the tokenizer changes .* b'NaN"):
        tokenize_series(np.array([1.0, np.nan, 3.0]), lower)
    known = "0123456 ,"  # and no token for 7, 8 and 9
    letters = tokenizers.models.WordLevel(
        {"[UNK]": 0, **{letter: number for number, letter in enumerate(known, start=1)}}, "[UNK]"
    )
    few = tokenizers.Tokenizer(letters)
    few.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    few.decoder = tokenizers.decoders.Fuse()
    base7 = preset("llmtime-llama", base=7)
    assert vocabulary_of(few).decode(tokenize_series(VALUES, few, base7).series[0].ids)
    with pytest.raises(ValueError, match="series 0: the tokenizer changes the text"):
        tokenize_series(VALUES, few, "llmtime-llama")


def test_exact_settings_come_first_and_then_cheap_ones(bpe: Any) -> None:
    values = VALUES[0]
    ranked = rank_settings(bpe, values)
    assert {r.name for r in ranked} == set(PRESETS)
    for one in ranked:
        scaler = fit_scaler(values, multiplier=one.settings.reference)
        text = one.settings.serialize(scaler.transform(values))
        assert one.tokens_per_value == len(bpe.encode(text).ids) / len(values)
        read = scaler.inverse(one.settings.deserialize(text))
        assert one.error == pytest.approx(np.abs(read - values).mean() / values.std())
        assert one.settings == PRESETS[one.name]
    exact = [r for r in ranked if r.error <= 0.01]
    assert ranked[: len(exact)] == exact
    assert exact == sorted(exact, key=lambda r: r.tokens_per_value)
    assert 0 < len(exact) < len(ranked)
    assert exact[-1].name == "llmtime-gpt3"  # digits apart cost most
    # with a coarser tolerance all are exact enough, and the cheapest is the first
    coarse = rank_settings(bpe, values, tolerance=10.0)
    assert coarse[0].tokens_per_value == min(r.tokens_per_value for r in ranked)


def test_candidates_that_cannot_be_used_are_left_out(characters: Vocabulary) -> None:
    candidates = {
        "fine": preset("plain-digits"),
        "not in the vocabulary": preset("plain-digits", value_separator="#"),
        "no sign for missing values": preset("plain-digits", missing=None),
    }
    ranked = rank_settings(characters, [1.0, np.nan, 3.0, 2.0], candidates)
    assert [r.name for r in ranked] == ["fine"]
    assert np.isfinite(ranked[0].error)


@pytest.mark.parametrize("name", ["bpe", "unigram"])
@pytest.mark.parametrize("separator", [",", ", ", " , ", " ", "\n"])
def test_words_of_random_alphabets_are_single_tokens(
    request: pytest.FixtureRequest, name: str, separator: str
) -> None:
    tokenizer = request.getfixturevalue(name)
    vocabulary = vocabulary_of(tokenizer)
    words = random_alphabet(tokenizer, 12, separator=separator, seed=3)
    assert len(set(words)) == 12
    assert words == random_alphabet(tokenizer, 12, separator=separator, seed=3)
    assert words != random_alphabet(tokenizer, 12, separator=separator, seed=4)
    settings = with_symbols(
        preset("pattern-machine", value_separator=separator, missing=None), words
    )
    values = np.concatenate([np.arange(12), RNG.integers(0, 12, size=200)])
    text = separator + settings.serialize(values) + separator
    pieces = [vocabulary.pieces[token].strip().decode() for token in vocabulary.encode(text)]
    assert [piece for piece in pieces if piece.isalpha()] == [words[value] for value in values]


def test_a_vocabulary_with_too_few_words_is_refused(characters: Vocabulary) -> None:
    with pytest.raises(ValueError, match="has 0 such words; n_symbols=3 are too many"):
        random_alphabet(characters, 3, separator=",", seed=0)
