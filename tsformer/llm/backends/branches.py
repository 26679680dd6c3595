"""Many continuations of a prompt in one row of a batch, for models of `transformers`.

What the branches have in common is held and read once. Needs the extra `llm`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "tsformer_branches"


class BranchLayer(DynamicLayer):
    """The memory of one layer; keys and values of the prompts are what `DynamicLayer` holds.

    Attributes:
        written: `[2, B, heads, S, room, d_head]`, keys and values of branches. The room doubles
            when it is full, so that a step copies nothing.
        depth: positions of the room that are filled.
        flat: whether `update` returns what the branches wrote, behind the prompt.
    """

    written: Tensor | None = None
    depth: int = 0
    flat: bool = False

    @property
    def own(self) -> Tensor:
        """What each branch wrote, `[2, B, heads, S, depth, d_head]`."""
        assert self.written is not None
        return self.written[..., : self.depth, :]

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Append prompts, or then one position per branch, `[B, heads, N or S, d_head]`."""
        if self.get_seq_length() == 0:
            prompt: tuple[Tensor, Tensor] = super().update(key_states, value_states)
            return prompt
        self._append(torch.stack([key_states, value_states]))
        if not self.flat:
            return key_states, value_states
        keys, values = self.own.flatten(3, 4)
        return torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)

    def reorder(self, parents: Tensor) -> None:
        """Let branch s go on from what is now branch `parents[:, s]`."""
        if self.written is not None:
            rows = torch.arange(len(parents), device=parents.device)[:, None]
            moved = self.written[:, rows, :, parents]  # [B, S, 2, heads, room, d_head]
            self.written = moved.permute(2, 0, 3, 1, 4, 5).contiguous()

    def _append(self, new: Tensor) -> None:
        if self.written is None:
            self.written = new.new_empty(*new.shape[:-1], 32, new.shape[-1])
        elif self.depth == self.written.shape[-2]:
            self.written = torch.cat([self.written, torch.empty_like(self.written)], dim=-2)
        self.written[..., self.depth, :] = new
        self.depth += 1


class BranchCache(Cache):
    """The memory of a model.

    Args:
        n_layers: of the model.
        flat: leave it to the model how to attend to branches, under a mask that hides from each
            the positions of the others; else `attend_by_branch` does it, in less time.
    """

    def __init__(self, n_layers: int, *, flat: bool) -> None:
        super().__init__(layers=[BranchLayer() for _ in range(n_layers)])
        self.flat = flat
        self.n_branches = self.depth = 0
        for layer in self.layers:
            layer.flat = flat

    def branch(self, parents: Tensor) -> None:
        """Let branches s, `[B, S]`, go on from what are now branches `parents`."""
        n_prompts, n_branches = parents.shape
        same = torch.arange(self.n_branches).expand(n_prompts, -1)
        if self.depth and not torch.equal(parents.cpu(), same):
            for layer in self.layers:
                layer.reorder(parents.to(layer.keys.device))
        self.n_branches = n_branches

    def visible(self, known: Tensor) -> Tensor:
        """Return what the next position of a branch may look at, `[B, 1, 1 or S, N or more]`.

        Args:
            known: `[B, N]`, False for padding on the left of a prompt.
        """
        prompt = known[:, None, None]
        if not self.flat:
            return prompt
        own = torch.eye(self.n_branches, dtype=torch.bool, device=known.device)
        own = own.repeat_interleave(self.depth + 1, dim=1).expand(len(known), 1, -1, -1)
        return torch.cat([prompt.expand(-1, -1, self.n_branches, -1), own], dim=-1)

    @contextmanager
    def attention(self, config: Any) -> Iterator[dict[str, Any]]:
        """Yield what a model must be given, while it attends in the way of this cache."""
        usual = config._attn_implementation
        if not self.flat:
            config._attn_implementation = _NAME
        try:
            yield {} if self.flat else {"branches": self}
        finally:
            config._attn_implementation = usual
        self.depth += 1


def attend_by_branch(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    *,
    scaling: float | None = None,
    branches: BranchCache | None = None,
    **given: Any,
) -> tuple[Tensor, None]:
    """Return what one new token per branch gathers, `[B, S, heads, d_head]`.

    S branches of n positions cost S (N + n) products, where one mask over all costs S (N + S n).

    Args:
        module: whose `layer_idx` names the layer.
        query: `[B, heads, S, d_head]`; several heads may share keys and values.
        key, value: of the new tokens, which are in the cache.
        attention_mask: `[B, 1, 1, N]`, added to products with the prompt.
        scaling: of products; None divides by the root of `d_head`.
        branches: the cache; None for `sdpa`.
        given: for `sdpa`.
    """
    if branches is None:
        given |= {"attention_mask": attention_mask, "scaling": scaling}
        return sdpa_attention_forward(module, query, key, value, **given)[0], None
    layer = branches.layers[module.layer_idx]
    own_keys, own_values = layer.own
    query = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    query = query.unflatten(1, (key.shape[1], -1)).transpose(2, 3)  # [B, G, S, heads / G, d_head]
    shape = query.shape[2:4]
    to_prompt = query.flatten(2, 3) @ layer.keys.transpose(-1, -2)  # [B, G, S heads / G, N]
    to_prompt = (to_prompt + attention_mask).unflatten(2, shape)
    scores = torch.cat([to_prompt, query @ own_keys.transpose(-1, -2)], dim=-1)
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(value.dtype)
    of_prompt, of_own = weights.split([layer.keys.shape[2], branches.depth + 1], dim=-1)
    gathered = (of_prompt.flatten(2, 3) @ layer.values).unflatten(2, shape) + of_own @ own_values
    return gathered.transpose(1, 2).flatten(2, 3), None


AttentionInterface.register(_NAME, attend_by_branch)
AttentionMaskInterface.register(_NAME, sdpa_mask)
