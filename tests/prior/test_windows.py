"""Windows of synthetic series."""

from __future__ import annotations

import pytest
import torch

from tsformer.prior import windows
from tsformer.prior.draws import Draw, standardise
from tsformer.prior.windows import draw_windows


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("context_length", "horizon"), [(16, 16), (64, 32), (4, 1)])
def test_shapes_and_seed(context_length: int, horizon: int) -> None:
    one, same, other = (draw_windows(seeded(s), 30, context_length, horizon) for s in (1, 1, 2))
    assert one.values.shape == one.observed.shape == (30, context_length)
    assert one.future.shape == (30, horizon)
    assert one.season.shape == (30,)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not torch.equal(one.values, other.values)
    assert one.values.isfinite().all()
    assert one.future.isfinite().all()


def test_some_begin_late_and_some_have_gaps() -> None:
    observed = draw_windows(seeded(), 2000, 128, 16).observed
    begin = observed.to(torch.uint8).argmax(dim=1)
    assert (begin > 12).float().mean() == pytest.approx(0.3, abs=0.06)
    assert ((begin > 100).float().mean()) > 0.05
    inside = torch.stack(
        [row[first:].float().mean() for row, first in zip(observed, begin, strict=True)]
    )
    assert (inside < 1).float().mean() == pytest.approx(0.18, abs=0.05)
    assert observed.any(dim=1).float().mean() > 0.99


def test_half_of_the_seasons_are_told() -> None:
    season = draw_windows(seeded(), 2000, 256, 16).season
    assert (season > 1).float().mean() == pytest.approx(0.38, abs=0.08)


@pytest.mark.parametrize("n", [1, 6, 12, 31, 2000])
def test_short_series_have_trends_of_their_own(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every series that is drawn is a line from -1.7 to 1.7: short ones are steep."""

    def lines(generator: torch.Generator, n: int, length: int) -> Draw:
        line = standardise(torch.arange(float(length)).expand(n, -1))
        return Draw(line, torch.ones(n, dtype=torch.long))

    def never(generator: torch.Generator, probability: float, *shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.bool)

    monkeypatch.setattr(windows, "draw_series", lines)
    monkeypatch.setattr(windows, "chance", never)
    drawn = draw_windows(seeded(), n, 128, 16)
    length = drawn.observed.sum(dim=1).double()
    assert int((length < 128).sum()) == round(n / 4)
    slope = drawn.future.diff(dim=1).double()
    expected = (12 / ((length + 16).square() - 1)).sqrt()[:, None].expand_as(slope)
    torch.testing.assert_close(slope, expected, rtol=1e-3, atol=0.0)
