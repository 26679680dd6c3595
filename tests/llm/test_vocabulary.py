"""Any tokenizer as a table of bytes; the oracle is what the tokenizer itself decodes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary, vocabulary_of

TEXTS = st.text("0123456789,.- anN\nα", max_size=30)


@given(text=TEXTS)
def test_tokens_spell_the_text(vocabulary: Vocabulary, text: str) -> None:
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids).removeprefix(" ") == text.removeprefix(" ")
    assert vocabulary.decode(ids) in (text, " " + text)


@given(text=TEXTS)
def test_spans_tell_where_each_token_is(vocabulary: Vocabulary, text: str) -> None:
    ids = vocabulary.encode(text)
    spans = vocabulary.spans(ids, text)
    cut = [text.encode()[begin:end] for begin, end in spans]
    assert b"".join(cut) == text.encode()
    assert len(spans) == len(ids)
    for number, (token, piece) in enumerate(zip(ids, cut, strict=True)):
        whole = vocabulary.pieces[token]
        assert piece == whole or (number == 0 and b" " + piece == whole)


@given(text=st.text(max_size=20))
def test_a_byte_level_tokenizer_keeps_every_text(bpe: Any, text: str) -> None:
    vocabulary = vocabulary_of(bpe)
    assert vocabulary.decode(vocabulary.encode(text)) == text


@pytest.mark.parametrize("name", ["bpe", "unigram"])
def test_random_tokens_decode_as_the_tokenizer_decodes_them(
    request: pytest.FixtureRequest, name: str
) -> None:
    tokenizer = request.getfixturevalue(name)
    vocabulary = vocabulary_of(tokenizer)
    assert len(vocabulary) == tokenizer.get_vocab_size()
    first = tokenizer.encode("a", add_special_tokens=False).ids  # SentencePiece cuts a blank off
    rng = np.random.default_rng(0)
    for _ in range(200):
        ids = [*first, *rng.integers(0, len(vocabulary), 8).tolist()]
        expected = tokenizer.decode(ids, skip_special_tokens=True)
        assert vocabulary.decode(ids).removeprefix(" ") == expected


def test_special_tokens_add_nothing_and_other_added_ones_their_text(bpe: Any) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    copy = tokenizers.Tokenizer.from_str(bpe.to_str())
    copy.add_tokens(["<digits é>"])
    vocabulary = vocabulary_of(copy)
    assert vocabulary.pieces[copy.token_to_id("<|end|>")] == b""
    assert vocabulary.pieces[copy.token_to_id("<digits é>")] == "<digits é>".encode()
    ids = vocabulary.encode("1<digits é>2")
    assert copy.token_to_id("<digits é>") in ids
    assert vocabulary.decode(ids) == "1<digits é>2"


def test_what_a_tokenizer_puts_before_a_text_is_known(bpe: Any, unigram: Any) -> None:
    assert vocabulary_of(bpe).beginning == ()
    assert vocabulary_of(unigram).beginning == (unigram.token_to_id("<s>"),)
    assert vocabulary_of(bpe).end is None


def test_fast_tokenizers_of_transformers_are_those_they_wrap(bpe: Any) -> None:
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>")
    vocabulary = vocabulary_of(fast)
    assert vocabulary.pieces == vocabulary_of(bpe).pieces
    assert vocabulary.end == bpe.token_to_id("<|end|>")
    assert vocabulary.encode("1, 23") == fast.encode("1, 23", add_special_tokens=False)
    assert vocabulary_of(vocabulary) is vocabulary


def test_bytes_that_stand_for_rare_letters_are_understood() -> None:
    """Llama 2's tokenizer: a normalizer that marks blanks, and tokens such as `<0xC3>`."""
    tokenizers = pytest.importorskip("tokenizers")
    letters = ["<unk>", "▁", *"0123456789,"]
    rare = [f"<0x{byte:02X}>" for byte in range(256)]
    numbers = {piece: number for number, piece in enumerate([*letters, *rare, "12", "▁12"])}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.BPE(
            numbers, [("1", "2"), ("▁", "12")], unk_token="<unk>", byte_fallback=True
        )
    )
    normalizers, decoders = tokenizers.normalizers, tokenizers.decoders
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    vocabulary = vocabulary_of(tokenizer)
    for text in ("12, 12", "1é2", "\n12", " 3", "α"):
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == " " + text
        assert tokenizer.decode(ids) == text
        assert vocabulary.spans(ids, text)[-1][1] == len(text.encode())
    assert [vocabulary.pieces[token] for token in vocabulary.encode("12, 12")] == [
        b" 12",
        b",",
        b" 12",
    ]


def test_a_blank_put_before_the_text_is_not_counted(bpe: Any) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    copy = tokenizers.Tokenizer.from_str(bpe.to_str())
    copy.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=True)
    vocabulary = vocabulary_of(copy)
    ids = vocabulary.encode("12, 5")
    assert vocabulary.pieces[ids[0]].startswith(b" ")
    assert vocabulary.spans(ids, "12, 5")[0][0] == 0
    assert vocabulary.spans(ids, "12, 5")[-1][1] == 5


def test_a_tokenizer_that_changes_the_text_is_refused(bpe: Any, unigram: Any) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    lower = tokenizers.Tokenizer.from_str(bpe.to_str())
    lower.normalizer = tokenizers.normalizers.Lowercase()
    assert vocabulary_of(lower).encode("1, nan")
    with pytest.raises(ValueError, match=r"at byte 3: b'NaN, 2' became b'nan, 2'; choose"):
        vocabulary_of(lower).encode("1, NaN, 2")
    with pytest.raises(ValueError, match="the tokenizer changes the text at byte 2"):
        vocabulary_of(unigram).encode("1,∞")


def test_only_tokenizers_with_a_table_are_taken() -> None:
    with pytest.raises(TypeError, match=r"dict is no tokenizer .* pass one of transformers"):
        vocabulary_of({"1": 0})


def test_pieces_are_taken_longest_first() -> None:
    vocabulary = pieces_vocabulary(["1", "12", "123", "", "3", "α", "12"])
    assert vocabulary.encode("1231213α") == [2, 1, 0, 4, 5]
    assert vocabulary.by_piece == {b"1": 0, b"12": 1, b"123": 2, b"3": 4, "α".encode(): 5}
    assert len(vocabulary) == 7
    assert vocabulary.encode("") == []
    with pytest.raises(ValueError, match="b'4' begins with none of the pieces"):
        vocabulary.encode("134")


def test_broken_letters_are_shown_as_such(bpe: Any) -> None:
    vocabulary = vocabulary_of(bpe)
    assert vocabulary.decode([vocabulary.by_piece[b"\xce"]]) == "\N{REPLACEMENT CHARACTER}"
