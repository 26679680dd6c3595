"""What the machine is good at: choices that were measured, made in one place."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

Precision = Literal["auto", "32-true", "bf16-mixed"]
_WIDE = 64  # features; narrower networks gain nothing from half precision
_MANY = 1 << 10  # tokens; fewer are done before Python has cut them into blocks
_LARGE = 1 << 14  # numbers; fewer are drawn before Python has called for bytes


def gains_from_blocks(tokens: Tensor) -> bool:
    """Return whether a layer that works block by block is faster than one that calls torch's own.

    On a CPU it is, from about a thousand tokens on: measured on two cores, a step of PatchTST took
    0.4 of the time with 896 sequences of 42 tokens, 0.8 with 32 of them, and 1.1 with 32 sequences
    of 13. In 16 bits, and where a network is compiled, torch's own is faster.

    Args:
        tokens: `[B, N, D]`.
    """
    return (
        tokens.shape[0] * tokens.shape[1] >= _MANY
        and tokens.device.type == "cpu"
        and tokens.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def gains_from_bytes(x: Tensor) -> bool:
    """Return whether dropout that draws bytes is faster than torch's, which draws numbers.

    On a CPU it is seven times as fast, but for a few thousand numbers the call takes longer.
    """
    return x.numel() >= _LARGE and x.device.type == "cpu" and not torch.compiler.is_compiling()


def half_precision(precision: Precision, d_model: int) -> bool:
    """Return whether a network of this width is to multiply in bfloat16.

    With `"auto"` it does where an x86 processor has instructions for it: measured on one with
    AVX-512 BF16, networks of width 128 and more were half as fast again or better, and forecasts
    differed by some thousandths of their 90 % interval on average, some hundredths at most.

    Raises:
        ValueError: for an unknown precision.
    """
    if precision not in get_args(Precision):
        known = ", ".join(map(repr, get_args(Precision)))
        raise ValueError(f"precision={precision!r} is unknown; choose one of {known}")
    if precision == "auto":
        return d_model >= _WIDE and _multiplies_halves()
    return precision == "bf16-mixed"


@cache
def _multiplies_halves() -> bool:
    """Return whether the processor has instructions for products of bfloat16 numbers."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
