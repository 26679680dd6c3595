"""Linear attention: read at once or token by token, it is the sum that is written down."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tsformer.nn.linear_attention import LinearAttention

D_MODEL, N_HEADS = 16, 2
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def make_attention(longest: float = 6.0) -> LinearAttention:
    torch.manual_seed(0)
    return LinearAttention(D_MODEL, N_HEADS, longest=longest)


def nothing_read(n_rows: int) -> Tensor:
    return torch.zeros(n_rows, N_HEADS, D_MODEL // N_HEADS, D_MODEL // N_HEADS)


def all_known(tokens: Tensor) -> Tensor:
    return torch.ones(tokens.shape[:2], dtype=torch.bool)


def read(attention: LinearAttention, tokens: Tensor, memory: Tensor, known: Tensor):
    return attention(tokens, memory, torch.arange(tokens.shape[1]), known)


@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    missing=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 1000),
)
def test_the_recurrent_form_agrees_with_the_parallel_one(
    parts: list[int], missing: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(3, sum(parts), D_MODEL, generator=generator)
    known = torch.rand(tokens.shape[:2], generator=generator) >= missing
    attention = make_attention()
    whole, memory = read(attention, tokens, nothing_read(3), known)
    pieces, passed_on = [], nothing_read(3)
    for part, seen in zip(tokens.split(parts, dim=1), known.split(parts, dim=1), strict=True):
        piece, passed_on = read(attention, part, passed_on, seen)
        pieces.append(piece)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, **CLOSE)
    torch.testing.assert_close(passed_on, memory, **CLOSE)


def test_it_is_the_sum_over_earlier_tokens_that_is_written_down() -> None:
    attention = make_attention()
    tokens = torch.randn(1, 7, D_MODEL)
    found, _ = read(attention, tokens, nothing_read(1), all_known(tokens))
    query, key, value = attention.query_key_value(tokens[0]).chunk(3, dim=-1)
    heads = []
    for head in range(N_HEADS):
        part = slice(head * 8, head * 8 + 8)
        q, k = attention.query_norm(query[:, part]), attention.key_norm(key[:, part])
        rows = []
        for now in range(7):
            total = torch.zeros(8)
            for then in range(now + 1):
                turned = attention.rotary(q[None, now], torch.tensor([now - then]))[0]
                left = 0.5 ** ((now - then) / [6.0, 1.0][head])
                total = total + left * (turned @ k[then]) * value[then, part]
            rows.append(attention.head_norm(total))
        heads.append(torch.stack(rows))
    torch.testing.assert_close(found[0], attention.output(torch.cat(heads, dim=-1)), **CLOSE)


def test_who_asks_sees_what_was_read_before_it_and_is_seen_by_none() -> None:
    attention, tokens = make_attention(), torch.randn(2, 6, D_MODEL)
    asking = torch.randn(2, 2, D_MODEL)
    everything = torch.cat([tokens, asking], dim=1)
    places = torch.tensor([0, 1, 2, 3, 4, 5, 3, 6])
    found, memory = attention(everything, nothing_read(2), places, all_known(tokens))
    alone, memory_alone = read(attention, tokens, nothing_read(2), all_known(tokens))
    torch.testing.assert_close(found[:, :6], alone, **CLOSE)
    torch.testing.assert_close(memory, memory_alone, **CLOSE)
    for number, place in enumerate([3, 6]):
        sequence = torch.cat([tokens[:, :place], asking[:, number : number + 1]], dim=1)
        last, _ = read(attention, sequence, nothing_read(2), all_known(sequence))
        torch.testing.assert_close(found[:, 6 + number], last[:, -1], **CLOSE)


def test_what_is_not_known_leaves_no_trace() -> None:
    attention, tokens = make_attention(), torch.randn(1, 5, D_MODEL)
    known = torch.tensor([[True, True, False, True, True]])
    found, memory = read(attention, tokens, nothing_read(1), known)
    other = tokens.clone()
    other[:, 2] = 100.0
    found_other, memory_other = read(attention, other, nothing_read(1), known)
    kept = [0, 1, 3, 4]
    torch.testing.assert_close(found[:, kept], found_other[:, kept], **CLOSE)
    torch.testing.assert_close(memory, memory_other, **CLOSE)
    assert not found[:, 2].allclose(found_other[:, 2])


def test_a_head_forgets_by_its_half_life() -> None:
    attention = make_attention(longest=8.0)
    torch.testing.assert_close(torch.exp(-8 * attention.rates[0]), torch.tensor(0.5))
    torch.testing.assert_close(torch.exp(-attention.rates[1]), torch.tensor(0.5))


def test_thousands_of_tokens_stay_finite() -> None:
    attention, tokens = make_attention(longest=1000.0), torch.randn(1, 3000, D_MODEL)
    found, memory = read(attention, tokens, nothing_read(1), all_known(tokens))
    assert found.isfinite().all()
    assert memory.isfinite().all()


def test_heads_that_do_not_share_the_width_are_refused() -> None:
    with pytest.raises(ValueError, match="d_model=16 is not a multiple of n_heads=3"):
        LinearAttention(16, 3, longest=4.0)
