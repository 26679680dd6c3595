from __future__ import annotations

import jaxtyping
import pytest
import torch

from tsformer.nn.rotary import Rotary


@pytest.mark.parametrize("d_head", [2, 8, 48])
def test_products_of_queries_and_keys_depend_on_their_distance_alone(d_head: int) -> None:
    torch.manual_seed(0)
    rotary, query, key = Rotary(d_head), torch.randn(1, d_head), torch.randn(1, d_head)

    def product(at: int, seen: int) -> torch.Tensor:
        turned = rotary(query, torch.tensor([at])), rotary(key, torch.tensor([seen]))
        return (turned[0] * turned[1]).sum()

    for distance in (0, 1, 7, 100):
        products = torch.stack([product(start + distance, start) for start in (0, 3, 50, 400)])
        torch.testing.assert_close(products, products[:1].expand(4), atol=2e-4, rtol=1e-4)
    assert not torch.allclose(product(1, 0), product(0, 1))  # a direction, not only a distance
    torch.testing.assert_close(product(5, 5), (query * key).sum())


def test_pairs_of_features_are_complex_numbers_that_are_turned() -> None:
    heads, positions = torch.randn(2, 3, 5, 8), torch.tensor([0, 1, 2, 9, 511])
    numbers = torch.complex(heads[..., :4], heads[..., 4:])
    angles = positions[:, None] * 100.0 ** (-torch.arange(4) / 4)
    turned = numbers * torch.polar(torch.ones_like(angles), angles)
    expected = torch.cat([turned.real, turned.imag], dim=-1)
    torch.testing.assert_close(Rotary(8, longest=100.0)(heads, positions), expected)


def test_turning_keeps_lengths_and_leaves_the_first_position_as_it_is() -> None:
    heads = torch.randn(2, 3, 600, 16)
    turned = Rotary(16)(heads, torch.arange(600))
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1))
    assert torch.equal(turned[..., 0, :], heads[..., 0, :])
    assert not torch.allclose(turned[..., 1, :], heads[..., 1, :])


def test_the_kind_of_number_stays_and_nothing_is_saved() -> None:
    rotary = Rotary(8)
    turned = rotary(torch.randn(4, 8, dtype=torch.bfloat16), torch.arange(4))
    assert turned.dtype == torch.bfloat16
    assert not rotary.state_dict()


def test_when_features_are_odd_then_the_error_says_so() -> None:
    with pytest.raises(ValueError, match="d_head=7 must be even"):
        Rotary(7)


def test_shapes_are_checked_in_tests() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        Rotary(8)(torch.randn(2, 5, 8), torch.arange(4))
