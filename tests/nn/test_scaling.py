from __future__ import annotations

import numpy as np
import pytest
import torch

from tsformer.nn.scaling import arcsinh, instance_norm, normalise, nothing_missing


def make_window(missing: float = 0.3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(4, 2, 30, generator=generator) * 5 + 100
    return values, torch.rand(4, 2, 30, generator=generator) >= missing


def test_moments_are_those_of_the_observed_values() -> None:
    values, observed = make_window()
    z, (loc, scale) = instance_norm(values, observed)
    masked = np.ma.masked_array(values.double().numpy(), ~observed.numpy())
    np.testing.assert_allclose(loc[..., 0], masked.mean(axis=-1), rtol=1e-5)
    np.testing.assert_allclose(scale[..., 0], masked.std(axis=-1), rtol=1e-4)
    torch.testing.assert_close(z * scale + loc, torch.where(observed, values, loc))
    assert (z[~observed] == 0).all()


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_precision_is_that_of_the_values(dtype: torch.dtype, missing: float) -> None:
    values, observed = make_window(missing)
    z, (loc, scale) = instance_norm((values / 100).to(dtype), observed)
    assert z.dtype == loc.dtype == scale.dtype == dtype
    exact, (_, expected) = instance_norm((values / 100).to(dtype).double(), observed)
    tolerance = 20 * torch.finfo(dtype).eps
    torch.testing.assert_close(scale.double(), expected, rtol=tolerance, atol=0.0)
    torch.testing.assert_close(z.double(), exact, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_traced_function_takes_other_windows_with_gaps() -> None:
    values, observed = make_window()
    traced = torch.jit.trace(instance_norm, (values, torch.ones_like(observed)))
    torch.testing.assert_close(traced(values, observed)[0], instance_norm(values, observed)[0])
    assert nothing_missing(torch.ones_like(observed))
    assert not nothing_missing(observed)


def test_what_stands_at_missing_places_does_not_count() -> None:
    values, observed = make_window()
    for garbage in (1e30, -torch.inf, torch.nan):
        wild = torch.where(observed, values, garbage)
        for ours, theirs in zip(
            (instance_norm(wild, observed)[0], *instance_norm(wild, observed)[1]),
            (instance_norm(values, observed)[0], *instance_norm(values, observed)[1]),
            strict=True,
        ):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e-38, 1e30])
def test_a_constant_has_no_scale_and_is_exact(constant: float) -> None:
    values = torch.full((1, 1, 9), constant)
    observed = torch.arange(9).expand(1, 1, -1) > 3
    z, (loc, scale) = instance_norm(values, observed)
    assert scale.item() == 0
    assert loc.item() == values[0, 0, 0].item()
    assert (z == 0).all()


def test_a_window_without_values_is_all_zero() -> None:
    z, (loc, scale) = instance_norm(
        torch.full((1, 1, 5), torch.nan), torch.zeros(1, 1, 5, dtype=torch.bool)
    )
    assert (z == 0).all()
    assert loc.item() == scale.item() == 0


@pytest.mark.parametrize("unit", [1e-35, 1e-20, 1.0, 1e20, 1e35])
def test_units_do_not_matter(unit: float) -> None:
    values, observed = make_window()
    z, (_, scale) = instance_norm((values - 100) * unit, observed)
    expected, _ = instance_norm(values - 100, observed)
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4)
    assert scale.isfinite().all()
    assert (scale > 0).all()


def test_small_changes_of_a_large_value_keep_their_digits() -> None:
    values = 1e6 + torch.arange(16.0).expand(1, 1, -1)
    z, _ = instance_norm(values, torch.ones(1, 1, 16, dtype=torch.bool))
    expected, _ = instance_norm(values - 1e6, torch.ones(1, 1, 16, dtype=torch.bool))
    torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-5)


def test_normalise_continues_the_scale_of_the_window() -> None:
    values, observed = make_window(missing=0.0)
    z, scale = instance_norm(values, observed)
    torch.testing.assert_close(normalise(values, scale), z, rtol=1e-4, atol=1e-4)


def test_arcsinh_is_torchs() -> None:
    values = torch.cat([torch.logspace(-30, 15, 400), torch.zeros(1)])
    values = torch.cat([values, -values])
    torch.testing.assert_close(arcsinh(values), torch.asinh(values), rtol=1e-6, atol=0.0)
    value = torch.tensor([-2.0, 0.5], requires_grad=True)
    arcsinh(value).sum().backward()
    torch.testing.assert_close(value.grad, (1 + value.detach().square()).rsqrt())
