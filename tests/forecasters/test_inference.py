"""Rolling and sampling, checked against distributions that are known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ndtri
from torch import Tensor

from tsformer.data.frame import Schema, read_panel
from tsformer.data.panel import Panel
from tsformer.forecasters.inference import (
    DENSE,
    error_correlation,
    forecast_panel,
    interpolate_levels,
    sample_paths,
)
from tsformer.forecasters.rolling import WindowOrigin, roll
from tsformer.types import Batch, Prediction

HORIZON = 4
LEVELS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


class Gaussian:
    """A network that knows: white noise around 0, or a random walk from the last value."""

    context_length, horizon = 6, HORIZON

    def __init__(self, walks: bool) -> None:
        self.walks = walks

    def predict(self, batch: Batch, levels: Sequence[float]) -> Prediction:
        steps = torch.arange(1.0, HORIZON + 1) if self.walks else torch.ones(HORIZON)
        mean = batch.target[..., -1:] * self.walks + torch.zeros(HORIZON)
        normal = torch.tensor(ndtri(np.array(levels)), dtype=torch.float32)
        return Prediction(mean, mean[..., None] + steps.sqrt()[:, None] * normal)


def roll_windows(model: Any, batch: Batch, horizon: int, levels: tuple[float, ...]):
    return roll(WindowOrigin(model=model, batch=batch), horizon, levels)


def batch_of(target: Tensor) -> Batch:
    return Batch(target=target, observed=torch.ones_like(target, dtype=torch.bool))


def panel_of(values: np.ndarray) -> Panel:
    return read_panel(values, Schema())[0]


def test_beyond_the_horizon_a_random_walk_spreads_with_the_root_of_time() -> None:
    mean, quantiles = roll_windows(
        Gaussian(walks=True), batch_of(torch.full((2, 1, 6), 5.0)), 12, LEVELS
    )
    torch.testing.assert_close(mean, torch.full((2, 1, 12), 5.0))
    deviation = np.sqrt(np.arange(1, 13))[:, None]
    expected = 5 + deviation * ndtri(np.array(LEVELS))
    for series in quantiles[:, 0].numpy():
        np.testing.assert_allclose(series[:HORIZON], expected[:HORIZON], rtol=1e-4)
        error = np.abs(series - expected) / deviation
        assert error[:, 1:-1].max() < 0.08
        assert error.max() < 0.35  # the tails: ten contexts cannot hold them


def test_beyond_the_horizon_white_noise_stays_as_wide_as_it_is() -> None:
    _, quantiles = roll_windows(Gaussian(walks=False), batch_of(torch.zeros(1, 1, 6)), 11, LEVELS)
    assert quantiles.shape == (1, 1, 11, len(LEVELS))
    expected = np.tile(ndtri(np.array(LEVELS)), (11, 1))
    np.testing.assert_allclose(quantiles[0, 0, :, 1:-1], expected[:, 1:-1], atol=0.06)
    np.testing.assert_allclose(quantiles[0, 0], expected, atol=0.1)


def test_contexts_move_on_by_what_was_forecast() -> None:
    seen: list[Batch] = []

    class Recorder(Gaussian):
        def predict(self, batch: Batch, levels: Sequence[float]) -> Prediction:
            seen.append(batch)
            return super().predict(batch, levels)

    target = torch.arange(6.0).reshape(1, 1, 6)
    observed = torch.tensor([[[True, True, False, True, False, True]]])
    roll_windows(Recorder(walks=True), Batch(target=target, observed=observed), 2 * HORIZON, (0.5,))
    continued = seen[-1]
    assert (continued.target[:, 0, :2] == torch.tensor([4.0, 5.0])).all()
    assert not continued.observed[:, 0, 0].any()
    assert continued.observed[:, 0, 1:].all()
    steps = continued.target[:, 0, 2:].diff(dim=0)
    assert (steps > 0).all()  # one context for each quantile, in ascending order


def test_series_of_a_batch_are_rolled_as_each_alone() -> None:
    target = torch.randn(3, 1, 6, generator=torch.Generator().manual_seed(0))
    together = roll_windows(Gaussian(walks=True), batch_of(target), 9, LEVELS)
    for number in range(3):
        alone = roll_windows(Gaussian(walks=True), batch_of(target[number : number + 1]), 9, LEVELS)
        for one, other in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], other[number])


def test_a_panel_larger_than_a_block_comes_back_in_order() -> None:
    values = np.random.default_rng(0).normal(size=(2500, 7))
    forecast = forecast_panel(Gaussian(walks=True), panel_of(values), 2, (0.5,))
    np.testing.assert_allclose(forecast.mean, np.repeat(values[:, -1:], 2, axis=1), rtol=1e-6)
    np.testing.assert_array_equal(forecast.quantile(0.5), forecast.mean)


def test_paths_have_the_quantiles_of_the_forecast_and_the_given_correlation() -> None:
    forecast = forecast_panel(Gaussian(walks=False), panel_of(np.zeros((2, 5))), HORIZON, DENSE)
    paths = sample_paths(
        forecast,
        n_samples=8000,
        correlation=0.7,
        generator=np.random.default_rng(0),
    )
    assert paths.shape == (2, 8000, HORIZON)
    for level in (0.05, 0.5, 0.9):
        np.testing.assert_allclose(np.quantile(paths, level, axis=1), ndtri(level), atol=0.07)
    correlation = np.corrcoef(paths[0], rowvar=False)
    np.testing.assert_allclose(np.diag(correlation, 1), 0.7, atol=0.03)
    np.testing.assert_allclose(np.diag(correlation, 2), 0.49, atol=0.03)
    assert abs(np.corrcoef(paths[0, :, 0], paths[1, :, 0])[0, 1]) < 0.05  # series on their own


def test_levels_are_interpolated_as_numpy_does() -> None:
    generator = np.random.default_rng(0)
    levels = np.array([0.1, 0.25, 0.5, 0.9])
    quantiles = np.sort(generator.normal(size=(2, 3, 4)), axis=-1)
    wanted = generator.random((2, 5, 3))
    found = interpolate_levels(quantiles, levels, wanted)
    for series in range(2):
        for path in range(5):
            for step in range(3):
                expected = np.interp(wanted[series, path, step], levels, quantiles[series, step])
                assert found[series, path, step] == pytest.approx(expected)


def error_batches(correlation: float, n_windows: int, known: bool = True) -> list[Batch]:
    """Return windows whose futures are autocorrelated standard normal values."""
    generator = np.random.default_rng(0)
    errors = generator.normal(size=(n_windows, 1, HORIZON))
    for step in range(1, HORIZON):
        fresh = np.sqrt(1 - correlation**2) * errors[:, :, step]
        errors[:, :, step] = correlation * errors[:, :, step - 1] + fresh
    future = torch.tensor(errors, dtype=torch.float32)
    empty = torch.zeros(n_windows, 1, 6)
    return [
        Batch(
            target=empty,
            observed=empty == 0,
            future=future,
            future_observed=torch.full_like(future, known, dtype=torch.bool),
        )
    ]


def correlation_of(batches: list[Batch]) -> float:
    model = Gaussian(walks=False)
    return error_correlation([model.predict(b, DENSE).quantiles for b in batches], batches)


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8])
def test_the_correlation_of_errors_is_recovered(correlation: float) -> None:
    found = correlation_of(error_batches(correlation, 3000))
    assert found == pytest.approx(correlation, abs=0.04)


def test_where_there_is_little_or_nothing_to_learn_from_then_no_correlation() -> None:
    assert correlation_of([]) == 0
    assert correlation_of(error_batches(0.9, 3)) == 0
    assert correlation_of(error_batches(0.9, 100, known=False)) == 0
    assert correlation_of(error_batches(-0.9, 100)) == 0


def test_dense_levels_ascend_and_mirror_each_other() -> None:
    assert list(DENSE) == sorted(set(DENSE))
    np.testing.assert_allclose(DENSE, 1 - np.array(DENSE)[::-1])
