"""A question about a rendered clip with its answer, and the plain claim that the answer comes to."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from emollm.data.open_corpus.phrases import fill, pool


@dataclass(frozen=True, slots=True)
class Exchange:
    """What is asked and answered about one person of a clip."""

    kind: str
    question: str
    answer: str
    subject: int
    claim: str = ""  # what a "yes" or a bare number says, written out so that it can be checked
    denied: bool = False  # the claim is what the answer says is not there


def ask(kind: str, shape: str, about: int, rng: random.Random, /, *, claim: str = "", **words: str) -> Exchange:
    """A question of a kind with one shape of its answers."""
    book = pool("clip_questions")[kind]
    return Exchange(kind, fill(rng, book["ask"], **words), fill(rng, book[shape], **words), about, claim)


def deny(kind: str, about: int, rng: random.Random, /, *, claim: str, **words: str) -> Exchange:
    """A question whose answer is no: the claim must not hold."""
    return replace(ask(kind, "no", about, rng, claim=claim, **words), denied=True)


def focused(one: Exchange, seat: str, rng: random.Random) -> Exchange:
    """The question, with whom it means put before it where it does not say so itself."""
    if not seat or seat in one.question:
        return one
    focus = fill(rng, pool("clip_questions")["focus"]["ask"], seat=seat)
    return replace(one, question=f"{focus} {one.question}")
