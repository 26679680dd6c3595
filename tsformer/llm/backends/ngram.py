"""An n-gram model of the digits themselves: the floor that a language model must beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import pieces_vocabulary

_CHARACTERS = "0123456789,- nan"


@dataclass
class Counts:
    """How often each token followed each context of up to `order` tokens, in what was read."""

    order: int
    n_tokens: int
    table: dict[tuple[int, ...], dict[int, int]] = field(default_factory=dict)

    def read(self, tokens: Sequence[int], begin: int = 0) -> None:
        """Count the tokens from `begin` on."""
        for place in range(begin, len(tokens)):
            for size in range(min(self.order, place) + 1):
                row = self.table.setdefault(tuple(tokens[place - size : place]), {})
                row[tokens[place]] = row.get(tokens[place], 0) + 1

    def probabilities(self, context: Sequence[int]) -> np.ndarray:
        """Return those of the next token, `[V]`.

        Contexts from none to the longest are mixed as Witten & Bell (1991) do: where a context was
        followed by u different tokens in n cases, shorter ones have the weight u / (n + u).
        """
        mixed = np.full(self.n_tokens, 1 / self.n_tokens)
        for size in range(min(self.order, len(context)) + 1):
            row = self.table.get(tuple(context[len(context) - size :]))
            if row is None:
                break
            counts = np.zeros(self.n_tokens)
            counts[list(row)] = list(row.values())
            mixed = (counts + len(row) * mixed) / (counts.sum() + len(row))
        return mixed


@dataclass
class Branches:
    """The state of a generation: what each prompt taught, and what each branch has written."""

    counts: list[Counts]
    ends: list[list[list[int]]]


class NGram:
    """A `TokenModel` that knows nothing but the prompt: counts of what followed what.

    Args:
        order: tokens of the longest context.
    """

    name = "ngram"

    def __init__(self, order: int = 10) -> None:
        self.order = order
        self.vocabulary = pieces_vocabulary(list(dict.fromkeys(_CHARACTERS)))
        self.context_length = 1_000_000
        self.settings: SerializerSettings | None = preset("plain-digits", fixed_width=True)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Branches]:
        """Read prompts once; return logits of what follows, `[B, V]`, and a state."""
        counts = [Counts(self.order, len(self.vocabulary)) for _ in prompts]
        for known, prompt in zip(counts, prompts, strict=True):
            known.read(prompt)
        ends = [[list(prompt[-self.order :])] for prompt in prompts]
        rows = [_log(k.probabilities(end[0])) for k, end in zip(counts, ends, strict=True)]
        return torch.stack(rows), Branches(counts, ends)

    def step(self, tokens: Tensor, parents: Tensor, state: Any) -> Tensor:
        """Append a token to each branch; return logits, `[B, S, V]`. See `TokenModel`."""
        logits = []
        for row, counts in enumerate(state.counts):
            before = state.ends[row]
            one = len(before) == 1
            state.ends[row] = [
                [*before[0 if one else parent], token][-self.order :]
                for token, parent in zip(tokens[row].tolist(), parents[row].tolist(), strict=True)
            ]
            logits.append(torch.stack([_log(counts.probabilities(e)) for e in state.ends[row]]))
        return torch.stack(logits)

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        """Return the logits by which `tokens[first:]` were foretold, each counted afterwards."""
        counts = Counts(self.order, len(self.vocabulary))
        counts.read(tokens[:first])
        rows = []
        for place in range(first, len(tokens)):
            rows.append(_log(counts.probabilities(tokens[max(0, place - self.order) : place])))
            counts.read(tokens[: place + 1], begin=place)
        return torch.stack(rows)


def _log(probabilities: np.ndarray) -> Tensor:
    return torch.from_numpy(np.log(probabilities))
