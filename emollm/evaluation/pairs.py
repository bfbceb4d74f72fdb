"""Faces and voices put together by chance: what does the face show, what the voice, and do the two agree?

The clips are made when they are asked about: a still face for as long as the voice lasts. Half of the pairs agree.
"""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.chat.backend import ChatBackend
from emollm.data.corpus import Corpus, Item
from emollm.errors import DataError, MediaError
from emollm.evaluation.answers import Reference
from emollm.evaluation.asked import Put, ask, clip_message, floor_of, joined, name_of, shuffled
from emollm.evaluation.cards import PairCard
from emollm.evaluation.log import Log
from emollm.evaluation.predictions import score
from emollm.values import Message

SIZE_PX, FACE_PX, FPS = 224, 168, 5.0
QUESTIONS = {
    "face": "Which emotion does the face show? Choose one: {labels}.",
    "voice": "Which emotion does the voice carry? Choose one: {labels}.",
    "agree": "Do face and voice show the same emotion? Choose one: yes, no.",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A face and a voice."""

    id: str
    face: Item
    voice: Item


def pairs_of(card: PairCard, corpus: Corpus, split: str) -> list[Pair]:
    """The card's pairs, the same every time: agreeing and not in turn, labels in turn, no face twice.

    Raises:
        DataError: Too few faces or voices of the labels.
    """
    rng = random.Random(card.seed)
    faces, voices = (_by_label(corpus, names, split, card.labels, rng) for names in (card.faces, card.voices))
    lacking = [f"{what} {label}" for what, there in (("face", faces), ("voice", voices)) for label in card.labels if not there[label]]
    if lacking:
        raise DataError(f"{card.name} finds nothing in split {split!r} for: {', '.join(lacking)}.")
    found = []
    for number in range(card.pairs):
        label = card.labels[number // 2 % len(card.labels)]
        other = label if number % 2 == 0 else rng.choice([x for x in card.labels if x != label])
        face = faces[label].pop() if len(faces[label]) > 1 else faces[label][0]
        voice = voices[other][rng.randrange(len(voices[other]))]
        found.append(Pair(f"pair:{number:03d}", face, voice))
    return found


def _by_label(corpus: Corpus, names: Sequence[str], split: str, labels: Sequence[str], rng: random.Random) -> dict[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in (i for name in names for i in corpus.items(name, split)):
        if item.label in labels and item.extra.get("agreement", 1.0) >= 0.7:  # of the people who labelled the face
            found[item.label or ""].append(item)
    for items in found.values():
        rng.shuffle(items)
    return found


def references_of_pairs(card: PairCard, pairs: Sequence[Pair]) -> list[Reference]:
    """Three questions a pair."""
    found = []
    for p in pairs:
        same = "yes" if p.face.label == p.voice.label else "no"
        for kind, label in (("face", p.face.label), ("voice", p.voice.label), ("agree", same)):
            group = {"pair": "agrees" if same == "yes" else "disagrees"}
            found.append(Reference(f"{p.id}:{kind}", label, kind=kind, question=question_of(card, kind), group=group))
    return found


def question_of(card: PairCard, kind: str) -> str:
    """The question of a kind."""
    return QUESTIONS[kind].format(labels=", ".join(card.labels))


def evaluate_pairs(
    card: PairCard, backend: ChatBackend, data: Path, out: Path, *, split: str = "val", limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Ask about every pair and score the answers.

    Floors: those of `blind`, the same questions with the spoken words alone (text_only) and with another pair (shuffled_media).
    """
    corpus = Corpus(data)
    pairs = pairs_of(card, corpus, split)[: limit or card.limit]
    references = references_of_pairs(card, pairs)
    kinds = {kind: ("yes", "no") if kind == "agree" else card.labels for kind in QUESTIONS}
    with tempfile.TemporaryDirectory() as private, Log(out / "answers.jsonl", by=name_of(backend), version=card.version) as log:
        clips = _Clips(corpus, Path(private))
        puts, blind = [], []
        for p in pairs:
            for kind, labels in kinds.items():
                question = question_of(card, kind)
                puts.append(Put(f"{p.id}:{kind}", lambda q=question, p=p: clip_message(q, clips.of(p)), labels))  # type: ignore[misc]
                words = f'Words: "{p.voice.text}"\n{question}' if p.voice.text else question
                blind.append(Put(f"text_only:{words}", lambda w=words: [Message("user", w)], labels))  # type: ignore[misc]
        total = len(puts) + len(blind)
        said = ask(puts, backend, log, progress and (lambda n, _: progress(n, total)))
        told = ask(blind, backend, log, progress and (lambda n, _: progress(len(puts) + n, total)))
    answers = [said.get(r.id) for r in references]
    more = {
        "text_only": floor_of(card, references, [told.get(b.id) for b in blind], "the system with the spoken words alone"),
        "shuffled_media": shuffled(card, references, answers),
    }
    return score(card, joined(references, said), out, system=backend.system, more=more, made={"split": split, **_made(backend)})


def _made(backend: ChatBackend) -> dict[str, Any]:
    return {"scale": backend.scale, "weights": backend.version}


class _Clips:
    """Keeps the clip of the last pair only."""

    def __init__(self, corpus: Corpus, folder: Path) -> None:
        self._corpus, self._folder, self._last = corpus, folder, ""

    def of(self, pair: Pair) -> Path:
        path = self._folder / "pair.mp4"
        if self._last != pair.id:
            film(self._corpus.read(pair.face), self._corpus.read(pair.voice), path, self._folder)
            self._last = pair.id
        return path


def film(face: bytes, voice: bytes, path: Path, folder: Path) -> None:
    """A still face with a voice, as MP4.

    Raises:
        MediaError: The face is no picture or the voice no sound.
    """
    import cv2

    from emollm.media.decode import decode_clip
    from emollm.synth.dataset import write_video
    from emollm.values import AUDIO_HZ

    image = cv2.imdecode(np.frombuffer(face, np.uint8), cv2.IMREAD_COLOR)
    sound = folder / "voice"
    sound.write_bytes(voice)
    audio = decode_clip(sound).audio
    if image is None or audio is None:
        raise MediaError("a pair's face is no picture, or its voice no sound.", code="media_unreadable")
    scale = FACE_PX / max(image.shape[:2])
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    # A margin, since faces are cut close and a finder of faces wants to see where they end.
    edge = [(SIZE_PX - side) // 2 for side in small.shape[:2]]
    canvas = cv2.copyMakeBorder(
        small, edge[0], SIZE_PX - small.shape[0] - edge[0], edge[1], SIZE_PX - small.shape[1] - edge[1], cv2.BORDER_REPLICATE
    )
    shown: NDArray[np.uint8] = np.ascontiguousarray(canvas[..., ::-1], np.uint8)

    def frames() -> Iterator[NDArray[np.uint8]]:
        for _ in range(max(5, round(len(audio) / AUDIO_HZ * FPS))):
            yield shown

    write_video(path, frames(), FPS, audio)
