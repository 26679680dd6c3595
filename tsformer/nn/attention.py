"""Multi-head self-attention (Vaswani et al. 2017; Phuong & Hutter 2022, algorithm 5)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Every token looks at all tokens of its sequence; none is masked for being later."""

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"d_model={d_model} is not a multiple of n_heads={n_heads}")
        self.n_heads = n_heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(d_model, 3 * d_model)
        self.output = nn.Linear(d_model, d_model)

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return what each token gathered from those that are `known` (None: all are).

        A sequence with no known token attends to all of them: its result means nothing, but it is
        finite.
        """
        n_batch, n_tokens, d_model = tokens.shape
        heads = self.query_key_value(tokens).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each [B, heads, N, D / heads]
        mask = None
        if known is not None:
            mask = (known | ~known.any(dim=-1, keepdim=True))[:, None, None, :]
        dropout = self.dropout if self.training else 0.0
        gathered = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=dropout
        )
        return self.output(gathered.transpose(1, 2).reshape(n_batch, n_tokens, d_model))
