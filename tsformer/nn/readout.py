"""From tokens to the steps of the horizon."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class FlatReadout(nn.Module):
    """One linear map of all tokens of the context (Nie et al. 2023).

    The best for one horizon and one data set. Untrained, it says 0.
    """

    n_queries = 0

    def __init__(self, n_patches: int, d_model: int, horizon: int, output_size: int) -> None:
        super().__init__()
        self.horizon = horizon
        self.output = _zeros(nn.Linear(n_patches * d_model, horizon * output_size))

    def queries(self) -> None:
        """The horizon has no tokens."""

    def forward(
        self, tokens: Float[Tensor, "B C N D"], known: Bool[Tensor, "B C N"] | None
    ) -> Float[Tensor, "B C H O"]:
        """Return the head's parameters; tokens with nothing known do not count."""
        if known is not None:
            tokens = tokens * known[..., None]
        return self.output(tokens.flatten(2)).unflatten(-1, (self.horizon, -1))


class TokenReadout(nn.Module):
    """Each patch of the horizon from a token of its own, which has looked at those of the context.

    The number of weights does not depend on context and horizon, so that one network serves any
    (masked encoders such as Moirai, Woo et al. 2024). Untrained, it says 0.
    """

    def __init__(self, patch_length: int, d_model: int, horizon: int, output_size: int) -> None:
        super().__init__()
        self.horizon, self.patch_length = horizon, patch_length
        self.n_queries = -(-horizon // patch_length)
        self.query = nn.Parameter(torch.empty(d_model).normal_(std=0.02))
        self.output = _zeros(nn.Linear(d_model, patch_length * output_size))

    def queries(self) -> Float[Tensor, "M D"]:
        """Return the horizon's tokens before they have looked at anything."""
        return self.query.expand(self.n_queries, -1)

    def forward(
        self, tokens: Float[Tensor, "B C N D"], known: Bool[Tensor, "B C N"] | None
    ) -> Float[Tensor, "B C H O"]:
        """Return the head's parameters from the last tokens, which are the horizon's."""
        asked = self.output(tokens[:, :, -self.n_queries :])
        steps = asked.unflatten(-1, (self.patch_length, -1)).flatten(2, 3)
        return steps[:, :, : self.horizon]


def _zeros(linear: nn.Linear) -> nn.Linear:
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
