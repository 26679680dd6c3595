"""A patch transformer that reads a series once, as it comes: linear attention, running scales.

Series are cut into patches from their beginning. All that is kept of the whole patches is a state
of fixed size; a forecast comes from a token for the patch that has just begun, known in part or not
at all, which looks at the state. Training reads whole windows in parallel, with a forecast from
every patch in the later half; prediction may go on from a state, at the same cost whatever has
been read before. Both are the same function (Katharopoulos et al. 2020; Sun et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from tsformer.models.states import State
from tsformer.nn.dropout import Dropout
from tsformer.nn.encoder import make_norm
from tsformer.nn.feed_forward import GatedFeedForward
from tsformer.nn.linear_attention import LinearAttention
from tsformer.nn.running_scale import Moments, running_moments
from tsformer.nn.scaling import Scale, normalise


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """Sizes of the network.

    Attributes:
        context_length: steps of a window in training, after which little is remembered.

    Raises:
        ValueError: for sizes that do not fit together.
    """

    context_length: int
    horizon: int
    patch_length: int = 8
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 128
    dropout: float = 0.2
    norm: str = "batch"
    head: str = "quantile"
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.patch_length <= self.context_length:
            raise ValueError(
                f"patch_length={self.patch_length} must be from 1 to "
                f"context_length={self.context_length}"
            )
        if self.d_model % (2 * self.n_heads):
            raise ValueError(
                f"d_model={self.d_model} must be an even multiple of n_heads={self.n_heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} must be at least 0 and below 1")


class RecurrentLayer(nn.Module):
    """Linear attention and feed-forward, each added to its input."""

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.attention_norm = make_norm(config.norm, config.d_model)
        self.attention = LinearAttention(
            config.d_model, config.n_heads, longest=config.context_length / config.patch_length
        )
        self.feed_forward_norm = make_norm(config.norm, config.d_model)
        self.feed_forward = GatedFeedForward(config.d_model, config.d_ff)
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        tokens: Float[Tensor, "R T D"],
        memory: Float[Tensor, "R A K K"],
        places: Int[Tensor, " T"],
        known: Bool[Tensor, "R T"],
        n_taken: int,
    ) -> tuple[Float[Tensor, "R T D"], Float[Tensor, "R A K K"]]:
        """Return the tokens after one layer, and its memory (see `LinearAttention`)."""
        normed = self.attention_norm(tokens, known)
        gathered, memory = self.attention(normed, memory, places, known[:, :n_taken])
        tokens = tokens + self.dropout(gathered)
        worked = self.feed_forward(self.feed_forward_norm(tokens, known))
        return tokens + self.dropout(worked), memory


class RecurrentNetwork(nn.Module):
    """The network between running scale and head; R rows are the variates of all windows."""

    def __init__(self, config: RecurrentConfig, output_size: int) -> None:
        super().__init__()
        self.patch_length, self.horizon = config.patch_length, config.horizon
        self.share = 0.5 ** (3 * config.patch_length / config.context_length)
        self.memory_shape = (config.n_heads, *2 * (config.d_model // config.n_heads,))
        self.embedding = nn.Linear(4 * config.patch_length, config.d_model)
        self.dropout = Dropout(config.dropout)
        self.layers = nn.ModuleList(RecurrentLayer(config) for _ in range(config.n_layers))
        self.norm = make_norm(config.norm, config.d_model)
        n_steps = config.patch_length - 1 + config.horizon  # from the patch's first step
        self.output = nn.Linear(config.d_model, n_steps * output_size)
        nn.init.zeros_(self.output.weight)  # untrained, it says the running mean
        nn.init.zeros_(self.output.bias)

    def start(self, like: Tensor) -> State:
        """Return the state of series of which nothing has been read; `like` is `[R, …]`."""
        memory = like.new_zeros(len(like), len(self.layers), *self.memory_shape)
        last = like.new_zeros(len(like), self.patch_length)
        return State(memory, Moments(*like.new_zeros(3, len(like))), last, last.bool())

    def forward(
        self,
        state: State,
        patches: Float[Tensor, "R N P"],
        observed: Bool[Tensor, "R N P"],
        begun: Float[Tensor, "R M p"],
        begun_observed: Bool[Tensor, "R M p"],
    ) -> tuple[Float[Tensor, "R M H O"], Scale, State]:
        """Return the head's parameters with their scale, `[R, M, 1]`, and the state at the end.

        Args:
            state: before the patches.
            patches, observed: whole patches to take in, raw units.
            begun, begun_observed: what is known of the patches after the last M of these or, where
                M is 1, of the one that comes now; the H steps after it are forecast.
        """
        (n_taken, _), (n_begun, n_known) = patches.shape[1:], begun.shape[1:]
        first = n_taken + 1 - n_begun  # patches before the first of those that have begun
        moments = running_moments(Moments.of(patches, observed), state.moments, self.share)
        scale = moments.at(slice(first, None)).joined(Moments.of(begun, begun_observed)).scale
        scales = Scale(*map(_concatenated, moments.at(slice(1, None)).scale, scale))
        patches = _concatenated(state.last[:, None], patches)  # [R, 1 + N, P]
        observed = _concatenated(state.last_observed[:, None], observed)
        missing = (0, self.patch_length - n_known)
        begun, begun_observed = F.pad(begun, missing), F.pad(begun_observed, missing)
        known = _concatenated(observed[:, 1:].any(dim=-1), begun_observed.new_ones(begun.shape[:2]))
        tokens = self._embed(
            _pairs(patches, begun, first), _pairs(observed, begun_observed, first), scales
        )
        places = torch.arange(n_taken + n_begun, device=tokens.device)
        places[n_taken:] -= n_begun - 1
        memories = []
        for layer, memory in zip(self.layers, state.memory.unbind(dim=1), strict=True):
            tokens, memory = layer(tokens, memory, places, known, n_taken)
            memories.append(memory)
        output = self.output(self.norm(tokens, known)[:, n_taken:])
        steps = output.unflatten(-1, (self.patch_length - 1 + self.horizon, -1))
        after = State(torch.stack(memories, dim=1), moments.at(-1), patches[:, -1], observed[:, -1])
        return steps[:, :, n_known : n_known + self.horizon], scale, after

    def _embed(
        self, values: Float[Tensor, "R T W"], observed: Bool[Tensor, "R T W"], scale: Scale
    ) -> Float[Tensor, "R T D"]:
        """Return tokens of W steps each, and of what is known of them."""
        z = torch.where(observed & (scale.scale > 0), normalise(values, scale), 0.0)
        return self.dropout(self.embedding(torch.cat([z, observed.to(z.dtype)], dim=-1)))


def _pairs(patches: Tensor, begun: Tensor, first: int) -> Tensor:
    """Return each patch, and each that has begun, beside the one before it, `[R, T, 2 * P]`."""
    whole = torch.cat([patches[:, :-1], patches[:, 1:]], dim=-1)
    return torch.cat([whole, torch.cat([patches[:, first:], begun], dim=-1)], dim=1)


def _concatenated(first: Tensor, second: Tensor) -> Tensor:
    return torch.cat([first, second], dim=1)
