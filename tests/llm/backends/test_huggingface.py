"""Models of `transformers`: batches and branches agree with a full pass over each sequence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tsformer.llm.backends.huggingface import HuggingFaceModel
from tsformer.llm.grammar import Grammar
from tsformer.llm.likelihood import next_value, score_values
from tsformer.llm.prompts import continuation_tokens, write_prompt
from tsformer.llm.sampling import SamplingSettings, sample_values
from tsformer.llm.serialize import preset

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
VOCABULARY = 300


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Return a byte-level tokenizer, some of whose tokens are several digits."""
    trained = tokenizers.Tokenizer(tokenizers.models.BPE())
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    trained.train_from_iterator([", ".join(map(str, range(0, 1000, 7)))], trainer)
    trained.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained, bos_token="<s>", eos_token="</s>"
    )


SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def make_network(kind: str = "llama", attention: str = "sdpa", **sizes: Any) -> Any:
    """Return a tiny causal model with random weights that all matter."""
    if kind == "gpt2":
        ends = {"bos_token_id": 0, "eos_token_id": 1}
        sizes |= {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 2, "n_head": 4, **ends}
        config = transformers.GPT2Config(n_positions=256, **sizes)
    else:
        names = {"llama": "LlamaConfig", "mistral": "MistralConfig", "gemma": "Gemma3TextConfig"}
        config = getattr(transformers, names[kind])(**(SIZES | sizes))
    network = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3 if parameter.ndim == 2 else 1.0)
    return network.requires_grad_(False)


@pytest.fixture(
    scope="module", params=[("llama", "sdpa"), ("llama", "eager"), ("gpt2", "sdpa")], ids=str
)
def model(request: pytest.FixtureRequest, tokenizer: Any) -> HuggingFaceModel:
    return HuggingFaceModel(make_network(*request.param), tokenizer)


