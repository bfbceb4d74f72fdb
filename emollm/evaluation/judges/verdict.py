"""What a judge is asked and what it says; no judge stands here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from emollm.evaluation.events import Movement, Relation


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim follows from a list of events."""

    relation: Relation
    by: tuple[int, ...] = ()  # the events that entail it, from 0; empty unless entailed
    failed: bool = False  # the judge gave no verdict that could be read: counted, and scored as neutral


class Judge(Protocol):
    """Anything that can say what follows from what."""

    @property
    def name(self) -> str:
        """With all that decides its verdicts, such as the model id."""
        ...

    def judge(self, premises: Sequence[Movement], claims: Sequence[Movement]) -> list[Verdict]:
        """The verdict on every claim, given all that the other caption tells."""
        ...
