"""Parts of the corpus by their sources: each a stream of samples made from items or clips that were already cleared of duplicates."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from emollm.data.corpus import Item
from emollm.data.open_corpus import clips, faces, pairs, speech, support, text
from emollm.data.schema import UnifiedSample
from emollm.data.tasks import labels_of
from emollm.data.texts import dialogues
from emollm.data.truth_check import Grammar

PAIRS = {"train": 6000, "val": 500}
LEFT_OUT = {"fec_captions": "captions of clips that are not in the folder: a description without its medium teaches nothing"}


@dataclass(frozen=True, slots=True)
class Source:
    """Items that are left, and what is known of all of them."""

    items: Sequence[Item]
    licences: Mapping[str, str]
    seed: int
    context: Sequence[Item] = ()  # lines that come twice in a split: read, but not asked about

    def of(self, modality: str) -> dict[str, list[Item]]:
        """Corpus -> items of a modality."""
        found: dict[str, list[Item]] = {}
        for item in self.items:
            if item.modality == modality and item.corpus not in LEFT_OUT:
                found.setdefault(item.corpus, []).append(item)
        return found

    def rng(self, name: str) -> random.Random:
        """A generator for one part, or one item of it: the rest does not shift it."""
        return random.Random(f"{self.seed}/{name}")


def media(item: Item) -> str:
    """Where an item's medium lies below the media folder: a member of a shard as a file in a folder of the shard's name."""
    shard, _, member = (item.path or "").partition("::")
    return f"data/{shard.removesuffix('.zip')}/{member}" if member else f"data/{shard}"


def face_samples(source: Source) -> Iterator[UnifiedSample]:
    """Of all labelled faces."""
    for corpus, items in source.of("face").items():
        labels = labels_of(items)[corpus]
        for item in items:
            yield from faces.sample(item, labels, source.licences.get(corpus, "unknown"), media(item), source.rng(item.id))


def speech_samples(source: Source) -> Iterator[UnifiedSample]:
    """Of all labelled voices."""
    for corpus, items in source.of("speech").items():
        labels = labels_of(items)[corpus]
        for item in items:
            yield from speech.samples(item, labels, source.licences.get(corpus, "unknown"), media(item), source.rng(item.id))


def text_samples(source: Source) -> Iterator[UnifiedSample]:
    """Of all labelled sentences and dialogues."""
    context = frozenset(i.id for i in source.context)
    for corpus, items in source.of("text").items():
        terms = source.licences.get(corpus, "unknown")
        if any(i.extra.get("labels") for i in items):
            labels = list(dict.fromkeys(sorted(name for i in items for name in i.extra.get("labels", ()))))
            yield from (one for i in items if (one := text.sentence(i, labels, terms)) is not None)
            continue
        labels = labels_of(items)[corpus]
        for lines in dialogues([*items, *(i for i in source.context if i.corpus == corpus)]):
            yield from text.dialogue(lines, labels, terms, source.rng(lines[0].id), told=context)


def support_samples(source: Source) -> Iterator[UnifiedSample]:
    """Of all dialogues of support."""
    for corpus, items in source.of("dialogue").items():
        for item in items:
            terms = source.licences.get(corpus, "unknown")
            yield from support.replies(item, terms)
            if (one := support.trouble(item, terms, source.rng(item.id))) is not None:
                yield one


def paired_samples(source: Source) -> Iterator[UnifiedSample]:
    """Faces with voices of the same split."""
    for split, count in PAIRS.items():
        shown = [i for items in source.of("face").values() for i in items if i.split == split]
        heard = [i for items in source.of("speech").values() for i in items if i.split == split]
        yield from pairs.pairs(shown, heard, min(count, 4 * len(heard)), source.licences, media, source.rng(f"paired/{split}"))


PARTS: Mapping[str, Callable[[Source], Iterator[UnifiedSample]]] = {
    "faces": face_samples, "speech": speech_samples, "text": text_samples, "support": support_samples, "paired": paired_samples,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """One clip to tell."""

    folder: Path
    name: str  # of the folder, below the media folder and in ids
    truth: Path
    grammar: Grammar
    seed: int


def clip_jobs(folders: Mapping[str, Path], grammar: Grammar, seed: int, dropped: Counter[str]) -> list[Job]:
    """All clips, without copies and without clips in train that show or let hear somebody of val."""
    rows = [(name, folder, path) for name, folder in folders.items() for path in sorted((folder / "truth").glob("[!.]*.json.gz"))]
    rows.sort(key=lambda r: not r[2].name.startswith("val-"))
    known: dict[str, dict[str, Any]] = {}
    for name, folder, _ in rows:
        if name not in known:
            with (folder / "truth.jsonl").open(encoding="utf-8") as lines:
                known[name] = {row["name"]: row for row in map(json.loads, lines)}
    held = {p["person"] for table in known.values() for row in table.values() if row["split"] == "val" for p in row["people"]}
    seen: set[bytes] = set()
    jobs = []
    for name, folder, path in rows:
        row = known[name].get(path.name.removesuffix(".json.gz"))
        clip = folder / "clips" / f"{path.name.removesuffix('.json.gz')}.mp4"
        if row is None or not clip.is_file():
            dropped[f"{clips.CORPUS}: without a clip or a line of truth.jsonl"] += 1
            continue
        mark = blake2b(clip.read_bytes(), digest_size=16).digest()
        if mark in seen:
            dropped[f"{clips.CORPUS}: the same clip twice"] += 1
        elif row["split"] == "train" and any(p["person"] in held for p in row["people"]):
            dropped[f"{clips.CORPUS}: in train with a person of val"] += 1
        else:
            jobs.append(Job(folder, name, path, grammar, seed))
        seen.add(mark)
    return jobs


def tell(job: Job) -> clips.Told:
    """The samples of one clip; runs in a worker."""
    with gzip.open(job.truth, "rt", encoding="utf-8") as file:
        truth = json.load(file)
    return clips.tell(truth, job.name, f"{job.name}/clips/{truth['name']}.mp4", job.grammar, job.seed)


def told(jobs: Sequence[Job], workers: int) -> Iterator[clips.Told]:
    """Every clip in order, on several processes."""
    pool = multiprocessing.get_context("spawn").Pool(workers) if workers > 1 and len(jobs) > 50 else nullcontext()
    with pool as hands:
        yield from hands.imap(tell, jobs, chunksize=8) if hands is not None else map(tell, jobs)
