from __future__ import annotations

import pytest
import torch
from torch import nn

from tsformer.nn.adapters import LowRankAdapter, add_adapters, merge_adapters


def make_network() -> nn.Module:
    """Return a network with linear maps at several depths, and parts that are none."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6, bias=False))
    return nn.ModuleDict({"first": nn.Linear(5, 6), "norm": nn.LayerNorm(6), "inner": inner})


def run(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return network["inner"](network["norm"](network["first"](inputs)))


def stir(network: nn.Module) -> None:
    """Let adapters do something: at first they are zero."""
    for module in network.modules():
        if isinstance(module, LowRankAdapter):
            nn.init.normal_(module.up.weight)


def linear_maps(network: nn.Module, kind: type) -> list[str]:
    return [name for name, module in network.named_modules() if type(module) is kind]


@pytest.mark.parametrize("bias", [True, False])
def test_an_adapter_changes_nothing_at_first(bias: bool) -> None:
    linear, tokens = nn.Linear(5, 7, bias=bias), torch.randn(3, 4, 5)
    assert torch.equal(LowRankAdapter(linear, 2)(tokens), linear(tokens))


@pytest.mark.parametrize("bias", [True, False])
def test_merged_it_does_what_it_did(bias: bool) -> None:
    torch.manual_seed(0)
    linear, tokens = nn.Linear(5, 7, bias=bias), torch.randn(3, 4, 5)
    before = linear(tokens)
    adapter = LowRankAdapter(linear, 2)
    nn.init.normal_(adapter.up.weight)
    expected = adapter(tokens)
    assert not torch.allclose(expected, before)
    merged = adapter.merged()
    assert type(merged) is nn.Linear
    torch.testing.assert_close(merged(tokens), expected)
    assert all(parameter.requires_grad for parameter in merged.parameters())


def test_what_is_added_has_the_rank_that_was_asked_for() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(9, 8)
    before = linear.weight.detach().clone()
    adapter = LowRankAdapter(linear, 3)
    nn.init.normal_(adapter.up.weight)
    change = adapter.merged().weight.detach() - before
    assert torch.linalg.matrix_rank(change, rtol=1e-4) == 3


def test_only_the_adapters_learn() -> None:
    network = make_network()
    add_adapters(network, 2)
    stir(network)
    run(network, torch.randn(4, 5)).square().sum().backward()
    learned = {name for name, p in network.named_parameters() if p.grad is not None}
    maps = ("first", "inner.0", "inner.2")
    adapters = {f"{name}.{part}.weight" for name in maps for part in ("down", "up")}
    assert learned == adapters | {"norm.weight", "norm.bias"}


def test_adapters_stand_in_place_of_every_linear_map_and_leave_again() -> None:
    network, inputs = make_network(), torch.randn(4, 5)
    keys, maps = list(network.state_dict()), linear_maps(network, nn.Linear)
    expected = run(network, inputs)
    add_adapters(network, 2)
    assert linear_maps(network, LowRankAdapter) == maps == ["first", "inner.0", "inner.2"]
    torch.testing.assert_close(run(network, inputs), expected)
    stir(network)
    changed = run(network, inputs)
    assert not torch.allclose(changed, expected)
    merge_adapters(network)
    assert linear_maps(network, LowRankAdapter) == []
    assert linear_maps(network, nn.Linear) == maps
    assert list(network.state_dict()) == keys
    torch.testing.assert_close(run(network, inputs), changed, rtol=1e-4, atol=1e-5)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_children_that_are_named_stay_as_they_are() -> None:
    network = make_network()
    add_adapters(network, 2, but=("inner",))
    assert linear_maps(network, LowRankAdapter) == ["first"]


def test_a_rank_is_at_most_that_of_the_map() -> None:
    network = make_network()
    add_adapters(network, 100)
    ranks = {name: network.get_submodule(name).down.out_features for name in ("first", "inner.0")}
    assert ranks == {"first": 5, "inner.0": 6}
