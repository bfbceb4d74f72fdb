"""How far a long command is: bars on a terminal, else a line now and then, which a log or a page can show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY_S = 5.0
Teller = Callable[[int, int], None]
"""Told items done and items in all."""


@contextmanager
def told_progress() -> Iterator[Callable[[str], Teller]]:
    """A maker of tellers, one for each thing that is worked through."""
    from rich.progress import Progress

    with Progress() as bars:

        def teller(name: str) -> Teller:
            row = bars.add_task(name, total=None)
            said_s = float("-inf")

            def tell(done: int, of: int) -> None:
                nonlocal said_s
                bars.update(row, completed=done, total=of)
                if not bars.console.is_terminal and time.monotonic() - said_s > EVERY_S:
                    said_s = time.monotonic()
                    print(f"{name}: {done} of {of}", flush=True)

            return tell

        yield teller
