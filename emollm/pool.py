"""Work in processes of this machine that may die over it: nothing is lost but the piece that killed them."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Piece = TypeVar("Piece")
Done = TypeVar("Done")


def spread(
    work: Callable[[Piece], Done], pieces: Sequence[Piece], workers: int, calm: Callable[[], None]
) -> Iterator[tuple[Piece, Done | None]]:
    """Pieces with what became of them, as they are done; None for one whose process died twice, the second time alone with it.

    Args:
        work: Picklable.
        pieces: Picklable.
        workers: Processes at once.
        calm: Called first in each.
    """
    waiting, suspects = deque(pieces), list[Piece]()
    while waiting:
        with _pool(workers, calm) as pool:
            flying: dict[Future[Done], Piece] = {}
            while waiting or flying:
                try:
                    # No more than can be worked on: when a process dies, the whole pool ends, and who flew then is tried again alone.
                    while waiting and len(flying) < workers:
                        flying[pool.submit(work, waiting[0])] = waiting[0]
                        waiting.popleft()
                    for future in wait(flying, return_when=FIRST_COMPLETED).done:
                        piece = flying[future]
                        done = future.result()
                        del flying[future]
                        yield piece, done
                except BrokenProcessPool:
                    suspects += flying.values()
                    break
    for piece in suspects:
        with _pool(1, calm) as pool:
            try:
                alone: Done | None = pool.submit(work, piece).result()
            except BrokenProcessPool:
                alone = None
        yield piece, alone


def _pool(workers: int, calm: Callable[[], None]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=calm)
