"""The feed-forward part of a transformer layer, gated."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class GatedFeedForward(nn.Module):
    """Two layers whose hidden features are gated (SwiGLU, Shazeer 2020)."""

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.gate_and_input = nn.Linear(d_model, 2 * d_ff, bias=False)
        self.output = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, tokens: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes D"]:
        """Return new features of each token."""
        gate, hidden = self.gate_and_input(tokens).chunk(2, dim=-1)
        return self.output(F.silu(gate) * hidden)
