"""Likelihoods of a process whose likelihood is known, and distributions that add up."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtr
from torch import Tensor

from tsformer.llm.backends.ngram import NGram
from tsformer.llm.grammar import Grammar
from tsformer.llm.likelihood import (
    NextValue,
    bin_edges,
    density_nats,
    next_value,
    score_values,
)
from tsformer.llm.prompts import Prompt, continuation_tokens, write_prompt
from tsformer.llm.sampling import SamplingSettings, sample_values
from tsformer.llm.scaler import Scaler
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import Vocabulary, pieces_vocabulary

Logits = Callable[[tuple[int, ...]], Tensor]


class Told:
    """A `TokenModel` whose logits are a function of all tokens so far."""

    name = "told"
    context_length = 100_000
    settings: SerializerSettings | None = None

    def __init__(self, logits: Logits, vocabulary: Vocabulary) -> None:
        self.logits = logits
        self.vocabulary = vocabulary

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        state = [[tuple(prompt)] for prompt in prompts]
        return torch.stack([self.logits(row[0]) for row in state]), state

    def step(self, tokens: Tensor, parents: Tensor, state: Any) -> Tensor:
        for row, before in enumerate(state):
            one = len(before) == 1
            pairs = zip(tokens[row].tolist(), parents[row].tolist(), strict=True)
            state[row] = [(*before[0 if one else at], token) for token, at in pairs]
        return torch.stack([torch.stack([self.logits(text) for text in row]) for row in state])

    def score(self, tokens: Sequence[int], first: int) -> Tensor:
        places = range(first, len(tokens))
        return torch.stack([self.logits(tuple(tokens[:place])) for place in places])


class Autoregression:
    """Logits of an AR(1) process: the exact probability of each bin given the last value's bin.

    Args:
        settings: how values are written.
        vocabulary: cuts each value into tokens in one way only.
        scaler: from raw units, in which the process is.
        invalid: probability that goes to tokens which cannot stand there.
    """

    mean, memory, sigma = 50.0, 0.7, 8.0

    def __init__(
        self,
        settings: SerializerSettings,
        vocabulary: Vocabulary,
        scaler: Scaler,
        invalid: float = 0.0,
    ) -> None:
        self.settings, self.vocabulary, self.scaler = settings, vocabulary, scaler
        self.invalid = invalid
        codes = [(code, False) for code in range(settings.base**settings.n_digits)]
        if settings.signed:
            codes += [(code, True) for code, _ in codes if code or settings.half_bin]
        self.centres = np.array([settings.value_of(*code) for code in codes])
        low, high = (self.centres + side * settings.step / 2 for side in (-1, 1))
        self.low, self.high = scaler.inverse(low), scaler.inverse(high)
        # the values that begin with some tokens, and the token that follows in each
        self.following: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for number, code in enumerate(codes):
            text = settings.lead + settings.write_code(*code) + settings.terminator
            ids = vocabulary.encode(text)
            for size, token in enumerate(ids):
                self.following.setdefault(tuple(ids[:size]), []).append((number, token))

    def path(self, length: int, seed: int = 0) -> np.ndarray:
        """Return values in raw units, `[length]`."""
        noise = np.random.default_rng(seed).normal(size=length) * self.sigma
        values = [self.mean]
        for shock in noise:
            values.append(self.mean + self.memory * (values[-1] - self.mean) + shock)
        return np.array(values[1:])

    def expected(self, before: Any) -> Any:
        return self.mean + self.memory * (np.asarray(before) - self.mean)

    def masses(self, before: float) -> np.ndarray:
        """Return the probability of each bin after a value in raw units, `[K]`."""
        low, high = ((edge - self.expected(before)) / self.sigma for edge in (self.low, self.high))
        masses = ndtr(high) - ndtr(low) + 1e-200  # none is quite impossible
        return masses / masses.sum()

    def _ends(self, tokens: tuple[int, ...]) -> tuple[int, int]:
        """Return where the last two values end, -1 where there is but one."""
        end = self.settings.terminator.encode()
        places = range(len(tokens) - 1, -1, -1)
        ends = (at for at in places if self.vocabulary.pieces[tokens[at]].endswith(end))
        last = next(ends)
        return next(ends, -1), last

    def __call__(self, tokens: tuple[int, ...]) -> Tensor:
        last_but_one, last_end = self._ends(tokens)
        last = self.vocabulary.decode(tokens[last_but_one + 1 : last_end + 1])
        before = self.scaler.inverse(self.settings.deserialize(last))[0]
        follows = self.following.get(tokens[last_end + 1 :])
        if follows is None:  # a branch that has all its values goes on with anything
            return torch.zeros(len(self.vocabulary))
        numbers, following = zip(*follows, strict=True)
        probability = np.zeros(len(self.vocabulary))
        np.add.at(probability, list(following), self.masses(before)[list(numbers)])
        probability *= (1 - self.invalid) / probability.sum()
        others = np.setdiff1d(np.arange(len(probability)), following)
        probability[others] = self.invalid / max(1, len(others))
        return torch.from_numpy(np.log(probability.clip(1e-300)))


CHARACTERS = pieces_vocabulary([*"0123456789-, nax"])
AROUND_FIFTY = Scaler(kind="standard", loc=50.0, scale=11.0, multiplier=1.0)
WAYS: dict[str, tuple[SerializerSettings, Vocabulary, Scaler]] = {
    "one bin per value": (
        preset("binned"),
        pieces_vocabulary([*(f"{number} " for number in range(1024)), "nan "]),
        Scaler(kind="standard", loc=50.0, scale=11.0, multiplier=80.0, shift=512.0),
    ),
    "bent bins": (
        preset("binned"),
        pieces_vocabulary([*(f"{number} " for number in range(1024)), "nan "]),
        Scaler(kind="arcsinh", loc=50.0, scale=11.0, multiplier=128.0, shift=512.0),
    ),
    "signed digits, half a bin": (
        preset("llmtime-llama", precision=1, digits=1),
        CHARACTERS,
        AROUND_FIFTY,
    ),
    "signed digits, rounded": (
        preset("llmtime-llama", precision=1, digits=1, half_bin=False),
        CHARACTERS,
        AROUND_FIFTY,
    ),
    "whole numbers of fixed width": (
        preset("plain-digits", digits=3, fixed_width=True),
        CHARACTERS,
        Scaler(kind="minmax", loc=-10.0, scale=120.0, multiplier=1000.0),
    ),
}
KNOWN, LENGTH = 10, 200


@pytest.fixture(params=WAYS)
def process(request: pytest.FixtureRequest) -> Autoregression:
    return Autoregression(*WAYS[request.param])


def written(process: Autoregression, values: np.ndarray) -> tuple[Grammar, Prompt, list[int]]:
    """Return the grammar, what is known as a prompt, and the rest as tokens."""
    settings, vocabulary = process.settings, process.vocabulary
    scaled = process.scaler.transform(values)
    prompt = write_prompt(vocabulary, settings, scaled[:KNOWN], label="a series")
    tokens = continuation_tokens(vocabulary, settings, scaled[KNOWN:])
    return Grammar(settings, vocabulary), prompt, tokens


def test_the_likelihood_of_a_known_process_is_the_analytic_one(process: Autoregression) -> None:
    values = process.path(KNOWN + LENGTH)
    grammar, prompt, tokens = written(process, values)
    model = Told(process, process.vocabulary)
    scores = score_values(model, grammar, prompt, tokens, LENGTH)
    assert scores.nats.shape == (LENGTH,)
    assert np.abs(scores.invalid).max() < 1e-9
    np.testing.assert_allclose(scores.bits, scores.nats / math.log(2))

    law = stats.norm(process.expected(values[KNOWN - 1 : -1]), process.sigma)
    analytic, now = -law.logpdf(values[KNOWN:]), values[KNOWN:]
    density = density_nats(scores.nats, now, grammar.settings, process.scaler)
    assert density.mean() == pytest.approx(analytic.mean(), rel=0.01)
    np.testing.assert_allclose(density, analytic, atol=0.35)

    low, high = bin_edges(now, grammar.settings, process.scaler).T
    exact = -np.log(law.cdf(high) - law.cdf(low))
    assert scores.nats.mean() == pytest.approx(exact.mean(), rel=0.01)
    assert (exact + np.log(high - low)).mean() == pytest.approx(analytic.mean(), rel=0.01)


def test_each_value_is_charged_for_its_own_bin(process: Autoregression) -> None:
    values = process.path(KNOWN + 20, seed=1)
    grammar, prompt, tokens = written(process, values)
    found = score_values(Told(process, process.vocabulary), grammar, prompt, tokens, 20).nats
    scaled = process.scaler.transform(values)
    at = np.abs(scaled[:, None] - process.centres).argmin(axis=1)
    read = process.scaler.inverse(process.centres[at])  # what the tokens say
    expected = [
        -np.log(process.masses(before)[number])
        for before, number in zip(read[KNOWN - 1 : -1], at[KNOWN:], strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_goes_to_impossible_tokens_is_told_and_not_charged(process: Autoregression) -> None:
    values = process.path(KNOWN + 20)
    grammar, prompt, tokens = written(process, values)
    plain = score_values(Told(process, process.vocabulary), grammar, prompt, tokens, 20)
    process.invalid = 0.3
    wasteful = score_values(Told(process, process.vocabulary), grammar, prompt, tokens, 20)
    np.testing.assert_allclose(wasteful.nats, plain.nats, rtol=1e-9)
    np.testing.assert_allclose(wasteful.invalid, 0.3, atol=1e-6)


def test_the_next_value_has_the_distribution_of_the_process(process: Autoregression) -> None:
    values = process.path(KNOWN, seed=2)
    grammar, prompt, _ = written(process, np.r_[values, 0.0])
    found = next_value(Told(process, process.vocabulary), grammar, prompt)
    assert found.lost == 0
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)
    order = np.argsort(process.centres)
    np.testing.assert_allclose(found.centres, process.centres[order])
    scaled = process.scaler.transform(values[-1])
    read = process.scaler.inverse(process.centres[np.abs(process.centres - scaled).argmin()])
    np.testing.assert_allclose(found.probabilities, process.masses(read)[order], atol=1e-9)

    levels = [0.01, 0.1, 0.5, 0.9, 0.99]
    quantiles = process.scaler.inverse(found.quantiles(levels))
    law = stats.norm(process.expected(read), process.sigma)
    np.testing.assert_allclose(quantiles, law.ppf(levels), atol=0.02 * process.sigma)
    if process.scaler.kind != "arcsinh":
        assert process.scaler.inverse(found.mean()) == pytest.approx(law.mean(), abs=0.01)


@pytest.mark.parametrize("way", ["one bin per value", "signed digits, half a bin"])
def test_quantiles_of_the_next_value_are_those_of_samples(way: str) -> None:
    process = Autoregression(*WAYS[way])
    grammar, prompt, _ = written(process, process.path(2 * KNOWN))
    model = Told(process, process.vocabulary)
    settings = SamplingSettings(n_samples=400)
    samples = sample_values(model, [prompt], grammar, 1, settings)[0, :, 0]
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = next_value(model, grammar, prompt).quantiles(levels)
    slack = 1.5 * process.settings.step + (0.0 if way == "one bin per value" else 0.1)
    np.testing.assert_allclose(found, np.quantile(samples, levels), atol=slack)


@pytest.mark.parametrize("order", [0, 3, 10])
@pytest.mark.parametrize("name", ["plain-digits", "llmtime-llama"])
def test_probabilities_of_an_n_gram_model_sum_up_to_one(name: str, order: int) -> None:
    settings = preset(name, precision=0, digits=2)
    model = NGram(order=order)
    grammar = Grammar(settings, model.vocabulary)
    prompt = write_prompt(model.vocabulary, settings, np.arange(20.0) * 7 % 30)
    found = next_value(model, grammar, prompt)
    assert found.probabilities.sum() + found.lost == pytest.approx(1, abs=1e-5)
    assert found.lost == 0
    assert len(found.centres) == (200 if settings.signed else 100)
    assert (found.centres[1:] > found.centres[:-1]).all()


PIECES = [*"0123456789,", "12", "1,", "2,", "99,", "23", "0,1", ",,", "x"]


def whimsical(tokens: tuple[int, ...]) -> Tensor:
    """Return logits that depend on every token before."""
    generator = torch.Generator().manual_seed(hash(tokens) % 2**31)
    return torch.randn(len(PIECES), generator=generator)


def spellings(text: str) -> Iterator[tuple[int, ...]]:
    """Yield every way to spell a text."""
    if not text:
        yield ()
    for token, piece in enumerate(PIECES):
        if text.startswith(piece):
            for rest in spellings(text.removeprefix(piece)):
                yield (token, *rest)


def by_brute_force(prompt: Prompt, texts: list[str]) -> list[float]:
    """Return the probability of each text among these, all its spellings added up."""
    prefixes = {text[:size] for text in texts for size in range(len(text) + 1)}
    found = []
    for text in texts:
        total = 0.0
        for tokens in spellings(text):
            before, mass = "", 1.0
            for at, token in enumerate(tokens):
                logits = whimsical((*prompt.tokens, *tokens[:at])).double()
                allowed = [t for t, piece in enumerate(PIECES) if before + piece in prefixes]
                mass *= float((logits[token] - logits[allowed].logsumexp(dim=0)).exp())
                before += PIECES[token]
            total += mass
        found.append(total)
    return found


def whimsical_case() -> tuple[Told, Grammar, Prompt]:
    settings = preset("plain-digits", digits=2)
    model = Told(whimsical, pieces_vocabulary(PIECES))
    prompt = write_prompt(model.vocabulary, settings, [12.0, 3.0, 99.0])
    return model, Grammar(settings, model.vocabulary), prompt


def test_several_spellings_of_a_value_add_up() -> None:
    model, grammar, prompt = whimsical_case()
    found = next_value(model, grammar, prompt)
    texts = [f"{number}," for number in range(100)]
    assert max(len([*spellings(text)]) for text in texts) > 2
    np.testing.assert_allclose(found.centres, np.arange(100) + 0.5)
    np.testing.assert_allclose(found.probabilities, by_brute_force(prompt, texts), rtol=1e-9)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-9)
    for number in (1, 12, 99):  # the likelihood of one spelling is a lower bound
        tokens = continuation_tokens(model.vocabulary, grammar.settings, [number + 0.5])
        (nats,) = score_values(model, grammar, prompt, tokens, 1).nats
        assert math.exp(-nats) < found.probabilities[number]


def test_unlikely_branches_are_left_out_and_counted_as_lost() -> None:
    model, grammar, prompt = whimsical_case()
    whole = next_value(model, grammar, prompt)
    found = next_value(model, grammar, prompt, smallest=0.05)
    assert 0 < found.lost < 0.9
    assert len(found.centres) < 100
    assert found.probabilities.sum() + found.lost == pytest.approx(1, abs=1e-9)
    of_whole = dict(zip(whole.centres, whole.probabilities, strict=True))
    for centre, probability in zip(found.centres, found.probabilities, strict=True):
        assert probability <= of_whole[centre] + 1e-12


def test_quantiles_are_even_within_a_bin() -> None:
    found = NextValue(
        centres=np.array([-1.0, 1.0, 2.0]),
        probabilities=np.array([0.1, 0.2, 0.1]),
        step=1.0,
        lost=0.6,
    )
    levels = [0.0, 0.125, 0.25, 0.5, 0.75, 0.875, 1.0]
    expected = [-1.5, -1.0, -0.5, 1.0, 1.5, 2.0, 2.5]
    np.testing.assert_allclose(found.quantiles(levels), expected)
    assert found.mean() == pytest.approx(0.75)


SCALERS = st.sampled_from(
    [
        Scaler(),
        Scaler(kind="standard", loc=3.0, scale=0.5, multiplier=0.2, shift=0.1),
        Scaler(kind="arcsinh", loc=-1.0, scale=2.0, multiplier=0.7),
    ]
)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=8), SCALERS, st.booleans())
def test_values_lie_between_the_edges_of_their_bin(
    values: list[float], scaler: Scaler, half_bin: bool
) -> None:
    settings = preset("llmtime-llama", precision=1, half_bin=half_bin)
    grammar = Grammar(settings, CHARACTERS)
    now = np.array(values)
    edges = bin_edges(now, grammar.settings, scaler)
    slack = 1e-9
    assert (edges[:, 0] <= now + slack).all()
    assert (now <= edges[:, 1] + slack).all()
    for value, (low, high), text in zip(
        now, edges, settings.write_each(scaler.transform(now)), strict=True
    ):
        if min(value - low, high - value) > slack:
            inside = np.linspace(low, high, 5)[1:-1]
            assert settings.write_each(scaler.transform(inside)) == [text] * 3
    widths = np.diff(scaler.transform(edges), axis=1)
    np.testing.assert_allclose(widths, settings.step)


@pytest.mark.parametrize("half_bin", [True, False])
@pytest.mark.parametrize("kind", ["standard", "arcsinh"])
def test_densities_integrate_to_the_probability_of_the_bins(kind: Any, half_bin: bool) -> None:
    settings = preset("llmtime-llama", precision=1, digits=0, half_bin=half_bin)
    grammar = Grammar(settings, CHARACTERS)
    scaler = Scaler(kind=kind, loc=3.0, scale=5.0, multiplier=0.3)
    end = settings.limit - 1e-9
    grid = scaler.inverse(np.linspace(-end, end, 20_001))
    texts = settings.write_each(scaler.transform(grid))
    names, bins = np.unique(texts, return_inverse=True)
    probability = np.random.default_rng(0).dirichlet(np.ones(len(names)))
    density = np.exp(-density_nats(-np.log(probability[bins]), grid, grammar.settings, scaler))
    assert len(names) == (20 if half_bin else 19)
    assert np.trapezoid(density, grid) == pytest.approx(1, abs=5e-3)


def test_missing_values_have_no_density() -> None:
    grammar = Grammar(preset("llmtime-llama"), CHARACTERS)
    found = density_nats(np.ones(2), np.array([np.nan, 0.5]), grammar.settings, Scaler())
    assert np.isnan(found).tolist() == [True, False]


def test_when_the_window_is_too_short_then_the_error_says_what_to_do() -> None:
    process = Autoregression(*WAYS["one bin per value"])
    model = Told(process, process.vocabulary)
    grammar, prompt, tokens = written(process, process.path(KNOWN + 5))
    model.context_length = KNOWN + 5
    score_values(model, grammar, prompt, tokens, 5)
    model.context_length -= 1
    with pytest.raises(ValueError, match="a series: 10 tokens and 5 to score are more than .* 14"):
        score_values(model, grammar, prompt, tokens, 5)


@pytest.mark.parametrize(("logit", "told"), [(-torch.inf, "-inf"), (torch.nan, "nan")])
def test_when_a_value_is_impossible_then_the_error_names_it(logit: float, told: str) -> None:
    process = Autoregression(*WAYS["one bin per value"])
    grammar, prompt, tokens = written(process, process.path(KNOWN + 5))

    def spoilt(before: tuple[int, ...]) -> Tensor:
        logits = process(before)
        if len(before) == KNOWN + 2:
            logits[tokens[2]] = logit
        return logits

    model = Told(spoilt, process.vocabulary)
    with pytest.raises(ValueError, match=f"a series: the log-likelihood of value 2 is {told}"):
        score_values(model, grammar, prompt, tokens, 5)


@pytest.mark.parametrize("text", ["nan ", "5 nan "])
def test_a_continuation_that_is_no_value_is_refused(text: str) -> None:
    process = Autoregression(*WAYS["one bin per value"])
    grammar, prompt, _ = written(process, process.path(KNOWN + 5))
    tokens = process.vocabulary.encode(text)
    with pytest.raises(ValueError, match="'nan '.* cannot stand here"):
        score_values(Told(process, process.vocabulary), grammar, prompt, tokens, len(tokens))
