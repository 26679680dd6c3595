"""Which token may come next, so that a model can write nothing but valid values.

After LMQL (Beurer-Kellner et al. 2022) and guided generation by automata (Willard & Louf 2023):
the values that settings allow are the paths of an automaton over bytes; walking every token's bytes
through it from every state, once, tells which tokens a state allows and where they lead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsformer.llm.automaton import START, Automaton, value_automaton
from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.vocabulary import Vocabulary


@dataclass(frozen=True)
class Moves:
    """The tokens that a state allows.

    Attributes:
        tokens: `[K]`.
        states: `[K]`, where each leads.
        completed: `[K]`, how many values each completes.
    """

    tokens: np.ndarray
    states: np.ndarray
    completed: np.ndarray


class Grammar:
    """An automaton over tokens that admits values, each with what ends it, and nothing else.

    A text to be continued ends with `settings.terminator`; a continuation by n values is n times
    the blanks that follow a terminator, a value and a terminator. A place in it is a pair: the
    state of the automaton and the number of values still to come.

    Args:
        settings: how values are written.
        vocabulary: of the model.
        lower, upper: bounds of the scaled values that are admitted; None for what can be written.

    Raises:
        ValueError: where the bounds leave no value, or the vocabulary cannot write one.
    """

    start = START

    def __init__(
        self,
        settings: SerializerSettings,
        vocabulary: Vocabulary,
        *,
        lower: float | None = None,
        upper: float | None = None,
    ) -> None:
        self.settings = settings
        self.vocabulary = vocabulary
        self.automaton = value_automaton(settings, lower=lower, upper=upper)
        moves = _walk_tokens(self.automaton, vocabulary)
        self.most_completed = max((int(m.completed.max(initial=0)) for m in moves), default=0)
        # by values still to come, 1 … most_completed + 1, the last standing for any larger number
        self._moves = {0: [_NO_MOVES] * len(moves)}
        for remaining in range(1, self.most_completed + 2):
            self._moves[remaining] = self._prune(moves, remaining)
        if not len(self._moves[1][START].tokens) or not len(self.moves(START, 2).tokens):
            raise ValueError(
                "the tokenizer has no tokens to write such values with: it may lack single "
                f"digits or the separator {settings.terminator!r} alone; choose other settings"
            )

    def moves(self, state: int, remaining: int) -> Moves:
        """Return the tokens that a place allows; none after the last value."""
        return self._moves[min(remaining, self.most_completed + 1)][state]

    def advance(self, state: int, remaining: int, token: int) -> tuple[int, int]:
        """Return the place after a token.

        Raises:
            ValueError: for a token that the place does not allow.
        """
        found = self.moves(state, remaining)
        at = int(np.searchsorted(found.tokens, token))
        if at == len(found.tokens) or found.tokens[at] != token:
            piece = self.vocabulary.pieces[token] if token < len(self.vocabulary) else b"?"
            raise ValueError(f"token {token} ({piece!r}) cannot stand here")
        return int(found.states[at]), remaining - int(found.completed[at])

    def allowed(self, places: Sequence[tuple[int, int]], width: int | None = None) -> Tensor:
        """Return which tokens each place allows, `[n, width]`, True for allowed ones.

        Args:
            places: pairs of state and values still to come.
            width: of the model's logits, where these are more than its tokens.
        """
        mask = torch.zeros(len(places), width or len(self.vocabulary), dtype=torch.bool)
        for row, (state, remaining) in enumerate(places):
            mask[row, torch.from_numpy(self.moves(state, remaining).tokens)] = True
        return mask

    def _prune(self, moves: list[Moves], remaining: int) -> list[Moves]:
        """Return moves after which the rest can still be written, exactly `remaining` values."""
        fitting = []
        for found in moves:
            exact = (found.completed < remaining) | (found.states == START)
            fitting.append(_choose(found, (found.completed <= remaining) & exact))
        alive = np.array([len(found.tokens) > 0 for found in fitting])
        while True:  # until no move leads to a state without moves
            kept = [_choose(found, self._leads_on(found, remaining, alive)) for found in fitting]
            now = np.array([len(found.tokens) > 0 for found in kept])
            if (now == alive).all():
                return kept
            alive = now

    def _leads_on(self, found: Moves, remaining: int, alive: np.ndarray) -> np.ndarray:
        """Return which moves end in a place that has moves, or complete the last value."""
        left = remaining - found.completed
        on = np.array(
            [
                at == 0 or at == remaining or len(self._moves[at][state].tokens) > 0
                for at, state in zip(left, found.states, strict=True)
            ],
            dtype=bool,
        )
        any_number_follows = remaining > self.most_completed
        return on & (alive[found.states] | ((found.completed > 0) & (not any_number_follows)))


class GrammarLogitsProcessor:
    """Lets `transformers`' `generate` write nothing but values: a `LogitsProcessor`.

    Args:
        grammar: see `Grammar`.
        prompt_length: tokens of the prompt, padding included, at which the values begin.
        horizon: values to write; after them only `vocabulary.end` is allowed.

    Raises:
        ValueError: where the vocabulary has no token that ends a text.
    """

    def __init__(self, grammar: Grammar, *, prompt_length: int, horizon: int) -> None:
        if grammar.vocabulary.end is None:
            raise ValueError("the tokenizer has no eos_token, with which generate() could stop")
        self.grammar = grammar
        self.prompt_length = prompt_length
        self.horizon = horizon
        self._places: dict[tuple[int, ...], tuple[int, int]] = {(): (START, horizon)}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores, `[B, V]`, with minus infinity for what is not allowed."""
        places = [self._place(tuple(row)) for row in input_ids[:, self.prompt_length :].tolist()]
        mask = self.grammar.allowed(places, scores.shape[-1]).to(scores.device)
        end = self.grammar.vocabulary.end
        mask[:, end] = torch.tensor([left == 0 for _, left in places], device=scores.device)
        return scores.masked_fill(~mask, -torch.inf)

    def _place(self, written: tuple[int, ...]) -> tuple[int, int]:
        if written not in self._places:
            before = self._place(written[:-1])
            over = before[1] == 0  # the values are there; what follows is the end, repeated
            self._places[written] = before if over else self.grammar.advance(*before, written[-1])
        return self._places[written]


_NO_MOVES = Moves(*(np.empty(0, dtype=np.int64) for _ in range(3)))


def _choose(moves: Moves, chosen: np.ndarray) -> Moves:
    return Moves(moves.tokens[chosen], moves.states[chosen], moves.completed[chosen])


def _walk_tokens(automaton: Automaton, vocabulary: Vocabulary) -> list[Moves]:
    """Return the moves of every state, ordered by token: all tokens walk together, as a trie."""
    trie: dict[int, Any] = {}
    letters = automaton.letters
    for token, piece in enumerate(vocabulary.pieces):
        if piece and letters.issuperset(piece):
            node = trie
            for byte in piece:
                node = node.setdefault(byte, {})
            node.setdefault(-1, []).append(token)
    return [_moves_from(automaton, trie, state) for state in range(len(automaton.edges))]


def _moves_from(automaton: Automaton, trie: dict[int, Any], state: int) -> Moves:
    found: list[tuple[int, int, int]] = []
    stack = [(trie, state, 0)]
    while stack:
        node, at, completed = stack.pop()
        found.extend((token, at, completed) for token in node.get(-1, ()))
        for byte, target in automaton.edges[at].items():
            if byte in node:
                stack.append((node[byte], target, completed + (target == START)))
    ordered = np.array(sorted(found), dtype=np.int64).reshape(-1, 3)
    return Moves(ordered[:, 0], ordered[:, 1], ordered[:, 2])
