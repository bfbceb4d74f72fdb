"""A card and a ChatBackend to samples.jsonl and results.json; a stopped run goes on where it ended."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emollm.chat.backend import Scorer
from emollm.data.corpus import Corpus, Item
from emollm.data.prompts import label_question
from emollm.data.texts import dialogue_text, with_context
from emollm.errors import DataError, MediaError, RecipeError
from emollm.evaluation import floors
from emollm.evaluation.answers import Reference, Said, group_of
from emollm.evaluation.asked import floor_of, shuffled
from emollm.evaluation.blind import floors as blind_floors
from emollm.evaluation.blind import warnings_of
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.cards import Card
from emollm.evaluation.log import Log
from emollm.evaluation.metrics import concordance, confusion
from emollm.evaluation.predictions import groups, intervals, rounded
from emollm.evaluation.results import write
from emollm.evaluation.spoil import spoil
from emollm.evaluation.tally import tally
from emollm.values import Floats, Message

STREAMS = {"face": "face", "speech": "voice"}
NEAR_BEST = 0.5  # several labels: those with at least this share of the best one's score
DIMENSIONS = ("arousal", "valence", "dominance")


def evaluate(
    card: Card,
    backend: Scorer,
    data: Path,
    out: Path,
    *,
    split: str = "val",
    limit: int | None = None,
    probe_items: int = 1500,
    spoiled: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score one card.

    Args:
        card: What is asked.
        backend: Who answers, by scoring every label as the reply.
        data: Folder with index.jsonl.
        out: Gets samples.jsonl and results.json.
        split: Which items are asked about.
        limit: Only so many, drawn evenly by a fixed seed.
        probe_items: Training items the probe may see; 0 leaves the probe out.
        spoiled: How pictures are made worse before anybody sees them (`spoil.KINDS`); as they are if empty.
        progress: Called with items done and items in all.

    Returns:
        What is in results.json.

    Raises:
        DataError: No items, or a label the card does not list.
    """
    if card.task not in {"recognition", "multi-label"}:
        raise DataError(f"{card.name} is of task {card.task}; give the answers as a file, with --predictions.")
    corpus = Corpus(data)
    items = [i for i in corpus.items(card.corpus, split) if i.label is not None]
    if not items:
        known = sorted({i.split for i in corpus.items(card.corpus)})
        raise DataError(f"{card.corpus} has no labelled items with split {split!r}; splits there are: {', '.join(known)}.")
    stray = sorted({label for i in items for label in _true(card, i)} - set(card.labels))
    if stray:
        raise DataError(f"{card.name} lists no label {', '.join(stray)}, but {card.corpus} has it.")
    if limit is not None and limit < len(items):
        items = random.Random(0).sample(items, limit)
    asker = _Asker(card, backend, corpus, split, spoiled)
    with Log(out / "samples.jsonl", by=asker.by, version=card.version) as log:
        for number, item in enumerate(items):
            if item.id not in log.rows:
                log.add(asker.ask(item))
            if progress is not None:
                progress(number + 1, len(items))
        rows = {i.id: log.rows[i.id] for i in items}
    references = [_reference(card, i) for i in items]
    said = [_said(rows[i.id]) for i in items]
    made = tally(card, references, said)
    more: dict[str, Floor] = {}
    with Log(out / "blind.jsonl", by=asker.by, version=card.version) as log:
        alone = asker.without(items, log)
    if alone:
        more["text_only"] = floor_of(card, references, alone, "the system without picture and sound")
    if len(items) > 1:
        more["shuffled_media"] = shuffled(card, references, said)
    floors_found = _floors(card, corpus, items, rows, asker, probe_items) | {k: rounded(f.measures) for k, f in more.items()}
    measures = rounded(made.all()) | _agreement([(i.extra, rows[i.id]) for i in items])
    bounds = {name: [round(v, 4) for v in pair] for name, pair in intervals(made.of, np.arange(made.n)).items()}
    found = {name: Floor(values, "") for name, values in floors_found.items()}
    results = {
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "task": card.task,
        "system": backend.system,
        "scale": backend.scale,
        "weights": backend.version,
        "split": split,
        "spoiled": spoiled or None,
        "n": len(items),
        "headline": card.headline,
        "metrics": {**measures, "interval": bounds[card.headline]},
        "intervals": bounds,
        "floors": floors_found,
        "warnings": warnings_of(card.headline, measures, bounds[card.headline][0], bounds[card.headline][1], found),
        "unreadable": sum(bool(row.get("error")) for row in rows.values()),
        "groups": groups(card, made, references),
        "confusion": confusion(made.pairs) if made.pairs else {},
        "card_file": card.model_dump(mode="json"),
    }
    return write(out, results)


