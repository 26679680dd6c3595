"""Choices by what the machine can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tsformer.hardware import _multiplies_halves, half_precision


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    _multiplies_halves.cache_clear()
    yield
    _multiplies_halves.cache_clear()


@pytest.mark.parametrize(
    ("capabilities", "d_model", "expected"),
    [
        ({"amx_bf16": True}, 128, True),
        ({"avx512_bf16": True, "amx_bf16": False}, 64, True),
        ({"avx512_bf16": True}, 32, False),
        ({"avx512_f": True, "avx512_bf16": False}, 512, False),
        ({}, 512, False),
    ],
)
def test_halves_where_the_processor_has_instructions_for_them(
    capabilities: dict[str, Any], d_model: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert half_precision("auto", d_model) is expected
    assert half_precision("bf16-mixed", d_model)
    assert not half_precision("32-true", d_model)


def test_an_older_torch_multiplies_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not half_precision("auto", 512)


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(ValueError, match="precision='bf8' is unknown; choose one of 'auto', "):
        half_precision("bf8", 128)  # type: ignore[arg-type]
