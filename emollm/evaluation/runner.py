"""A card and a ChatBackend to samples.jsonl and results.json; a stopped run goes on where it ended."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emollm import __version__
from emollm.chat.backend import Scorer
from emollm.data.corpus import Corpus, Item
from emollm.data.prompts import label_question
from emollm.data.texts import dialogue_text, with_context
from emollm.errors import DataError, MediaError
from emollm.evaluation import floors
from emollm.evaluation.cards import Card
from emollm.evaluation.metrics import METRICS, calibration_by_luck, calibration_error, concordance, confusion, interval
from emollm.evaluation.spoil import spoil
from emollm.values import Floats, Message

STREAMS = {"face": "face", "speech": "voice"}
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
    if card.task != "recognition":
        raise DataError(f"{card.name} is of task {card.task}; give the answers as a file, with --predictions.")
    corpus = Corpus(data)
    items = [i for i in corpus.items(card.corpus, split) if i.label is not None]
    if not items:
        known = sorted({i.split for i in corpus.items(card.corpus)})
        raise DataError(f"{card.corpus} has no labelled items with split {split!r}; splits there are: {', '.join(known)}.")
    stray = sorted({i.label for i in items if i.label} - set(card.labels))
    if stray:
        raise DataError(f"{card.name} lists no label {', '.join(stray)}, but {card.corpus} has it.")
    if limit is not None and limit < len(items):
        items = random.Random(0).sample(items, limit)
    out.mkdir(parents=True, exist_ok=True)
    asker = _Asker(card, backend, corpus, split, spoiled)
    rows = _kept(out / "samples.jsonl", card, asker.by)
    with (out / "samples.jsonl").open("a", encoding="utf-8") as file:
        for number, item in enumerate(items):
            if item.id not in rows:
                rows[item.id] = asker.ask(item)
                file.write(json.dumps(rows[item.id]) + "\n")
                file.flush()
            if progress is not None:
                progress(number + 1, len(items))
    pairs = [(rows[i.id]["label"], rows[i.id]["answer"]) for i in items]
    metrics: dict[str, Any] = {name: round(metric(pairs), 4) for name, metric in METRICS.items()}
    sure = [(max(rows[i.id]["scores"].values()), rows[i.id]["label"] == rows[i.id]["answer"]) for i in items if "scores" in rows[i.id]]
    if sure:
        metrics["calibration_error"] = round(calibration_error(sure), 4)
        metrics["calibration_error_by_luck"] = round(calibration_by_luck(sure), 4)
    metrics |= _agreement([(i.extra, rows[i.id]) for i in items])
    metrics["interval"] = [round(v, 4) for v in interval(pairs, METRICS[card.headline])]
    results = {
        "card": card.name,
        "card_version": card.version,
        "system": backend.system,
        "scale": backend.scale,
        "weights": backend.version,
        "split": split,
        "spoiled": spoiled or None,
        "n": len(items),
        "headline": card.headline,
        "metrics": metrics,
        "floors": _floors(card, corpus, items, rows, asker, probe_items),
        "unreadable": sum(bool(rows[i.id].get("error")) for i in items),
        "confusion": confusion(pairs),
        "emollm": __version__,
    }
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return results


def _agreement(pairs: Sequence[tuple[Mapping[str, Any], dict[str, Any]]]) -> dict[str, float]:
    """Concordance of arousal, valence and dominance, where people rated them (1 to 5) and the voice was measured."""
    found = {}
    for k, name in enumerate(DIMENSIONS):
        both = [((extra[name] - 3) / 2, row["dimensions"][k]) for extra, row in pairs if name in extra and row.get("dimensions")]
        if len(both) > 10:
            found[f"{name}_concordance"] = round(concordance([a for a, _ in both], [b for _, b in both]), 4)
    return found


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
        row: dict[str, Any] = {
            "id": item.id,
            "label": item.label,
            "by": self.by,
            "card": self._card.version,
        }
        try:
            if kind == "text":
                message = Message("user", f"{dialogue_text(self._context[item.id])}\n{question}")
            else:
                message = Message("user", question, (self._clip(item),))
            shares = self._backend.score([message], self._card.labels)
            if kind == "clip":
                self.vector(item)  # now, while the backend still holds what it measured
                row |= self._rated(item)
        except MediaError as error:
            return row | {"answer": "", "error": str(error)}
        best = max(shares, key=lambda label: shares[label])
        return row | {"answer": best, "scores": {k: round(v, 5) for k, v in shares.items()}}

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


def _kept(path: Path, card: Card, by: str) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run of the same card by the same system."""
    if not path.is_file():
        return {}
    found = {}
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the last line of a killed run
            continue
        if row.get("by") == by and row.get("card") == card.version:
            found[row["id"]] = row
    path.write_text("".join(json.dumps(r) + "\n" for r in found.values()), "utf-8")
    return found


def _floors(
    card: Card, corpus: Corpus, items: Sequence[Item], rows: dict[str, dict[str, Any]], asker: _Asker, probe_items: int
) -> dict[str, dict[str, float]]:
    train = [i for i in corpus.items(card.corpus, "train") if i.label in card.labels]
    truth = [rows[i.id]["label"] for i in items]
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
