"""Fast parts of a layer give what torch's own operations give, and their gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tsformer.nn import blocked_attention, blocked_feed_forward, encoder, short_attention
from tsformer.nn.adapters import add_adapters
from tsformer.nn.blocked_attention import add_attention
from tsformer.nn.blocked_feed_forward import add_feed_forward
from tsformer.nn.encoder import EncoderLayer
from tsformer.nn.short_attention import add_short_attention

KNOWN = [None, torch.tensor([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]]).repeat(3, 1) > 0]
WAYS = {"blocks": add_attention, "sums": add_short_attention}
CLASSES = {"blocks": blocked_attention._Attention, "sums": short_attention._ShortAttention}


def use(monkeypatch: pytest.MonkeyPatch, attention: str | None, feed_forward: bool) -> None:
    """Choose how a layer works, whatever is faster."""
    for way in WAYS:
        name = f"attention_gains_from_{way}"
        monkeypatch.setattr(encoder, name, lambda *_, chosen=way == attention: chosen)
    monkeypatch.setattr(encoder, "feed_forward_gains_from_blocks", lambda _: feed_forward)


@pytest.fixture(autouse=True, params=list(WAYS))
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let few tokens fill several blocks, the last one not wholly."""
    monkeypatch.setattr(blocked_attention, "_WEIGHTS", 4 * 5 * 5 * 2)
    monkeypatch.setattr(short_attention, "_WEIGHTS", 4 * 5 * 5 * 2)
    monkeypatch.setattr(blocked_feed_forward, "_HIDDEN", 7 * 20)
    use(monkeypatch, request.param, feed_forward=True)
    return request.param


def make_layer(*, dropout: float = 0.0, norm: str = "batch") -> EncoderLayer:
    torch.manual_seed(0)
    layer = EncoderLayer(12, 2, d_ff=20, dropout=dropout, norm=norm).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5)
    return layer


