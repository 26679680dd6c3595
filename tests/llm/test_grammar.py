"""Under a grammar, whatever is drawn is `horizon` values; and whatever is a value can be drawn."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from tsformer.llm.grammar import Grammar, GrammarLogitsProcessor
from tsformer.llm.prompts import continuation_tokens
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary, vocabulary_of


class Walker:
    """Draws tokens evenly among those that a grammar allows."""

    def __init__(self, grammar: Grammar, seed: int = 0) -> None:
        self.grammar = grammar
        self.random = random.Random(seed)
        self._known: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

    def walk(self, horizon: int) -> list[int]:
        state, remaining = self.grammar.start, horizon
        tokens = []
        while remaining:
            ways = self._ways(state, remaining)
            token, state, completed = ways[int(self.random.random() * len(ways))]
            remaining -= completed
            tokens.append(token)
        assert state == self.grammar.start
        return tokens

    def _ways(self, state: int, remaining: int) -> list[tuple[int, int, int]]:
        if (state, remaining) not in self._known:
            found = self.grammar.moves(state, remaining)
            columns = (found.tokens.tolist(), found.states.tolist(), found.completed.tolist())
            self._known[state, remaining] = list(zip(*columns, strict=True))
        return self._known[state, remaining]


def spell(grammar: Grammar, tokens: Sequence[int], horizon: int) -> tuple[int, int]:
    """Return the place that some tokens lead to; a token that is not allowed is an error."""
    place = (grammar.start, horizon)
    for token in tokens:
        place = grammar.advance(*place, token)
    return place


@pytest.fixture(scope="module")
def grammar(vocabulary: Vocabulary, settings: SerializerSettings) -> Grammar:
    """Return the grammar of one tokenizer and one way of writing after the other."""
    return Grammar(settings, vocabulary)


def test_a_thousand_random_walks_are_all_valid(grammar: Grammar) -> None:
    walker, settings, vocabulary = Walker(grammar), grammar.settings, grammar.vocabulary
    texts, values = [], []
    for number in range(1000):
        horizon = 3 + number % 3
        texts.append(vocabulary.decode(walker.walk(horizon)))
        values.append(settings.deserialize(texts[-1]))
        assert len(values[-1]) == horizon
    every = np.concatenate(values)
    assert np.isfinite(every).all()
    # letter by letter what a serializer would have written
    assert settings.lead + settings.serialize(every) + settings.terminator == "".join(texts)


def test_encoded_values_can_be_written(grammar: Grammar) -> None:
    settings, vocabulary = grammar.settings, grammar.vocabulary
    rng = np.random.default_rng(0)
    low = -settings.limit if settings.signed else 0.0
    for horizon in (1, 2, 5):
        values = settings.clip(rng.uniform(low, settings.limit, horizon))
        tokens = continuation_tokens(vocabulary, settings, values)
        assert spell(grammar, tokens, horizon) == (grammar.start, 0)


SMALL = [
    preset("llmtime-gpt3", precision=1, digits=1),
    preset("llmtime-llama", precision=1, digits=1, decimal_point=".", half_bin=False),
    preset("plain-digits", digits=2, fixed_width=True),
    preset("binned", base=60),
]


@pytest.mark.parametrize("small", SMALL, ids=["gpt3", "point", "fixed", "binned"])
def test_every_value_can_be_written_and_other_texts_cannot(
    vocabulary: Vocabulary, small: SerializerSettings
) -> None:
    grammar = Grammar(small, vocabulary)
    sizes = [small.value_of(code) for code in range(small.base**small.n_digits)]
    values = [*sizes, *(-size for size in sizes if small.signed and size)]
    words = small.write_each(values)
    for value in values:
        tokens = continuation_tokens(vocabulary, small, [value])
        assert spell(grammar, tokens, 1) == (grammar.start, 0)
    written = set(words)
    letters = sorted({letter for word in words for letter in word} | set("x, "))
    one_by_one = {piece: token for token, piece in enumerate(vocabulary.pieces)}
    for size in (1, 2, 3):
        for word in map("".join, itertools.product(letters, repeat=size)):
            text = (small.lead + word + small.terminator).encode()
            tokens = [one_by_one[bytes([byte])] for byte in text]
            try:
                valid = spell(grammar, tokens, 1) == (grammar.start, 0)
            except ValueError:
                valid = False
            assert valid == (word in written), word


@hypothesis.settings(max_examples=30)
@given(data=st.data())
def test_bounds_hold_whatever_is_drawn(vocabulary: Vocabulary, data: st.DataObject) -> None:
    settings = preset("llmtime-llama", precision=1, digits=2)
    low = data.draw(st.none() | st.floats(-120, 100))
    high = data.draw(st.none() | st.floats(-100, 120))
    sizes = [settings.value_of(code) for code in range(1000)]
    admitted = {
        value
        for value in (*sizes, *(-size for size in sizes))
        if (low is None or value >= low - 1e-9) and (high is None or value <= high + 1e-9)
    }
    assume(admitted)
    grammar = Grammar(settings, vocabulary, lower=low, upper=high)
    walker = Walker(grammar)
    for _ in range(20):
        assert admitted.issuperset(settings.deserialize(vocabulary.decode(walker.walk(2))))
    for value in (min(admitted), max(admitted)):  # the outermost ones can be written
        tokens = continuation_tokens(vocabulary, settings, [value])
        assert spell(grammar, tokens, 1) == (grammar.start, 0)


def test_bounds_without_a_value_are_refused(characters: Vocabulary) -> None:
    with pytest.raises(ValueError, match="lower=3.6 and upper=3.9; widen the bounds"):
        Grammar(preset("plain-digits"), characters, lower=3.6, upper=3.9)


def all_spellings(text: bytes, pieces: Sequence[bytes]) -> set[tuple[int, ...]]:
    """Return every way to cut a text into pieces, as numbers of pieces."""
    ways: list[set[tuple[int, ...]]] = [{()}, *(set() for _ in text)]
    for end in range(1, len(text) + 1):
        for number, piece in enumerate(pieces):
            if piece and text[:end].endswith(piece):
                ways[end] |= {(*way, number) for way in ways[end - len(piece)]}
    return ways[-1]


def all_walks(grammar: Grammar, horizon: int) -> set[tuple[int, ...]]:
    """Return every sequence of tokens that a grammar allows; none may end in nowhere."""
    found, going = set(), [((), grammar.start, horizon)]
    while going:
        tokens, state, remaining = going.pop()
        moves = grammar.moves(state, remaining)
        assert bool(len(moves.tokens)) == bool(remaining)
        if not remaining:
            assert state == grammar.start
            found.add(tokens)
        for token, to, completed in zip(moves.tokens, moves.states, moves.completed, strict=True):
            going.append(((*tokens, int(token)), int(to), remaining - int(completed)))
    return found


PIECES = st.lists(st.text("01,", min_size=1, max_size=5), max_size=8)


@hypothesis.settings(max_examples=150)
@given(
    PIECES, st.sets(st.sampled_from("01, ")), st.integers(1, 2), st.booleans(), st.booleans(),
    st.integers(1, 3),
)  # fmt: skip
def test_for_any_vocabulary_all_spellings_of_values_are_allowed_and_nothing_else(
    pieces: list[str],
    letters: set[str],
    digits: int,
    fixed_width: bool,
    blanks: bool,
    horizon: int,
) -> None:
    settings = preset("plain-digits", base=2, digits=digits, fixed_width=fixed_width)
    if blanks:
        settings = replace(settings, value_separator=", ")
        pieces = [piece.replace(",", ", ") for piece in pieces] + pieces
    vocabulary = pieces_vocabulary(sorted({*pieces, *letters, ","}))
    words = [settings.lead + settings.write_code(code) + "," for code in range(2**digits)]

    def spellings(n_values: int) -> set[tuple[int, ...]]:
        texts = map("".join, itertools.product(words, repeat=n_values))
        return set().union(*(all_spellings(t.encode(), vocabulary.pieces) for t in texts))

    if not spellings(1):
        with pytest.raises(ValueError, match="the tokenizer has no tokens to write such values"):
            Grammar(settings, vocabulary)
        return
    grammar = Grammar(settings, vocabulary)
    walks = all_walks(grammar, horizon)
    assert walks
    if horizon <= grammar.most_completed + 1:
        assert walks == spellings(horizon)
    else:
        assert walks <= spellings(horizon)


def test_tokens_that_would_lead_to_nowhere_are_not_allowed() -> None:
    """After `00,0` only `0,` could follow, which is no token, unless `0,00,` may complete more."""
    settings = preset("plain-digits", base=2, digits=2, fixed_width=True)
    pieces = ["00,", "00,00,", "00,0"]
    assert all_walks(Grammar(settings, pieces_vocabulary(pieces)), 2) == {(0, 0), (1,)}
    grammar = Grammar(settings, pieces_vocabulary([*pieces, "0,00,"]))
    assert all_walks(grammar, 2) == {(0, 0), (1,)}
    assert all_walks(grammar, 3) == {(0, 0, 0), (0, 1), (1, 0), (2, 3)}


@pytest.mark.parametrize(
    "pieces",
    [
        ["12", "34", ","],  # no single digits, and no number of three
        [*"0123456789"],  # no separator
        [*"0123456789", ", "],  # the separator is never alone
        [","],
        ["a"],
    ],
)
def test_a_vocabulary_that_cannot_write_values_is_refused(pieces: list[str]) -> None:
    settings = preset("plain-digits", digits=3, fixed_width=True)
    with pytest.raises(ValueError, match=r"may lack single digits or the separator ',' alone"):
        Grammar(settings, pieces_vocabulary(pieces))


def test_tokens_that_cannot_stand_there_are_named(characters: Vocabulary) -> None:
    grammar = Grammar(preset("plain-digits"), characters)
    digit, comma = characters.by_piece[b"7"], characters.by_piece[b","]
    with pytest.raises(ValueError, match=rf"token {comma} \(b','\) cannot stand here"):
        grammar.advance(grammar.start, 1, comma)
    state, remaining = grammar.advance(grammar.start, 1, digit)
    assert remaining == 1
    assert grammar.advance(state, remaining, comma) == (grammar.start, 0)
    assert not len(grammar.moves(grammar.start, 0).tokens)
    with pytest.raises(ValueError, match="cannot stand here"):
        grammar.advance(grammar.start, 0, digit)
    with pytest.raises(ValueError, match=r"token 1000000 \(b'\?'\) cannot stand here"):
        grammar.advance(grammar.start, 1, 1_000_000)


def test_masks_say_what_moves_say(vocabulary: Vocabulary) -> None:
    grammar = Grammar(preset("llmtime-llama"), vocabulary)
    places = [(state, remaining) for state in range(4) for remaining in (0, 1, 2, 50)]
    mask = grammar.allowed(places, width=len(vocabulary) + 3)
    assert mask.shape == (len(places), len(vocabulary) + 3)
    for row, place in zip(mask, places, strict=True):
        np.testing.assert_array_equal(row.nonzero()[:, 0], grammar.moves(*place).tokens)
    assert grammar.allowed(places).shape == (len(places), len(vocabulary))


# --------------------------------------------------------------------------- transformers


@pytest.fixture(scope="module")
def llama(bpe: Any) -> tuple[Any, Any]:
    """Return a tiny model that knows nothing, and its tokenizer."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>", padding_side="left"
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer) + 12,  # models have more logits than tokens
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    return transformers.LlamaForCausalLM(config).eval(), tokenizer


