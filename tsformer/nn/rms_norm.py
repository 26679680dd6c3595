"""Root mean square normalisation (Zhang & Sennrich 2019), in the precision of what it is given."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """As torch's, which is slow and warns where weights are kept in more bits than tokens."""

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens, `[..., D]`, in units of their root mean square."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)
