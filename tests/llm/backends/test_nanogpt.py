"""NanoGPT as a token model: its vocabulary, its scaler, and its passes over tokens."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tsformer.llm.backends.nanogpt import (
    WEIGHTS,
    NanoGPT,
    load_nanogpt,
    number_settings,
    number_vocabulary,
)
from tsformer.llm.grammar import Grammar
from tsformer.llm.likelihood import next_value
from tsformer.llm.prompts import write_prompt
from tsformer.models.gpt import GPT, GPTSettings
from tsformer.models.numbers import NumberVocabulary

NUMBERS = NumberVocabulary()
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def make_weights(file: Path, dtype: torch.dtype = torch.float32) -> GPT:
    """Write weights that all matter; return their network."""
    settings = GPTSettings(
        vocabulary_size=1103, context_length=64, d_model=16, n_heads=2, n_layers=2, d_ff=16
    )
    torch.manual_seed(0)
    gpt = GPT(settings).eval().requires_grad_(False)
    for parameter in gpt.parameters():
        torch.nn.init.normal_(parameter, std=0.3 if parameter.ndim == 2 else 1.0)
    weights = {name: weight.to(dtype) for name, weight in gpt.state_dict().items()}
    gpt.load_state_dict(weights)  # rounded, and back in 32 bits
    save_file(weights, file)
    file.with_suffix(".json").write_text(json.dumps(asdict(settings)), encoding="utf-8")
    return gpt


@pytest.fixture
def gpt(tmp_path: Path) -> GPT:
    return make_weights(tmp_path / "tiny.safetensors")


@pytest.fixture
def model(gpt: GPT, tmp_path: Path) -> NanoGPT:
    return NanoGPT(weights=tmp_path / "tiny.safetensors")


def make_tokens(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(1103, shape, generator=torch.Generator().manual_seed(seed))


def test_scores_are_those_of_the_network(model: NanoGPT, gpt: GPT) -> None:
    tokens = make_tokens(20)
    expected = gpt(tokens[None])[0]
    torch.testing.assert_close(model.score(tokens.tolist(), 5), expected[4:-1], **CLOSE)
    logits, _ = model.prefill([tokens.tolist()])
    torch.testing.assert_close(logits[0], expected[-1], **CLOSE)
    assert model.context_length == 64


def test_prompts_of_different_lengths_and_their_branches(model: NanoGPT, gpt: GPT) -> None:
    prompts = [make_tokens(size, seed=size) for size in (9, 3, 14)]
    logits, state = model.prefill([prompt.tolist() for prompt in prompts])
    expected = torch.stack([gpt(prompt[None])[0, -1] for prompt in prompts])
    torch.testing.assert_close(logits, expected, **CLOSE)
    texts = [[prompt] * 4 for prompt in prompts]
    random = torch.Generator().manual_seed(1)
    for step in range(5):
        parents = torch.randint(4, (3, 4), generator=random)  # at first, not looked at
        tokens = make_tokens(3, 4, seed=step)
        texts = [
            [torch.cat([row[at], new[None]]) for at, new in zip(chosen, news, strict=True)]
            for row, chosen, news in zip(texts, parents, tokens, strict=True)
        ]
        found = model.step(tokens, parents, state)
        expected = torch.stack([torch.stack([gpt(t[None])[0, -1] for t in row]) for row in texts])
        torch.testing.assert_close(found, expected, **CLOSE)


def test_weights_of_16_bits_are_computed_with_in_32(tmp_path: Path) -> None:
    gpt = make_weights(tmp_path / "half.safetensors", torch.float16)
    model = NanoGPT(weights=tmp_path / "half.safetensors")
    tokens = make_tokens(10)
    logits = model.score(tokens.tolist(), 1)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, gpt(tokens[None])[0, :-1], **CLOSE)


def test_text_and_training_agree_about_the_bins(model: NanoGPT) -> None:
    """What the serializer writes and the vocabulary reads is what training wrote."""
    values = np.random.default_rng(0).normal(size=300).cumsum() * 7 + 1000
    scaled = model.fit_scaler(values).transform(values)
    text = model.header(12) + number_settings(NUMBERS).serialize(scaled) + " "
    tokens = torch.tensor(model.vocabulary.encode(text))
    standardised = torch.from_numpy((values - values.mean()) / values.std())
    assert tokens[0] == NUMBERS.season_tokens(torch.tensor([12]))[0]
    assert torch.equal(tokens[1:], NUMBERS.bins(standardised))


def test_the_scaler_brings_bins_back_to_values(model: NanoGPT) -> None:
    values = np.random.default_rng(0).normal(size=50) * 3 + 20
    scaler = model.fit_scaler(values)
    settings = number_settings(NUMBERS)
    read = scaler.inverse(settings.deserialize(settings.serialize(scaler.transform(values))))
    far = np.hypot(1, (values - values.mean()) / values.std())  # a bin is wider further out
    assert (np.abs(read - values) <= 0.51 * values.std() * far / NUMBERS.per_unit).all()


def test_the_vocabulary_is_that_of_the_network() -> None:
    vocabulary = number_vocabulary(NUMBERS)
    assert len(vocabulary) == NUMBERS.size == 1103
    assert vocabulary.encode("season=? 0 1023 nan ") == [
        NUMBERS.unknown_season, 0, 1023, NUMBERS.missing
    ]  # fmt: skip
    for season in NUMBERS.seasons:
        (expected,) = NUMBERS.season_tokens(torch.tensor([season])).tolist()
        assert vocabulary.encode(f"season={season} ") == [expected]


def test_the_header_tells_a_season_that_it_knows(model: NanoGPT) -> None:
    assert model.header(24) == "season=24 "
    assert model.header(1) == "season=1 "
    assert model.header(61) == model.header(None) == "season=? "


def test_the_next_value_is_one_token_and_only_bins_can_come(model: NanoGPT) -> None:
    assert model.settings is not None
    grammar = Grammar(model.settings, model.vocabulary)
    scaled = model.fit_scaler(np.arange(12.0)).transform(np.arange(12.0))
    prompt = write_prompt(model.vocabulary, model.settings, scaled, header=model.header(4))
    assert len(prompt.tokens) == 13
    found = next_value(model, grammar, prompt)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(found.centres, np.arange(1024) + 0.5)
    logits, _ = model.prefill([prompt.tokens])
    expected = logits[0, :1024].double().softmax(dim=0)
    np.testing.assert_allclose(found.probabilities, expected, rtol=1e-6)


@pytest.mark.skipif(not WEIGHTS.exists(), reason=f"{WEIGHTS.name} is not in the package yet")
def test_the_weights_of_the_package_continue_a_season() -> None:
    model = load_nanogpt()
    assert model is load_nanogpt()
    assert model.gpt.settings.vocabulary_size == NUMBERS.size
    assert model.settings is not None
    values = 50 + 10 * np.sin(np.arange(96) * 2 * np.pi / 12)
    scaler = model.fit_scaler(values)
    scaled = scaler.transform(values)
    prompt = write_prompt(model.vocabulary, model.settings, scaled, header=model.header(12))
    found = next_value(model, Grammar(model.settings, model.vocabulary), prompt)
    expected = 50 + 10 * np.sin(96 * 2 * np.pi / 12)
    assert scaler.inverse(found.quantiles([0.5]))[0] == pytest.approx(expected, abs=3)
