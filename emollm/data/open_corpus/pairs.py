"""A photograph and a voice put together by us, of the same feeling or not: said so in the name of the corpus, `paired`."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from emollm.data.corpus import Item
from emollm.data.open_corpus.phrases import fill, pool
from emollm.data.prompts import NOUNS
from emollm.data.schema import Media, Task, UnifiedSample
from emollm.data.talk import KIN

CORPUS = "paired"
SAME = 0.5  # share of pairs with one feeling
CLEAR = 0.65  # share of the crowd's votes from which a face is used


def pairs(
    faces: Sequence[Item],
    voices: Sequence[Item],
    count: int,
    licences: Mapping[str, str],
    media: Callable[[Item], str],
    rng: random.Random,
) -> Iterator[UnifiedSample]:
    """Some pairs of one split.

    Args:
        faces: Of the split; where a crowd voted, only clear ones are used.
        voices: Of the same split; each is used about equally often.
        count: How many.
        licences: Corpus -> terms; those of both stand in a sample.
        media: An item's path from the media root.
        rng: Of this split.
    """
    clear = [f for f in faces if f.label in NOUNS and _clear(f)]
    by: dict[str, list[Item]] = defaultdict(list)
    for face in clear:
        by[KIN.get(face.label or "", face.label or "")].append(face)
    heard = [v for v in voices if v.label in NOUNS]
    if not by or not heard:
        return
    labels = sorted(by)
    order = [rng.sample(heard, len(heard)) for _ in range(count // len(heard) + 1)]
    for number, voice in enumerate([v for row in order for v in row][:count]):
        said = KIN.get(voice.label or "", voice.label or "")
        others = [name for name in labels if name != said]
        wanted = said if said in by and (rng.random() < SAME or not others) else rng.choice(others)
        face = rng.choice(by[wanted])
        yield _sample(number, face, voice, wanted == said, licences, media, labels, rng)


def _clear(face: Item) -> bool:
    votes = face.extra.get("votes")
    return not votes or max(votes) >= CLEAR * max(sum(votes), 1)


def _sample(
    number: int, face: Item, voice: Item, same: bool, licences: Mapping[str, str], media: Callable[[Item], str], labels: Sequence[str],
    rng: random.Random,
) -> UnifiedSample:  # fmt: skip
    book = pool("paired")
    shown, said = face.label or "", voice.label or ""
    words = {"face": NOUNS[shown], "voice": NOUNS[said], "noun": NOUNS[shown]}
    kind = rng.choices(("agree", "face", "voice"), (0.5, 0.25, 0.25))[0]
    shape = ("same" if shown == said else "kin" if same else "other") if kind == "agree" else "answer"
    task = Task(type="question", question=fill(rng, book[kind]["ask"], **words), answer=fill(rng, book[kind][shape], **words))
    tasks = [task]
    if shown == said:
        tasks.insert(0, Task(type="emotion", label=shown, label_set=tuple(labels)))
    terms = " + ".join(dict.fromkeys(f"{c}: {licences.get(c, 'unknown')}" for c in (face.corpus, voice.corpus)))
    return UnifiedSample(
        id=f"{CORPUS}/{face.split}/{number:05d}", corpus=CORPUS, split="val" if face.split == "val" else "train",
        media=Media(image=media(face), audio=media(voice)), transcript=voice.text, language=voice.extra.get("lang"), speaker=voice.speaker,
        tasks=tuple(tasks), level="understanding", licence=terms,
    )  # fmt: skip
