from __future__ import annotations

import numpy as np
import pytest
import torch

from tsformer.nn.feed_forward import GatedFeedForward


def test_it_is_the_product_of_a_gate_and_a_linear_map() -> None:
    torch.manual_seed(0)
    part, tokens = GatedFeedForward(6, 10), torch.randn(2, 3, 6)
    first, second = part.gate_and_input.weight.detach().double().numpy().reshape(2, 10, 6)
    rows = tokens.double().numpy().reshape(-1, 6)
    expected = []
    for row in rows:
        gate, hidden = first @ row, second @ row
        worked = gate / (1 + np.exp(-gate)) * hidden
        expected.append(part.output.weight.detach().double().numpy() @ worked)
    got = part(tokens).detach().numpy().reshape(-1, 6)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 3, 5, 6)])
def test_each_token_is_worked_on_by_itself_whatever_the_axes(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    part, tokens = GatedFeedForward(6, 10), torch.randn(shape)
    got = part(tokens)
    assert got.shape == shape
    alone = torch.stack([part(token) for token in tokens.reshape(-1, 6)])
    torch.testing.assert_close(got.reshape(-1, 6), alone)


def test_nothing_becomes_nothing() -> None:
    part = GatedFeedForward(6, 10)
    assert (part(torch.zeros(3, 6)) == 0).all()
    assert not any(name.endswith("bias") for name, _ in part.named_parameters())
