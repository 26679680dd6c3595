from __future__ import annotations

import numpy as np
import pytest
import torch

from tsformer.models.numbers import NumberVocabulary

NUMBERS = NumberVocabulary()


def centres(numbers: NumberVocabulary) -> torch.Tensor:
    """Return the middle of each bin, in `arcsinh(z)`."""
    return (torch.arange(numbers.n_bins) + 0.5).double() / numbers.per_unit - numbers.limit


@pytest.mark.parametrize(
    "numbers", [NUMBERS, NumberVocabulary(n_bins=10, limit=2.0, seasons=(1, 7))]
)
def test_bins_and_their_centres_are_inverse(numbers: NumberVocabulary) -> None:
    middle = centres(numbers)
    assert torch.equal(numbers.bins(middle.sinh()), torch.arange(numbers.n_bins))
    inside = torch.linspace(-numbers.limit, numbers.limit, 5001).double()[1:-1]
    off = middle[numbers.bins(inside.sinh())] - inside
    assert off.abs().max() <= 0.5 / numbers.per_unit + 1e-9


def test_single_precision_finds_the_same_bins_but_for_edges() -> None:
    standardised = torch.linspace(-27, 27, 20_001)
    one, other = NUMBERS.bins(standardised), NUMBERS.bins(standardised.double())
    assert (one - other).abs().max() <= 1
    assert (one != other).float().mean() < 1e-3


def test_bins_are_finer_where_most_values_are_and_alike_for_both_signs() -> None:
    edges = (torch.arange(NUMBERS.n_bins + 1).double() / NUMBERS.per_unit - NUMBERS.limit).sinh()
    widths = edges.diff()
    assert widths.argmin() in (NUMBERS.n_bins // 2 - 1, NUMBERS.n_bins // 2)
    assert widths.min() < 0.01
    np.testing.assert_allclose(centres(NUMBERS), -centres(NUMBERS).flip(0))


def test_missing_and_far_values_have_tokens() -> None:
    far = torch.tensor([torch.nan, torch.inf, -torch.inf, 1e30, -1e30, 28.0, -28.0, 0.0])
    last = NUMBERS.n_bins - 1
    expected = [NUMBERS.missing, last, 0, last, 0, last, 0, NUMBERS.n_bins // 2]
    assert NUMBERS.bins(far).tolist() == expected


def test_every_token_has_one_meaning() -> None:
    seasons = NUMBERS.season_tokens(torch.tensor(NUMBERS.seasons))
    named = [*range(NUMBERS.n_bins), NUMBERS.missing, NUMBERS.unknown_season, *seasons.tolist()]
    assert named == list(range(NUMBERS.size))
    assert NUMBERS.size == 1103


def test_a_season_without_a_token_is_unknown() -> None:
    seasons = torch.tensor([[1, 12], [61, 168], [365, 5000]])
    tokens = NUMBERS.season_tokens(seasons)
    unknown = NUMBERS.unknown_season
    assert tokens.shape == (3, 2)
    assert (tokens == unknown).tolist() == [[False, False], [True, False], [False, True]]
    assert tokens[0].tolist() == [unknown + 1, unknown + 12]


def test_features_of_near_bins_are_alike_and_seeded() -> None:
    def features(seed: int) -> torch.Tensor:
        return NUMBERS.smooth_features(64, torch.Generator().manual_seed(seed))

    table = features(0)
    assert table.shape == (NUMBERS.n_bins, 64)
    assert torch.equal(table, features(0))
    assert not torch.equal(table, features(1))
    unit = table / table.norm(dim=1, keepdim=True)
    likeness = [(unit[gap:] * unit[:-gap]).sum(dim=1).mean().item() for gap in (1, 4, 30, 300)]
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] > 0.9
    assert likeness[-1] < 0.7
    nearest = (unit @ unit.T).fill_diagonal_(-1).argmax(dim=1)
    assert ((nearest - torch.arange(NUMBERS.n_bins)).abs() <= 2).all()
