"""A mixture file to the samples of a stage: which corpora, which tasks, how many, always the same for one seed."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from emollm import catalog
from emollm.data import tasks, texts
from emollm.data.chosen import chosen
from emollm.data.corpus import Corpus, Item
from emollm.data.features import Seen
from emollm.data.film import CORPUS, FilmTeller
from emollm.data.plain import plain, spoken
from emollm.data.talk import Storyteller
from emollm.data.written import written
from emollm.errors import DataError

_IN_WORDS = (
    "recognise-text",
    "recognise-dialogue",
    "recognise-remarks",
    "care",
    "feeling",
    "say",
    "written",
    "chosen",
    "plain",
)  # tasks without a clip
_OURS = ("say", "written", "chosen", "plain")
OWN_TEXTS = "plain"  # stands for our own texts in `words`, where other names are corpora
SENTENCE_LABELS = {"joy": "happy", "sadness": "sad", "anger": "angry"}


class Source(BaseModel):
    """One ingredient."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: Literal[
        "recognise", "agree", "recognise-pair", "recognise-parts", "recognise-text", "recognise-dialogue", "recognise-remarks", "talk",
        "reply", "film", "care", "feeling", "say", "written", "chosen", "plain",
    ]  # fmt: skip
    corpora: tuple[str, ...]
    count: int = Field(ge=1)
    balance: float = Field(default=1.0, ge=0, le=1)
    faces: tuple[str, ...] = ()
    voices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


