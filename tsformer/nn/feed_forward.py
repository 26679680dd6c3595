"""The feed-forward part of a transformer layer."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.nn.dropout import Dropout


class FeedForward(nn.Sequential):
    """Two linear maps with GELU (Hendrycks & Gimpel 2016) and dropout between them."""

    def __init__(self, d_model: int, d_ff: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(d_model, d_ff), nn.GELU(), Dropout(dropout), nn.Linear(d_ff, d_model)
        )

    @property
    def maps(self) -> tuple[nn.Linear, nn.Linear]:
        """The linear map to the hidden features, and the one from them."""
        widen, _, _, narrow = self
        assert isinstance(widen, nn.Linear) and isinstance(narrow, nn.Linear)
        return widen, narrow


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
