"""Sums over the past that can be carried on: linear attention, and running moments.

Katharopoulos et al. 2020, "Transformers are RNNs": with a positive feature map in place of the
softmax, what token i gathers is a weighted mean of the values up to its own,

    sum_j fade^(i - j) (query_i . key_j) value_j / sum_j fade^(i - j) (query_i . key_j),

in which one matrix per head, the sum of keys times values, stands for all of the past. Computed
for many tokens in parallel or carried from one to the next, the numbers are the same. Each head
fades at a rate of its own, as in RetNet (Sun et al. 2023): a past of any length is then like one
that training has seen.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

_LEAST_WEIGHT = 1e-4  # of all that a token gathers: where nothing is there, it gathers nothing


class LinearAttention(nn.Module):
    """Multi-head attention to what came before, at constant cost per token.

    Args:
        d_model: width of a token.
        n_heads: heads, which share the width.
        longest: tokens after which the most patient head has forgotten half of what it knew; the
            least patient one forgets half with every token.
    """

    log_fade: Tensor

    def __init__(self, d_model: int, n_heads: int, *, longest: float) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")
        self.n_heads = n_heads
        self.d_head = d_model // n_heads
        self.query_key_value = nn.Linear(d_model, 3 * d_model, bias=False)
        self.output = nn.Linear(d_model, d_model, bias=False)
        half_lives = torch.logspace(0, math.log10(max(longest, 1.0)), n_heads)
        self.register_buffer("log_fade", -math.log(2) / half_lives, persistent=False)

    def start(self, n_sequences: int) -> Float[Tensor, "B heads K V"]:
        """Return the memory of sequences that have not begun."""
        shape = (n_sequences, self.n_heads, self.d_head, self.d_head + 1)
        return self.output.weight.new_zeros(shape)

    def forward(
        self,
        tokens: Float[Tensor, "B M D"],
        memory: Float[Tensor, "B heads K V"],
        written: Bool[Tensor, "B N"],
    ) -> tuple[Float[Tensor, "B M D"], Float[Tensor, "B heads K V"]]:
        """Return what each token gathered, and the memory after them all.

        Calls may follow each other, each with the memory of the one before: with one token a call
        this is the recurrent form, with all of them the parallel one.

        Args:
            tokens: the next N tokens of each sequence. There may be N more, `M = 2 N`, a draft of
                each: drafts gather what came before the token, and themselves; nobody else sees
                them.
            memory: the sum of keys times values, the values with a 1 behind, `V = K + 1`.
            written: True for the tokens that the later ones see.
        """
        query, key, value = self._heads(tokens)
        n_tokens = written.shape[1]
        n_streams = tokens.shape[1] // n_tokens
        keys, values = key[:, :, :n_tokens] * written[:, None, :, None], value[:, :, :n_tokens]
        position = torch.arange(1, n_tokens + 1, device=tokens.device)  # from the memory on
        distance = position[:, None] - position  # [N, N]
        fade = self._fade(distance).masked_fill(distance <= 0, 0.0)
        gathered = (query @ keys.transpose(-1, -2) * fade.repeat(1, n_streams, 1)) @ values
        remembered = self._fade(position)[..., None].repeat(1, n_streams, 1) * (query @ memory)
        itself = (query * key).sum(dim=-1, keepdim=True) * value
        gathered = gathered + remembered + itself
        left = self._fade(n_tokens - position)[..., None]  # of each token, after the last one
        memory = (keys * left).transpose(-1, -2) @ values + self._fade(position[-1:])[
            ..., None
        ] * memory
        mean = gathered[..., :-1] / (gathered[..., -1:] + _LEAST_WEIGHT)
        return self.output(mean.transpose(1, 2).flatten(2)), memory

    def _heads(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries and keys, positive, `[B, heads, M, K]`, and values with a 1 behind."""
        heads = self.query_key_value(tokens).unflatten(-1, (3, self.n_heads, self.d_head))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        return F.elu(query) + 1, F.elu(key) + 1, F.pad(value, (0, 1), value=1.0)

    def _fade(self, distance: Tensor) -> Tensor:
        """Return what is left after so many tokens, `[heads, *distance]`; 1 for none or less."""
        log_fade = self.log_fade.view(-1, *(1 for _ in distance.shape))
        return (log_fade * distance.clamp(min=0)).exp()


class Moments(NamedTuple):
    """Mean and spread of what a series has shown so far, more of what was shown lately.

    Attributes:
        weight: the sum of weights; 0 where nothing was known yet.
        mean: the weighted mean; 0 where nothing was known yet.
        square: the weighted sum of squared deviations from it.
    """

    weight: Tensor
    mean: Tensor
    square: Tensor

    @property
    def scale(self) -> Tensor:
        """The deviation, exactly 0 where all values were the same."""
        return (self.square / self.weight.clamp(min=1.0)).sqrt()


def running_moments(values: Float[Tensor, "B N P"], before: Moments, *, memory: float) -> Moments:
    """Return the moments after each patch, `[B, N]` each.

    Patches are merged by their deviations from what was the mean (Chan et al. 1983): a recurrence,
    here solved for N patches at once. Assumes double precision, in which squares neither overflow
    nor vanish. Missing values change nothing.

    Args:
        values: raw units, the next N patches, NaN = missing.
        before: the moments before them, `[B]` each.
        memory: known values after which one weighs 1 / e of what it did.
    """
    origin = torch.where(before.weight > 0, before.mean, _first(values.flatten(1)))[:, None]
    deviation = (values - origin[..., None]).nan_to_num()
    count = values.isfinite().sum(dim=-1).to(values.dtype)
    age = count.cumsum(dim=-1) / memory
    later = torch.ones_like(age[0], dtype=torch.bool).expand(age.shape[1], -1).triu(1)
    fade = (age[:, None] - age[:, :, None]).masked_fill(later, -torch.inf).exp()  # [B, N, N]
    sums = torch.stack([count, deviation.sum(dim=-1), deviation.square().sum(dim=-1)], dim=-1)
    weight, shift, square = (fade @ sums).unbind(dim=-1)
    left = (-age).exp()
    weight = weight + left * before.weight[:, None]
    shift = shift / weight.clamp(min=1.0)
    square = square + left * before.square[:, None] - weight * shift.square()
    return Moments(weight, origin + shift, square.clamp(min=0.0))


def _first(values: Tensor) -> Tensor:
    """Return the first known value of each row, 0 where there is none."""
    place = values.isfinite().to(torch.uint8).argmax(dim=1, keepdim=True)
    return values.gather(1, place)[:, 0].nan_to_num()
