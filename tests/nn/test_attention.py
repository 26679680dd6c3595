from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch

from tsformer.nn.attention import SelfAttention

OPTIONS = [{}, {"rotary": True, "query_key_norm": True, "bias": False}]


def make(dropout: float = 0.0, **options: Any) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(16, 4, dropout, **options)


def test_attention_equals_torchs_own_with_the_same_weights() -> None:
    ours, theirs = make(), torch.nn.MultiheadAttention(16, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.query_key_value.weight)
        theirs.in_proj_bias.copy_(ours.query_key_value.bias)
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    tokens = torch.randn(3, 7, 16)
    known = torch.rand(3, 7) > 0.3
    known[:, 0] = True
    for mask in (None, known):
        padding = None if mask is None else ~mask
        expected, _ = theirs(tokens, tokens, tokens, key_padding_mask=padding)
        torch.testing.assert_close(ours(tokens, mask), expected)


def test_unknown_tokens_have_no_influence_on_the_others() -> None:
    attention, tokens = make(), torch.randn(2, 6, 16)
    known = torch.tensor([True, True, False, True, False, True]).expand(2, -1)
    changed = torch.where(known[..., None], tokens, 100.0)
    torch.testing.assert_close(attention(tokens, known)[known], attention(changed, known)[known])


def test_a_permutation_of_the_tokens_permutes_the_result() -> None:
    attention, tokens = make(), torch.randn(2, 6, 16)
    order = torch.randperm(6)
    torch.testing.assert_close(attention(tokens)[:, order], attention(tokens[:, order]))


def test_when_no_token_is_known_then_the_result_is_finite() -> None:
    known = torch.zeros(2, 6, dtype=torch.bool)
    assert make()(torch.randn(2, 6, 16), known).isfinite().all()


def test_dropout_works_in_training_only() -> None:
    attention, tokens = make(dropout=0.5), torch.randn(2, 6, 16)
    assert not torch.equal(attention(tokens), attention(tokens))
    attention.eval()
    assert torch.equal(attention(tokens), attention(tokens))


def test_when_heads_do_not_share_the_width_evenly_then_both_are_named() -> None:
    with pytest.raises(ValueError, match="d_model=16 is not a multiple of n_heads=3"):
        SelfAttention(16, 3)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("missing", [False, True])
def test_attention_weights_are_those_that_were_used(options: Any, missing: bool) -> None:
    attention, tokens, positions = make(**options), torch.randn(3, 7, 16), torch.arange(7)
    known = None
    if missing:
        known = torch.rand(3, 7) > 0.3
        known[0] = False
    weights = attention.attention_weights(tokens, known, positions)
    value = attention._heads(tokens, positions)[2]
    gathered = torch.einsum("bhij,bhjk->bihk", weights, value).flatten(2)
    expected = attention(tokens, known, positions)
    torch.testing.assert_close(attention.output(gathered), expected)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 4, 7))
    if known is not None:
        assert (weights[1:].movedim(-1, 1)[~known[1:]] == 0).all()
        assert (weights[0] > 0).all()


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kept", [[0, 1, 2, 3], [3, 1], [2], []])
def test_pruned_heads_are_gone_and_the_others_give_what_they_gave(
    options: Any, kept: list[int]
) -> None:
    attention, tokens, positions = make(**options), torch.randn(3, 7, 16), torch.arange(7)
    before = sum(parameter.numel() for parameter in attention.parameters())
    value = attention._heads(tokens, positions)[2]
    gathered = attention.attention_weights(tokens, None, positions) @ value  # [B, heads, N, d_head]
    silenced = torch.zeros_like(gathered)
    silenced[:, kept] = gathered[:, kept]
    expected = attention.output(silenced.transpose(1, 2).flatten(2))

    attention.prune_heads(kept)
    torch.testing.assert_close(attention(tokens, None, positions), expected)
    assert attention.attention_weights(tokens, None, positions).shape == (3, len(kept), 7, 7)
    per_head = 4 * 16 * 4 + 3 * 4 * (attention.output.bias is not None)
    after = sum(parameter.numel() for parameter in attention.parameters())
    assert before - after == (4 - len(kept)) * per_head


def test_without_any_head_the_bias_is_left() -> None:
    attention, tokens = make(), torch.randn(2, 5, 16)
    attention.prune_heads([])
    known = torch.ones(2, 5, dtype=torch.bool)
    assert torch.equal(attention(tokens, known), attention.output.bias.expand(2, 5, 16))


def test_heads_can_be_pruned_again_and_trained_on() -> None:
    attention, once = make(), make()
    attention.prune_heads([0, 2, 3])
    attention.prune_heads([1, 2])
    once.prune_heads([2, 3])
    tokens = torch.randn(2, 5, 16)
    assert torch.equal(attention(tokens), once(tokens))
    attention(tokens).square().sum().backward()
    assert all(parameter.grad is not None for parameter in attention.parameters())


@pytest.mark.parametrize("kept", [[1, 3], []])
def test_pruned_weights_load_into_an_unpruned_attention(kept: list[int]) -> None:
    pruned, tokens = make(), torch.randn(2, 5, 16)
    pruned.prune_heads(kept)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = torch.nn.Sequential(SelfAttention(16, 4))
        whole.load_state_dict({f"0.{k}": tensor for k, tensor in pruned.state_dict().items()})
    assert whole[0].n_heads == len(kept)
    assert torch.equal(whole(tokens), pruned(tokens))
    again = copy.deepcopy(whole)
    assert torch.equal(again(tokens), pruned(tokens))


def test_weights_of_another_width_are_refused_and_nothing_is_pruned() -> None:
    attention = make()
    for other in (SelfAttention(8, 2), SelfAttention(32, 8)):
        with pytest.raises(RuntimeError, match="size mismatch"):
            attention.load_state_dict(other.state_dict())
    assert attention.n_heads == 4


@pytest.mark.parametrize("kept", [[4], [-1, 2]])
def test_when_a_head_is_not_there_then_error(kept: list[int]) -> None:
    with pytest.raises(ValueError, match=r"must name heads from 0 to 3"):
        make().prune_heads(kept)


def test_the_last_tokens_can_be_asked_for_alone() -> None:
    tokens, known = torch.randn(2, 6, 16), torch.rand(2, 6) > 0.3
    for attention in (SelfAttention(16, 4), SelfAttention(16, 4, rotary=True)):
        given = (tokens, known, torch.arange(6))
        for n_asked in (1, 3, 6):
            some = attention(*given, n_asked)
            torch.testing.assert_close(some, attention(*given)[:, -n_asked:])
        attention.prune_heads([])
        torch.testing.assert_close(attention(*given, 2), attention(*given)[:, -2:])
