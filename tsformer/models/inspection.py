"""Looking inside networks: what attention looks at, which heads and which steps matter.

All of it works on any network made of `SelfAttention`, by hooks that are gone afterwards: a network
that is not looked into pays nothing. A layer is one self-attention; layers are counted from 0 in
the order in which the network holds them, heads from 0 within their layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tsformer.nn.attention import SelfAttention
from tsformer.nn.patching import patch_count
from tsformer.types import Batch


def attention_layers(model: nn.Module) -> dict[str, SelfAttention]:
    """Return the self-attention modules of a network by their names in it."""
    modules = model.named_modules()
    return {name: module for name, module in modules if isinstance(module, SelfAttention)}


def attention_maps(model: nn.Module, batch: Batch) -> dict[int, Tensor]:
    """Return what the tokens of each layer look at: layer -> `[rows, heads, N, N]`.

    `[:, :, i, j]` is how much token i takes from token j; over j it sums to 1. The rows are the
    sequences that the layer reads, those of one window after the other: one per variate, `B * C`
    of them, in a network whose variates do not see each other. A layer that is not asked is not
    there, such as one across variates where there is a single one.
    """
    layers = list(attention_layers(model).values())
    maps: dict[int, Tensor] = {}

    def record(layer: nn.Module, args: Any, kwargs: Any) -> None:
        number = next(n for n, known in enumerate(layers) if known is layer)
        maps[number] = layers[number].attention_weights(*args, **kwargs)

    hooks = [layer.register_forward_pre_hook(record, with_kwargs=True) for layer in layers]
    try:
        with _evaluating(model):
            model(batch)
    finally:
        for hook in hooks:
            hook.remove()
    return maps


def head_importance(model: Any, batches: Sequence[Batch]) -> list[Float[Tensor, " heads"]]:
    """Return how much the loss rises when a head is silenced, per layer.

    It is the rise itself: Michel et al. 2019 estimate it by a gradient, since their networks have
    hundreds of heads; forecasters have a dozen or two, and a pass for each is soon done. Each head
    is silenced alone, so that of two that do the same, neither seems to matter.

    Args:
        model: a `ForecastModel`.
        batches: windows with a future, held out from training.
    """
    complete = mean_loss(model, batches)
    rises = []
    for layer in attention_layers(model).values():
        losses = [_loss_without(model, batches, layer, head) for head in range(layer.n_heads)]
        rises.append(torch.tensor(losses) - complete)
    return rises


def _loss_without(model: Any, batches: Sequence[Batch], layer: SelfAttention, head: int) -> float:
    with silenced(layer, head):
        return mean_loss(model, batches)


@contextmanager
def silenced(layer: SelfAttention, head: int) -> Iterator[None]:
    """Give the other heads' output alone, as if the head had been pruned, while this lasts."""
    features = slice(head * layer.d_head, (head + 1) * layer.d_head)

    def silence(_: nn.Module, args: tuple[Tensor]) -> Tensor:
        gathered = args[0].clone()
        gathered[..., features] = 0.0
        return gathered

    hook = layer.output.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


def prune_heads(model: nn.Module, removed: Iterable[tuple[int, int]]) -> None:
    """Remove heads from a network, each given by its layer and its number there.

    Raises:
        ValueError: for a head that is not there.
    """
    layers = list(attention_layers(model).values())
    chosen = set(removed)
    unknown = chosen - {
        (n, head) for n, layer in enumerate(layers) for head in range(layer.n_heads)
    }
    if unknown:
        raise ValueError(
            f"heads holds {min(unknown)}, but the network's layers have "
            f"{[layer.n_heads for layer in layers]} heads; pass pairs of layer and head, from 0"
        )
    for number, layer in enumerate(layers):
        kept = [head for head in range(layer.n_heads) if (number, head) not in chosen]
        layer.prune_heads(kept)


def patch_importance(
    model: Any, batches: Sequence[Batch], *, patch_length: int, stride: int
) -> Float[Tensor, " N"]:
    """Return how much the loss rises when the steps of a patch are missing, `[N]`.

    Steps are marked as not observed, which every forecasting network understands (occlusion,
    Zeiler & Fergus 2014). Where patches overlap, their neighbours lose the shared steps too. A
    network that never met a missing value in training may be disturbed by the gap as well as by
    what it hides.

    Args:
        model: a `ForecastModel`.
        batches: windows with a future, held out from training.
        patch_length: steps of a patch.
        stride: steps from one patch to the next.
    """
    complete = mean_loss(model, batches)
    losses = [
        mean_loss(model, [_without(batch, *span) for batch in batches])
        for span in patch_spans(model.context_length, patch_length, stride)
    ]
    return torch.tensor(losses) - complete


def patch_spans(context_length: int, patch_length: int, stride: int) -> list[tuple[int, int]]:
    """Return begin and end (exclusive) of each patch within the context.

    They are PatchTST's (see `nn.patching`) without the padding at their end.
    """
    begins = [stride * k for k in range(patch_count(context_length, patch_length, stride))]
    ends = [min(begin + patch_length, context_length) for begin in begins]
    return [(begin, end) for begin, end in zip(begins, ends, strict=True) if begin < end]


def _without(batch: Batch, begin: int, end: int) -> Batch:
    """Return the batch with some steps of its contexts missing."""
    observed, target = batch.observed.clone(), batch.target.clone()
    observed[..., begin:end] = False
    target[..., begin:end] = 0.0
    return replace(batch, observed=observed, target=target)


def mean_loss(model: Any, batches: Sequence[Batch]) -> float:
    """Return the loss of a network in evaluation, the mean over all windows.

    Raises:
        ValueError: without windows.
    """
    if not batches:
        raise ValueError("there is no window to compute a loss from; pass longer series")
    with _evaluating(model):
        losses = [(float(model.loss(batch)), len(batch)) for batch in batches]
    return sum(loss * size for loss, size in losses) / sum(size for _, size in losses)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Neither dropout nor gradients, while this lasts."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)
