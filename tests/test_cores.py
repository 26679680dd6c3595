from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from tsformer import PatchTSTForecaster, cores
from tsformer.cores import (
    chance,
    even_pieces,
    gather_pieces,
    in_pieces,
    leads,
    side_by_side,
    together,
)


@pytest.fixture(params=[1, 2, 3])
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Set the threads of torch, and set them back."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_when_pieces_are_done_side_by_side_then_results_are_in_their_order(n_threads: int) -> None:
    assert side_by_side(lambda piece: piece**2, iter(range(20))) == [k**2 for k in range(20)]
    assert side_by_side(lambda piece: piece, []) == []
    assert torch.get_num_threads() == n_threads


def test_when_pieces_are_done_side_by_side_then_each_thread_has_one_core(n_threads: int) -> None:
    meeting = threading.Barrier(n_threads)  # which one thread alone would never pass

    def work(piece: int) -> tuple[int, int]:
        meeting.wait(timeout=60)
        return threading.get_ident(), torch.get_num_threads()

    seen = side_by_side(work, range(n_threads))
    assert len({thread for thread, _ in seen}) == n_threads
    assert {threads for _, threads in seen} == {1}


def test_when_a_piece_fails_then_its_error_is_raised_and_the_threads_are_as_before(
    n_threads: int,
) -> None:
    def work(piece: int) -> int:
        if piece == 3:
            raise ValueError("series 3")
        return piece

    with pytest.raises(ValueError, match="series 3"):
        side_by_side(work, range(6))
    assert torch.get_num_threads() == n_threads


@pytest.mark.parametrize(("count", "most"), [(1, 1024), (1000, 1024), (1025, 1024), (9999, 7)])
def test_when_pieces_are_even_then_all_threads_have_as_many(
    count: int, most: int, n_threads: int
) -> None:
    size = even_pieces(count, most)
    pieces = [len(part) for part in torch.arange(count).split(size)]
    assert max(pieces) * n_threads < most + n_threads
    if count >= n_threads**2:
        assert len(pieces) % n_threads == 0
        assert max(pieces) - min(pieces) <= len(pieces)


def test_when_there_are_several_threads_then_forecasts_are_the_same(n_threads: int) -> None:
    series = np.random.default_rng(0).normal(size=(50, 60)).cumsum(axis=1)
    forecaster = PatchTSTForecaster(horizon=4, context_length=16, max_steps=2).fit(series)
    together = forecaster.predict(series)
    torch.set_num_threads(1)
    alone = forecaster.predict(series)
    for name in ("mean", "0.5"):
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-4, atol=1e-4)


def generators(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(k) for k in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_when_pieces_are_of_one_whole_then_each_gathers_from_all(
    count: int, n_threads: int
) -> None:
    def work(piece: int) -> tuple[torch.Tensor, bool, bool]:
        parts = [gather_pieces(torch.tensor([piece, turn])) for turn in range(20)]
        return torch.stack(parts), leads(), in_pieces()

    results = together(work, range(count), generators(count))
    expected = torch.tensor([[[piece, turn] for piece in range(count)] for turn in range(20)])
    assert all(torch.equal(parts, expected) for parts, _, _ in results)
    assert [leading for _, leading, _ in results] == [True] + [False] * (count - 1)
    assert all(inside for _, _, inside in results)
    assert torch.get_num_threads() == n_threads


def test_when_pieces_are_of_one_whole_then_each_has_its_own_chance() -> None:
    def draw(piece: int) -> float:
        return float(torch.rand((), generator=chance()))

    expected = [float(torch.rand((), generator=generator)) for generator in generators(3)]
    assert together(draw, range(3), generators(3)) == expected


def test_when_alone_then_there_is_nothing_to_gather_and_torchs_own_chance() -> None:
    assert torch.equal(gather_pieces(torch.tensor([1, 2])), torch.tensor([[1, 2]]))
    assert leads()
    assert not in_pieces()
    assert chance() is None


def test_when_a_piece_of_one_whole_fails_then_the_others_do_not_wait_for_it(n_threads: int) -> None:
    def work(piece: int) -> torch.Tensor:
        if piece == 1:
            raise ValueError("series 3")
        return gather_pieces(torch.tensor(piece))

    with pytest.raises(ValueError, match="series 3"):
        together(work, range(3), generators(3))
    assert torch.get_num_threads() == n_threads
    assert not in_pieces()


def test_when_a_thread_cannot_begin_then_the_others_do_not_wait_for_it(
    n_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where Ctrl-C falls in between."""
    begun: list[int] = []

    class Pool(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            begun.append(1)
            if len(begun) == 2:
                raise KeyboardInterrupt
            return super().submit(*args, **kwargs)

    monkeypatch.setattr(cores, "ThreadPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        together(lambda piece: gather_pieces(torch.tensor(piece)), range(3), generators(3))
    assert torch.get_num_threads() == n_threads
