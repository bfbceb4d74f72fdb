"""How many processes train together under torchrun, and what only the first of them does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def _state() -> Any:
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available())


def processes() -> int:
    """How many there are; each takes every so-manieth batch."""
    return int(_state().num_processes)


def is_first() -> bool:
    """Whether this one writes files and tells of progress."""
    return bool(_state().is_main_process)


def together() -> None:
    """Wait until all have come this far."""
    _state().wait_for_everyone()


@contextmanager
def first_alone() -> Iterator[None]:
    """The first process does this alone, then the others, who find its files."""
    with _state().main_process_first():
        yield
