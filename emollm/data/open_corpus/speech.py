"""Labelled recordings to samples: the emotion, its valence, and questions about words, language, strength and what listeners heard."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from emollm.data.corpus import Item
from emollm.data.open_corpus.phrases import fill, listed, number, pool
from emollm.data.prompts import ADJECTIVES, NOUNS
from emollm.data.schema import Media, Task, UnifiedSample

_LANGUAGES = {"en": "English", "de": "German", "da": "Danish"}
_SCALE = (1.0, 5.0)  # of the ratings of arousal, valence and dominance


def samples(item: Item, labels: Sequence[str], licence: str, media: str, rng: random.Random) -> Iterator[UnifiedSample]:
    """One sample with labels and one for each question."""
    if item.label is None:
        return
    tasks = [Task(type="emotion", label=item.label, label_set=tuple(labels))]
    if isinstance(value := item.extra.get("valence"), int | float):
        tasks.append(Task(type="valence", value=float(value), scale=_SCALE))
    heard = Counter(item.extra.get("annotators", ()))
    if len(heard) > 1 and set(heard) <= set(labels):
        tasks.append(Task(type="multi-label", labels=tuple(name for name, _ in heard.most_common()), label_set=tuple(labels)))
    common: dict[str, Any] = {
        "corpus": item.corpus, "split": item.split, "media": Media(audio=media), "licence": licence, "speaker": item.speaker,
        "language": item.extra.get("lang"),
    }  # fmt: skip
    base = f"{item.corpus}/{item.id.partition(':')[2]}"
    yield UnifiedSample(id=base, tasks=tuple(tasks), level="perception", transcript=item.text, **common)
    for kind, question, answer in _questions(item, heard, rng):
        # The words are what is asked for, so they are not given.
        given = None if kind in ("said", "language") else item.text
        task = Task(type="question", question=question, answer=answer)
        yield UnifiedSample(id=f"{base}/{kind}", tasks=(task,), level="understanding", transcript=given, **common)


def _questions(item: Item, heard: Counter[str], rng: random.Random) -> Iterator[tuple[str, str, str]]:
    book, extra = pool("speech"), item.extra

    def one(kind: str, shape: str = "answer", **words: str) -> tuple[str, str, str]:
        return kind, fill(rng, book[kind]["ask"], **words), fill(rng, book[kind][shape], **words)

    if item.text and rng.random() < 0.25:
        yield one("said", text=item.text if item.text[-1] in ".!?" else f"{item.text}.")
    if extra.get("lang") in _LANGUAGES and rng.random() < 0.2:
        yield one("language", language=_LANGUAGES[extra["lang"]])
    if extra.get("intensity") in ("normal", "strong") and item.label != "neutral" and rng.random() < 0.5:
        yield one("strength", extra["intensity"])
    for kind in ("arousal", "dominance"):
        if isinstance(extra.get(kind), int | float):
            yield one(kind, value=f"{extra[kind]:.1f}")
    if isinstance(extra.get("human_recognised_pct"), int | float):
        yield one("heard", share=f"{extra['human_recognised_pct']:.0f}", noun=NOUNS[item.label or ""])
    if sum(heard.values()) > 1 and set(heard) <= set(ADJECTIVES):
        told = listed([f"{number(n)} wrote {name}" for name, n in heard.most_common()])
        count = number(sum(heard.values()))
        yield one("judged", "same" if len(heard) == 1 else "other", first=next(iter(heard)), list=told, count=count)
