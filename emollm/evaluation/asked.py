"""Questions put to a chat backend one by one, logged as they are answered, and the answers as predictions to be scored like a file's.

A question whose clip cannot be read has no answer, which counts as wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emollm.chat.backend import ChatBackend
from emollm.errors import MediaError
from emollm.evaluation.answers import Joined, Reference, Said
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.cards import Scored
from emollm.evaluation.log import Log
from emollm.evaluation.tally import tally
from emollm.values import Message, Sampling

SHUFFLES = 5


@dataclass(frozen=True, slots=True)
class Put:
    """One thing to ask."""

    id: str
    messages: Callable[[], Sequence[Message]]  # made when it is asked, for a clip may have to be cut first
    labels: tuple[str, ...] = ()  # the one that scores best is the answer; without any the answer is written
    tokens: int = 60


def name_of(backend: ChatBackend) -> str:
    """Who answers, so that rows of other weights are not taken for this run's."""
    return f"{backend.system}-{backend.scale}-{backend.version}"


def ask(puts: Sequence[Put], backend: ChatBackend, log: Log, progress: Callable[[int, int], None] | None = None) -> dict[str, Said]:
    """Answers by id; what the log holds is not asked again.

    Args:
        puts: What to ask.
        backend: Whom.
        log: Open, of this backend.
        progress: Called with questions done and questions in all.
    """
    found: dict[str, Said] = {}
    for number, put in enumerate(puts):
        row = log.rows.get(put.id) or log.add({"id": put.id, **_answer(put, backend)})
        if "error" not in row:
            found[put.id] = Said(row["prediction"], row.get("scores"), None, row.get("prompt"))
        if progress is not None:
            progress(number + 1, len(puts))
    return found


def _answer(put: Put, backend: ChatBackend) -> dict[str, object]:
    row: dict[str, object] = {}
    try:
        messages = list(put.messages())
        row["prompt"] = prompt_of(messages)
        if put.labels:
            shares = backend.score(messages, put.labels)
            best = max(shares, key=lambda label: shares[label])
            return row | {"prediction": best, "scores": {k: round(v, 5) for k, v in shares.items()}}
        return row | {"prediction": backend.reply(messages, Sampling(max_new_tokens=put.tokens)).text().strip()}
    except MediaError as error:
        return row | {"error": str(error)}


def prompt_of(messages: Sequence[Message]) -> str:
    """What was asked as text; of several turns each with its role."""
    return messages[0].text if len(messages) == 1 else "\n".join(f"{m.role}: {m.text}" for m in messages)


def joined(references: Sequence[Reference], said: Mapping[str, Said]) -> Joined:
    """Answers beside their references."""
    missing = tuple(r.id for r in references if r.id not in said)
    return Joined(tuple(references), tuple(said.get(r.id) for r in references), missing, (), ())


def floor_of(card: Scored, references: Sequence[Reference], said: Sequence[Said | None], answer: str) -> Floor:
    """What some answers score, as a floor."""
    return Floor(tally(card, references, list(said)).all(), answer)


def shuffled(card: Scored, references: Sequence[Reference], said: Sequence[Said | None]) -> Floor:
    """The system's own answers to other items: what it scores with another one's media, since the question was the same.

    Answers are exchanged within a kind of question only; mean of several orders.
    """
    rows = []
    for seed in range(SHUFFLES):
        order = list(range(len(references)))
        for kind in {r.kind for r in references}:
            inside = [k for k, r in enumerate(references) if r.kind == kind]
            mixed = random.Random(seed).sample(inside, len(inside))
            ring = {one: mixed[(n + 1) % len(mixed)] for n, one in enumerate(mixed)}  # nobody keeps its own
            for k in inside:
                order[k] = ring[k]
        rows.append(tally(card, references, [said[k] for k in order]).all())
    return Floor({k: sum(r.get(k, 0.0) for r in rows) / len(rows) for k in rows[0]}, "the system's own answers to other items")


def clip_message(question: str, clip: Path) -> list[Message]:
    """A question about one clip."""
    return [Message("user", question, (clip,))]
