"""Batch normalisation (Ioffe & Szegedy 2015) of tokens, also where a batch is in pieces."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsformer.cores import gather_pieces, in_pieces, leads


class TokenBatchNorm(nn.Module):
    """Batch normalisation of token features over all known tokens of the batch.

    Zerveas et al. 2021 found it better than layer normalisation on time series, whose outliers
    it bears. Tokens that are wholly missing do not enter its statistics.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(d_model)

    def forward(
        self, tokens: Float[Tensor, "B N D"], known: Bool[Tensor, "B N"] | None = None
    ) -> Float[Tensor, "B N D"]:
        """Return the normalised tokens; missing ones are normalised by what is known."""
        if self.training and in_pieces():
            return self._with_other_pieces(tokens, known)
        if known is None or not self.training:
            if self.training and tokens.shape[0] * tokens.shape[1] < 2:  # no variance to be had
                return tokens
            return self.norm(tokens.flatten(0, 1)).view_as(tokens)
        norm, exact = self.norm, tokens.to(self.norm.weight.dtype)
        seen = known[..., None].to(exact.dtype)
        count = seen.sum()
        mean = (exact * seen).sum(dim=(0, 1)) / count.clamp(min=1)
        variance = ((exact - mean).square() * seen).sum(dim=(0, 1)) / count.clamp(min=1)
        normalised = (exact - mean) * (variance + norm.eps).rsqrt() * norm.weight + norm.bias
        enough = count >= 2
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1), enough)
        return torch.where(enough, normalised, exact).to(tokens.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, enough: Tensor) -> None:
        """Move the running statistics towards those of a batch, where these are any."""
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        assert norm.num_batches_tracked is not None and norm.momentum is not None
        share = enough.to(mean.dtype) * norm.momentum
        norm.running_mean.lerp_(mean, share)
        norm.running_var.lerp_(variance, share)
        norm.num_batches_tracked += enough

    def _with_other_pieces(self, tokens: Tensor, known: Tensor | None) -> Tensor:
        """Normalise a piece of a batch by the statistics of all of them.

        Of `norm` only the numbers are used; it is not called.
        """
        x = tokens.flatten(0, 1)
        seen = None if known is None else known.reshape(-1, 1).to(x.dtype)
        count, mean, variance = _moments(x.detach(), seen)
        enough = count >= 2
        if leads():
            self._remember(mean, variance * count / (count - 1).clamp(min=1), enough)
        if not enough:
            return tokens
        norm = self.norm
        rate = (variance + norm.eps).rsqrt()
        return _Normalised.apply(x, seen, norm.weight, norm.bias, mean, rate, count).view_as(tokens)


def _moments(x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of tokens that are seen in all pieces, their mean and their variance.

    Args:
        x: tokens of this piece, `[n, D]`.
        seen: 1 and 0, `[n, 1]`; None: all.
    """
    here = x.new_tensor(len(x)) if seen is None else seen.sum()
    mean = (x if seen is None else x * seen).sum(dim=0) / here.clamp(min=1)
    squares = torch.sub(x, mean).square_()
    squares = (squares if seen is None else squares.mul_(seen)).sum(dim=0)
    counts, means, squares = gather_pieces(
        torch.stack([here.expand_as(mean), mean, squares])
    ).unbind(1)
    count = counts.sum(dim=0)
    mean = (counts * means).sum(dim=0) / count.clamp(min=1)
    squares = squares + counts * (means - mean).square()  # Chan, Golub & LeVeque 1983
    return count[0], mean, squares.sum(dim=0) / count.clamp(min=1)


class _Normalised(torch.autograd.Function):
    """Tokens of a piece normalised by moments of all pieces, which the gradient goes through."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        seen: Tensor | None,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        rate: Tensor,
        count: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(x, seen, weight, mean, rate, count)
        scale = weight * rate
        return torch.addcmul(bias - mean * scale, x, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, seen, weight, mean, rate, count = ctx.saved_tensors
        to_bias = gradient.sum(dim=0)
        products = torch.sub(x, mean).mul_(gradient)
        to_weight = products.sum(dim=0) * rate
        to_shift, to_scale = gather_pieces(torch.stack([to_bias, to_weight])).sum(dim=0) / count
        scale = weight * rate
        slope = -scale * rate * to_scale
        to_x = torch.addcmul(-scale * to_shift - slope * mean, x, slope, out=products)
        if seen is not None:
            to_x.mul_(seen)
        to_x.addcmul_(gradient, scale)
        return to_x, None, to_weight, to_bias, None, None, None