def _true(card: Card, item: Item) -> list[str]:
    """The labels of an item."""
    return list(item.extra.get("labels") or [item.label]) if card.task == "multi-label" else [item.label or ""]


def _reference(card: Card, item: Item) -> Reference:
    labels = tuple(_true(card, item)) if card.task == "multi-label" else None
    return Reference(item.id, item.label, labels, group=group_of(item.extra))


def _said(row: Mapping[str, Any]) -> Said | None:
    if row.get("error"):
        return None
    answer = row.get("prediction", row["answer"])
    return Said(tuple(answer) if isinstance(answer, list) else answer, row.get("scores"))


def _agreement(pairs: Sequence[tuple[Mapping[str, Any], dict[str, Any]]]) -> dict[str, float]:
    """Concordance of arousal, valence and dominance, where people rated them (1 to 5) and the voice was measured."""
    found = {}
    for k, name in enumerate(DIMENSIONS):
        both = [((extra[name] - 3) / 2, row["dimensions"][k]) for extra, row in pairs if name in extra and row.get("dimensions")]
        if len(both) > 10:
            found[f"{name}_concordance"] = round(concordance([a for a, _ in both], [b for _, b in both]), 4)
    return found


def _right(row: Mapping[str, Any]) -> float:
    """How good an answer is by itself: 1 where it is right, the lower the surer it is wrong; of sets the share they have in common."""
    if "labels" in row:
        true, said = set(row["labels"]), set(row["prediction"])
        return round(len(true & said) / len(true | said), 4)
    return 1.0 if row["answer"] == row["label"] else -float(row["scores"][row["answer"]])


