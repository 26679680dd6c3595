"""Linear attention that can be read as a recurrent network.

Katharopoulos et al. 2020, "Transformers are RNNs": without the softmax, all that a token can learn
from those before it is a sum of outer products of keys and values, a matrix that the next token
adds to. As in RetNet (Sun et al. 2023) the matrix fades, at a rate of its own in each head, and
turns by rotary positions, so that distances matter and positions do not.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tsformer.nn.rms_norm import RMSNorm
from tsformer.nn.rotary import Rotary


class LinearAttention(nn.Module):
    """Every token looks at itself and at all tokens before it.

    Args:
        d_model: width of a token.
        n_heads: heads, which share the width.
        longest: the half-life of the head that remembers longest, in tokens; the others' are
            spread evenly, in powers, from 1.
    """

    rates: Tensor

    def __init__(self, d_model: int, n_heads: int, longest: float) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")
        self.n_heads, d_head = n_heads, d_model // n_heads
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)
        self.rotary = Rotary(d_head)
        self.query_norm, self.key_norm = RMSNorm(d_head), RMSNorm(d_head)
        self.head_norm = RMSNorm(d_head)  # in place of the softmax's sum
        half_lives = max(longest, 1.0) ** torch.linspace(1, 0, n_heads)
        self.register_buffer("rates", math.log(2) / half_lives, persistent=False)

    def forward(
        self,
        tokens: Float[Tensor, "R T D"],
        memory: Float[Tensor, "R A K K"],
        places: Int[Tensor, " T"],
        known: Bool[Tensor, "R N"],
    ) -> tuple[Float[Tensor, "R T D"], Float[Tensor, "R A K K"]]:
        """Return what the tokens gather, and the memory after those that it takes in.

        Calling it once with many tokens, or once for each with the memory of the call before, is
        the same.

        Args:
            tokens: `[R, T, D]`, of R sequences. The first N are taken into the memory; the others
                ask only, and are seen by none but themselves.
            memory: `[R, heads, d_head, d_head]`, of the tokens before these; zeros at first.
            places: `[T]`, how many of the N stand before a token: 0, 1, … N - 1, then any.
            known: `[R, N]`, False for a token that says nothing and is forgotten at once.
        """
        n_taken = known.shape[1]
        query, key, value = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.query_key_value(tokens).chunk(3, dim=-1)
        )  # [R, heads, T, d_head]
        query, key = self.query_norm(query), self.key_norm(key)
        own = (query * key).sum(dim=-1, keepdim=True) * value
        key, value = key[:, :, :n_taken] * known[:, None, :, None], value[:, :, :n_taken]
        steps = places + 1
        query = self.rotary(query, steps)
        scores = query @ self.rotary(key, steps[:n_taken]).transpose(-1, -2)
        scores = scores * self._fade(steps[:, None] - steps[:n_taken])
        earlier = query * self._fade(steps)[..., None]
        gathered = self.head_norm(scores @ value + earlier @ memory + own)
        since = n_taken - steps[:n_taken]  # tokens between one and the end
        key = self.rotary(key, -since) * self._fade(since, and_now=True)[..., None]
        end = torch.full_like(steps[:1], n_taken).expand(memory.shape[-1])
        faded = self.rotary(memory.transpose(-1, -2), -end).transpose(-1, -2)
        faded = faded * self._fade(end[:1], and_now=True)[..., None]
        memory = faded + key.transpose(-1, -2) @ value
        return self.output(gathered.transpose(1, 2).flatten(2)), memory

    def _fade(self, distance: Int[Tensor, "*axes"], *, and_now: bool = False) -> Tensor:
        """Return what is left after so many tokens, `[heads, …]`; nothing of what is to come."""
        left = torch.exp(-self.rates.view(-1, *[1] * distance.ndim) * distance.clamp(min=0))
        return left * (distance >= 0 if and_now else distance > 0)