class Mixture:
    """The ingredients of one stage over one data folder. Items are drawn at once, samples are written when their features are there."""

    def __init__(self, name: str, corpus: Corpus, *, seed: int = 0, split: str = "train", shrink: float = 1.0) -> None:
        path = catalog.find("instruct_data", name)
        try:
            sources = tuple(Source.model_validate(s) for s in tomllib.loads(path.read_text("utf-8"))["sources"])
        except (ValidationError, KeyError, tomllib.TOMLDecodeError) as error:
            raise DataError(f"{path.name} is faulty: {error}") from None
        # Films are rendered, not part of a data folder: without them a stage learns from the rest.
        self.sources = tuple(s for s in sources if s.task != "film" or corpus.holds(CORPUS))
        self.without_films = len(self.sources) < len(sources)
        if split != "train":  # what is written by hand or from pools has no other people to be watched on
            self.sources = tuple(s for s in self.sources if s.task not in _OURS)
        self._rng = random.Random(seed)
        self._items: dict[str, list[Item]] = {}
        self._drawn: list[list[Item]] = []
        self._others: list[tuple[list[Item], list[Item]]] = []
        for source in self.sources:
            for name_ in (n for n in (*source.corpora, *source.faces, *source.voices, *source.words) if n != OWN_TEXTS):
                self._items.setdefault(name_, corpus.items(name_, split))
            count = max(1, round(source.count * shrink))
            self._drawn.append(tasks.draw(self._all(source.corpora), count, source.balance, self._rng) if source.corpora else [])
            faces = tasks.draw(self._all(source.faces), count, 0.3, self._rng) if source.faces else []
            voices = tasks.draw(self._all(source.voices), min(count, 2000), 1.0, self._rng) if source.voices else []
            self._others.append((faces, voices))
        self._shrink = shrink

    def _all(self, corpora: Sequence[str]) -> list[Item]:
        return [i for c in corpora for i in self._items[c]]

    def media(self) -> list[Item]:
        """Items whose features the samples need, once each, in a fixed order."""
        needed = {i.id: i for items in (*self._drawn, *(o for pair in self._others for o in pair)) for i in items if i.path is not None}
        return [needed[k] for k in sorted(needed)]

    def samples(self, seen: dict[str, Seen], heads: Mapping[str, tasks.Head] | None = None) -> list[tasks.Sample]:
        """All samples, shuffled.

        Args:
            seen: What was seen of each medium.
            heads: Our encoders' own verdicts by stream, for the task "agree".
        """
        made: list[tasks.Sample | None] = []
        for source, drawn, others in zip(self.sources, self._drawn, self._others, strict=True):
            options = tasks.labels_of(self._all(source.corpora))
            if source.task in _IN_WORDS:
                fresh = self._in_words(source, drawn, options)
            else:
                there = [[seen[i.id] for i in items if i.id in seen] for items in (drawn, *others)]
                fresh = self._of_clips(source, there[0], there[1], there[2], options, heads or {})
            made += [s and replace(s, task=source.task) for s in fresh]
        kept = [s for s in made if s is not None]
        self._rng.shuffle(kept)
        return kept

    def _of_clips(
        self,
        source: Source,
        found: Sequence[Seen],
        faces: Sequence[Seen],
        voices: Sequence[Seen],
        options: dict[str, list[str]],
        heads: Mapping[str, tasks.Head],
    ) -> Sequence[tasks.Sample]:
        """Samples about faces, voices and films."""
        if source.task == "recognise":
            return [tasks.recognise(s, options[s.item.corpus], self._rng) for s in found]
        if source.task == "agree":
            return self._agreeing(found, options, heads)
        if source.task == "recognise-pair":
            return self._pairs(found, faces, options)
        if source.task == "recognise-parts":
            return self._parts(found, voices)
        shown = [s for s in found if s.has_face]
        teller = FilmTeller(self._rng) if source.task == "film" else Storyteller(shown, voices, self._sentences(source.words), self._rng)
        return [teller.answer(s) if source.task == "reply" and isinstance(teller, Storyteller) else teller.tell(s) for s in shown]

    def _in_words(self, source: Source, drawn: Sequence[Item], options: dict[str, list[str]]) -> Sequence[tasks.Sample | None]:
        """Samples without a clip."""
        rng, count = self._rng, max(1, round(source.count * self._shrink))
        if source.task == "recognise-dialogue":
            whole_of = {i.id: lines for c in source.corpora for lines in texts.dialogues(self._items[c]) for i in lines}
            return [texts.recognise_dialogue(whole_of[i.id], options[i.corpus], rng) for i in drawn]
        if source.task == "recognise-remarks":
            every = texts.FOLLOWED_REMARKS + 1
            heaps = [drawn[k : k + every] for k in range(0, len(drawn), every)]
            return [texts.recognise_remarks(heap, options[heap[0].corpus], rng) for heap in heaps]
        if source.task == "recognise-text":
            context = {c: texts.with_context(self._items[c]) for c in source.corpora}
            return [texts.recognise_text(context[i.corpus][i.id], options[i.corpus], rng) for i in drawn]
        if source.task == "care":
            return [texts.care(i, rng) for i in drawn if not i.extra.get("negative_example")]
        if source.task == "feeling":
            pool = [i for i in self._all(source.corpora) if texts.feeling(i, random.Random(0)) is not None]
            return [texts.feeling(i, rng) for i in tasks.draw(pool, count, 0.5, rng)]
        if source.task == "chosen":
            return chosen(count, rng)
        if source.task == "plain":
            return plain(count, rng)
        return written(count, rng) if source.task == "written" else [texts.say(rng) for _ in range(count)]

    def _agreeing(self, found: Sequence[Seen], options: dict[str, list[str]], heads: Mapping[str, tasks.Head]) -> list[tasks.Sample]:
        """Each medium with another of its own corpus."""
        made, groups = [], dict[str, list[Seen]]()
        for seen in found:
            groups.setdefault(seen.item.corpus, []).append(seen)
        for seen in found:
            stream = "face" if "face" in seen.features else "voice"
            if stream in heads and stream in seen.features:
                other = self._rng.choice([s for s in self._rng.choices(groups[seen.item.corpus], k=4) if stream in s.features] or [seen])
                made.append(tasks.agree(seen, other, stream, heads[stream], options[seen.item.corpus], self._rng))
        return made

    def _pairs(self, voices: Sequence[Seen], faces: Sequence[Seen], options: dict[str, list[str]]) -> list[tasks.Sample]:
        by_label: dict[str, list[Seen]] = {}
        for face in faces:
            by_label.setdefault(face.item.label or "", []).append(face)
        made = []
        for voice in voices:
            alike = by_label.get(voice.item.label or "")
            if alike:
                words = voice.item.text if self._rng.random() < 0.5 else None
                made.append(tasks.recognise(tasks.join(self._rng.choice(alike), voice), options[voice.item.corpus], self._rng, words))
        return made

    def _parts(self, faces: Sequence[Seen], voices: Sequence[Seen]) -> list[tasks.Sample]:
        """Two or three faces make a sequence; two in three have a voice whose label has nothing to do with the face's."""
        rng, made = self._rng, []
        heap = [f for f in faces if f.has_face]
        while len(heap) > 1:
            taken = [heap.pop() for _ in range(min(len(heap), rng.choice((1, 2, 2, 2, 3))))]
            seen, marks = tasks.in_sequence(taken, rng)
            voice = rng.choice(voices) if voices and (len(taken) == 1 or rng.random() < 0.65) else None
            if voice is not None:
                seen = tasks.join(seen, voice, voice.item.text if rng.random() < 0.3 else None)
            seen = replace(seen, view=tasks.quieter(seen.view, rng))
            made.append(tasks.recognise_parts(seen, [f.item.label or "" for f in taken], marks, voice.item.label if voice else None, rng))
        return made

    def _sentences(self, corpora: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for item in self._all([c for c in corpora if c != OWN_TEXTS]):
            label = SENTENCE_LABELS.get(item.label or "", item.label or "")
            if item.text and 15 < len(item.text) < 90:
                found.setdefault(label, []).append(item.text)
        if OWN_TEXTS in corpora:  # each label's texts come as often as the other corpora's together
            for label, own in spoken().items():
                theirs = found.setdefault(label, [])
                theirs += self._rng.choices(own, k=max(len(own), len(theirs)))
        return found
