"""Labelled photographs to samples: the emotion, all that the crowd saw where it was divided, and questions about its votes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

from emollm.data.corpus import Item
from emollm.data.open_corpus.phrases import fill, listed, number, pool
from emollm.data.prompts import ADJECTIVES, NOUNS
from emollm.data.schema import Media, Task, UnifiedSample
from emollm.data.tasks import FER_VOTES

SHARED = 0.25  # share of votes from which a label is one of several
ASKED_CLEAR, ASKED_SPLIT = 0.12, 0.5  # of clear and of divided faces, how many get a question about the votes


def sample(item: Item, labels: Sequence[str], licence: str, media: str, rng: random.Random) -> Iterator[UnifiedSample]:
    """One or two samples of a face."""
    if item.label is None:
        return
    votes = item.extra.get("votes") or ()
    seen = several(votes)
    tasks = [Task(type="emotion", label=item.label, label_set=tuple(labels))]
    if len(seen) > 1:
        tasks.append(Task(type="multi-label", labels=tuple(seen), label_set=tuple(labels)))
        tasks.append(Task(type="open-vocabulary", labels=tuple(ADJECTIVES[n] for n in seen)))
    common: dict[str, Any] = {
        "corpus": item.corpus,
        "split": item.split,
        "media": Media(image=media),
        "licence": licence,
        "speaker": item.speaker,
    }
    base = f"{item.corpus}/{item.id.partition(':')[2]}"
    yield UnifiedSample(id=base, tasks=tuple(tasks), level="perception", **common)
    total = sum(votes) + item.extra.get("votes_unknown", 0)
    if total and rng.random() < (ASKED_SPLIT if len(seen) > 1 else ASKED_CLEAR):
        question, answer = _about_votes(votes, total, rng)
        task = Task(type="question", question=question, answer=answer)
        yield UnifiedSample(id=f"{base}/votes", tasks=(task,), level="understanding", **common)


def several(votes: Sequence[int]) -> list[str]:
    """Labels with a quarter of the votes or more, most first."""
    total = sum(votes)
    return (
        [name for count, name in sorted(zip(votes, FER_VOTES, strict=True), key=lambda v: -v[0]) if count >= SHARED * total]
        if total
        else []
    )


def _about_votes(votes: Sequence[int], total: int, rng: random.Random) -> tuple[str, str]:
    book = pool("faces")
    ranked = [(n, name) for n, name in sorted(zip(votes, FER_VOTES, strict=True), key=lambda v: -v[0]) if n]
    unknown = total - sum(votes)
    if rng.random() < 0.35:
        count, name = rng.choice(ranked) if rng.random() < 0.88 else rng.choice(list(zip(votes, FER_VOTES, strict=True)))
        words = {"count": str(total), "name": ADJECTIVES[name], "noun": NOUNS[name], "n": number(count)}
        return fill(rng, book["share"]["ask"], **words), fill(
            rng, book["share"]["every" if count == total else "answer" if count else "none"], **words
        )
    told = [f"{number(n)} said {ADJECTIVES[name]}" for n, name in ranked]
    if unknown:
        told.append(f"{number(unknown)} could not tell")
    others = [f"{ADJECTIVES[name]} ({number(n)})" for n, name in ranked[1:]] + (
        [f"that they could not tell ({number(unknown)})"] if unknown else []
    )
    first = ranked[0]
    shape = "all" if first[0] == total else "most" if first[0] > 0.6 * total else "split"
    words = {"count": str(total), "first": ADJECTIVES[first[1]], "n": number(first[0]), "rest": listed(others), "list": listed(told)}
    return fill(rng, book["votes"]["ask"], count=str(total)), fill(rng, book["votes"][shape], **words)
