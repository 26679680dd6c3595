"""What each change does, and to how many series."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from tsformer.prior import augment as changes
from tsformer.prior.augment import CHANGES, augment
from tsformer.prior.draws import standardise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def values() -> Tensor:
    walks = torch.randn(300, 80, generator=seeded(9)).cumsum(dim=1)
    return standardise(walks)


@pytest.mark.parametrize("change", [change for change, _ in CHANGES], ids=lambda c: c.__name__)
@pytest.mark.parametrize("length", [2, 33])
def test_a_change_keeps_shape_and_seed_and_stays_finite(
    change: changes.Change, length: int
) -> None:
    rows = standardise(torch.randn(40, length, generator=seeded(9)))
    one, same, other = (change(seeded(seed), rows) for seed in (1, 1, 2))
    assert one.shape == rows.shape
    assert one.isfinite().all()
    assert torch.equal(one, same)
    if length > 2:
        drawn = change not in (changes.differenced, changes.turned)
        assert torch.equal(one, other) != drawn
        assert not torch.equal(one, rows)


def test_each_change_happens_to_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = standardise(torch.randn(4000, 12, generator=seeded(9)))
    for change, share in CHANGES:
        monkeypatch.setattr(changes, "CHANGES", ((change, share),))
        touched = (augment(seeded(), rows) != rows).any(dim=1).float().mean()
        assert touched == pytest.approx(share, abs=0.02), change.__name__


def test_what_is_left_alone_is_not_touched_at_all(values: Tensor) -> None:
    same = (augment(seeded(), values) == values).all(dim=1).float().mean()
    assert 0.2 < same < 0.7


def test_a_mixture_resembles_the_series_more_than_the_other(values: Tensor) -> None:
    found = standardise(changes.mixed(seeded(), values))
    assert ((found * values).mean(dim=1) > 0.3).all()


def test_an_envelope_changes_sizes_but_no_signs(values: Tensor) -> None:
    assert torch.equal(changes.enveloped(seeded(), values).sign(), values.sign())


def test_bending_skews(values: Tensor) -> None:
    noise = torch.randn(300, 200, generator=seeded(1))
    skews = torch.from_numpy(stats.skew(changes.bent(seeded(), noise), axis=1)).abs()
    assert (skews > 1).float().mean() > 0.3


def test_a_warped_clock_goes_forward_from_end_to_end() -> None:
    time = torch.linspace(-1, 1, 60).repeat(50, 1)
    found = changes.warped(seeded(), time)
    assert (found.diff(dim=1) >= -1e-6).all()
    assert torch.allclose(found[:, 0], time[:, 0], atol=1e-3)
    assert torch.allclose(found[:, -1], time[:, -1], atol=1e-3)
    assert (found - time).abs().max() > 0.1


def test_sums_and_differences_undo_each_other(values: Tensor) -> None:
    changed = changes.differenced(seeded(), changes.summed(seeded(), values))[:, 1:]
    off = changed - values[:, 1:]
    assert torch.allclose(off, off[:, :1].expand_as(off), atol=1e-3)  # the drift


def test_held_series_change_every_few_steps_only(values: Tensor) -> None:
    still = (changes.held(seeded(), values).diff(dim=1) == 0).float().mean(dim=1)
    assert still.min() >= 0.45


def test_noise_is_added_around_the_series(values: Tensor) -> None:
    error = changes.noisy(seeded(), values) - values
    assert error.mean().abs() < 0.01
    assert (error.std(dim=1) < 1.5).all()
