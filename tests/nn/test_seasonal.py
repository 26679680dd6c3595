from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tsformer.nn.seasonal import SeasonalAverage

SIZES = [  # context_length, horizon, season_length
    (12, 4, 4),
    (14, 5, 4),  # the first two steps belong to no whole season
    (12, 3, 4),
    (12, 11, 3),
    (9, 4, 1),
    (7, 9, 7),
    (6, 8, 24),  # a season longer than the context
]


def make(context_length: int, horizon: int, season_length: int) -> SeasonalAverage:
    """Return one whose weights are not what they are at first."""
    torch.manual_seed(0)
    average = SeasonalAverage(context_length, horizon, season_length)
    for logits in average.parameters():
        torch.nn.init.normal_(logits, std=0.1)
    return average


def make_windows(context_length: int, missing: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(3, 2, context_length, generator=generator)
    observed = torch.rand(z.shape, generator=generator) >= missing
    return torch.where(observed, z, 0.0), observed


def softmax(logits: Tensor) -> np.ndarray:
    weights = np.exp(10.0 * logits.detach().numpy().astype(np.float64))
    return weights / weights.sum(axis=1, keepdims=True)


def weighted(weights: np.ndarray, values: list[tuple[int, float]]) -> float:
    """Return the average of values, each with the number of its season; 0 without any."""
    share = sum(weights[back] for back, _ in values)
    return sum(weights[back] * value for back, value in values) / share if values else 0.0


def by_loops(average: SeasonalAverage, z: np.ndarray, known: np.ndarray, horizon: int) -> list:
    """Return the forecast of one series, step by step and season by season."""
    season = average.season_length
    level_weights, shape_weights = softmax(average.level_logits), softmax(average.shape_logits)
    forecast = []
    for step in range(horizon):
        ahead, phase = divmod(step, season)
        levels, shapes = [], []
        for back in range(len(z) // season):
            begin = len(z) - (back + 1) * season
            seen = [z[t] for t in range(begin, begin + season) if known[t]]
            if not seen:
                continue
            levels.append((back, sum(seen) / len(seen)))
            if known[begin + phase]:
                shapes.append((back, z[begin + phase] - levels[-1][1]))
        forecast.append(
            weighted(level_weights[ahead], levels) + weighted(shape_weights[ahead], shapes)
        )
    return forecast


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
@pytest.mark.parametrize(("context_length", "horizon", "season_length"), SIZES)
def test_it_is_the_average_of_levels_and_of_shapes_of_earlier_seasons(
    context_length: int, horizon: int, season_length: int, missing: float
) -> None:
    average = make(context_length, horizon, season_length)
    z, observed = make_windows(context_length, missing)
    got = average(z, observed)
    assert got.shape == (3, 2, horizon)
    for window, variate in np.ndindex(3, 2):
        series = z[window, variate].double().numpy(), observed[window, variate].numpy()
        expected = by_loops(average, *series, horizon)
        np.testing.assert_allclose(got[window, variate].detach(), expected, rtol=1e-4, atol=1e-5)


def test_untrained_each_season_back_weighs_less_and_the_level_forgets_faster() -> None:
    average = SeasonalAverage(20, 6, 4)
    shape, level = softmax(average.shape_logits), softmax(average.level_logits)
    assert shape.shape == level.shape == (2, 5)  # seasons ahead, seasons back
    np.testing.assert_allclose(shape[:, 1:] / shape[:, :-1], np.exp(-0.1), rtol=1e-5)
    np.testing.assert_allclose(level[:, 1:] / level[:, :-1], np.exp(-1.0), rtol=1e-5)


@pytest.mark.parametrize("whole_seasons_missing", [[], [0], [0, 1, 3]])
def test_a_repeating_season_goes_on(whole_seasons_missing: list[int]) -> None:
    season = torch.tensor([3.0, -1.0, 4.0, 1.0, -5.0])
    z, observed = season.repeat(6), torch.ones(30, dtype=torch.bool)
    for back in whole_seasons_missing:
        observed[30 - 5 * (back + 1) : 30 - 5 * back] = False
    z = torch.where(observed, z, 0.0)
    got = make(30, 8, 5)(z[None, None], observed[None, None])
    torch.testing.assert_close(got[0, 0], season.repeat(2)[:8])


@pytest.mark.parametrize("n_missing", [1, 20, 55])
def test_missing_seasons_leave_all_their_weight_to_the_others_however_old(n_missing: int) -> None:
    observed = torch.ones(1, 1, 60, dtype=torch.bool)
    observed[..., 60 - n_missing :] = False
    average = SeasonalAverage(60, 2, 1)
    got = average(torch.where(observed, 2.5, 0.0), observed)
    torch.testing.assert_close(got, torch.full((1, 1, 2), 2.5))
    got.sum().backward()
    assert all(logits.grad.isfinite().all() for logits in average.parameters())


def test_what_lacks_any_weight_counts_as_nothing() -> None:
    observed = torch.zeros(1, 1, 400, dtype=torch.bool)
    observed[..., 0] = True
    average = SeasonalAverage(400, 3, 1)
    z = torch.where(observed, 7.0, 0.0)
    got = average(z, observed)
    got.sum().backward()
    assert all(logits.grad.isfinite().all() for logits in average.parameters())
    assert (got.abs() <= 7.0 + 1e-5).all()
    assert (average(torch.zeros_like(z), torch.zeros_like(observed)) == 0).all()


def test_a_window_is_averaged_alike_beside_one_with_missing_values() -> None:
    average, (z, observed) = make(14, 5, 4), make_windows(14, 0.0)
    partly = observed.clone()
    partly[0, 0, 3] = False
    got = average(torch.where(partly, z, 0.0), partly)
    torch.testing.assert_close(got[1:], average(z, observed)[1:])
    assert (got[0, 0] != average(z, observed)[0, 0]).any()


def test_half_precision_bears_missing_values() -> None:
    average, (z, observed) = SeasonalAverage(60, 2, 1), make_windows(60, 0.0)
    observed[..., 30:] = False
    z = torch.where(observed, z, 0.0)
    with torch.autocast("cpu", dtype=torch.float16):
        got = average(z, observed)
    got.sum().backward()
    assert got.isfinite().all()
    assert all(logits.grad.isfinite().all() for logits in average.parameters())
