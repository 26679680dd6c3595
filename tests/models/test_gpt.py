from __future__ import annotations

import jaxtyping
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tsformer.models.gpt import GPT, CausalAttention, GPTSettings
from tsformer.models.numbers import NumberVocabulary

VOCABULARY = 23
CLOSE = {"atol": 1e-4, "rtol": 1e-4}


def make_gpt(seed: int = 0) -> GPT:
    """Return a small network whose every weight matters, so that tokens far apart interact."""
    torch.manual_seed(seed)
    settings = GPTSettings(vocabulary_size=VOCABULARY, d_model=16, n_heads=2, n_layers=2, d_ff=24)
    gpt = GPT(settings).eval().requires_grad_(False)
    for parameter in gpt.parameters():
        if parameter.ndim == 2:
            torch.nn.init.normal_(parameter, std=0.3)
        else:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return gpt


def make_tokens(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def turned(heads: Tensor) -> Tensor:
    """Return queries or keys, `[B, heads, N, d_head]`, with rotary positions 0, 1, …"""
    half = heads.shape[-1] // 2
    rates = 10_000.0 ** (-torch.arange(half) / half)
    angles = torch.arange(heads.shape[2])[:, None] * rates
    numbers = torch.complex(heads[..., :half], heads[..., half:])
    numbers = numbers * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([numbers.real, numbers.imag], dim=-1)


def reference_attention(attention: CausalAttention, tokens: Tensor) -> Tensor:
    query, key, value = (
        part.unflatten(-1, (attention.n_heads, -1)).transpose(1, 2)
        for part in (tokens @ attention.query_key_value.weight.T).chunk(3, dim=-1)
    )
    gathered = F.scaled_dot_product_attention(turned(query), turned(key), value, is_causal=True)
    return gathered.transpose(1, 2).flatten(2) @ attention.output.weight.T


def reference_logits(gpt: GPT, tokens: Tensor) -> Tensor:
    """Return logits by torch's own attention and normalisation, layer by layer."""

    def normalised(hidden: Tensor, weight: Tensor) -> Tensor:
        epsilon = torch.finfo(hidden.dtype).eps
        return hidden * (hidden.square().mean(dim=-1, keepdim=True) + epsilon).rsqrt() * weight

    hidden = gpt.embedding.weight[tokens]
    for block in gpt.blocks:
        attended = normalised(hidden, block.attention_norm.weight)
        hidden = hidden + reference_attention(block.attention, attended)
        inner = normalised(hidden, block.feed_forward_norm.weight)
        gate, value = (inner @ block.feed_forward.gate_and_input.weight.T).chunk(2, -1)
        hidden = hidden + (F.silu(gate) * value) @ block.feed_forward.output.weight.T
    return normalised(hidden, gpt.norm.weight) @ gpt.embedding.weight.T


def test_logits_are_those_of_a_plain_reference() -> None:
    gpt, tokens = make_gpt(), make_tokens(3, 40)
    logits = gpt(tokens)
    assert logits.std() > 0.5  # a network that says nothing would agree with any other
    torch.testing.assert_close(logits, reference_logits(gpt, tokens), **CLOSE)


@pytest.mark.parametrize("place", [0, 1, 7, 19])
def test_later_tokens_do_not_move_earlier_logits(place: int) -> None:
    gpt, tokens = make_gpt(), make_tokens(2, 20)
    changed = tokens.clone()
    changed[:, place:] = (changed[:, place:] + 1) % VOCABULARY
    before, after = gpt(tokens), gpt(changed)
    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.allclose(before[:, place], after[:, place], atol=1e-2)


def test_the_first_token_still_matters_at_the_end() -> None:
    gpt, tokens = make_gpt(), make_tokens(1, 20)
    changed = tokens.clone()
    changed[:, 0] = (changed[:, 0] + 1) % VOCABULARY
    assert not torch.allclose(gpt(tokens)[:, -1], gpt(changed)[:, -1], atol=1e-4)


def padded(prompts: list[Tensor], filling: int = 0) -> tuple[Tensor, Tensor]:
    """Return prompts padded on the left, `[B, N]`, and which tokens are known."""
    longest = max(map(len, prompts))
    tokens = torch.stack([F.pad(prompt, (longest - len(prompt), 0)) for prompt in prompts])
    known = torch.stack([torch.arange(longest) >= longest - len(prompt) for prompt in prompts])
    return torch.where(known, tokens, filling), known


def test_padding_on_the_left_changes_nothing() -> None:
    gpt = make_gpt()
    prompts = [make_tokens(size, seed=size) for size in (1, 4, 9)]
    tokens, known = padded(prompts)
    logits, (at_end, _) = gpt(tokens, known), gpt.prefill(tokens, known)
    for row, prompt in enumerate(prompts):
        alone = gpt(prompt[None])[0]
        torch.testing.assert_close(logits[row, -len(prompt) :], alone, **CLOSE)
        torch.testing.assert_close(at_end[row], alone[-1], **CLOSE)
    refilled, _ = padded(prompts, filling=5)
    assert torch.equal(gpt(refilled, known)[known], logits[known])


@pytest.mark.parametrize("n_branches", [1, 2, 5])
@pytest.mark.parametrize("n_steps", [3, 70])
def test_branches_go_on_as_if_each_were_read_from_the_start(n_branches: int, n_steps: int) -> None:
    """70 steps are more than twice the room that a prompt is given at first."""
    gpt, random = make_gpt(), torch.Generator().manual_seed(2)
    prompts = [make_tokens(size, seed=size) for size in (6, 2, 11)]
    _, cache = gpt.prefill(*padded(prompts))
    written = [[prompt] * n_branches for prompt in prompts]
    cache.reorder(torch.zeros(3, n_branches, dtype=torch.long))
    for step in range(n_steps):
        if step:  # any branch may go on from any other
            parents = torch.randint(n_branches, (3, n_branches), generator=random)
            cache.reorder(parents)
            written = [
                [row[parent] for parent in chosen]
                for row, chosen in zip(written, parents.tolist(), strict=True)
            ]
        tokens = make_tokens(3, n_branches, seed=100 + step)
        written = [
            [torch.cat([before, new[None]]) for before, new in zip(row, news, strict=True)]
            for row, news in zip(written, tokens, strict=True)
        ]
        logits = gpt.step(tokens, cache)
        if step in (0, 1, 2, 31, 32, 33, 63, 64, 69):
            expected = [torch.stack([gpt(text[None])[0, -1] for text in row]) for row in written]
            torch.testing.assert_close(logits, torch.stack(expected), **CLOSE)


def test_the_number_of_branches_may_grow_and_shrink() -> None:
    gpt, prompt = make_gpt(), make_tokens(1, 5)
    _, cache = gpt.prefill(prompt, torch.ones_like(prompt, dtype=torch.bool))
    texts = [prompt[0]]
    for step, parents in enumerate(([0, 0, 0], [2, 0, 2, 1, 1, 0], [5, 3], [1], [0, 0])):
        cache.reorder(torch.tensor([parents]))
        tokens = make_tokens(1, len(parents), seed=step)
        texts = [
            torch.cat([texts[parent], token[None]])
            for parent, token in zip(parents, tokens[0], strict=True)
        ]
        expected = torch.stack([gpt(text[None])[0, -1] for text in texts])
        torch.testing.assert_close(gpt.step(tokens, cache)[0], expected, **CLOSE)


def test_prompts_do_not_depend_on_the_rest_of_the_batch() -> None:
    gpt = make_gpt()
    prompts = [make_tokens(size, seed=size) for size in (7, 3)]
    _, together = gpt.prefill(*padded(prompts))
    tokens = torch.tensor([[4, 9], [1, 0]])
    together.reorder(torch.zeros_like(tokens))
    logits = gpt.step(tokens, together)
    for row, prompt in enumerate(prompts):
        _, alone = gpt.prefill(*padded([prompt]))
        alone.reorder(torch.zeros(1, 2, dtype=torch.long))
        torch.testing.assert_close(gpt.step(tokens[row : row + 1], alone)[0], logits[row], **CLOSE)


def test_the_network_of_the_package_is_small() -> None:
    gpt = GPT(GPTSettings(vocabulary_size=NumberVocabulary().size))
    n_parameters = sum(parameter.numel() for parameter in gpt.parameters())
    assert 2_000_000 < n_parameters <= 3_000_000
    assert not [name for name in gpt.state_dict() if "rates" in name]


def test_a_new_network_holds_all_tokens_about_equally_likely() -> None:
    torch.manual_seed(0)
    gpt = GPT(GPTSettings(vocabulary_size=1103, d_model=32, n_heads=2, n_layers=2, d_ff=32))
    tokens = torch.randint(1103, (4, 16))
    loss = F.cross_entropy(gpt(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(torch.tensor(1103.0).log().item(), abs=0.1)


@pytest.mark.parametrize(("d_model", "n_heads"), [(15, 3), (14, 4), (12, 4), (9, 1)])
def test_when_heads_are_not_of_even_width_then_the_settings_refuse(
    d_model: int, n_heads: int
) -> None:
    with pytest.raises(ValueError, match=f"d_model={d_model} must be an even multiple of n_heads"):
        GPTSettings(vocabulary_size=5, d_model=d_model, n_heads=n_heads)


def test_shapes_are_checked_in_tests() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        make_gpt()(make_tokens(2, 5).float())
    with pytest.raises(jaxtyping.TypeCheckError):
        make_gpt().prefill(make_tokens(2, 5), torch.ones(2, 4, dtype=torch.bool))