def make_tokens(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(2, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def alone(model: HuggingFaceModel, tokens: Sequence[int]) -> Tensor:
    """Return what the network itself says after some tokens, `[V]`."""
    row = torch.tensor([[*tokens]], device=model.model.device)
    return model.model(input_ids=row, use_cache=False).logits[0, -1].detach().float().cpu()


def test_prompts_of_different_lengths_are_read_as_if_alone(model: HuggingFaceModel) -> None:
    prompts = [make_tokens(size, seed=size).tolist() for size in (90, 1, 17)]
    logits, _ = model.prefill(prompts)
    expected = torch.stack([alone(model, prompt) for prompt in prompts])
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, **CLOSE)


def follow(
    model: HuggingFaceModel,
    prompts: list[list[int]],
    all_parents: Sequence[Tensor],
    looked_at: Sequence[int],
) -> None:
    """Step through branches; at some steps, compare all of them with full passes."""
    _, state = model.prefill(prompts)
    texts = [[prompt] for prompt in prompts]
    for step, parents in enumerate(all_parents):
        tokens = make_tokens(*parents.shape, seed=step)
        if step == 0:
            texts = [row * parents.shape[1] for row in texts]
        origins = parents.tolist() if step else [[*range(parents.shape[1])]] * len(prompts)
        texts = [
            [[*row[origin], token] for origin, token in zip(chosen, new, strict=True)]
            for row, chosen, new in zip(texts, origins, tokens.tolist(), strict=True)
        ]
        logits = model.step(tokens, parents, state)
        if step in looked_at:
            expected = [torch.stack([alone(model, text) for text in row]) for row in texts]
            torch.testing.assert_close(logits, torch.stack(expected), **CLOSE)


def test_branches_are_continued_as_if_each_were_alone(model: HuggingFaceModel) -> None:
    prompts = [make_tokens(size, seed=size).tolist() for size in (12, 3, 25)]
    random = torch.Generator().manual_seed(0)
    parents = [torch.randint(4, (3, 4), generator=random) for _ in range(5)]
    follow(model, prompts, parents, range(5))


def test_branches_may_become_more_and_fewer(model: HuggingFaceModel) -> None:
    prompts = [make_tokens(size, seed=size).tolist() for size in (7, 2)]
    all_parents = ([9, 9, 9], [2, 0, 2, 1, 1, 0], [5, 3], [1], [0, 0, 0])
    follow(model, prompts, [torch.tensor([p, p[::-1]]) for p in all_parents], range(5))


def test_long_continuations_outgrow_the_first_room(model: HuggingFaceModel) -> None:
    prompts = [make_tokens(size, seed=size).tolist() for size in (4, 6)]
    same = torch.arange(2).expand(2, -1)
    turned = torch.tensor([[1, 1], [1, 0]])
    parents = [turned if step in (30, 66) else same for step in range(70)]
    follow(model, prompts, parents, (31, 32, 33, 64, 69))


def test_scores_are_those_of_one_full_pass(model: HuggingFaceModel) -> None:
    tokens = make_tokens(30).tolist()
    expected = model.model(input_ids=torch.tensor([tokens])).logits[0]
    torch.testing.assert_close(model.score(tokens, 5), expected[4:-1], **CLOSE)
    torch.testing.assert_close(model.score(tokens, 29), expected[28:29], **CLOSE)


def test_it_says_how_far_it_sees_and_how_texts_begin(model: HuggingFaceModel) -> None:
    assert model.context_length == 256
    assert model.vocabulary.beginning == (0,)
    assert model.vocabulary.end == 1
    assert model.name in ("LlamaForCausalLM", "GPT2LMHeadModel")
    assert not model.model.training


VALUES = [np.arange(10.0) * 37 % 200, np.array([5.0, 912.0]), np.full(4, 31.0)]


def test_probabilities_of_the_next_value_sum_up_to_one(model: HuggingFaceModel) -> None:
    settings = preset("plain-digits", value_separator=", ", digits=2)
    grammar = Grammar(settings, model.vocabulary)
    prompt = write_prompt(model.vocabulary, settings, VALUES[0] % 100)
    assert prompt.tokens[0] == 0
    found = next_value(model, grammar, prompt)
    np.testing.assert_allclose(found.centres, np.arange(100) + 0.5)
    assert found.probabilities.sum() == pytest.approx(1, abs=1e-5)
    for value in (3, 42, 70):
        tokens = continuation_tokens(model.vocabulary, settings, [value + 0.5])
        (nats,) = score_values(model, grammar, prompt, tokens, 1).nats
        assert np.exp(-nats) <= found.probabilities[value] * (1 + 1e-4)


def test_samples_are_values_and_do_not_depend_on_the_rest_of_the_batch(
    model: HuggingFaceModel,
) -> None:
    settings = preset("plain-digits", value_separator=", ")
    grammar = Grammar(settings, model.vocabulary)
    prompts = [write_prompt(model.vocabulary, settings, values) for values in VALUES]
    sampling = SamplingSettings(n_samples=4)
    together = sample_values(model, prompts, grammar, 3, sampling)
    assert together.shape == (3, 4, 3)
    for row, prompt in enumerate(prompts):
        (one,) = sample_values(model, [prompt], grammar, 3, sampling)
        np.testing.assert_array_equal(together[row], one)


@pytest.fixture(scope="module")
def folder(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny-llama"
    make_network().save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_a_saved_model_is_loaded_from_its_folder(folder: Path, tokenizer: Any) -> None:
    loaded = HuggingFaceModel.load(str(folder), dtype="float32")
    original = HuggingFaceModel(make_network(), tokenizer)
    tokens = make_tokens(20).tolist()
    torch.testing.assert_close(loaded.score(tokens, 1).cpu(), original.score(tokens, 1), **CLOSE)
    assert loaded.name == "tiny-llama"
    text = "5, 912, 31,"
    assert loaded.vocabulary.encode(text) == original.vocabulary.encode(text)
    assert loaded.vocabulary.pieces == original.vocabulary.pieces


def test_a_model_in_16_bits_gives_scores_in_32(folder: Path) -> None:
    loaded = HuggingFaceModel.load(folder, dtype="bfloat16")
    assert loaded.model.dtype == torch.bfloat16
    logits, state = loaded.prefill([[5, 6, 7], [8]])
    stepped = loaded.step(torch.tensor([[9, 10]] * 2), torch.zeros(2, 2, dtype=torch.long), state)
    assert logits.dtype == stepped.dtype == loaded.score([5, 6, 7], 1).dtype == torch.float32
    expected = alone(loaded, [5, 6, 7, 10])
    slack = 0.1 * float(expected.std())
    torch.testing.assert_close(stepped[0, 1].cpu(), expected, atol=slack, rtol=0)


@pytest.mark.parametrize("name", ["missing", "missing.gguf"])
def test_when_there_is_no_such_model_then_the_error_names_the_path(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(FileNotFoundError, match=f"{name}: there is no such model folder or GGUF"):
        HuggingFaceModel.load(tmp_path / name)


def test_when_transformers_is_missing_then_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"pip install 'tsformer\[llm\]'"):
        HuggingFaceModel.load(tmp_path)


MIXED = {"head_dim": 8, "layer_types": ["sliding_attention", "full_attention"]}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(("kind", "more"), [("mistral", {}), ("gemma", MIXED)])
def test_when_a_window_slides_over_the_shortest_texts_then_the_model_is_refused(
    tokenizer: Any, kind: str, more: dict[str, Any], attention: str
) -> None:
    network = make_network(kind, attention, sliding_window=4, **more)
    with pytest.raises(ValueError, match="does not take a mask of its own per branch"):
        HuggingFaceModel(network, tokenizer)


@pytest.mark.parametrize(("kind", "more"), [("mistral", {}), ("gemma", MIXED)])
def test_a_longer_sliding_window_bounds_the_context(
    tokenizer: Any, kind: str, more: dict[str, Any]
) -> None:
    model = HuggingFaceModel(make_network(kind, sliding_window=40, **more), tokenizer)
    assert model.context_length == 40
    prompts = [make_tokens(size, seed=size).tolist() for size in (37, 5)]
    parents = torch.tensor([[1, 0, 0], [2, 1, 1]])
    follow(model, prompts, [parents] * 3, range(3))  # up to the whole window


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("mistral", {"sliding_window": None}),
        ("gemma", {"head_dim": 8, "sliding_window": 40, "layer_types": ["full_attention"] * 2}),
    ],
)
def test_a_window_that_no_layer_uses_does_not_bound_the_context(
    tokenizer: Any, kind: str, more: dict[str, Any]
) -> None:
    model = HuggingFaceModel(make_network(kind, **more), tokenizer)
    assert model.context_length == 256
    prompts = [make_tokens(60).tolist()]
    follow(model, prompts, [torch.tensor([[0, 1]])] * 2, range(2))
