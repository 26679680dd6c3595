from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tsformer.data.calendar import Frequency
from tsformer.data.encoding import EncodedCovariates
from tsformer.data.panel import Panel
from tsformer.data.windows import (
    CovariateSource,
    EpochWindows,
    RandomWindows,
    Windows,
    WindowSource,
    training_range,
    validation_range,
)
from tsformer.types import Batch

LENGTHS = np.array([7, 1, 30, 12])


def make_panel(lengths: np.ndarray = LENGTHS, missing: float = 0.2) -> Panel:
    generator = np.random.default_rng(0)
    total = int(lengths.sum())
    values = generator.normal(size=(2, total)).astype(np.float32)
    values[generator.random((2, total)) < missing] = np.nan
    return Panel(
        values=values,
        offsets=np.r_[0, np.cumsum(lengths)],
        ids=np.arange(len(lengths)),
        starts=np.zeros(len(lengths), dtype=np.int64),
        freq=Frequency(unit="integer", step=1),
    )


def gather_slowly(panel: Panel, series: int, cutoff: int, context: int, horizon: int) -> np.ndarray:
    """Return one window step by step, NaN = missing: the oracle of `gather`."""
    values = panel.series(series)
    window = np.full((values.shape[0], context + horizon), np.nan, dtype=np.float32)
    for place, step in enumerate(range(cutoff - context, cutoff + horizon)):
        if 0 <= step < values.shape[1]:
            window[:, place] = values[:, step]
    return window


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 40)), min_size=1, max_size=6),
    st.integers(1, 12),
    st.integers(0, 6),
)
def test_windows_are_those_of_a_loop(
    windows: list[tuple[int, int]], context: int, horizon: int
) -> None:
    panel = make_panel()
    series, cutoffs = torch.tensor(windows).T
    batch = WindowSource.of(panel, context, horizon).gather(series, cutoffs)
    for number, (one, cutoff) in enumerate(windows):
        expected = gather_slowly(panel, one, cutoff, context, horizon)
        target = torch.where(batch.observed, batch.target, torch.nan)[number]
        np.testing.assert_array_equal(target, expected[:, :context])
        assert (batch.target[~batch.observed] == 0).all()
        if horizon:
            assert batch.future is not None
            assert batch.future_observed is not None
            future = torch.where(batch.future_observed, batch.future, torch.nan)[number]
            np.testing.assert_array_equal(future, expected[:, context:])
        else:
            assert batch.future is None


def test_the_context_knows_nothing_of_the_future() -> None:
    panel = make_panel(missing=0.0)
    later = panel.values.copy()
    cut = panel.offsets[2] + 20
    later[:, cut:] += 100
    changed = replace(panel, values=later)
    series, cutoffs = torch.tensor([2]), torch.tensor([20])
    one = WindowSource.of(panel, 10, 5).gather(series, cutoffs)
    other = WindowSource.of(changed, 10, 5).gather(series, cutoffs)
    assert torch.equal(one.target, other.target)
    assert one.future is not None
    assert other.future is not None
    assert not torch.equal(one.future, other.future)


def all_windows(windows: Windows) -> Batch:
    return windows.batch(torch.arange(len(windows)))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(1, 15),
    st.integers(1, 12),
    st.integers(0, 12),
)
def test_training_never_sees_a_step_that_is_held_out(
    lengths: list[int], context: int, horizon: int, held_out: int
) -> None:
    sizes = np.minimum(held_out, np.array(lengths) - 1)
    known = np.array(lengths) - sizes
    panel = make_panel(np.array(lengths), missing=0.0)
    poisoned = panel.values.copy()
    for number, length in enumerate(known):
        poisoned[:, panel.offsets[number] + length : panel.offsets[number + 1]] = 1e9
    windows = Windows(
        source=WindowSource.of(replace(panel, values=poisoned), context, horizon, lengths=known),
        range=training_range(known, context, horizon),
    )
    if not len(windows):
        return
    batch = all_windows(windows)
    assert batch.future is not None
    assert batch.future_observed is not None
    assert batch.target.abs().max() < 1e6
    assert batch.future.abs().max() < 1e6
    assert batch.future_observed.any(dim=-1).all()
    assert batch.observed.any(dim=-1).all()


def test_a_long_series_gives_full_windows_only() -> None:
    found = training_range(np.array([100]), 24, 12)
    assert (found.first.item(), found.last.item()) == (24, 88)


