"""A reply on its way from the engine's thread to whoever reads it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from emollm.engine.sampler import TokenChoice

End = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a reply ended."""

    reason: End
    tokens: tuple[int, ...]  # all that was drawn, with the end token if there was one
    reused: int  # positions of the prompt that were not read again
    prefill_s: float  # from the place in the queue to the first token
    choices: tuple[TokenChoice, ...]  # one for each token if they were asked for


class Stream:
    """Iterate for pieces of text; `ended` is set at the end. A failure is raised where it is read.

    Args:
        cancelled: Asked at every step whether the reader is gone, besides `cancel`.
    """

    def __init__(self, cancelled: Callable[[], bool] | None = None) -> None:
        self.ended: Ended | None = None
        self._asked = cancelled
        self._pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._cancelled = threading.Event()

    def __iter__(self) -> Iterator[str]:
        while True:
            piece = self._pieces.get()
            if isinstance(piece, str):
                yield piece
                continue
            if isinstance(piece, BaseException):
                raise piece
            self.ended = piece
            return

    def cancel(self) -> None:
        """Have the reply end at the next step; safe from any thread."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """True once someone asked to stop."""
        return self._cancelled.is_set() or (self._asked is not None and self._asked())

    def put(self, piece: str) -> None:
        """Called by the engine: more text."""
        if piece:
            self._pieces.put(piece)

    def end(self, how: Ended | BaseException) -> None:
        """Called by the engine: the end, or why there is none."""
        self._pieces.put(how)
