"""Attention by branch is attention under a mask, and models are left as they were."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

from tsformer.llm.backends.branches import BranchCache, attend_by_branch

HEADS, GROUPS, SIZE, PROMPT = 6, 2, 8, 11  # heads / groups = 3 heads share keys and values
PARENTS = [[[0, 0, 0]] * 2, [[2, 0, 1], [1, 1, 1]], [[0, 2], [2, 0]], *[[[0, 1]] * 2] * 40]


def make(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def masked(known: Tensor) -> Tensor:
    return torch.zeros(known.shape).masked_fill(~known, torch.finfo(torch.float32).min)


def attend(flat: bool, known: Tensor) -> list[Tensor]:
    """Return what branches of two prompts gather at each step."""
    cache = BranchCache(1, flat=flat)
    module = SimpleNamespace(layer_idx=0, num_key_value_groups=HEADS // GROUPS, is_causal=True)
    config, gathered = SimpleNamespace(_attn_implementation="sdpa"), []
    cache.update(*make(2, 2, GROUPS, PROMPT, SIZE, seed=0), 0)
    for step, parents in enumerate(torch.tensor(p) for p in PARENTS):
        cache.branch(parents)
        mask = masked(cache.visible(known))
        n_branches = parents.shape[1]
        new = make(2, 2, GROUPS, n_branches, SIZE, seed=2 * step + 1)
        query = make(2, HEADS, n_branches, SIZE, seed=2 * step + 2)
        with cache.attention(config) as given:
            keys, values = cache.update(*new, 0)
            outcome, _ = attend_by_branch(module, query, keys, values, mask, scaling=0.3, **given)
        gathered.append(outcome)
    return gathered


def test_branches_gather_what_a_mask_over_all_positions_lets_them() -> None:
    known = torch.arange(PROMPT) >= torch.tensor([[0], [4]])  # the second prompt is padded
    by_branch, under_a_mask = attend(False, known), attend(True, known)
    assert by_branch[0].shape == (2, 3, HEADS, SIZE)
    for one, other in zip(by_branch, under_a_mask, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_what_lies_under_padding_does_not_matter() -> None:
    known = torch.arange(PROMPT) >= torch.tensor([[0], [4]])
    everything = attend(False, torch.ones_like(known))
    for one, other in zip(attend(False, known), everything, strict=True):
        torch.testing.assert_close(one[0], other[0])
        assert not torch.allclose(one[1], other[1])


@pytest.mark.parametrize("flat", [False, True])
def test_a_branch_sees_as_many_positions_as_it_may(flat: bool) -> None:
    cache, known = BranchCache(1, flat=flat), torch.ones(1, PROMPT, dtype=torch.bool)
    cache.update(*make(2, 1, GROUPS, PROMPT, SIZE, seed=0), 0)
    cache.branch(torch.zeros(1, 3, dtype=torch.long))
    assert cache.visible(known).shape == ((1, 1, 3, PROMPT + 3) if flat else (1, 1, 1, PROMPT))
    assert (cache.visible(known).sum(dim=-1) == PROMPT + flat).all()


def test_the_attention_of_the_model_is_put_back_after_an_error() -> None:
    config: Any = SimpleNamespace(_attn_implementation="sdpa")
    attention = BranchCache(1, flat=False).attention(config)
    attention.__enter__()
    assert config._attn_implementation != "sdpa"
    assert not attention.__exit__(RuntimeError, RuntimeError("out of memory"), None)
    assert config._attn_implementation == "sdpa"
