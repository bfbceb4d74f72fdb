"""Prompts that were read before, kept for those that begin alike: the least recently used goes first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Owner = tuple[int, int, str]
"""What makes a position the same as another: its token, its slot, and for slots which part of which clip it shows ("digest:..")."""

WORTH = 16  # positions; shared beginnings of fewer are read again


@dataclass(eq=False, slots=True)
class Entry:
    """A kept sequence and the owners of its positions."""

    owners: list[Owner]
    kept: Any


class Prefixes:
    """Kept prompts of one core.

    Args:
        count: How many at most.
        drop: Gives up the memory of a kept sequence.
        whole: Only whole sequences can be taken up, not their beginnings.
    """

    def __init__(self, count: int, drop: Callable[[Any], None], *, whole: bool = False) -> None:
        self._count, self._drop, self._whole = count, drop, whole
        self._entries: list[Entry] = []  # the least recently used first

    @property
    def positions(self) -> list[int]:
        """Lengths of all that is kept."""
        return [len(e.owners) for e in self._entries]

    def find(self, owners: Sequence[Owner]) -> tuple[Any, int] | None:
        """The kept sequence that shares the longest beginning with a prompt, and its length; at least one position is left to read."""
        best, most = None, WORTH
        for entry in self._entries:
            shared = _shared(entry.owners, owners)
            if self._whole and shared < len(entry.owners):
                continue
            if shared > most:
                best, most = entry, shared
        if best is None:
            return None
        self._entries.remove(best)
        self._entries.append(best)
        return best.kept, most

    def add(self, owners: list[Owner], kept: Any) -> None:
        """Keep a sequence; one that it begins with is dropped, for it adds nothing."""
        if self._count < 1 or len(owners) <= WORTH:
            self._drop(kept)
            return
        if not self._whole:
            for entry in [e for e in self._entries if owners[: len(e.owners)] == e.owners]:
                self._remove(entry)
        self._entries.append(Entry(owners, kept))
        while len(self._entries) > self._count:
            self._remove(self._entries[0])

    def evict(self) -> bool:
        """Drop the least recently used; false if nothing is kept."""
        if not self._entries:
            return False
        self._remove(self._entries[0])
        return True

    def forget(self, digest: str) -> None:
        """Drop all that shows a clip."""
        for entry in [e for e in self._entries if shows(e.owners, digest)]:
            self._remove(entry)

    def clear(self) -> None:
        """Drop everything."""
        while self.evict():
            pass

    def _remove(self, entry: Entry) -> None:
        self._entries.remove(entry)
        self._drop(entry.kept)


def shows(owners: Sequence[Owner], digest: str) -> bool:
    """Whether any position comes from a clip."""
    return any(owner[2].startswith(f"{digest}:") for owner in owners)


def _shared(kept: Sequence[Owner], asked: Sequence[Owner]) -> int:
    most = min(len(kept), len(asked) - 1)
    for i in range(most):
        if kept[i] != asked[i]:
            return i
    return max(most, 0)
