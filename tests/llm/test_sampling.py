"""Samples are valid values, draws from the model, and independent of what else is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats
from torch import Tensor

from tsformer.llm.backends.nanogpt import NanoGPT
from tsformer.llm.backends.ngram import Counts, NGram
from tsformer.llm.grammar import Grammar
from tsformer.llm.prompts import Prompt, write_prompt
from tsformer.llm.sampling import SamplingSettings, _Draws, draw_tokens, sample_values
from tsformer.llm.serialize import SerializerSettings, preset
from tsformer.llm.vocabulary import pieces_vocabulary
from tsformer.models.gpt import GPT, GPTSettings

MERGED = [*"0123456789-, ", "12", "99", ", 1", ",", "5, ", "nan", "3, 4, 5"]


class Told:
    """A `TokenModel` whose logits are a function of all tokens so far."""

    name = "told"
    context_length = 10_000
    settings: SerializerSettings | None = None

    def __init__(
        self, logits: Callable[[tuple[int, ...]], Tensor], pieces: Sequence[str] = MERGED
    ) -> None:
        self.logits = logits
        self.vocabulary = pieces_vocabulary(list(dict.fromkeys(pieces)))

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


def whimsical(tokens: tuple[int, ...]) -> Tensor:
    """Return logits that depend on every token before."""
    generator = torch.Generator().manual_seed(hash(tokens) % 2**31)
    return 2 * torch.randn(len(set(MERGED)), generator=generator)


@pytest.fixture(scope="module")
def nanogpt(tmp_path_factory: pytest.TempPathFactory) -> NanoGPT:
    """Return a tiny network with random weights that all matter."""
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    settings = GPTSettings(
        vocabulary_size=1103, context_length=64, d_model=16, n_heads=2, n_layers=2, d_ff=16
    )
    torch.manual_seed(0)
    gpt = GPT(settings)
    for parameter in gpt.parameters():
        torch.nn.init.normal_(parameter, std=0.5 if parameter.ndim == 2 else 1.0)
    save_file(gpt.state_dict(), file)
    file.with_suffix(".json").write_text(json.dumps(asdict(settings)), encoding="utf-8")
    return NanoGPT(weights=file)


Case = tuple[Any, Grammar, list[Prompt]]
VALUES = [np.arange(12.0) * 7 % 50, np.array([3.0, 4.0]), np.full(5, 31.0)]


def make_case(model: Any, settings: SerializerSettings, scale: float, header: str = "") -> Case:
    prompts = [
        write_prompt(model.vocabulary, settings, row * scale, header=header) for row in VALUES
    ]
    return model, Grammar(settings, model.vocabulary), prompts


@pytest.fixture(params=["nanogpt", "ngram", "digits of any number", "signed, merged"])
def case(request: pytest.FixtureRequest) -> Case:
    if request.param == "nanogpt":
        model = request.getfixturevalue("nanogpt")
        return make_case(model, model.settings, 10, header=model.header(12))
    if request.param == "ngram":
        return make_case(NGram(order=4), preset("plain-digits", fixed_width=True), 1)
    if request.param == "digits of any number":
        return make_case(NGram(order=2), preset("plain-digits"), 1)
    return make_case(Told(whimsical), preset("llmtime-llama", precision=2, digits=1), 0.1)


SETTINGS = SamplingSettings(n_samples=5, seed=3)


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_each_sample_has_exactly_horizon_values_that_can_be_written(
    case: Case, horizon: int
) -> None:
    model, grammar, prompts = case
    samples = sample_values(model, prompts, grammar, horizon, SETTINGS)
    assert samples.shape == (3, 5, horizon)
    assert np.isfinite(samples).all()
    assert (np.abs(samples) < grammar.settings.limit).all()
    written = grammar.settings.serialize(samples.ravel())
    np.testing.assert_allclose(grammar.settings.deserialize(written), samples.ravel())


def test_bounds_of_the_grammar_are_kept(case: Case) -> None:
    model, grammar, prompts = case
    low, high = 0.2 * grammar.settings.limit, 0.25 * grammar.settings.limit
    bounded = Grammar(grammar.settings, grammar.vocabulary, lower=low, upper=high)
    samples = sample_values(model, prompts, bounded, 4, SETTINGS)
    assert samples.min() >= low
    assert samples.max() <= high


def test_samples_do_not_depend_on_the_rest_of_the_batch(case: Case) -> None:
    model, grammar, prompts = case
    together = sample_values(model, prompts, grammar, 4, SETTINGS)
    for row, prompt in enumerate(prompts):
        alone = sample_values(model, [prompt], grammar, 4, SETTINGS)
        np.testing.assert_array_equal(together[row], alone[0])
    backwards = sample_values(model, prompts[::-1], grammar, 4, SETTINGS)
    np.testing.assert_array_equal(together, backwards[::-1])


def test_the_seed_and_the_number_of_a_prompt_decide(case: Case) -> None:
    model, grammar, prompts = case
    pair = [prompts[0], replace(prompts[0], number=1)]
    one = sample_values(model, pair, grammar, 4, SETTINGS)
    np.testing.assert_array_equal(one, sample_values(model, pair, grammar, 4, SETTINGS))
    assert not np.array_equal(one[0], one[1])
    other = sample_values(model, pair, grammar, 4, replace(SETTINGS, seed=4))
    assert not np.array_equal(one, other)


def foretell(model: Any, prompt: Prompt, tokens: list[int]) -> Tensor:
    """Return logits `[V]` of the token after some, by a full pass over all of them."""
    if not isinstance(model, NGram):
        return model.score([*tokens, 0], len(tokens))[0].double()
    counts = Counts(model.order, len(model.vocabulary))  # of the prompt, whatever is written
    counts.read(prompt.tokens)
    return torch.from_numpy(np.log(counts.probabilities(tokens)))


def decode(case: Case, prompt: Prompt, horizon: int, shares: Any, temperature: float) -> np.ndarray:
    """Return one continuation, written by itself and token by token."""
    model, grammar, _ = case
    tokens, (state, remaining) = list(prompt.tokens), (grammar.start, horizon)
    while remaining:
        logits = foretell(model, prompt, tokens)
        allowed = grammar.allowed([(state, remaining)], len(logits))[0]
        logits = logits.masked_fill(~allowed, -torch.inf)
        token = int(draw_tokens(logits[None], np.array([next(shares)]), temperature, 1.0)[0])
        state, remaining = grammar.advance(state, remaining, token)
        tokens.append(token)
    text = grammar.vocabulary.decode(tokens[len(prompt.tokens) :])
    return grammar.settings.deserialize(text)


def test_when_the_temperature_is_zero_then_the_likeliest_tokens_are_written(case: Case) -> None:
    model, grammar, prompts = case
    greedy = replace(SETTINGS, temperature=0.0)
    samples = sample_values(model, prompts, grammar, 4, greedy)
    assert samples.shape == (3, 5, 4)
    assert (samples == samples[:, :1]).all()
    np.testing.assert_array_equal(
        samples, sample_values(model, prompts, grammar, 4, replace(greedy, seed=9))
    )
    for row, prompt in enumerate(prompts):
        expected = decode(case, prompt, 4, iter([0.5] * 100), temperature=0.0)
        np.testing.assert_array_equal(samples[row, 0], expected)


def test_branches_with_a_shared_prefix_are_those_written_one_by_one(case: Case) -> None:
    model, grammar, prompts = case
    samples = sample_values(model, prompts, grammar, 3, SETTINGS)
    for row, prompt in enumerate(prompts):
        draws = _Draws(prompt, SETTINGS.seed, SETTINGS.n_samples)
        shares = np.stack([draws.next() for _ in range(60)])
        for sample in range(SETTINGS.n_samples):
            expected = decode(case, prompt, 3, iter(shares[:, sample]), temperature=1.0)
            np.testing.assert_array_equal(samples[row, sample], expected)


def test_a_low_temperature_writes_the_likeliest_and_a_high_one_all(nanogpt: NanoGPT) -> None:
    model, grammar, prompts = make_case(nanogpt, preset("binned"), 10, header=nanogpt.header(7))

    def first_values(**given: float) -> np.ndarray:
        settings = SamplingSettings(n_samples=200, **given)
        return sample_values(model, prompts[:1], grammar, 1, settings)[0, :, 0]

    (likeliest,) = set(first_values(temperature=0.0))
    assert (first_values(temperature=0.01) == likeliest).all()
    assert (first_values(top_p=1e-6) == likeliest).all()
    spread = [len(np.unique(first_values(temperature=t))) for t in (0.3, 1.0, 30.0)]
    assert spread == sorted(spread)
    assert spread[-1] > 150


def test_samples_of_a_prompt_are_spread_more_evenly_than_independent_ones(
    nanogpt: NanoGPT,
) -> None:
    model, grammar, prompts = make_case(nanogpt, preset("binned"), 10, header=nanogpt.header(7))
    samples = sample_values(model, prompts[:1], grammar, 1, SamplingSettings(n_samples=400))
    logits, _ = model.prefill([prompts[0].tokens])
    expected = 400 * logits[0, :1024].double().softmax(dim=0).numpy()
    counts = np.bincount(samples[0, :, 0].astype(int), minlength=1024)
    # each of 400 equal parts of the distribution has one draw
    assert np.abs(counts - expected).max() < 2
    assert np.abs(counts.cumsum() - expected.cumsum()).max() <= 1 + 1e-6


LOGITS = torch.tensor([0.0, 2.0, -1.0, 1.0, -3.0])


def frequencies(temperature: float, top_p: float = 1.0, n: int = 50_000) -> np.ndarray:
    shares = np.random.default_rng(0).random(n)
    drawn = draw_tokens(LOGITS.expand(n, -1), shares, temperature, top_p)
    return np.bincount(drawn, minlength=5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(temperature: float) -> None:
    counts = frequencies(temperature)
    expected = (LOGITS.double() / temperature).softmax(dim=0).numpy() * counts.sum()
    assert stats.chisquare(counts, expected).pvalue > 0.01


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [(1e-9, [1]), (0.6, [1]), (0.7, [1, 3]), (0.85, [1, 3]), (0.95, [0, 1, 3]), (1.0, range(5))],
)
def test_the_likeliest_tokens_that_reach_top_p_are_kept(top_p: float, kept: list[int]) -> None:
    probability = LOGITS.double().softmax(dim=0).numpy()  # 0.087, 0.643, 0.032, 0.237, 0.004
    counts = frequencies(1.0, top_p)
    assert np.flatnonzero(counts).tolist() == list(kept)
    expected = np.zeros(5)
    expected[list(kept)] = probability[list(kept)]
    np.testing.assert_allclose(counts / counts.sum(), expected / expected.sum(), atol=0.01)


def test_draws_invert_the_distribution() -> None:
    edges = LOGITS.double().softmax(dim=0).cumsum(dim=0).numpy()
    shares = np.array([0.0, *(edges[:4] - 1e-9), *(edges[:4] + 1e-9), 1 - 1e-12])
    drawn = draw_tokens(LOGITS.expand(len(shares), -1), shares, 1.0, 1.0)
    assert drawn.tolist() == [0, 0, 1, 2, 3, 1, 2, 3, 4, 4]


def test_a_token_that_is_impossible_is_never_drawn() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]]).expand(5, -1)
    drawn = draw_tokens(logits, np.array([0.0, 0.2, 0.5, 0.9, 1 - 1e-12]), 1.0, 1.0)
    assert drawn.tolist() == [1, 1, 3, 3, 3]


def test_the_shares_of_a_prompt_are_one_in_each_equal_part() -> None:
    prompt = Prompt(header=(1,), values=((2,), (3,)))
    draws, same = _Draws(prompt, 0, 8), _Draws(prompt, 0, 8)
    orders = set()
    for _ in range(20):
        shares = draws.next()
        np.testing.assert_array_equal(shares, same.next())
        assert sorted(np.floor(shares * 8)) == list(range(8))
        orders.add(tuple(np.floor(shares * 8)))
    assert len(orders) == 20  # a sample is not always the low one
    first = _Draws(prompt, 0, 8).next()
    for other in (replace(prompt, values=((2,), (4,))), replace(prompt, number=1)):
        assert not np.array_equal(_Draws(other, 0, 8).next(), first)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_samples": 0}, "n_samples=0 must be at least 1"),
        ({"temperature": -0.1}, "temperature=-0.1 must not be negative"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"top_p": 0.0}, r"top_p=0.0 must lie in \(0, 1\]"),
        ({"top_p": 1.5}, r"top_p=1.5 must lie in \(0, 1\]"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingSettings(**given)
