from __future__ import annotations

import pytest
import torch

from tsformer.nn.attention import SelfAttention


def make(dropout: float = 0.0) -> SelfAttention:
    torch.manual_seed(0)
    return SelfAttention(16, 4, dropout)


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