class _Asker:
    """Puts items to the backend, one at a time."""

    def __init__(self, card: Card, backend: Scorer, corpus: Corpus, split: str, spoiled: str) -> None:
        self._spoiled = spoiled
        # Who answered, so that rows of other weights or of better pictures are not taken for this run's.
        self.by = f"{backend.system}-{backend.scale}-{backend.version}{'-' + spoiled if spoiled else ''}"
        self._card, self._backend, self._corpus = card, backend, corpus
        self._context = with_context(corpus.items(card.corpus, split)) if card.modality == "text" else {}
        self._private = tempfile.TemporaryDirectory()
        self._vectors: dict[str, Floats | None] = {}

    def ask(self, item: Item) -> dict[str, Any]:
        """The scores of all labels for an item; a clip that cannot be read counts as a wrong answer, never as left out."""
        kind = "text" if self._card.modality == "text" else "clip"
        question = label_question(list(self._card.labels), kind=kind)
        row: dict[str, Any] = {"id": item.id, "label": item.label}
        if self._card.task == "multi-label":
            row["labels"] = _true(self._card, item)
        try:
            if kind == "text":
                message = Message("user", f"{dialogue_text(self._context[item.id])}\n{question}")
            else:
                message = Message("user", question, (self._clip(item),))
            row["prompt"] = message.text
            shares = self._backend.score([message], self._card.labels)
            if kind == "clip":
                self.vector(item)  # now, while the backend still holds what it measured
                row |= self._rated(item)
        except MediaError as error:
            return row | {"answer": "", "error": str(error), "right": 0.0}
        row |= self._chosen(shares)
        return row | {"right": _right(row)}

    def _chosen(self, shares: Mapping[str, float]) -> dict[str, Any]:
        best = max(shares, key=lambda label: shares[label])
        scores = {"scores": {k: round(v, 5) for k, v in shares.items()}}
        if self._card.task != "multi-label":
            return {"answer": best, **scores}
        # The shares sum to one, so that several true labels have to share: what comes near the best is said as well.
        several = [label for label in shares if shares[label] >= NEAR_BEST * shares[best]]
        return {"answer": ", ".join(several), "prediction": several, **scores}

    def without(self, items: Sequence[Item], log: Log) -> list[Said]:
        """Answers without media; none where the backend answers to clips only."""
        try:
            return [self._blind(item, log) for item in items]
        except RecipeError:
            return []

    def _blind(self, item: Item, log: Log) -> Said:
        """The answer without media: to the spoken words where there are any, else to the bare question; each is asked once."""
        kind = "text" if self._card.modality == "text" else "clip"
        question = label_question(list(self._card.labels), kind=kind)
        words = f'Words: "{item.text}"\n{question}' if self._card.modality == "speech" and item.text else question
        row = log.rows.get(words) or log.add(
            {"id": words, **self._chosen(self._backend.score([Message("user", words)], self._card.labels))}
        )
        found = _said(row)
        assert found is not None
        return found

    def vector(self, item: Item) -> Floats | None:
        """The features an item has in the card's modality."""
        if item.id not in self._vectors:
            try:
                features = dict(self._backend.analyze(self._clip(item)).features)
            except MediaError:
                features = {}
            self._vectors[item.id] = floors.vector_of(features, STREAMS[self._card.modality])
        return self._vectors[item.id]

    def _rated(self, item: Item) -> dict[str, Any]:
        """Measured arousal, valence and dominance of an item that people rated."""
        if not any(name in item.extra for name in DIMENSIONS):
            return {}
        voice = self._backend.analyze(self._clip(item)).voice
        if voice is None or voice.dimensions is None:
            return {}
        return {"dimensions": [round(float(v), 4) for v in voice.dimensions.mean(0)]}

    def _clip(self, item: Item) -> Path:
        path = Path(self._private.name) / "clip"
        data = self._corpus.read(item)
        path.write_bytes(spoil(data, self._spoiled, item.id) if self._spoiled else data)
        return path


def _floors(
    card: Card, corpus: Corpus, items: Sequence[Item], rows: dict[str, dict[str, Any]], asker: _Asker, probe_items: int
) -> dict[str, dict[str, float]]:
    train = [i for i in corpus.items(card.corpus, "train") if i.label in card.labels]
    truth = [rows[i.id]["label"] for i in items]
    if card.task == "multi-label":
        return _set_floors(card, items, train, probe_items)
    found = {"majority": floors.majority([i.label or "" for i in train] or truth, truth)}
    if not train or not probe_items:
        return found
    if card.modality == "text":
        found["words_probe"] = floors.text_probe(train, items)
        return found
    chosen = random.Random(0).sample(train, min(probe_items, len(train)))
    known = [(v, i.label or "") for i in chosen if (v := asker.vector(i)) is not None]
    if len(known) < 20:  # a remote backend keeps its features to itself
        return found
    found["probe"] = floors.probe(known, [(asker.vector(i), i.label or "") for i in items])
    return found


def _set_floors(card: Card, items: Sequence[Item], train: Sequence[Item], probe_items: int) -> dict[str, dict[str, float]]:
    """For label sets: constants and every label at once, and a classifier on words."""
    references = [_reference(card, i) for i in items]
    found = {name: rounded(f.measures) for name, f in blind_floors(card, references).items() if name != "shuffled_references"}
    if card.modality == "text" and train and probe_items:
        chosen = random.Random(0).sample(list(train), min(probe_items, len(train)))
        said = floors.text_sets([(i.text or "", _true(card, i)) for i in chosen], [i.text or "" for i in items], card.labels)
        found["words_probe"] = rounded(floor_of(card, references, [Said(tuple(s)) for s in said], "").measures)
    return found
