from __future__ import annotations

import pytest
import torch
from torch import nn

from tsformer.nn.encoder import Encoder, EncoderLayer, TokenBatchNorm, TokenLayerNorm, make_norm


def test_batch_norm_equals_torchs_over_all_tokens() -> None:
    ours, theirs = TokenBatchNorm(5), nn.BatchNorm1d(5)
    tokens = torch.randn(3, 4, 5) * 2 + 1
    expected = theirs(tokens.reshape(12, 5)).reshape(3, 4, 5)
    torch.testing.assert_close(ours(tokens), expected)
    torch.testing.assert_close(ours.norm.running_mean, theirs.running_mean)


def test_unknown_tokens_are_normalised_by_what_is_known() -> None:
    torch.manual_seed(0)
    norm, tokens, known = TokenBatchNorm(5), torch.randn(3, 4, 5) * 2 + 1, torch.rand(3, 4) > 0.4
    mean, deviation = tokens[known].mean(dim=0), tokens[known].std(dim=0, correction=0)
    torch.testing.assert_close(
        norm(tokens, known), (tokens - mean) / deviation, rtol=1e-3, atol=1e-3
    )


def test_unknown_tokens_do_not_enter_the_statistics() -> None:
    norm, other = TokenBatchNorm(5), TokenBatchNorm(5)
    tokens, known = torch.randn(3, 4, 5), torch.rand(3, 4) > 0.4
    known[0, 0] = known[1, 1] = True
    wild = torch.where(known[..., None], tokens, 1e6)
    torch.testing.assert_close(norm(tokens, known)[known], other(wild, known)[known])
    torch.testing.assert_close(norm.norm.running_var, other.norm.running_var)
    torch.testing.assert_close(norm.norm.running_mean, 0.1 * tokens[known].mean(dim=0))


def test_with_less_than_two_tokens_training_goes_on() -> None:
    norm = TokenBatchNorm(5)
    assert norm(torch.randn(1, 1, 5)).isfinite().all()
    known = torch.zeros(2, 3, dtype=torch.bool)
    known[0, 0] = True
    assert norm(torch.randn(2, 3, 5), known).isfinite().all()
    assert norm.norm.num_batches_tracked == 0


def test_evaluation_treats_each_token_by_itself() -> None:
    norm = TokenBatchNorm(5)
    norm(torch.randn(8, 4, 5))
    norm.eval()
    tokens = torch.randn(8, 4, 5)
    torch.testing.assert_close(norm(tokens)[:1], norm(tokens[:1]))


def test_norms_go_by_name() -> None:
    assert isinstance(make_norm("batch", 4), TokenBatchNorm)
    assert isinstance(make_norm("layer", 4), TokenLayerNorm)
    with pytest.raises(
        ValueError, match="norm='group' is unknown; choose 'batch', 'layer' or 'rms'"
    ):
        make_norm("group", 4)


def test_a_layer_norm_layer_equals_torchs_encoder_layer() -> None:
    torch.manual_seed(0)
    ours = EncoderLayer(16, 4, d_ff=32, dropout=0.0, norm="layer")
    theirs = nn.TransformerEncoderLayer(
        16, 4, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=False
    )
    pairs = [
        (theirs.self_attn.in_proj_weight, ours.attention.query_key_value.weight),
        (theirs.self_attn.in_proj_bias, ours.attention.query_key_value.bias),
        (theirs.self_attn.out_proj.weight, ours.attention.output.weight),
        (theirs.self_attn.out_proj.bias, ours.attention.output.bias),
        (theirs.linear1.weight, ours.feed_forward[0].weight),
        (theirs.linear1.bias, ours.feed_forward[0].bias),
        (theirs.linear2.weight, ours.feed_forward[3].weight),
        (theirs.linear2.bias, ours.feed_forward[3].bias),
    ]
    with torch.no_grad():
        for target, source in pairs:
            target.copy_(source)
    tokens = torch.randn(3, 7, 16)
    torch.testing.assert_close(ours(tokens), theirs(tokens))


def test_an_encoder_applies_its_layers_one_after_the_other() -> None:
    encoder = Encoder(16, 4, n_layers=3, d_ff=32, dropout=0.1, norm="batch").eval()
    tokens = torch.randn(2, 5, 16)
    expected = tokens
    for layer in encoder.layers:
        expected = layer(expected)
    assert len(encoder.layers) == 3
    torch.testing.assert_close(encoder(tokens), expected)
