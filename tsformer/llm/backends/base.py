"""What the rest of the package asks of a language model: two small protocols, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from tsformer.llm.serialize import SerializerSettings
from tsformer.llm.vocabulary import Vocabulary


class TokenModel(Protocol):
    """A model in this process, whose scores for the next token can be seen.

    Attributes:
        name: for reports.
        vocabulary: its tokens.
        context_length: tokens that it can look at, those that it writes included.
        settings: how values must be written for it; None where any way will do.
    """

    name: str
    vocabulary: Vocabulary
    context_length: int
    settings: SerializerSettings | None

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        """Read prompts once; return logits of what follows, `[B, V]`, and a state."""
        ...

    def step(self, tokens: Tensor, parents: Tensor, state: Any) -> Tensor:
        """Append a token to branches of the prompts and return logits, `[B, S, V]`.

        Args:
            tokens: `[B, S]`, one per branch.
            parents: `[B, S]`, the number of the branch, among those of the step before, that each
                continues; in the first step all continue the prompt, and it is not looked at.
            state: of `prefill`; changed in place.
        """
        ...

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        """Return the logits, `[N - first, V]`, by which `tokens[first:]` were foretold."""
        ...


@runtime_checkable
class TextModel(Protocol):
    """A model elsewhere, which returns texts.

    Attributes:
        name: for reports.
    """

    name: str

    def complete(
        self,
        prompt: str,
        *,
        n_samples: int,
        horizon: int,
        settings: SerializerSettings,
        temperature: float = 1.0,
        top_p: float = 1.0,
        seed: int = 0,
        label: str = "",
    ) -> list[str]:
        """Return up to `n_samples` continuations, which need not be valid values.

        Args:
            prompt: a text that ends with `settings.terminator`.
            n_samples: continuations to ask for.
            horizon: values to ask for.
            settings: how values are written.
            temperature, top_p: of sampling; temperature 0 takes the likeliest token.
            seed: the same one gives the same texts, where the server keeps this promise.
            label: what is asked for, such as a series' name; said in errors.
        """
        ...

    def log_probabilities(
        self, prompt: str, continuation: str, label: str = ""
    ) -> list[tuple[str, float]]:
        """Return the tokens of a continuation, as text, and their log probabilities in nats."""
        ...


def pad_left(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return prompts of one length, padded on the left, and which tokens are theirs, `[B, N]`."""
    longest = max(map(len, prompts))
    tokens = torch.zeros(len(prompts), longest, dtype=torch.long)
    known = torch.zeros(len(prompts), longest, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = torch.tensor(prompt)
        known[row, longest - len(prompt) :] = True
    return tokens, known
