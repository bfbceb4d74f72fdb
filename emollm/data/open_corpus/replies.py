"""What is answered to the person of a rendered clip, with the chain of empathy that leads to it."""

from __future__ import annotations

import random

from emollm.data.open_corpus.phrases import capital, fill, pool
from emollm.data.open_corpus.scene import Person
from emollm.data.open_corpus.wording import adjective, noun
from emollm.data.schema import ChainOfEmpathy


def reply(person: Person, rng: random.Random) -> tuple[str, ChainOfEmpathy | None] | None:
    """A reply to what is said and seen; None where neither gives anything to answer to."""
    book = pool("clip_care")
    leading = person.leading
    face = leading.name if leading is not None and person.masked is None and len(person.families) == 1 else None
    said = person.said
    if said is None:
        return (fill(rng, book["unsaid"][face]), None) if face is not None else None
    if said.family == "neutral" or said.text not in book["said"]:
        answer = book["neutral"]["said"].get(said.text) or rng.choice(book["neutral"]["answers"])
        if face is not None:
            # What shows on the face comes first; a plain answer would pass it over.
            answer = f"{rng.choice(book['neutral']['answers'])} {fill(rng, book['neutral']['looks'], adjective=adjective(face))}"
        return answer, None
    happened, cause, answer = book["said"][said.text]
    felt = noun(said.family)
    if face is not None and face != said.family:
        felt = f"{felt} in the words, {noun(face)} on the face"
        if rng.random() < 0.7:
            answer = f"{answer} {fill(rng, book['odd']['face'], adjective=adjective(face))}"
    chain = ChainOfEmpathy(
        event=f"{capital(person.who)} {happened}.",
        emotion=f"{capital(felt)}.",
        cause=_cause(cause),
        goal=f"{capital(book['goal'][said.family])}.",
    )
    return answer, chain


def _cause(cause: str) -> str:
    return f"{'Because ' + cause}."