def test_a_short_series_gives_windows_padded_on_the_left() -> None:
    found = training_range(np.array([30]), 24, 12)
    assert found.last.item() == 18
    assert 1 <= found.first.item() < 18


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(1, 12), st.integers(0, 40))
def test_validation_futures_lie_in_the_held_out_part(
    lengths: list[int], horizon: int, held_out: int
) -> None:
    sizes = np.minimum(held_out, np.array(lengths) - 1)
    found = validation_range(np.array(lengths), horizon, sizes)
    for length, size, first, last in zip(lengths, sizes, found.first, found.last, strict=True):
        if size == 0:
            assert last < first
            continue
        assert first >= length - size
        assert last <= max(length - horizon, first)
        assert last < length


def make_windows(context: int = 3, horizon: int = 2) -> Windows:
    panel = make_panel(missing=0.0)
    return Windows(
        source=WindowSource.of(panel, context, horizon),
        range=training_range(panel.lengths, context, horizon),
    )


def test_numbers_run_through_all_windows_of_all_series() -> None:
    windows = make_windows()
    series, cutoffs = windows.range.locate(torch.arange(len(windows)))
    expected = [
        (number, cutoff)
        for number, (first, last) in enumerate(
            zip(windows.range.first, windows.range.last, strict=True)
        )
        for cutoff in range(first, last + 1)
    ]
    assert [*zip(series.tolist(), cutoffs.tolist(), strict=True)] == expected


def stream(seed: int, steps: int, size: int = 4) -> list[torch.Tensor]:
    windows = RandomWindows(
        windows=make_windows(), batch_size=size, generator=torch.Generator().manual_seed(seed)
    )
    return [batch.target for _, batch in zip(range(steps), windows, strict=False)]


def test_the_same_seed_gives_the_same_stream() -> None:
    assert all(torch.equal(a, b) for a, b in zip(stream(1, 5), stream(1, 5), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(stream(1, 5), stream(2, 5), strict=True))


def test_all_windows_are_equally_likely() -> None:
    windows = make_windows()
    drawn = torch.cat([t[:, 0] for t in stream(0, 50, size=400)])
    every = all_windows(windows).target[:, 0]
    counts = torch.stack([(drawn == window).all(dim=-1).sum() for window in every])
    expected = len(drawn) / len(every)
    assert (counts > 0).all()
    chi_squared = ((counts - expected) ** 2 / expected).sum().item()
    assert chi_squared < 2.0 * len(every)


def test_an_epoch_has_every_window_once_and_another_order_each_time() -> None:
    windows = make_windows()
    epochs = EpochWindows(windows=windows, batch_size=4, generator=torch.Generator().manual_seed(0))
    every = all_windows(windows).target
    first, second = (torch.cat([batch.target for batch in epochs]) for _ in range(2))
    assert len([*epochs]) == len(epochs)
    for epoch in (first, second):
        order = [(every == window).flatten(1).all(dim=1).nonzero()[0].item() for window in epoch]
        assert sorted(order) == list(range(len(every)))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_a_limit_takes_windows_evenly_spread(limit: int) -> None:
    windows = make_windows()
    epochs = EpochWindows(windows=windows, batch_size=3, limit=limit)
    taken = torch.cat([batch.target for batch in epochs])
    assert len(taken) == min(limit, len(windows))
    assert len([*epochs]) == len(epochs)
    if limit > 1:
        assert torch.equal(taken[-1], all_windows(windows).target[-1])


N_FUTURE, COMING = 2, 3


def encode(panel: Panel, seed: int = 1) -> EncodedCovariates:
    """Return three covariates, two of them known for three steps more, and two static ones."""
    generator = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        values = generator.normal(size=shape).astype(np.float32)
        return np.where(generator.random(shape) < 0.2, np.nan, values).astype(np.float32)

    return EncodedCovariates(
        values=draw(N_FUTURE + 1, panel.values.shape[1]),
        coming=draw(N_FUTURE, len(panel), COMING),
        static=draw(2, len(panel)),
    )


def with_covariates(
    panel: Panel, encoded: EncodedCovariates, context: int, horizon: int, lengths: np.ndarray
) -> WindowSource:
    covariates = CovariateSource.of(panel, encoded, horizon)
    source = WindowSource.of(panel, context, horizon, lengths=lengths)
    return replace(source, covariates=covariates)


def covariates_slowly(
    panel: Panel,
    encoded: EncodedCovariates,
    window: tuple[int, int],
    sizes: tuple[int, int],
    known: int,
) -> np.ndarray:
    """Return the covariates of one window step by step: the oracle of `CovariateSource`.

    `known` is how many steps of the series the window's target may look at.
    """
    (series, cutoff), (context, horizon) = window, sizes
    found = np.full((N_FUTURE + 1, context + horizon), np.nan, dtype=np.float32)
    begin, length = panel.offsets[series], panel.lengths[series]
    for place, step in enumerate(range(cutoff - context, cutoff + horizon)):
        if 0 <= step < length:
            found[:N_FUTURE, place] = encoded.values[:N_FUTURE, begin + step]
            if step < min(known, cutoff):
                found[N_FUTURE:, place] = encoded.values[N_FUTURE:, begin + step]
        elif length <= step < length + COMING:
            found[:N_FUTURE, place] = encoded.coming[:, series, step - length]
    return found


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 40)), min_size=1, max_size=6),
    st.integers(1, 12),
    st.integers(1, 6),
    st.integers(0, 5),
)
def test_covariates_of_windows_are_those_of_a_loop(
    windows: list[tuple[int, int]], context: int, horizon: int, held_out: int
) -> None:
    panel = make_panel()
    encoded, known = encode(panel), np.maximum(LENGTHS - held_out, 0)
    source = with_covariates(panel, encoded, context, horizon, known)
    series, cutoffs = torch.tensor(windows).T
    batch = source.gather(series, cutoffs)
    assert batch.covariates is not None
    assert batch.covariates_observed is not None
    assert batch.static is not None
    assert (batch.covariates[~batch.covariates_observed] == 0).all()
    values = torch.where(batch.covariates_observed, batch.covariates, torch.nan)
    for number, window in enumerate(windows):
        expected = covariates_slowly(panel, encoded, window, (context, horizon), known[window[0]])
        np.testing.assert_array_equal(values[number], expected)
        static = np.nan_to_num(encoded.static[:, window[0]])
        np.testing.assert_array_equal(batch.static[number], static)


