"""Low-rank adapters: a trained network learns a new task by a few weights beside its own."""

from __future__ import annotations

from collections.abc import Collection

from jaxtyping import Float
from torch import Tensor, nn


class LowRankAdapter(nn.Module):
    """A frozen linear map plus a learned one of low rank (LoRA, Hu et al. 2022).

    Args:
        linear: the map; its weights are frozen.
        rank: of what is added, which is zero at first.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Linear(linear.in_features, rank, bias=False)
        self.up = nn.Linear(rank, linear.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, tokens: Float[Tensor, "*axes D"]) -> Float[Tensor, "*axes E"]:
        """Return the sum of both maps."""
        return self.linear(tokens) + self.up(self.down(tokens))

    def merged(self) -> nn.Linear:
        """Return one linear map that does the same."""
        self.linear.weight.data += self.up.weight.data @ self.down.weight.data
        return self.linear.requires_grad_(True)


def add_adapters(module: nn.Module, rank: int, but: Collection[str] = ()) -> None:
    """Put an adapter in place of every linear map inside a module, which is changed.

    Children whose names are in `but` stay as they are.
    """
    for name, child in module.named_children():
        if name in but:
            continue
        if isinstance(child, nn.Linear):
            setattr(module, name, LowRankAdapter(child, min(rank, *child.weight.shape)))
        else:
            add_adapters(child, rank)


def merge_adapters(module: nn.Module) -> None:
    """Put one linear map in place of every adapter inside a module, which is changed."""
    for name, child in module.named_children():
        if isinstance(child, LowRankAdapter):
            setattr(module, name, child.merged())
        else:
            merge_adapters(child)
