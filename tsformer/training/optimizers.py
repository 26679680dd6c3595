"""AdamW that does without torch's compiler, and the two optimisers of pre-training."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW


class UncompiledAdamW(AdamW):
    """AdamW (Loshchilov & Hutter 2019) whose steps do not import torch's compiler.

    `torch.optim.AdamW` imports it only to say what is not to be compiled. Use that one where steps
    themselves are compiled or, with `differentiable`, have a gradient.
    """

    add_param_group = inspect.unwrap(AdamW.add_param_group)
    zero_grad = inspect.unwrap(AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(AdamW.step))


def muon_and_adamw(model: nn.Module, layers: nn.Module, settings: Any) -> list[Any]:
    """Return Muon (Jordan et al. 2024) for the matrices of `layers` and AdamW for the rest.

    Each group of parameters has its highest learning rate under `"highest"`.

    Args:
        model: all that is trained.
        layers: a part of it.
        settings: with `matrix_learning_rate`, `learning_rate` and `weight_decay` (of matrices).

    Raises:
        RuntimeError: where torch has no Muon.
    """
    if not hasattr(torch.optim, "Muon"):
        raise RuntimeError(
            "pre-training needs torch.optim.Muon, which came with torch 2.9; this is torch "
            f"{torch.__version__}: pip install 'torch>=2.9'"
        )
    matrices = [p for p in layers.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices,
        lr=settings.matrix_learning_rate,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adamw = torch.optim.AdamW(
        others, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    for optimizer in (muon, adamw):
        for group in optimizer.param_groups:
            group["highest"] = group["lr"]
    return [muon, adamw]
