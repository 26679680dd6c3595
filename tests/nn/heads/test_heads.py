from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_pinball_loss

from tsformer.nn.heads import DistributionHead, PointHead, QuantileHead, make_head
from tsformer.nn.scaling import Scale

SCALE = Scale(torch.full((2, 1, 1), 10.0), torch.full((2, 1, 1), 4.0))
SHAPE = (2, 1, 5)


def make_output(size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*SHAPE, size, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 10_000), st.floats(0.01, 1e4))
def test_quantiles_never_cross(seed: int, size: float) -> None:
    head = QuantileHead()
    quantiles = head.quantiles(size * make_output(head.output_size, seed))
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert quantiles.isfinite().all()


def test_an_output_of_zero_is_a_standard_normal() -> None:
    head = QuantileHead()
    quantiles = head.quantiles(torch.zeros(1, 1, 1, head.output_size))
    np.testing.assert_allclose(quantiles[0, 0, 0], stats.norm.ppf(head.levels), atol=1e-5)


def test_the_loss_is_twice_the_pinball_loss_in_scaled_units() -> None:
    head = QuantileHead()
    output, target = make_output(head.output_size), 10 + 4 * torch.randn(SHAPE)
    quantiles = head.quantiles(output)
    z = (target - 10) / 4
    expected = np.mean(
        [
            2 * mean_pinball_loss(z.flatten(), quantiles[..., k].flatten(), alpha=level)
            for k, level in enumerate(head.levels)
        ]
    )
    assert head.loss(output, target, SCALE).mean().item() == pytest.approx(expected, rel=1e-5)


def test_predictions_are_in_raw_units() -> None:
    head = QuantileHead()
    output = make_output(head.output_size)
    _, quantiles = head.predict(output, SCALE, (0.1, 0.9))
    scaled = head.quantiles(output)[..., [head.levels.index(0.1), head.levels.index(0.9)]]
    torch.testing.assert_close(quantiles, 10 + 4 * scaled)


def test_the_mean_is_not_the_median_of_a_skewed_forecast() -> None:
    head = QuantileHead()
    output = torch.zeros(*SHAPE, head.output_size)
    output[..., -3:] = 3.0  # a long upper tail
    mean, quantiles = head.predict(output, SCALE, (0.5,))
    assert (mean > quantiles[..., 0] + 0.5).all()


def test_levels_must_ascend_and_hold_the_median() -> None:
    for levels in ([0.1, 0.9], [0.5, 0.1, 0.9], [0.1, 0.5, 0.5]):
        with pytest.raises(ValueError, match="must ascend and contain 0.5"):
            QuantileHead(levels)


def test_levels_of_the_user_are_trained_too() -> None:
    head = make_head("quantile", levels=(0.333,))
    assert isinstance(head, QuantileHead)
    assert 0.333 in head.levels


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mse", lambda e: e**2),
        ("mae", np.abs),
        ("huber", lambda e: np.where(np.abs(e) < 1, e**2 / 2, np.abs(e) - 0.5)),
    ],
)
def test_point_losses_are_their_definitions(name: str, expected: object) -> None:
    head = make_head(name)
    output, target = make_output(1), 10 + 4 * torch.randn(SHAPE)
    error = ((target - 10) / 4 - output[..., 0]).numpy()
    assert callable(expected)
    np.testing.assert_allclose(
        head.loss(output, target, SCALE).numpy(), expected(error), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("loss", "shift"), [("mae", 1), ("huber", 1), ("mse", 0)])
def test_a_point_head_learns_the_quantiles_of_its_errors(loss: str, shift: float) -> None:
    """One trained on squares is the mean already, whatever the few held out windows say."""
    head = PointHead(loss)
    errors = torch.randn(5000, 1, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1
    scale = Scale(torch.zeros(5000, 1, 1), torch.ones(5000, 1, 1))
    known = torch.ones(5000, 1, 5, dtype=torch.bool)
    head.calibrate(torch.zeros(5000, 1, 5, 1), errors, scale, known)
    mean, quantiles = head.predict(torch.zeros(*SHAPE, 1), SCALE, (0.1, 0.5, 0.9))
    expected = 10 + 4 * stats.norm(shift, 2).ppf([0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles[0, 0, 0], expected, rtol=0.03, atol=0.3)
    assert mean[0, 0, 0].item() == pytest.approx(10 + 4 * shift, abs=0.3)


def oracle(name: str, output: torch.Tensor) -> stats.rv_continuous:
    """Return SciPy's distribution with the same parameters, in raw units."""
    parameters = output.double().numpy()
    softplus = np.log1p(np.exp(parameters))
    if name == "normal":
        return stats.norm(10 + 4 * parameters[..., 0], 4 * softplus[..., 1])
    if name == "laplace":
        return stats.laplace(10 + 4 * parameters[..., 0], 4 * softplus[..., 1])
    if name == "student_t":
        location, width = 10 + 4 * parameters[..., 1], 4 * softplus[..., 2]
        return stats.t(2 + softplus[..., 0], location, width)
    logits = parameters[..., 1] + np.log(10)
    return stats.nbinom(softplus[..., 0], 1 / (1 + np.exp(logits)))


@pytest.mark.parametrize("name", ["normal", "laplace", "student_t", "negative_binomial"])
def test_distributions_are_scipys_with_the_windows_scale(name: str) -> None:
    head = make_head(name)
    assert isinstance(head, DistributionHead)
    output = make_output(head.output_size)
    target = torch.randint(0, 20, SHAPE, generator=torch.Generator().manual_seed(1)).float()
    expected = oracle(name, output)
    mean, quantiles = head.predict(output, SCALE, (0.1, 0.5, 0.9))
    np.testing.assert_allclose(mean, expected.mean(), rtol=1e-3, atol=1e-3)
    for place, level in enumerate((0.1, 0.5, 0.9)):
        np.testing.assert_allclose(quantiles[..., place], expected.ppf(level), rtol=1e-3, atol=1e-3)
    counts = name == "negative_binomial"
    density = expected.logpmf(target) if counts else expected.logpdf(target) + np.log(4)
    np.testing.assert_allclose(head.loss(output, target, SCALE), -density, rtol=1e-3, atol=1e-3)


def test_an_unknown_head_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="head='median' is unknown; choose one of 'quantile'"):
        make_head("median")
