"""Root mean square normalisation."""

from __future__ import annotations

import warnings

import torch

from tsformer.nn.rms_norm import RMSNorm


def test_it_is_torchs() -> None:
    norm, other = RMSNorm(6), torch.nn.RMSNorm(6)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(6.0))
    other.load_state_dict(norm.state_dict())
    x = torch.randn(3, 4, 6)
    assert torch.equal(norm(x), other(x))


def test_sixteen_bits_stay_sixteen_bits_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RMSNorm(6)(torch.randn(3, 6, dtype=torch.bfloat16)).dtype is torch.bfloat16
