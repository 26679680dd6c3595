"""Choices by what the machine can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tsformer.hardware import _has, half_precision, training_precision


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    _has.cache_clear()
    yield
    _has.cache_clear()


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


@pytest.mark.parametrize(
    ("capabilities", "gpu", "accelerator", "d_model", "expected"),
    [
        ({"avx512_bf16": True}, False, "auto", 128, "32-true"),
        ({"amx_bf16": True}, False, "auto", 128, "bf16-mixed"),
        ({"amx_bf16": True}, False, "auto", 32, "32-true"),
        ({}, True, "auto", 64, "bf16-mixed"),
        ({}, True, "cpu", 64, "32-true"),
    ],
)
def test_training_in_halves_where_it_pays(
    capabilities: dict[str, Any],
    gpu: bool,
    accelerator: str,
    d_model: int,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert training_precision("auto", d_model, accelerator) == expected
    assert training_precision("16-mixed", d_model, accelerator) == "16-mixed"
    with pytest.raises(ValueError, match="precision='bf8' is unknown"):
        training_precision("bf8", d_model, accelerator)  # type: ignore[arg-type]


def test_halves_of_gpus_are_none_for_cpus() -> None:
    with pytest.raises(ValueError, match="precision='16-mixed' is unknown"):
        half_precision("16-mixed", 128)
