"""Files of answers and of references to lists in one order: what is missing, said twice or unknown is counted; knows no measure."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emollm.data.corpus import Corpus, Item
from emollm.errors import DataError
from emollm.evaluation.cards import Card


@dataclass(frozen=True, slots=True)
class Reference:
    """What is true of one item; which fields are needed depends on the task."""

    id: str
    label: str | None = None
    labels: tuple[str, ...] | None = None
    value: float | None = None
    captions: tuple[str, ...] = ()
    group: dict[str, str] = field(default_factory=dict)
    kind: str = ""  # questions: what kind of question
    question: str = ""
    words: str = ""  # what is said in the clip, where it is known: whoever only copies it scores no more than the floor `copied`


@dataclass(frozen=True, slots=True)
class Said:
    """What a system answered to one item."""

    prediction: str | tuple[str, ...] | float | None = None
    scores: dict[str, float] | None = None  # label -> probability
    emotion: str | None = None  # reply: the emotion named, where it is not part of the reply
    prompt: str | None = None  # what was asked, for people to read; never scored


@dataclass(frozen=True, slots=True)
class Joined:
    """Answers in the order of the references."""

    references: tuple[Reference, ...]
    said: tuple[Said | None, ...]  # None where no answer came
    missing: tuple[str, ...]
    duplicate: tuple[str, ...]  # the first answer counts
    unknown: tuple[str, ...]


def read_references(path: Path) -> list[Reference]:
    """References from JSON lines.

    Raises:
        DataError: No file, a faulty line, or an id that comes twice.
    """
    found = [_each(path, number, row, reference) for number, row in _rows(path)]
    twice = sorted(i for i, n in Counter(r.id for r in found).items() if n > 1)
    if twice:
        raise DataError(f"{path} has {len(twice)} id(s) twice: {', '.join(twice[:5])}. Every item needs one reference.")
    return found


def references_of(card: Card, data: Path, split: str) -> list[Reference]:
    """References from the labelled items of the card's corpus in a data folder.

    Raises:
        DataError: No such corpus, or no labelled items in the split.
    """
    items = Corpus(data).items(card.corpus, split)
    found = [reference_of(i) for i in items if i.label]
    if not found:
        raise DataError(f"{card.corpus} has no labelled items with split {split!r}.")
    return found


_KINDS = ("labels", "value", "captions")
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}


def reference_of(item: Item) -> Reference:
    """What is true of an item of a data folder, with the groups of people it belongs to."""
    row = {k: item.extra[k] for k in _KINDS if k in item.extra}
    return reference({"id": item.id, "label": item.label, "words": item.text, **row, "group": group_of(item.extra)})


def group_of(extra: Mapping[str, Any]) -> dict[str, str]:
    """Groups that are known of an item: its own `group`, and sex, age and language where corpora name them in their ways."""
    found = {str(k): str(v) for k, v in (extra.get("group") or {}).items()}
    if (sex := _SEXES.get(str(extra.get("gender", extra.get("sex", ""))).casefold())) is not None:
        found["sex"] = sex
    if (language := extra.get("lang", extra.get("language"))) is not None:
        found["language"] = str(language)
    try:
        years = float(extra["age"])
    except (KeyError, TypeError, ValueError):
        return found
    return {**found, "age": "under 30" if years < 30 else "30 to 49" if years < 50 else "50 and over"}


def reference(row: dict[str, Any]) -> Reference:
    """One reference from its fields."""
    captions = row.get("captions") or ()
    if row.get("value") is not None and not math.isfinite(float(row["value"])):
        raise ValueError(f"value {row['value']} is no number")
    return Reference(
        id=str(row["id"]),
        label=None if row.get("label") is None else str(row["label"]),
        labels=None if row.get("labels") is None else tuple(map(str, row["labels"])),
        value=None if row.get("value") is None else float(row["value"]),
        captions=(captions,) if isinstance(captions, str) else tuple(map(str, captions)),
        group={str(k): str(v) for k, v in (row.get("group") or {}).items()},
        kind=str(row.get("kind") or ""),
        question=str(row.get("question") or ""),
        words=str(row.get("words") or ""),
    )


def said(row: dict[str, Any]) -> Said:
    """One answer from its fields."""
    answer, scores = row.get("prediction"), row.get("scores")
    if answer is None and not scores and row.get("emotion") is None:
        raise ValueError("neither prediction nor scores")
    if isinstance(answer, list):
        answer = tuple(map(str, answer))
    elif isinstance(answer, bool) or not isinstance(answer, str | int | float | None):
        raise ValueError(f"prediction is a {type(answer).__name__}; give text, a list of labels or a number")
    elif isinstance(answer, int):
        answer = float(answer)
    if isinstance(answer, float) and not math.isfinite(answer):
        answer = ""  # as good as nothing said
    emotion, prompt = (None if row.get(k) is None else str(row[k]) for k in ("emotion", "prompt"))
    return Said(answer, {str(k): float(v) for k, v in scores.items()} if scores else None, emotion, prompt)


def join(references: Sequence[Reference], path: Path) -> Joined:
    """Answers from JSON lines beside their references.

    Raises:
        DataError: No file, a faulty line, no references, or no answer that fits any of them.
    """
    if not references:
        raise DataError("there are no references; nothing can be scored.")
    answers: dict[str, Said] = {}
    twice: dict[str, None] = {}
    for number, row in _rows(path):
        if "id" not in row:
            raise DataError(f'{path}, line {number}: no "id".')
        name = str(row["id"])
        if name in answers:
            twice[name] = None
        else:
            answers[name] = _each(path, number, row, said)
    known = {r.id for r in references}
    if not known & set(answers):
        raise DataError(f"no id of {path} is among the {len(known)} references, which begin with {references[0].id!r}.")
    return Joined(
        tuple(references),
        tuple(answers.get(r.id) for r in references),
        missing=tuple(r.id for r in references if r.id not in answers),
        duplicate=tuple(twice),
        unknown=tuple(name for name in answers if name not in known),
    )


def _each(path: Path, number: int, row: dict[str, Any], make: Any) -> Any:
    try:
        return make(row)
    except KeyError as error:
        raise DataError(f"{path}, line {number}: no {error}.") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}, line {number}: {error}.") from None


def _rows(path: Path) -> Iterable[tuple[int, dict[str, Any]]]:
    try:
        lines = path.read_text("utf-8").split("\n")  # not splitlines: a text may hold other line ends
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}. Give a file of JSON lines.") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number} is no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number} is no JSON object.")
        yield number, row
