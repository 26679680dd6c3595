"""What the machine is good at: choices that were measured, made in one place."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import torch

Precision = Literal["auto", "32-true", "bf16-mixed"]
_WIDE = 64  # features; narrower networks gain nothing from half precision


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