@pytest.mark.parametrize("name", ["llmtime-gpt3", "llmtime-llama", "plain-digits", "binned"])
@pytest.mark.parametrize("how", [{"do_sample": True, "num_return_sequences": 4}, {"num_beams": 3}])
def test_generate_writes_exactly_horizon_values(
    llama: tuple[Any, Any], name: str, how: dict[str, Any]
) -> None:
    model, tokenizer = llama
    settings, horizon = preset(name), 4
    grammar = Grammar(settings, vocabulary_of(tokenizer))
    texts = [settings.serialize(series) + settings.terminator for series in ([0.5, 0.1], [0.7])]
    prompts = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
    prompt_length = prompts["input_ids"].shape[1]
    torch.manual_seed(0)
    generated = model.generate(
        input_ids=prompts["input_ids"],
        attention_mask=prompts["attention_mask"],
        max_new_tokens=80,
        logits_processor=[
            GrammarLogitsProcessor(grammar, prompt_length=prompt_length, horizon=horizon)
        ],
        **how,
    )
    assert len(generated) == 2 * how.get("num_return_sequences", 1)
    for row in generated[:, prompt_length:]:
        assert tokenizer.eos_token_id in row  # it stopped by itself
        text = tokenizer.decode(row, skip_special_tokens=True)
        assert text.endswith(settings.terminator)
        assert len(settings.deserialize(text)) == horizon


