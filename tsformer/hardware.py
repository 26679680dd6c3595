"""What the machine is good at: choices that were measured, made in one place."""

from __future__ import annotations

from functools import cache
from typing import Literal, get_args

import torch
from torch import Tensor

SetPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
_ON_CPUS = ("auto", "32-true", "bf16-mixed")
_INSTRUCTIONS = ("amx_bf16", "avx512_bf16")  # for products of bfloat16 numbers
_WIDE = 64  # features; narrower networks gain nothing from half precision
_ATTENDING = 1 << 12  # tokens; attention to fewer is done before Python has cut them into blocks
_FEEDING = 1 << 10  # tokens; feed-forward parts of fewer are
_SHORT, _NARROW, _SMALL = 14, 8, 1200  # tokens of a sequence, features of a head, of a sequence
_APART = 1 << 13  # tokens of a piece and thread; with fewer, they wait for each other's Python
_FEW = 64  # tokens of a sequence; with more of them plain products need too much memory
_LARGE = 1 << 14  # numbers; fewer are drawn before Python has called for bytes


def attention_gains_from_blocks(tokens: Tensor) -> bool:
    """Return whether attention block by block is faster than by torch's own operations.

    On a CPU it is, for many tokens: measured on two cores, a step of PatchTST with 896 sequences of
    42 tokens took less than half of the time, one with 256 sequences of 9 tokens a tenth more.
    In 16 bits, and where a network is compiled, torch's own is faster.

    Args:
        tokens: `[B, N, D]`.
    """
    return _fits_blocks(tokens, _ATTENDING)


def attention_gains_from_sums(tokens: Tensor, d_head: int) -> bool:
    """Return whether attention by sums of products is faster than by matrix products.

    On a CPU it is, for many short sequences and narrow heads: measured on two cores with 256
    sequences of 9 tokens and heads of 4, attention and its gradient took less than two thirds of
    the time; with 14 tokens and heads of 8 hardly less, with 16 of either, or wide tokens, more.

    Args:
        tokens: `[B, N, D]`.
        d_head: features of a head.
    """
    _, n_tokens, d_model = tokens.shape
    fits = n_tokens <= _SHORT and d_head <= _NARROW and n_tokens * d_model <= _SMALL
    return fits and _fits_blocks(tokens, _FEEDING)


def feed_forward_gains_from_blocks(tokens: Tensor) -> bool:
    """Return whether the feed-forward part is faster block by block.

    It is from fewer tokens on: a step with 256 sequences of 9 tokens took 1 to 4 % less.

    Args:
        tokens: `[B, N, D]`.
    """
    return _fits_blocks(tokens, _FEEDING)


def _fits_blocks(tokens: Tensor, fewest: int) -> bool:
    return (
        tokens.shape[0] * tokens.shape[1] >= fewest
        and tokens.device.type == "cpu"
        and tokens.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def training_gains_from_pieces(n_tokens: int, count: int) -> bool:
    """Return whether a step is faster by pieces of the batch, a core each, than in whole.

    It is on a virtual machine whose host moves its cores apart: measured on two, whose steps took
    0.13 s in some minutes and 0.2 s in others, it was 0.135 s in all. On two that are together it
    is as fast, if there is so much to do that Python's calls of torch, of which threads wait for
    each other's, take little of the time: with 9,000 tokens to a piece they took a tenth, with
    1,000 half. They wait the longer the more they are. More than two were not measured.

    Args:
        n_tokens: of a piece, of all windows and variates.
        count: of the pieces.
    """
    return count > 1 and n_tokens >= count * _APART


def gains_from_products(query: Tensor) -> bool:
    """Return whether plain products are faster than torch's fused attention.

    For training on a CPU they are, with few tokens: measured with 9 to 42 tokens and heads of 4 to
    32 features, the fused kernel and its gradient took 1.3 to 2 times as long, with 512 tokens a
    third. In bfloat16 they are at any length, up to eight times.
    """
    trains = query.device.type == "cpu" and query.requires_grad and torch.is_grad_enabled()
    return trains and (query.dtype is torch.bfloat16 or query.shape[-2] <= _FEW)


def gains_from_bytes(x: Tensor) -> bool:
    """Return whether dropout that draws bytes is faster than torch's, which draws numbers.

    On a CPU it is seven times as fast, but for a few thousand numbers the call takes longer.
    """
    return x.numel() >= _LARGE and x.device.type == "cpu" and not torch.compiler.is_compiling()


def check_precision(precision: str, known: tuple[str, ...] = get_args(Precision)) -> None:
    """Raise a ValueError for a precision that is not known."""
    if precision not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"precision={precision!r} is unknown; choose one of {names}")


def half_precision(precision: Precision, d_model: int) -> bool:
    """Return whether a network of this width is to forecast in bfloat16, on a CPU.

    With `"auto"` it does where an x86 processor has instructions for it: measured on one with
    AVX-512 BF16, networks of width 128 and more were half as fast again or better, and forecasts
    differed by some thousandths of their 90 % interval on average, some hundredths at most.

    Raises:
        ValueError: for an unknown precision, or that of GPUs.
    """
    check_precision(precision, _ON_CPUS)
    if precision == "auto":
        return d_model >= _WIDE and _has(*_INSTRUCTIONS)
    return precision == "bf16-mixed"


def training_precision(precision: Precision, d_model: int, accelerator: str) -> SetPrecision:
    """Return what Lightning is told for a network of this width; never `"auto"`.

    With `"auto"` it is bfloat16 for networks of width 64 and more on a GPU, or on a processor with
    matrix units for it (AMX): without those, training in bfloat16 is slower than in 32 bits.

    Raises:
        ValueError: for an unknown precision.
    """
    check_precision(precision)
    if precision != "auto":
        return precision
    on_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if d_model >= _WIDE and (on_gpu or _has("amx_bf16")) else "32-true"


@cache
def _has(*instructions: str) -> bool:
    """Return whether the processor has any of these instructions."""
    if not hasattr(torch.cpu, "get_capabilities"):  # an older torch
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in instructions)