def results(layer: nn.Module, tokens: Tensor, known: Tensor | None) -> list[Tensor]:
    """Return the new tokens and the gradients of tokens and weights."""
    tokens = tokens.clone().requires_grad_()
    layer.zero_grad()
    output = layer(tokens, known)
    output.backward(torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output))
    return [output, tokens.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("norm", ["batch", "layer", "rms"])
def test_a_fast_layer_is_the_layer(
    norm: str, known: Tensor | None, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = make_layer(norm=norm)
    tokens = torch.randn(9, 5, 12, dtype=torch.float64)
    assert layer._fast_attention(tokens) is WAYS[way]
    fast = results(layer, tokens, known)
    use(monkeypatch, None, feed_forward=False)
    assert layer._fast_attention(tokens) is None
    for ours, plain in zip(fast, results(layer, tokens, known), strict=True):
        torch.testing.assert_close(ours, plain)


@pytest.mark.parametrize("known", KNOWN)
def test_attention_has_the_gradient_of_its_differences(known: Tensor | None, way: str) -> None:
    layer = make_layer().attention

    def attend(tokens: Tensor) -> Tensor:
        maps = {"query_key_value": layer.query_key_value, "output": layer.output}
        return WAYS[way](tokens, known, n_heads=2, dropout=0.0, **maps)

    tokens = torch.randn(9, 5, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attend, (tokens,))


def test_dropout_has_the_gradient_of_what_was_kept(way: str) -> None:
    layer = make_layer()
    widen, narrow = layer.feed_forward.maps
    maps = {"query_key_value": layer.attention.query_key_value, "output": layer.attention.output}

    def attend(tokens: Tensor) -> Tensor:
        torch.manual_seed(1)
        return WAYS[way](tokens, None, n_heads=2, dropout=0.3, **maps)

    def work(tokens: Tensor) -> Tensor:
        torch.manual_seed(1)
        return add_feed_forward(tokens, dropout=0.3, widen=widen, narrow=narrow)

    tokens = torch.randn(9, 5, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(attend, (tokens,))
    assert torch.autograd.gradcheck(work, (tokens,))


def test_weights_have_the_gradient_of_what_was_kept(way: str) -> None:
    """They are checked through the maps' own weights, as functions of them."""
    layer = make_layer()
    widen, narrow = layer.feed_forward.maps
    tokens = torch.randn(9, 5, 12, dtype=torch.float64)

    def run(weight: Tensor, bias: Tensor, out_weight: Tensor, out_bias: Tensor) -> Tensor:
        torch.manual_seed(1)
        flat = tokens.flatten(0, 1)
        return blocked_feed_forward._FeedForward.apply(
            flat, 0.3, None, weight, bias, out_weight, out_bias
        )

    def attend(weight: Tensor, bias: Tensor, out_weight: Tensor, out_bias: Tensor) -> Tensor:
        torch.manual_seed(1)
        return CLASSES[way].apply(tokens, None, 2, 0.3, None, weight, bias, out_weight, out_bias)

    def parameters(*maps: nn.Linear) -> tuple[Tensor, ...]:
        return tuple(
            p.detach().requires_grad_() for linear in maps for p in (linear.weight, linear.bias)
        )

    assert torch.autograd.gradcheck(run, parameters(widen, narrow))
    attention = layer.attention
    assert torch.autograd.gradcheck(attend, parameters(attention.query_key_value, attention.output))


def test_as_much_is_left_out_as_promised(way: str) -> None:
    layer = make_layer(dropout=0.25).float()
    tokens = torch.randn(2000, 5, 12)
    maps = {"query_key_value": layer.attention.query_key_value, "output": layer.attention.output}
    whole = WAYS[way](tokens, None, n_heads=2, dropout=0.0, **maps) - tokens
    part = WAYS[way](tokens, None, n_heads=2, dropout=0.25, **maps) - tokens
    dropped = part == 0
    assert float(dropped.float().mean()) == pytest.approx(0.25, abs=0.01)
    torch.testing.assert_close(0.75 * part[~dropped], whole[~dropped], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_large_scores_neither_overflow_nor_vanish(size: float, way: str) -> None:
    layer = make_layer().attention
    with torch.no_grad():
        layer.query_key_value.weight[:24] *= size
    tokens = torch.randn(9, 5, 12, dtype=torch.float64)
    maps = {"query_key_value": layer.query_key_value, "output": layer.output}
    ours = WAYS[way](tokens, None, n_heads=2, dropout=0.0, **maps)
    torch.testing.assert_close(ours, tokens + layer(tokens))


def test_who_listens_is_heard_and_adapters_work() -> None:
    layer, tokens = make_layer(), torch.randn(9, 5, 12, dtype=torch.float64)
    heard: list[Tensor] = []
    hook = layer.attention.output.register_forward_pre_hook(lambda _, args: heard.append(args[0]))
    layer(tokens)
    assert len(heard) == 1
    hook.remove()
    layer(tokens)
    assert len(heard) == 1
    expected = layer(tokens)
    add_adapters(layer, rank=2)
    torch.testing.assert_close(layer.double()(tokens), expected)
    layer.attention.query_key_value.up.weight.data.fill_(1.0)  # type: ignore[union-attr,operator]
    assert not torch.allclose(layer(tokens), expected)


def test_a_layer_without_heads_works() -> None:
    layer, tokens = make_layer(), torch.randn(9, 5, 12, dtype=torch.float64)
    for pruned in ([1], []):
        layer.attention.prune_heads(pruned)
        expected = layer.attention_norm(tokens + layer.attention(tokens))
        torch.testing.assert_close(layer._with_attention(tokens, None), expected)


@pytest.mark.parametrize("known", KNOWN)
def test_trained_normalisation_is_part_of_the_maps_before_it(
    known: Tensor | None, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, tokens = make_layer(), torch.randn(9, 5, 12, dtype=torch.float64)
    for _ in range(3):
        layer(tokens + 1, known)  # so that it has something to remember
    layer.eval()
    expected = layer(tokens, known)
    norms: list[Tensor] = []
    monkeypatch.setattr(nn.BatchNorm1d, "forward", lambda _, x: norms.append(x) or x)
    with torch.no_grad():
        torch.testing.assert_close(layer(tokens, known), expected)
    assert not norms
    with torch.no_grad():
        layer.attention_norm.register_forward_hook(lambda *_: None)
        layer(tokens, known)
    assert len(norms) == 1


@pytest.mark.parametrize("change", ["dropout", "inner", "forgetful", "other"])
def test_only_fixed_normalisation_without_dropout_is_part_of_the_maps(
    change: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer, tokens = make_layer(dropout=0.5).eval(), torch.randn(9, 5, 12, dtype=torch.float64)
    norm = layer.attention_norm
    if change == "dropout":  # as Monte Carlo dropout has it (Gal & Ghahramani 2016)
        layer.dropout.train()
    elif change == "inner":
        norm.norm.train()  # type: ignore[union-attr,operator]
    elif change == "forgetful":
        norm.norm = nn.BatchNorm1d(12, track_running_stats=False).double().eval()
    else:
        norm.norm = nn.Identity()
    torch.manual_seed(1)
    expected = layer(tokens)
    torch.manual_seed(1)
    with torch.no_grad():
        torch.testing.assert_close(layer(tokens), expected)


def test_nothing_is_dropped_in_evaluation() -> None:
    layer, tokens = make_layer(dropout=0.5).eval(), torch.randn(9, 5, 12, dtype=torch.float64)
    assert torch.equal(layer(tokens), layer(tokens))
    layer.train()
    assert not torch.equal(layer(tokens), layer(tokens))


@pytest.mark.parametrize("size", [1.0, 1e3])
def test_a_token_that_is_not_known_may_score_as_it_likes(size: float, way: str) -> None:
    layer = make_layer().attention
    tokens = torch.randn(9, 5, 12, dtype=torch.float64)
    known = torch.ones(9, 5, dtype=torch.bool)
    known[:, 0] = False
    tokens[:, 0] *= size
    maps = {"query_key_value": layer.query_key_value, "output": layer.output}
    ours = WAYS[way](tokens, known, n_heads=2, dropout=0.0, **maps)
    torch.testing.assert_close(ours, tokens + layer(tokens, known))


def test_a_token_that_is_not_known_has_a_gradient_of_zero_whatever_it_scores(way: str) -> None:
    """Its weight nearly overflows here, and twice it would."""
    query_key_value, output = nn.Linear(1, 3), nn.Linear(1, 1)
    for linear in (query_key_value, output):
        nn.init.ones_(linear.weight)
        nn.init.zeros_(linear.bias)
    tokens = torch.tensor([[[0.0], [9.4]]], requires_grad=True)
    known = torch.tensor([[True, False]])
    maps = {"query_key_value": query_key_value, "output": output}
    WAYS[way](tokens, known, n_heads=1, dropout=0.0, **maps).backward(torch.full((1, 2, 1), 2.0))
    assert tokens.grad is not None
    torch.testing.assert_close(tokens.grad, torch.tensor([[[6.0], [2.0]]]))
    assert query_key_value.weight.grad is not None
    assert bool(query_key_value.weight.grad.isfinite().all())


def test_memory_lies_where_the_tokens_do_and_weights_may_be_transposed() -> None:
    layer = make_layer(dropout=0.3)
    tokens = torch.randn(9, 5, 12, dtype=torch.float64)
    expected = layer.eval()(tokens)
    attention = layer.attention.query_key_value
    attention.weight = nn.Parameter(attention.weight.detach().T.contiguous().T)
    with torch.device("meta"):
        torch.testing.assert_close(layer(tokens), expected)
    layer(tokens).sum().backward()
    assert attention.weight.grad is not None
