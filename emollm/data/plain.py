"""Plain answers: what somebody says, what they mean by it, and a short answer that meets just that.

A very small model gets the mood of what it is told right more often than its details. So texts are labelled by what is meant (a loss, a
relief, a mishap, a wish for words to say, ...), and the answer to learn is drawn from the pool of that meaning (prompts/plain.toml), now
and then beside one that it is to be likelier than. Texts lie in instruct_data/plain (a line: `turns`, `meaning`, `about`) and in
instruct_data/chosen, whose lines have a meaning too; meaning "other" keeps the answer that was written for it.
"""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from typing import Any

from emollm.data.chosen import Choice
from emollm.data.chosen import fault_of as choice_fault
from emollm.data.conversation import Turn
from emollm.data.prompts import pools
from emollm.data.tasks import Sample
from emollm.data.written import evenly, read_lines, turns_fault, turns_of

OTHER = "other"
SPOKEN = {
    "achievement": "happy", "joy": "happy", "relief": "happy", "loss": "sad", "sadness": "sad", "anger": "angry", "worry": "fear",
    "remark": "neutral",
}  # fmt: skip
"""Meanings whose texts somebody in a clip might say, and the feeling they tell of."""
SPOKEN_CHARACTERS = (12, 110)
OWN_FAULT_SHARE = 0.5
"""How often the worse answer is what a model once said, where that is known."""
OTHER_SHARE = 0.25
"""How often the worse answer is one for another meaning, where no model's own fault is known: it costs as much as a second text."""
ECHO_SHARE = 0.3
"""How often, later in a conversation, the worse answer is the one before it once more: the habit of plain answers."""
_FIRST = re.compile(r"\w+")
_KIN = (
    {"achievement", "joy", "relief"},
    {"loss", "sadness"},
    {"sadness", "strain"},
    {"guilt", "sadness"},
    {"mishap", "anger"},
    {"unsure", "worry"},
    {"unsure", "remark"},
    {"own_feeling", "calm_down"},
)
"""Meanings whose answers would do for each other, so that none is the worse one."""


@dataclass(frozen=True, slots=True)
class Meant:
    """What was said, and what was meant by it.

    Attributes:
        turns: Pairs of role and text, the user's first and last.
        meaning: A table of prompts/plain.toml, or "other".
        about: Words that complete "I am so sorry about ..." or its like; mostly empty.
        better: The answer that was written for it; only "other" needs one.
        worse: What a model once answered; empty where nothing is known.
    """

    turns: tuple[tuple[str, str], ...]
    meaning: str
    about: str = ""
    better: str = ""
    worse: str = ""


@cache
def meant() -> tuple[Meant, ...]:
    """All of them, in the order of files and lines.

    Raises:
        DataError: A line that is none; the message names file, line and fault.
    """

    def made(row: Any) -> Meant:
        return Meant(turns_of(row), row["meaning"], row.get("about", ""), row.get("better", ""), row.get("worse", ""))

    named = "text with a meaning (turns, meaning, about)"
    folders = ("plain", "chosen", "chosen/later")
    return tuple(one for folder in folders for one in read_lines(folder, made, fault_of, named))


def fault_of(one: Meant) -> str:
    """What is wrong with a line; empty if nothing is."""
    if one.meaning == OTHER:
        return choice_fault(Choice("", one.turns, one.better, one.worse or "(nothing)"))
    if one.meaning not in pools("plain"):
        return f"the meaning {one.meaning!r} has no answers"
    return turns_fault(one.turns)


def answer(meaning: str, rng: random.Random, *, about: str = "", later: bool = False, said: str = "") -> str:
    """An answer to what is meant.

    Args:
        meaning: A table of prompts/plain.toml.
        rng: Draws.
        about: What it is about; named in a first answer where there are sentences that can.
        later: Whether something was said before.
        said: All that the assistant said before, of which no sentence is said again if there is another one.
    """
    table: Mapping[str, Any] = pools("plain")[meaning]

    def drawn(pool: Sequence[str]) -> str:
        return str(rng.choice([one for one in pool if one not in said] or [*pool]))

    if "help" in table:
        return drawn(table["help"])
    named = about and not later and "about" in table
    met = drawn(table["about"]).format(about=about) if named else drawn(table["meet"])
    return f"{met} {drawn(table['later' if later else 'ask'])}"


def meanings_of(said: str) -> frozenset[str]:
    """Meanings whose answers begin as this one does, which may be cut short; none where not even the first word is theirs."""
    said = said.strip()
    begun = _FIRST.match(said)
    found: dict[str, tuple[int, int]] = {}
    for opening, meaning in _openings():
        first = _FIRST.match(opening)
        if begun and first and (begun[0] == first[0] or (begun[0] == said and first[0].startswith(said))):
            alike = _alike(opening.split(), said.split()), _alike(opening, said)
            found[meaning] = max(found.get(meaning, (0, 0)), alike)
    return frozenset(meaning for meaning, alike in found.items() if alike == max(found.values()))


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items are the same from the beginning on."""
    return sum(1 for _ in takewhile(bool, map(operator.eq, one, other)))


@cache
def _openings() -> tuple[tuple[str, str], ...]:
    """All first sentences of the pools, as far as nothing is put in, with their meanings."""
    parts = ("meet", "about", "help")
    return tuple(
        (text.split("{")[0], meaning) for meaning, table in pools("plain").items() for part in parts for text in table.get(part, ())
    )


def missing(meaning: str, rng: random.Random, *, later: bool = False) -> str:
    """An answer to something else."""
    kin = {meaning}.union(*(kin for kin in _KIN if meaning in kin))
    return answer(rng.choice([other for other in pools("plain") if other not in kin]), rng, later=later)


def plain(count: int, rng: random.Random) -> list[Sample]:
    """So many texts, each as often as the others; only the last answer is learned.

    Raises:
        DataError: See `meant`.
    """
    known = meant()
    if not known:
        return []
    return [_sample(one, rng) for one in evenly(known, count, rng)]


def spoken() -> dict[str, list[str]]:
    """First texts that tell of a feeling on their own, by the label of that feeling, written as a recogniser of speech would."""
    found: dict[str, list[str]] = {}
    for one in meant():
        text = one.turns[0][1].strip()
        if one.meaning in SPOKEN and len(one.turns) == 1 and SPOKEN_CHARACTERS[0] < len(text) < SPOKEN_CHARACTERS[1]:
            text = text[0].upper() + text[1:]
            found.setdefault(SPOKEN[one.meaning], []).append(text if text[-1] in ".!?" else f"{text}.")
    return found


def _sample(one: Meant, rng: random.Random) -> Sample:
    said = [text for role, text in one.turns if role == "assistant"]
    later = bool(said)
    better = one.better if one.meaning == OTHER else answer(one.meaning, rng, about=one.about, later=later, said=" ".join(said))
    turns = (*(Turn(role, text) for role, text in one.turns), Turn("assistant", better, learn=True))  # type: ignore[arg-type]
    return Sample(turns, worse=_worse(one, said, rng))


def _worse(one: Meant, said: Sequence[str], rng: random.Random) -> str:
    """What not to answer: the last answer again, what a model said, one for another meaning, or (mostly) nothing that is named."""
    if said and rng.random() < ECHO_SHARE:
        return said[-1]
    if one.worse and rng.random() < OWN_FAULT_SHARE:
        return one.worse
    return missing(one.meaning, rng, later=bool(said)) if rng.random() < OTHER_SHARE else ""
