"""Counts of what followed what, mixed as Witten and Bell do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsformer.llm.backends.ngram import Counts, NGram
from tsformer.llm.grammar import Grammar
from tsformer.llm.prompts import write_prompt
from tsformer.llm.sampling import SamplingSettings, sample_values


def test_the_mix_is_the_one_worked_out_by_hand() -> None:
    counts = Counts(order=2, n_tokens=3)
    counts.read([0, 1, 0, 1, 0, 2])
    # no context: 0 three times, 1 twice, 2 once; three kinds in six cases, mixed with 1/3 each
    none = np.array([3 + 1, 2 + 1, 1 + 1]) / (6 + 3)
    np.testing.assert_allclose(counts.probabilities([]), none)
    # after 0: 1 twice, 2 once; two kinds in three cases
    after_0 = (np.array([0, 2, 1]) + 2 * none) / (3 + 2)
    np.testing.assert_allclose(counts.probabilities([0]), after_0)
    # after 1, 0: 1 once, 2 once; two kinds in two cases
    after_1_0 = (np.array([0, 1, 1]) + 2 * after_0) / (2 + 2)
    np.testing.assert_allclose(counts.probabilities([2, 1, 0]), after_1_0)
    # 0 never followed a 0: what comes after one 0 is all that is known
    np.testing.assert_allclose(counts.probabilities([0, 0]), after_0)
    # nothing ever followed a 2
    np.testing.assert_allclose(counts.probabilities([2]), none)


@given(st.lists(st.integers(0, 4), max_size=30), st.integers(0, 4))
def test_probabilities_are_positive_and_add_up(tokens: list[int], order: int) -> None:
    counts = Counts(order=order, n_tokens=5)
    counts.read(tokens)
    found = counts.probabilities(tokens)
    assert found.sum() == pytest.approx(1)
    assert found.min() > 0
    if not tokens:
        np.testing.assert_allclose(found, 0.2)


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(0, 20), st.integers(0, 3))
def test_reading_in_two_parts_counts_the_same(tokens: list[int], cut: int, order: int) -> None:
    whole, parts = (Counts(order=order, n_tokens=4) for _ in range(2))
    whole.read(tokens)
    parts.read(tokens[:cut])
    parts.read(tokens, begin=min(cut, len(tokens)))
    assert whole.table == parts.table


PERIOD = np.array([120.0, 480.0, 7.0, 733.0, 51.0, 51.0, 902.0])


def test_a_periodic_series_is_continued() -> None:
    model = NGram()
    assert model.settings is not None
    grammar = Grammar(model.settings, model.vocabulary)
    prompt = write_prompt(model.vocabulary, model.settings, np.tile(PERIOD, 12)[:-3])
    for temperature, share in ((0.0, 1.0), (1.0, 0.7)):
        settings = SamplingSettings(temperature=temperature, n_samples=20)
        samples = sample_values(model, [prompt], grammar, 10, settings)[0]
        expected = np.r_[PERIOD[-3:], PERIOD] + 0.5
        assert np.isclose(samples, expected).mean() >= share


def test_scores_are_those_of_reading_all_before_each_token() -> None:
    model = NGram(order=3)
    tokens = model.vocabulary.encode("120,480,120,480,121,480,")
    logits = model.score(tokens, first=8)
    assert logits.shape == (len(tokens) - 8, len(model.vocabulary))
    for place, row in enumerate(logits, start=8):
        foretold, _ = model.prefill([tokens[:place]])
        torch.testing.assert_close(row, foretold[0])
        torch.testing.assert_close(row.exp().sum(), torch.tensor(1.0, dtype=torch.float64))


def test_branches_are_foretold_by_the_prompt_and_what_each_wrote() -> None:
    model = NGram(order=3)
    prompts = [model.vocabulary.encode(text) for text in ("120,480,120,", "7,7,")]
    logits, state = model.prefill(prompts)
    counts = [Counts(3, len(model.vocabulary)) for _ in prompts]
    for known, prompt, row in zip(counts, prompts, logits, strict=True):
        known.read(prompt)
        np.testing.assert_allclose(row.exp(), known.probabilities(prompt))
    texts = [[prompt] for prompt in prompts]
    for parents, tokens in (
        ([[0, 5, 9], [1, 2, 3]], [[1, 2, 3], [4, 5, 6]]),  # the first parents are not looked at
        ([[2, 2, 0, 1], [0, 1, 2, 0]], [[0, 1, 4, 8], [7, 7, 7, 7]]),
        ([[3], [1]], [[4], [10]]),
    ):
        texts = [
            [
                [*row[0 if len(row) == 1 else parent], token]
                for parent, token in zip(chosen, new, strict=True)
            ]
            for row, chosen, new in zip(texts, parents, tokens, strict=True)
        ]
        found = model.step(torch.tensor(tokens), torch.tensor(parents), state)
        for known, row, rows in zip(counts, texts, found, strict=True):
            for text, one in zip(row, rows, strict=True):
                np.testing.assert_allclose(one.exp(), known.probabilities(text))


def test_its_tokens_write_its_values() -> None:
    model = NGram()
    assert model.settings is not None
    values = np.array([0.0, 7.0, 999.0, np.nan])
    text = model.settings.serialize(values)
    assert text == "000,007,999,nan"
    assert model.vocabulary.decode(model.vocabulary.encode(text)) == text
    assert all(len(piece) == 1 for piece in model.vocabulary.pieces)
    assert all(one != other for one, other in pairwise(sorted(model.vocabulary.pieces)))