def test_the_past_only_is_not_known_after_the_cutoff_and_the_future_is() -> None:
    panel = make_panel(missing=0.0)
    encoded = encode(panel)
    later = encoded.values.copy()
    later[:, panel.offsets[2] + 20 :] += 100
    series, cutoffs = torch.tensor([2]), torch.tensor([20])
    one, other = (
        with_covariates(panel, replace(encoded, values=values), 10, 5, LENGTHS)
        .gather(series, cutoffs)
        .covariates
        for values in (encoded.values, later)
    )
    assert one is not None
    assert other is not None
    assert torch.equal(one[:, N_FUTURE:], other[:, N_FUTURE:])
    assert torch.equal(one[:, :, :10], other[:, :, :10])
    assert not torch.equal(one[:, :N_FUTURE, 10:], other[:, :N_FUTURE, 10:])


def test_covariates_of_series_without_a_step_are_unknown() -> None:
    empty = make_panel(np.array([0]))
    encoded = EncodedCovariates(
        values=np.empty((3, 0), np.float32),
        coming=np.ones((2, 1, 4), np.float32),
        static=np.ones((0, 1), np.float32),
    )
    batch = with_covariates(empty, encoded, 3, 4, empty.lengths).gather(
        torch.tensor([0]), torch.tensor([0])
    )
    assert batch.covariates_observed is not None
    assert not batch.covariates_observed[:, :, :3].any()
    assert batch.covariates_observed[0, :2, 3:].all()


def test_windows_are_measured_by_the_scale_of_their_series() -> None:
    panel = make_panel()
    scale = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]])
    source = replace(WindowSource.of(panel, 3, 2), series_scale=scale)
    batch = source.gather(torch.tensor([2, 0, 2]), torch.tensor([5, 3, 9]))
    assert batch.series_scale is not None
    assert batch.series_scale.tolist() == [[[5.0], [6.0]], [[1.0], [2.0]], [[5.0], [6.0]]]
    assert (
        WindowSource.of(panel, 3, 2).gather(torch.tensor([0]), torch.tensor([3])).series_scale
        is None
    )


def test_windows_are_gathered_where_their_source_lies() -> None:
    windows = make_windows()
    scale = torch.ones(len(windows.source.begins), len(windows.source.values))
    windows = replace(windows, source=replace(windows.source, series_scale=scale))
    far = windows.to(torch.device("meta"))  # a device that computes nothing but shapes
    batch, near = far.batch(torch.arange(3)), windows.batch(torch.arange(3))
    for name in ("target", "observed", "future", "future_observed", "series_scale"):
        assert getattr(batch, name).device.type == "meta"
        assert getattr(batch, name).shape == getattr(near, name).shape
    assert far.source.n_bytes == windows.source.values.nbytes
    assert len(far) == len(windows)


def test_covariates_go_where_their_source_goes() -> None:
    panel = make_panel()
    source = with_covariates(panel, encode(panel), 3, 2, panel.lengths)
    moved = source.to(torch.device("meta"))
    assert moved.covariates is not None
    assert moved.covariates.values.device.type == "meta"
    parts = (moved.values, moved.covariates.values, moved.covariates.coming)
    assert moved.n_bytes == sum(part.nbytes for part in parts)
