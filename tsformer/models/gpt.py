"""A small causal transformer over tokens: the decoder of Phuong & Hutter 2022 (algorithm 10).

After nanoGPT (Karpathy), with what has become usual since: RMS normalisation before each part,
rotary positions (no table of positions, so that contexts of any length and padding on the left
need nothing special) and gated feed-forward. Read it from the bottom.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tsformer.nn.feed_forward import GatedFeedForward
from tsformer.nn.rms_norm import RMSNorm
from tsformer.nn.rotary import Rotary


@dataclass(frozen=True, kw_only=True)
class GPTSettings:
    """Sizes of a network.

    Attributes:
        vocabulary_size: tokens that it knows.
        context_length: tokens that it was trained to look back.
        d_model, n_heads, n_layers, d_ff: of the transformer.
    """

    vocabulary_size: int
    context_length: int = 512
    d_model: int = 192
    n_heads: int = 4
    n_layers: int = 6
    d_ff: int = 384

    def __post_init__(self) -> None:
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model={self.d_model} must be an even multiple of n_heads={self.n_heads}"
            )


@dataclass
class KeysAndValues:
    """What one layer remembers of a prompt and of the branches that continue it.

    Attributes:
        prompt: keys and values, `[2, B, heads, N, d_head]`, shared by all branches.
        branches: `[2, B, S, heads, n, d_head]`, of which the first `length` steps are filled.
    """

    prompt: Tensor
    branches: Tensor
    length: int = 0


@dataclass
class Cache:
    """The state of a generation: one prompt per row of the batch, S branches per prompt.

    Attributes:
        layers: one memory per layer.
        known: `[B, N]`, False for the padding on the left of a prompt.
    """

    layers: list[KeysAndValues]
    known: Tensor

    def reorder(self, parents: Int[Tensor, "B S"]) -> None:
        """Let branch s go on from what is now branch `parents[s]`; S may change."""
        n_prompts, n_branches = self.layers[0].branches.shape[1:3]
        same = torch.arange(n_branches, device=parents.device).expand(n_prompts, -1)
        if torch.equal(parents, same):
            return
        rows = torch.arange(n_prompts, device=parents.device)[:, None]
        for layer in self.layers:
            layer.branches = layer.branches[:, rows, parents]


class CausalAttention(nn.Module):
    """Multi-head self-attention in which a token sees itself and those before it."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)
        self.rotary = Rotary(d_model // n_heads)

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> tuple[Float[Tensor, "B N D"], Tensor]:
        """Return what each token gathered, and keys and values, `[2, B, heads, N, d_head]`."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        query, key, value = self._heads(tokens, positions)  # [B, heads, N, d_head]
        mask = self._mask(positions, known, query.dtype).expand(*query.shape[:2], -1, -1)
        # plain products: on a CPU the fused kernel's backward in bfloat16 is several times slower
        scores = torch.baddbmm(
            mask.flatten(0, 1),
            query.flatten(0, 1),
            key.flatten(0, 1).transpose(1, 2),
            alpha=query.shape[-1] ** -0.5,
        )
        gathered = (scores.softmax(dim=-1) @ value.flatten(0, 1)).unflatten(0, query.shape[:2])
        return self.output(gathered.transpose(1, 2).flatten(2)), torch.stack([key, value])

    @staticmethod
    def _mask(positions: Tensor, known: Tensor | None, dtype: torch.dtype) -> Tensor:
        """Return what is added to scores, `[1 or B, 1, N, N]`: 0 or minus infinity."""
        hidden = (positions[:, None] < positions)[None, None]
        if known is not None:  # padding sees itself, so that no row is empty
            hidden = hidden | (~known[:, None, None] & (positions[:, None] != positions))
        return torch.zeros_like(hidden, dtype=dtype).masked_fill_(hidden, -torch.inf)

    def step(
        self, tokens: Float[Tensor, "B S D"], memory: KeysAndValues, known: Bool[Tensor, "B N"]
    ) -> Float[Tensor, "B S D"]:
        """Return what one new token per branch gathered from the prompt and from its branch."""
        n_prompt, done = known.shape[1], memory.length
        position = torch.full((tokens.shape[1],), n_prompt + done, device=tokens.device)
        query, key, value = self._heads(tokens, position)  # [B, heads, S, d_head]
        new = torch.stack([key, value]).transpose(2, 3)  # [2, B, S, heads, d_head]
        if done == memory.branches.shape[-2]:  # full: twice as much room
            memory.branches = torch.cat([memory.branches, torch.zeros_like(memory.branches)], -2)
        memory.branches[..., done, :] = new
        memory.length = done + 1
        branch_keys, branch_values = memory.branches[..., : done + 1, :]

        query = query * query.shape[-1] ** -0.5
        to_prompt = query @ memory.prompt[0].transpose(-1, -2)  # [B, heads, S, N]
        to_prompt = to_prompt.masked_fill(~known[:, None, None], -torch.inf)
        by_branch = query.transpose(1, 2)[:, :, :, None]  # [B, S, heads, 1, d_head]
        to_branch = by_branch @ branch_keys.transpose(-1, -2)  # [B, S, heads, 1, n]
        scores = torch.cat([to_prompt, to_branch.squeeze(3).transpose(1, 2)], dim=-1)
        weights = scores.softmax(dim=-1)  # [B, heads, S, N + n]
        gathered = weights[..., :n_prompt] @ memory.prompt[1]
        own = weights[..., n_prompt:].transpose(1, 2)[:, :, :, None] @ branch_values
        gathered = gathered.transpose(1, 2) + own.squeeze(3)  # [B, S, heads, d_head]
        return self.output(gathered.flatten(2))

    def _heads(self, tokens: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heads = self.query_key_value(tokens).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [B, heads, N, d_head]
        return self.rotary(query, positions), self.rotary(key, positions), value


class Block(nn.Module):
    """Attention, then feed-forward, each on normalised tokens and added to them."""

    def __init__(self, settings: GPTSettings) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(settings.d_model)
        self.attention = CausalAttention(settings.d_model, settings.n_heads)
        self.feed_forward_norm = RMSNorm(settings.d_model)
        self.feed_forward = GatedFeedForward(settings.d_model, settings.d_ff)

    def forward(self, tokens: Tensor, known: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the tokens, `[B, N, D]`, and this layer's keys and values."""
        gathered, keys_and_values = self.attention(self.attention_norm(tokens), known)
        tokens = tokens + gathered
        return tokens + self.feed_forward(self.feed_forward_norm(tokens)), keys_and_values

    def step(self, tokens: Tensor, memory: KeysAndValues, known: Tensor) -> Tensor:
        """Return one new token per branch, `[B, S, D]`."""
        tokens = tokens + self.attention.step(self.attention_norm(tokens), memory, known)
        return tokens + self.feed_forward(self.feed_forward_norm(tokens))


class GPT(nn.Module):
    """Scores for the next token, after every token. Input and output share one embedding."""

    def __init__(self, settings: GPTSettings) -> None:
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(settings.vocabulary_size, settings.d_model)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.n_layers))
        self.norm = RMSNorm(settings.d_model)
        self.apply(self._initialise)

    def forward(
        self, tokens: Int[Tensor, "B N"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N V"]:
        """Return logits of the token that follows each, `known` being False for padding."""
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden, _ = block(hidden, known)
        return self._logits(hidden)

    def prefill(
        self, tokens: Int[Tensor, "B N"], known: Bool[Tensor, "B N"]
    ) -> tuple[Float[Tensor, "B V"], Cache]:
        """Read prompts, padded on the left, once; return logits of what follows, and the state.

        The state has one branch per prompt; `Cache.reorder` makes more of it.
        """
        hidden, layers = self.embedding(tokens), []
        for block in self.blocks:
            hidden, keys_and_values = block(hidden, known)
            n_heads, d_head = keys_and_values.shape[2], keys_and_values.shape[4]
            room = keys_and_values.new_zeros(2, len(tokens), 1, n_heads, 32, d_head)
            layers.append(KeysAndValues(keys_and_values, room))
        return self._logits(hidden[:, -1]), Cache(layers, known)

    def step(self, tokens: Int[Tensor, "B S"], cache: Cache) -> Float[Tensor, "B S V"]:
        """Append one token to each branch; return logits of what follows it."""
        hidden = self.embedding(tokens)
        blocks: Iterable[Any] = self.blocks
        for block, memory in zip(blocks, cache.layers, strict=True):
            hidden = block.step(hidden, memory, cache.known)
        return self._logits(hidden)

    def _logits(self, hidden: Tensor) -> Tensor:
        return F.linear(self.norm(hidden), self.embedding.weight)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, CausalAttention | GatedFeedForward):  # sums of 2 n_layers parts
            std = 0.02 / (2 * self.settings.n_layers) ** 0.5
            nn.init.normal_(module.output.weight, std=std)
