"""Movements of a rendered face as clauses; every clause comes from the pools and tells one unit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from emollm.data.open_corpus.phrases import fill, listed, pool
from emollm.data.open_corpus.scene import Person, Shown, tones_of

FAINT, MARKED = 0.45, 0.85


@dataclass(frozen=True, slots=True)
class Clause:
    """ "the brows draw together" in its forms."""

    subject: str
    does: str
    base: str
    doing: str

    @property
    def do(self) -> str:
        """ "do" or "does"."""
        return "do" if self.does == self.base else "does"

    @property
    def text(self) -> str:
        """Subject and verb."""
        return f"{self.subject} {self.does}"

    def words(self) -> dict[str, str]:
        """For the places of a sentence."""
        return {"subject": self.subject, "does": self.does, "base": self.base, "doing": self.doing, "do": self.do}


def clause(unit: str, rng: random.Random) -> Clause:
    """One way to tell a unit."""
    return Clause(*rng.choice(pool("clip_moves")["say"][unit]))


def signs(event: Shown, rng: random.Random, *, most: int = 3) -> str:
    """The strongest movements of an expression in one clause; no subject twice."""
    found: dict[str, str] = {}
    for unit in event.told():
        one = clause(unit, rng)
        found.setdefault(one.subject.replace("eyebrows", "brows"), one.text)
    return listed(list(found.values())[:most])


def whole(event: Shown, rng: random.Random) -> str:
    """What an expression does, with its strength and side where they are clear."""
    said = signs(event, rng, most=rng.choice((2, 3, 3)))
    book = pool("clip_stories")["manner"]
    peak = max(event.units.values(), default=0.0)
    if " and " not in said and rng.random() < 0.6:
        if peak < FAINT:
            said += f" {rng.choice(book['faint'])}"
        elif peak >= MARKED and not event.micro:
            said += f" {rng.choice(book['strong'])}"
    if event.side in ("left", "right"):
        said += fill(rng, book["side"], whose="the person's", side=event.side)
    return said


def move(event: Shown, rng: random.Random) -> tuple[str, str]:
    """A movement of the head: "nods", and the same after "does"."""
    says, base = rng.choice(pool("clip_moves")["head"][f"{event.kind} {event.name}"])
    return says, base


def voice_tones(person: Person, rng: random.Random) -> str:
    """ "quiet, slow and flat", or nothing."""
    if person.said is None:
        return ""
    book = pool("clip_stories")["tones"]
    keys = tones_of(person.said.prosody)
    rng.shuffle(keys)
    return listed([rng.choice(book[k]) for k in keys])


def noun(family: str) -> str:
    """ "sadness"."""
    return str(pool("clip_moves")["noun"][family])


def adjective(family: str) -> str:
    """ "sad"."""
    return str(pool("clip_moves")["adjective"][family])


def nouns(families: Sequence[str]) -> str:
    """ "sadness and anger"."""
    return listed([noun(f) for f in families])
