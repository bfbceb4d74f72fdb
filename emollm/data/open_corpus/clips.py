"""A rendered clip to samples: labels, descriptions, reasons, questions and replies, each checked against the truth before it is kept."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from emollm.data.open_corpus import stories
from emollm.data.open_corpus.exchange import Exchange
from emollm.data.open_corpus.face_questions import about_face
from emollm.data.open_corpus.other_questions import about_people, about_voice, unanswerable
from emollm.data.open_corpus.phrases import pool
from emollm.data.open_corpus.replies import reply
from emollm.data.open_corpus.scene import Person, Scene, scene_of
from emollm.data.schema import Description, Descriptions, HistoryTurn, Media, Task, UnifiedSample, level_of
from emollm.data.truth_check import Grammar, denial_faults, faults, unit_row_faults

ORIGIN = "synth-truth"
CORPUS = "synth-clips"
LICENCE = "rendered by emollm synth; no real person in it"
QUESTIONS = 13  # of a clip, at most
FAMILIES = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise", "contempt", "bored", "confused", "pain", "embarrassed")


@dataclass(slots=True)
class Told:
    """Samples of a clip, and what was refused."""

    samples: list[UnifiedSample] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)  # kind of text and of fault
    checked: int = 0


def tell(truth: Mapping[str, Any], folder: str, media: str, grammar: Grammar, seed: int) -> Told:
    """All samples of one clip.

    Args:
        truth: Its truth file.
        folder: Name of the folder it is in, for ids.
        media: Its path from the media root.
        grammar: Reads movements, for the check.
        seed: Of the whole corpus.
    """
    scene = scene_of(truth)
    rng = random.Random(f"{seed}/{folder}/{scene.name}")
    writer = _Writer(scene, folder, media, grammar)
    person = scene.main
    writer.labels(person, rng)
    for other in sorted(scene.people, key=lambda p: not p.main):
        writer.describe("facial", partial(stories.face, scene, other, rng), other)
    writer.describe("facial", lambda: stories.face(scene, person, rng), person)
    writer.describe("units", lambda: stories.units(scene, person, rng), person)
    writer.describe("audio", lambda: stories.voice(scene, rng), person)
    writer.describe("visual", lambda: stories.picture(scene, rng), person)
    for other in [person, *(p for p in scene.people if p is not person and p.said is not None)]:
        writer.reason(partial(stories.reason, scene, other, rng), other)
    asked = [*about_face(scene, person, rng), *about_voice(scene, person, rng), *about_people(scene, rng)]
    for other in scene.people:
        if other is not person:
            asked += [*about_voice(scene, other, rng)] if other.said is not None else []
    rng.shuffle(asked)
    asked = [*asked[: QUESTIONS - 1], unanswerable(person, rng)]
    for number, one in enumerate(asked, 1):
        writer.question(number, one)
    for other in scene.people:
        writer.reply(other, rng)
    return writer.told


class _Writer:
    """Puts what is told of one clip into samples, after the check."""

    def __init__(self, scene: Scene, folder: str, media: str, grammar: Grammar) -> None:
        self.scene, self.grammar = scene, grammar
        self.told = Told()
        self._base = f"synth/{folder}/{scene.name}"
        self._media = Media(video=media)
        self._ids: Counter[str] = Counter()
        self._texts: set[str] = set()

    def labels(self, person: Person, rng: random.Random) -> None:
        if len(self.scene.people) > 1:
            return  # a label task cannot say whom it means
        families = ("neutral",) if person.plain else person.families
        if not families:
            return
        known = FAMILIES if self.scene.split == "val" else tuple(f for f in FAMILIES if f not in ("confused", "embarrassed"))
        words = [pool("clip_moves")["words"][f] for f in families]
        tasks = [Task(type="open-vocabulary", labels=tuple(rng.choice(w[:2]) for w in words))]
        if len(families) == 1:
            tasks.insert(0, Task(type="emotion", label=families[0], label_set=known))
        else:
            tasks.insert(0, Task(type="multi-label", labels=families, label_set=known))
        self._add("labels", tuple(tasks), person)

    def describe(self, what: str, write: Callable[[], str], person: Person) -> None:
        text = self._hold(f"describe-{what}", write, lambda t: self._faults(t, person, units=what == "units"))
        if text and text not in self._texts:
            self._texts.add(text)
            given = Descriptions.model_validate({what: Description(text=text, origin=ORIGIN)})
            self._add(f"describe-{what}", (Task(type="describe"),), person, descriptions=given)

    def reason(self, write: Callable[[], str], person: Person) -> None:
        text = self._hold("reason", write, lambda t: self._faults(t, person))
        if text:
            given = Descriptions(multimodal=Description(text=text, origin=ORIGIN))
            self._add("reason", (Task(type="reason"),), person, descriptions=given)

    def question(self, number: int, one: Exchange) -> None:
        person = self.scene.people[one.subject]
        if self._hold(f"question-{one.kind}", lambda: one.answer, lambda _: self._exchange_faults(one, person), tries=1):
            task = Task(type="question", question=one.question, answer=one.answer)
            self._add(f"question-{number:02d}-{one.kind}", (task,), person)

    def reply(self, person: Person, rng: random.Random) -> None:
        if person.said is None and len(self.scene.people) > 1:
            return  # nobody could tell who is answered
        found = reply(person, rng)
        if found is None:
            return
        answer, chain = found
        if self._hold("reply", lambda: answer, lambda t: faults(t, self.scene, self.grammar, subject=person.index, moves=False), tries=1):
            turns = (HistoryTurn(role="user", text=person.said.text),) if person.said is not None else ()
            self._add("reply", (Task(type="empathy"),), person, reply=answer, chain_of_empathy=chain, history=turns)

    def _faults(self, text: str, person: Person, *, units: bool = False) -> list[str]:
        if units:
            return unit_row_faults(text, person)
        return faults(text, self.scene, self.grammar, subject=person.index)

    def _exchange_faults(self, one: Exchange, person: Person) -> list[str]:
        found = (
            [] if one.kind == "unknown" else faults(one.answer, self.scene, self.grammar, subject=person.index, moves=one.kind != "blinks")
        )
        if one.claim:
            check = denial_faults if one.denied else faults
            found += check(one.claim, self.scene, self.grammar, subject=person.index)
        return found

    def _hold(self, kind: str, write: Callable[[], str], check: Callable[[str], Sequence[str]], tries: int = 3) -> str:
        """The text if it holds, after up to some tries in other words; what never holds is counted and left out."""
        found: Sequence[str] = ()
        for _ in range(tries):
            text = write()
            if not text:
                return ""
            self.told.checked += 1
            found = check(text)
            if not found:
                return text
        self.told.refused[f"{kind}: {found[0].split(':')[0]}"] += 1
        return ""

    def _add(self, name: str, tasks: tuple[Task, ...], person: Person, **more: Any) -> None:
        self._ids[name] += 1
        count = self._ids[name]
        scene = self.scene
        heard = [p.said.text for p in scene.speakers if p.said is not None]
        sample = UnifiedSample(
            id=f"{self._base}/{name}{f'-{count}' if count > 1 else ''}", corpus=CORPUS, split="val" if scene.split == "val" else "train",
            media=self._media, transcript=" ".join(heard) or None, language="en" if heard else None, speaker=scene.main.id, tasks=tasks,
            level=level_of(t.type for t in tasks), licence=LICENCE, **more,
        )  # fmt: skip
        self.told.samples.append(sample)
