"""Pieces of work side by side: a thread for each core, in which torch works on that core alone.

Pieces may be of one whole, as those of a batch are: then they can tell each other of themselves.

By itself torch splits every operation between the cores, so that each soon needs what another has
written. Where cores do not share a cache, that takes longer than the operations: measured on two
cores that the machine's host moves about, forecasts of a small network took half as long again
whenever these were apart, and by whole pieces the same time always, a little less than at best.
So did training.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Generator, Tensor

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Piece], Result], pieces: Iterable[Piece]) -> list[Result]:
    """Return what becomes of each piece, in their order, with as many threads as torch has.

    Modes that torch keeps for each thread, such as `inference_mode`, are for `work` to enter.
    While it runs, other threads of the process may find torch on one core, too.
    """
    pieces, n_threads = list(pieces), torch.get_num_threads()
    if n_threads == 1 or len(pieces) < 2:
        return [work(piece) for piece in pieces]
    with _threads(min(n_threads, len(pieces))) as pool:
        return list(pool.map(work, pieces))


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Lend threads that have a core each; afterwards the caller has as many cores as before."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def even_pieces(count: int, most: int) -> int:
    """Return how large pieces are to be, so that all cores are busy to the end.

    Args:
        count: of all there is to do, at least 1.
        most: at once, on all cores together.
    """
    n_threads = torch.get_num_threads()
    rounds = -(-count // most)
    return -(-count // (rounds * n_threads))


class _Table:
    """Where the threads that work on one whole meet, and each puts down what all may read."""

    def __init__(self, n_places: int) -> None:
        self.meeting = threading.Barrier(n_places)
        self.lying = [torch.empty(0)] * n_places

    def gather(self, place: int, part: Tensor) -> Tensor:
        self.lying[place] = part
        self.meeting.wait()
        parts = torch.stack(self.lying)
        self.meeting.wait()  # so that nothing is put down before all have read
        return parts


@dataclass(frozen=True)
class _Place:
    table: _Table
    number: int
    generator: Generator


class _Here(threading.local):
    place: _Place | None = None


_here = _Here()


def together(
    work: Callable[[Piece], Result], pieces: Sequence[Piece], generators: Sequence[Generator]
) -> list[Result]:
    """Return what becomes of the pieces of one whole, all at the same time, a thread for each.

    Args:
        work: may call `gather_pieces`, and draws from `chance()`.
        pieces, generators: as many of one as of the other.
    """
    table = _Table(len(pieces))

    def run(number: int) -> Result:
        _here.place = _Place(table, number, generators[number])
        try:
            return work(pieces[number])
        except BaseException:
            table.meeting.abort()  # or the others would wait for ever
            raise
        finally:
            _here.place = None

    with _threads(len(pieces)) as pool:
        try:
            done = [pool.submit(run, number) for number in range(len(pieces))]
        except BaseException:  # Ctrl-C between two of them, say
            table.meeting.abort()
            raise
    errors = [error for each in done if (error := each.exception()) is not None]
    for error in sorted(errors, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
    return [each.result() for each in done]


def in_pieces() -> bool:
    """Return whether this is a thread that works on one of several pieces of one whole."""
    return _here.place is not None


def gather_pieces(part: Tensor) -> Tensor:
    """Return this part of each piece, in their order: `[pieces, …]`; alone, that of one.

    All pieces wait until each has come here; so all must come as often, in gradients, too. None of
    these passes through what is gathered.
    """
    place = _here.place
    return part[None] if place is None else place.table.gather(place.number, part)


def leads() -> bool:
    """Return whether this is the piece that does what is to be done once."""
    return _here.place is None or _here.place.number == 0


def chance() -> Generator | None:
    """Return from what this piece draws random numbers; None for torch's global generator."""
    return None if _here.place is None else _here.place.generator