def test_scores_of_what_is_allowed_are_kept(llama: tuple[Any, Any]) -> None:
    _, tokenizer = llama
    grammar = Grammar(preset("plain-digits"), vocabulary_of(tokenizer))
    processor = GrammarLogitsProcessor(grammar, prompt_length=2, horizon=1)
    scores = torch.randn(2, len(tokenizer) + 12)
    digit, comma = (grammar.vocabulary.by_piece[piece] for piece in (b"5", b","))
    ids = torch.tensor([[1, 2, digit], [7, 8, digit]])
    found = processor(ids, scores)
    allowed = grammar.allowed([spell(grammar, [digit], 1)] * 2, scores.shape[1])
    assert torch.equal(found, torch.where(allowed, scores, -torch.inf))
    done = processor(torch.cat([ids, torch.full((2, 1), comma)], dim=1), scores)
    assert (done > -torch.inf).nonzero()[:, 1].tolist() == [tokenizer.eos_token_id] * 2


def test_a_tokenizer_without_an_end_cannot_be_used_by_generate(characters: Vocabulary) -> None:
    grammar = Grammar(preset("plain-digits"), characters)
    with pytest.raises(ValueError, match="no eos_token"):
        GrammarLogitsProcessor(grammar, prompt_length=1, horizon=1)
