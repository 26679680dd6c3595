"""Continuations by exactly `horizon` values: each prompt read once, all samples in one batch."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsformer.llm.backends.base import TokenModel
from tsformer.llm.grammar import Grammar
from tsformer.llm.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How tokens are drawn.

    Attributes:
        n_samples: continuations per prompt.
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_p: the likeliest tokens, until they have this probability, are drawn from
            (Holtzman et al. 2020).
        seed: of all draws. What is drawn for a prompt depends on it and on the prompt, and not on
            what else is in the batch.
    """

    n_samples: int = 20
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n_samples < 1:
            raise ValueError(f"n_samples={self.n_samples} must be at least 1")
        if not self.temperature >= 0:
            raise ValueError(f"temperature={self.temperature} must not be negative")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p={self.top_p} must lie in (0, 1]")


def sample_values(
    model: TokenModel,
    prompts: Sequence[Prompt],
    grammar: Grammar,
    horizon: int,
    settings: SamplingSettings,
) -> np.ndarray:
    """Return continuations of prompts as scaled values, `[B, n_samples, horizon]`.

    The keys and values of a prompt are computed once and shared by its samples, which are written
    side by side. Draws are stratified over the samples of a prompt: each is a draw from the model,
    and together they are spread more evenly than independent ones, so that quantiles need fewer.

    Args:
        model: the language model.
        prompts: see `Prompt`; each ends with the terminator of the grammar's settings.
        grammar: what may be written.
        horizon: values to write.
        settings: see `SamplingSettings`.
    """
    n_branches = 1 if settings.temperature == 0 else settings.n_samples
    draws = [_Draws(prompt, settings.seed, n_branches) for prompt in prompts]
    logits, state = model.prefill([prompt.tokens for prompt in prompts])
    logits = logits[:, None].expand(-1, n_branches, -1)
    shape = (len(prompts), n_branches)
    places = np.stack([np.full(shape, grammar.start), np.full(shape, horizon)], axis=-1)
    samples = np.broadcast_to(np.arange(n_branches), shape)  # that the branches write
    written: list[np.ndarray] = []
    while True:
        shares = np.take_along_axis(np.stack([draw.next() for draw in draws]), samples, axis=1)
        tokens, places = _choose(logits, places, shares, grammar, settings)
        written.append(np.full(shape, -1))
        np.put_along_axis(written[-1], samples, tokens, axis=1)
        unfinished = places[..., 1] > 0
        if not unfinished.any():
            break
        parents = _first(unfinished)
        tokens, samples = (np.take_along_axis(a, parents, axis=1) for a in (tokens, samples))
        places = np.take_along_axis(places, parents[..., None], axis=1)
        ahead = torch.from_numpy(tokens).clamp(min=0)
        logits = model.step(ahead, torch.from_numpy(parents), state)
    ids = np.stack(written, axis=-1)  # [B, S, n], -1 after the last value
    values = np.array([[_read(grammar, row, horizon) for row in rows] for rows in ids])
    return np.broadcast_to(values, (len(prompts), settings.n_samples, horizon))


def _choose(
    logits: Tensor,
    places: np.ndarray,
    shares: np.ndarray,
    grammar: Grammar,
    settings: SamplingSettings,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the next token of each branch, -1 for a finished one, and its place after it."""
    tokens = np.full(places.shape[:2], -1)
    after = places.copy()
    # branches in the same place are dealt with together; `remaining` beyond the grammar's interest
    # is all the same to it
    remaining = np.minimum(places[..., 1], grammar.most_completed + 1)
    for state, left in np.unique(
        np.stack([places[..., 0], remaining], axis=-1).reshape(-1, 2), axis=0
    ):
        if left == 0:
            continue
        chosen = (places[..., 0] == state) & (remaining == left)
        moves = grammar.moves(int(state), int(left))
        scores = logits[torch.from_numpy(chosen)][:, torch.from_numpy(moves.tokens)]
        at = draw_tokens(scores, shares[chosen], settings.temperature, settings.top_p)
        tokens[chosen] = moves.tokens[at]
        after[chosen, 0] = moves.states[at]
        after[chosen, 1] -= moves.completed[at]
    return tokens, after


def _first(unfinished: np.ndarray) -> np.ndarray:
    """Return the branches to go on with, `[B, S']`: as many as one prompt has unfinished ones.

    Other prompts keep some finished ones beside theirs, since all have equally many.
    """
    order = np.argsort(~unfinished, axis=1, kind="stable")
    return np.sort(order[:, : unfinished.sum(axis=1).max()], axis=1)


def draw_tokens(logits: Tensor, shares: np.ndarray, temperature: float, top_p: float) -> np.ndarray:
    """Return the places of drawn tokens, `[n]`, by the inverse of their distribution.

    Args:
        logits: `[n, K]` of the tokens that are allowed.
        shares: `[n]`, even draws between 0 and 1.
        temperature, top_p: see `SamplingSettings`.
    """
    if temperature == 0 or logits.shape[1] == 1:
        return logits.argmax(dim=1).cpu().numpy()
    probability = (logits.double() / temperature).softmax(dim=1)
    if top_p < 1:
        ordered, order = probability.sort(dim=1, descending=True)
        beyond = ordered.cumsum(dim=1) - ordered >= top_p
        probability = probability.scatter(1, order, ordered.masked_fill(beyond, 0.0))
    reached = probability.cumsum(dim=1)
    target = torch.from_numpy(shares).to(reached.device)[:, None] * reached[:, -1:]
    return (reached <= target).sum(dim=1).clamp(max=logits.shape[1] - 1).cpu().numpy()


class _Draws:
    """Stratified even draws for the samples of one prompt."""

    def __init__(self, prompt: Prompt, seed: int, n_samples: int) -> None:
        fingerprint = zlib.crc32(np.array(prompt.tokens, dtype=np.int64).tobytes())
        self.generator = np.random.default_rng([seed, fingerprint, prompt.number])
        self.n_samples = n_samples

    def next(self) -> np.ndarray:
        """Return one number between 0 and 1 per sample, one in each of as many equal parts."""
        order = self.generator.permutation(self.n_samples)
        return (order + self.generator.random(self.n_samples)) / self.n_samples


def _read(grammar: Grammar, ids: Any, horizon: int) -> np.ndarray:
    """Return the values that tokens spell."""
    values = grammar.settings.deserialize(grammar.vocabulary.decode(ids[ids >= 0]))
    assert len(values) == horizon
    return values
