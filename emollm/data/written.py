"""Conversations without a clip that people of this project wrote by hand, as samples.

They lie in instruct_data/talks, one JSON object a line: `topic` and `turns`, pairs of role and text. No template makes them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from emollm import catalog
from emollm.data.conversation import Turn
from emollm.data.tasks import Sample
from emollm.errors import DataError

ROLES = ("user", "assistant")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation: user and assistant take turns, the user begins, the assistant ends."""

    topic: str
    turns: tuple[tuple[str, str], ...]


@cache
def talks() -> tuple[Talk, ...]:
    """All of them, in the order of files and lines.

    Raises:
        DataError: A line that is no conversation; the message names file, line and fault.
    """
    return read_lines("talks", lambda row: Talk(row["topic"], turns_of(row)), fault_of, "conversation (topic, turns)")


def turns_of(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Pairs of role and text of a line."""
    return tuple((role, text) for role, text in row["turns"])


def read_lines(folder: str, made: Callable[[Any], T], fault: Callable[[T], str], named: str) -> tuple[T, ...]:
    """All lines of all files of a folder in instruct_data, in order.

    Args:
        folder: Its name.
        made: One line, parsed, to what it stands for.
        fault: What is wrong with that; empty if nothing is.
        named: What a line should be, for the message.

    Raises:
        DataError: A line that is none; the message names file, line and fault.
    """
    found: list[T] = []
    for path in sorted((catalog.folder("instruct_data") / folder).glob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            try:
                one = made(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path.name}, line {number} is no {named}: {error}") from None
            if told := fault(one):
                raise DataError(f"{path.name}, line {number}: {told}.")
            found.append(one)
    return tuple(found)


def turns_fault(turns: Sequence[tuple[str, str]], last: str = ROLES[0]) -> str:
    """What is wrong with turns of which `last` is to have the last; empty if nothing is."""
    if not turns or turns[-1][0] != last or any(role != ROLES[i % 2] for i, (role, _) in enumerate(turns)):
        return f"user and assistant must take turns, the user first and the {last} last"
    return "" if all(text.strip() for _, text in turns) else "a turn is empty"


def fault_of(talk: Talk) -> str:
    """What is wrong with a conversation; empty if nothing is."""
    return turns_fault(talk.turns, ROLES[1])


def evenly(known: Sequence[T], count: int, rng: random.Random) -> list[T]:
    """So many of them, each as often as the others but for the rest, which is drawn. `known` is not empty."""
    whole, rest = divmod(count, len(known))
    return [*known] * whole + rng.sample(known, rest)


def written(count: int, rng: random.Random) -> list[Sample]:
    """So many conversations, each as often as the others; every answer in them is learned.

    Raises:
        DataError: See `talks`.
    """
    known = talks()
    if not known:
        return []
    drawn = evenly(known, count, rng)
    return [Sample(tuple(Turn(role, text, learn=role == "assistant") for role, text in talk.turns)) for talk in drawn]  # type: ignore[arg-type]
