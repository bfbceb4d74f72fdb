"""What a small model of ours said, and what it had better said: pairs of answers to the same words.

They lie in instruct_data/chosen, one JSON object a line: `topic`, `turns` (pairs of role and text, the user's last), `better`, `worse`. The
worse one is always the model's own; the better one is too where it was good, else it is written in the same plain words, so that it can be
learned.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

from emollm.data.conversation import Turn
from emollm.data.tasks import Sample
from emollm.data.written import evenly, read_lines, turns_fault, turns_of


@dataclass(frozen=True, slots=True)
class Choice:
    """What was said, and two answers to it."""

    topic: str
    turns: tuple[tuple[str, str], ...]
    better: str
    worse: str


@cache
def choices() -> tuple[Choice, ...]:
    """All of them, in the order of files and lines.

    Raises:
        DataError: A line that is no choice; the message names file, line and fault.
    """

    def made(row: Any) -> Choice:
        return Choice(row["topic"], turns_of(row), row["better"], row["worse"])

    return read_lines("chosen", made, fault_of, "choice (topic, turns, better, worse)")


def fault_of(choice: Choice) -> str:
    """What is wrong with a choice; empty if nothing is."""
    if fault := turns_fault(choice.turns):
        return fault
    if not (choice.better.strip() and choice.worse.strip()):
        return "an answer is empty"
    return "both answers are the same" if choice.better.strip() == choice.worse.strip() else ""


def chosen(count: int, rng: random.Random) -> list[Sample]:
    """So many choices, each as often as the others; only the last answer is learned.

    Raises:
        DataError: See `choices`.
    """
    known = choices()
    if not known:
        return []
    drawn = evenly(known, count, rng)
    return [
        Sample((*(Turn(role, text) for role, text in c.turns), Turn("assistant", c.better, learn=True)), worse=c.worse)  # type: ignore[arg-type]
        for c in drawn
    ]
