"""How likely a language model holds values to be: in nats, as a density, as a distribution.

After LLMTime (Gruver et al. 2023, section 3, "Continuous likelihoods"): the tokens of a value name
a bin; the bin's probability divided by its width, in the units of the series, is a density, which
can be compared with that of any other model. What a model gives to tokens that cannot stand in a
value is taken away before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tsformer.llm.backends.base import TokenModel
from tsformer.llm.grammar import Grammar
from tsformer.llm.prompts import Prompt
from tsformer.llm.scaler import Scaler
from tsformer.llm.serialize import SerializerSettings


@dataclass(frozen=True, kw_only=True)
class ValueScores:
    """What a continuation cost.

    Attributes:
        nats: `[T]`, the log-likelihood of each value's bin among all valid values, negated.
        invalid: `[T]`, the probability that went to tokens which cannot stand there, on average
            over the value's tokens; it is not counted in `nats`.
    """

    nats: np.ndarray
    invalid: np.ndarray

    @property
    def bits(self) -> np.ndarray:
        """`[T]`, the same in bits."""
        return self.nats / math.log(2)


def score_values(
    model: TokenModel, grammar: Grammar, prompt: Prompt, continuation: Sequence[int], horizon: int
) -> ValueScores:
    """Return what each value of a continuation costs, given all before it.

    One pass over prompt and continuation. Where a tokenizer could spell the same text in several
    ways, the given way is scored, so that the likelihood is a lower bound.

    Args:
        model: the language model.
        grammar: of the values.
        prompt: what comes before.
        continuation: its tokens, of `continuation_tokens`.
        horizon: values in it.

    Raises:
        ValueError: where the continuation is longer than the model's window, or no valid values.
    """
    before, tokens = prompt.tokens, continuation
    if len(before) + len(tokens) > model.context_length:
        raise ValueError(
            f"{prompt.label}: {len(before)} tokens and {len(tokens)} to score are more than the "
            f"model's window of {model.context_length}; score fewer values, or shorten the prompt"
        )
    logits = model.score([*before, *tokens], len(before))
    nats, invalid, sizes = np.zeros((3, horizon))
    state, remaining = grammar.start, horizon
    for token, row in zip(tokens, logits, strict=True):
        number = horizon - remaining
        allowed = torch.from_numpy(grammar.moves(state, remaining).tokens).to(row.device)
        valid = row[allowed].double().logsumexp(dim=0)
        nats[number] += float(valid - row[token].double())
        mass = float((valid - row.double().logsumexp(dim=0)).exp())
        invalid[number] += max(0.0, 1 - mass)
        sizes[number] += 1
        state, remaining = grammar.advance(state, remaining, token)
    if not np.isfinite(nats).all():
        place = int((~np.isfinite(nats)).argmax())
        raise ValueError(f"{prompt.label}: the log-likelihood of value {place} is {-nats[place]}")
    return ValueScores(nats=nats, invalid=invalid / np.maximum(sizes, 1))


def density_nats(
    nats: np.ndarray, values: np.ndarray, settings: SerializerSettings, scaler: Scaler
) -> np.ndarray:
    """Return negative log densities in the units of the series, `[T]`, NaN for missing values.

    The density is even within a bin of the scaled values, and the scaler's slope carries it over.

    Args:
        nats: `[T]`, of the bins.
        values: `[T]`, in the units of the series.
        settings, scaler: by which the values were written.
    """
    slope = scaler.log_derivative(values)
    return np.where(np.isnan(values), np.nan, nats + math.log(settings.step) - slope)


def bin_edges(values: np.ndarray, settings: SerializerSettings, scaler: Scaler) -> np.ndarray:
    """Return the edges of the bins that values fall into, `[T, 2]`, in the units of the series.

    With them any distribution function can be scored on exactly what a language model is scored
    on: the probability between the edges.
    """
    scaled = scaler.transform(values)
    size = np.abs(settings.codes(scaled)) * settings.step
    if settings.half_bin:
        negative = np.signbit(scaled)
        low = np.where(negative, -size - settings.step, size)
    else:
        low = np.sign(scaled) * size - settings.step / 2
    return np.stack([scaler.inverse(low), scaler.inverse(low + settings.step)], axis=-1)


@dataclass(frozen=True, kw_only=True)
class NextValue:
    """The distribution of the next value over bins.

    Attributes:
        centres: `[K]`, ascending, scaled values.
        probabilities: `[K]`.
        step: width of a bin.
        lost: probability of the bins that were left out.
    """

    centres: np.ndarray
    probabilities: np.ndarray
    step: float
    lost: float

    def quantiles(self, levels: Sequence[float]) -> np.ndarray:
        """Return scaled quantiles at levels, `[Q]`, the density being even within a bin."""
        reached = np.concatenate([[0.0], np.cumsum(self.probabilities)])
        wanted = np.asarray(levels) * reached[-1]
        at = np.searchsorted(reached[1:-1], wanted, side="left")
        share = (wanted - reached[at]) / np.maximum(self.probabilities[at], 1e-300)
        return self.centres[at] + (np.clip(share, 0, 1) - 0.5) * self.step

    def mean(self) -> float:
        """Return the expected scaled value."""
        return float((self.centres * self.probabilities).sum() / self.probabilities.sum())


def next_value(
    model: TokenModel, grammar: Grammar, prompt: Prompt, *, smallest: float = 0.0
) -> NextValue:
    """Return the distribution of the value after a prompt, without sampling.

    Token by token, all that may be written is followed at once: a tree whose leaves are values.
    Several ways to spell a value are added up.

    Args:
        model: the language model.
        grammar: of the value.
        prompt: what comes before.
        smallest: branches less probable than this are not followed; their mass is `lost`.
    """
    logits, state = model.prefill([prompt.tokens])
    probability, places = np.ones(1), [grammar.start]
    spelled: list[tuple[int, ...]] = [()]
    found: dict[float, float] = {}
    lost = 0.0
    while True:
        grown = [
            (spelled[at] + (int(token),), at, int(to), probability[at] * p, bool(done))
            for at, place in enumerate(places)
            for token, to, done, p in _moves_with_mass(grammar, place, logits[at])
        ]
        for text, _, _, p, done in grown:
            if done:
                value = float(grammar.settings.deserialize(grammar.vocabulary.decode(text))[0])
                found[value] = found.get(value, 0.0) + p
        going = [branch for branch in grown if not branch[4] and branch[3] >= smallest]
        lost += sum(b[3] for b in grown if not b[4]) - sum(b[3] for b in going)
        if not going:
            break
        spelled, parents, places, mass, _ = (list(column) for column in zip(*going, strict=True))
        probability = np.array(mass)
        tokens = torch.tensor([[text[-1] for text in spelled]])
        logits = model.step(tokens, torch.tensor([parents]), state)[0]
    centres = np.array(sorted(found))
    probabilities = np.array([found[value] for value in centres])
    return NextValue(
        centres=centres, probabilities=probabilities, step=grammar.settings.step, lost=lost
    )


def _moves_with_mass(
    grammar: Grammar, place: int, logits: Tensor
) -> list[tuple[int, int, int, float]]:
    """Return tokens that may write the only value to come, where each leads, and its share."""
    moves = grammar.moves(place, 1)
    share = logits[torch.from_numpy(moves.tokens).to(logits.device)].double().softmax(dim=0)
    columns = (moves.tokens, moves.states, moves.completed, share.cpu().numpy())
    return list(zip(*columns, strict=True))
