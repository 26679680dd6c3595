"""Pieces of work side by side: a thread for each core, in which torch works on that core alone.

By itself torch splits every operation between the cores, so that each soon needs what another has
written. Where cores do not share a cache, that takes longer than the operations: measured on two
cores that the machine's host moves about, forecasts of a small network took half as long again
whenever these were apart, and by whole pieces the same time always, a little less than at best.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

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
    try:
        with ThreadPoolExecutor(
            min(n_threads, len(pieces)), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            return list(pool.map(work, pieces))
    finally:
        torch.set_num_threads(n_threads)


def even_pieces(count: int, most: int) -> int:
    """Return how large pieces are to be, so that all cores are busy to the end.

    Args:
        count: of all there is to do, at least 1.
        most: at once, on all cores together.
    """
    n_threads = torch.get_num_threads()
    rounds = -(-count // most)
    return -(-count // (rounds * n_threads))
