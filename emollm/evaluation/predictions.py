"""A file of answers to samples.jsonl and results.json, without a model or media."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.errors import DataError
from emollm.evaluation.answers import Joined, Reference, Said, join, read_references
from emollm.evaluation.blind import floors, warnings_of
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.cards import MeanCard, ReferenceCard, Scored, load_card
from emollm.evaluation.metrics import confusion, middle
from emollm.evaluation.results import write
from emollm.evaluation.tally import Of, Tally, tally

ROUNDS = 400
FEW = 2  # a group of fewer items has no interval


def score(
    card: Scored,
    joined: Joined,
    out: Path,
    *,
    system: str,
    rounds: int = ROUNDS,
    more: Mapping[str, Floor] | None = None,
    made: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    beside: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Score answers to one card; what is missing counts as wrong.

    Args:
        card: What was asked.
        joined: Answers beside their references.
        out: Gets samples.jsonl and results.json.
        system: Whose answers they are.
        rounds: Of the bootstrap.
        more: Floors beyond those that follow from the references alone.
        made: What is known of the run, such as scale, weights and split.
        notes: Warnings to be told with those found here.
        beside: Measures without an interval that were taken elsewhere.

    Returns:
        What is in results.json.

    Raises:
        DataError: The references do not fit the card.
    """
    counted = tally(card, joined.references, joined.said)
    measures, found = {**counted.all(), **(beside or {})}, {**floors(card, joined.references), **(more or {})}
    bounds = intervals(counted.of, np.arange(counted.n), rounds)
    low, high = bounds[card.headline]
    warnings = _counted(joined) + _protocol(card, joined.references) + list(notes)
    warnings += warnings_of(card.headline, measures, low, high, found)
    results = {
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "task": card.task,
        "system": system,
        "scale": None,
        "weights": None,
        "split": "references",
        **(made or {}),
        "n": counted.n,
        "missing": len(joined.missing),
        "duplicate": len(joined.duplicate),
        "unknown": len(joined.unknown),
        "parse_rate": round(sum(counted.read) / counted.n, 4),
        "headline": card.headline,
        "metrics": {**rounded(measures), "interval": [round(low, 4), round(high, 4)]},
        "intervals": {name: [round(v, 4) for v in pair] for name, pair in bounds.items()},
        "floors": {name: rounded(floor.measures) for name, floor in found.items()},
        "floor_answers": {name: floor.answer for name, floor in found.items()},
        "warnings": warnings,
        "groups": groups(card, counted, joined.references),
        "confusion": confusion(counted.pairs) if counted.pairs else {},
        "protocol": card.protocol if isinstance(card, ReferenceCard) else "",
        "measure": card.metric if isinstance(card, ReferenceCard) else card.headline,
        "source": card.source if isinstance(card, ReferenceCard) else "",
        "card_file": card.model_dump(mode="json"),
    }
    out.mkdir(parents=True, exist_ok=True)
    with (out / "samples.jsonl").open("w", encoding="utf-8") as file:
        for k in range(counted.n):
            file.write(json.dumps(_sample(joined.references[k], joined.said[k], counted, k)) + "\n")
    return write(out, results)


def score_mean(card: MeanCard, answers: Path, references: Path, out: Path, *, system: str, rounds: int = ROUNDS) -> dict[str, Any]:
    """Score the member cards from folders with one `MEMBER.jsonl` each, and average their headlines.

    The mean is given only when no member is missing; a mean of some would be compared with means of all.

    Raises:
        DataError: A folder is none, or holds no member.
    """
    for folder in (answers, references):
        if not folder.is_dir():
            raise DataError(f"{card.name} averages {len(card.members)} cards: give folders with one MEMBER.jsonl each, not {folder}.")
    there = [m for m in card.members if (answers / f"{m}.jsonl").is_file() and (references / f"{m}.jsonl").is_file()]
    if not there:
        raise DataError(
            f"no member of {card.name} is in both {answers} and {references}; wanted: {', '.join(f'{m}.jsonl' for m in card.members)}."
        )
    done: dict[str, dict[str, Any]] = {}
    draws: list[list[float]] = []
    for member in there:
        inner = load_card(member)
        assert isinstance(inner, ReferenceCard)
        joined = join(read_references(references / f"{member}.jsonl"), answers / f"{member}.jsonl")
        done[member] = score(inner, joined, out / member, system=system, rounds=rounds)
        made = tally(inner, joined.references, joined.said)
        draws.append([row.get(inner.headline, 0.0) for row in _draws(made.of, np.arange(made.n), rounds, seed=len(draws))])
    lacking = [m for m in card.members if m not in there]
    low, high = middle(sorted(np.mean(draws, axis=0).tolist()))
    shared = set.intersection(*(set(r["floors"]) for r in done.values()))
    warnings = [f"{m}: {line}" for m, r in done.items() for line in r["warnings"]]
    found = {
        name: Floor({"mean": float(np.mean([r["floors"][name][r["headline"]] for r in done.values()]))}, "")
        for name in next(iter(done.values()))["floors"]
        if name in shared and not lacking
    }
    value = None if lacking else round(float(np.mean([r["metrics"][r["headline"]] for r in done.values()])), 4)
    if lacking:
        warnings.insert(0, f"no mean: {len(lacking)} of {len(card.members)} members are missing ({', '.join(lacking)}).")
    else:
        warnings = warnings_of("mean", {"mean": value or 0.0}, low, high, found) + warnings
    results = {
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "task": "mean",
        "system": system,
        "split": "references",
        "n": sum(r["n"] for r in done.values()),
        "headline": "mean",
        "members": {m: r["metrics"][r["headline"]] for m, r in done.items()},
        "lacking": lacking,
        "metrics": {"mean": value, "interval": None if lacking else [round(low, 4), round(high, 4)]},
        "floors": {name: rounded(floor.measures) for name, floor in found.items()},
        "warnings": warnings,
        "protocol": card.protocol,
        "measure": card.metric,
        "source": card.source,
    }
    return write(out, results)


def intervals(of: Of, items: NDArray[np.int64], rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """95 % bootstrap intervals of every measure over some items."""
    rows = _draws(of, items, rounds)
    names = {name for row in rows for name in row}
    return {name: middle(sorted(row[name] for row in rows if name in row)) for name in sorted(names)}


def _draws(of: Of, items: NDArray[np.int64], rounds: int, seed: int = 0) -> list[dict[str, float]]:
    rng = np.random.default_rng(seed)
    return [of(rng.choice(items, len(items))) for _ in range(rounds)]


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    """Measures as results.json tells them."""
    return {name: round(value, 4) for name, value in values.items()}


def _counted(joined: Joined) -> list[str]:
    kinds: tuple[tuple[str, Sequence[str], str], ...] = (
        ("items have no answer", joined.missing, "they count as wrong"),
        ("ids are answered more than once", joined.duplicate, "the first answer counts"),
        ("answers have an id that no reference has", joined.unknown, "they are left out"),
    )
    return [f"{len(ids)} {what}; {then} ({', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''})." for what, ids, then in kinds if ids]


def _protocol(card: Scored, references: Sequence[Reference]) -> list[str]:
    lines = []
    if isinstance(card, ReferenceCard) and card.items and card.items != len(references):
        lines.append(f"the protocol has {card.items} items, the references {len(references)}: do not compare with published figures.")
    if card.folds:
        named = {r.group.get("fold") for r in references}
        if None in named:
            lines.append(f'not every reference names its "fold", so all were scored as one pool, not as the mean of {card.folds} folds.')
        elif len(named) != card.folds:
            lines.append(f"the references name {len(named)} folds, the protocol has {card.folds}.")
    return lines


def groups(card: Scored, made: Tally, references: Sequence[Reference]) -> dict[str, dict[str, dict[str, Any]]]:
    """Slices by group of people: group name -> value -> n and the headline with its interval."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name in sorted({name for r in references for name in r.group}):
        for value in sorted({r.group[name] for r in references if name in r.group}):
            inside = np.array([k for k, r in enumerate(references) if r.group.get(name) == value])
            row: dict[str, Any] = {"n": len(inside), card.headline: round(made.of(inside).get(card.headline, 0.0), 4)}
            if len(inside) >= FEW:
                row["interval"] = [round(v, 4) for v in intervals(made.of, inside, ROUNDS // 2)[card.headline]]
            found.setdefault(name, {})[value] = row
    return found


def _sample(reference: Reference, said: Said | None, made: Tally, k: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": reference.id}
    kept: tuple[tuple[str, Any], ...] = (
        ("label", reference.label),
        ("labels", reference.labels),
        ("value", reference.value),
        ("captions", reference.captions or None),
        ("group", reference.group or None),
        ("kind", reference.kind or None),
        ("question", reference.question or None),
        ("words", reference.words or None),
    )
    row |= {name: value for name, value in kept if value is not None}
    row |= {"truth": made.truths[k], "answer": made.answers[k], "right": round(made.right[k], 4)}
    if said is None:
        return row | {"missing": True}
    if said.prompt is not None:
        row["prompt"] = said.prompt
    row["prediction"] = said.prediction
    if said.scores is not None:
        row["scores"] = said.scores
    if said.emotion is not None:
        row["emotion"] = said.emotion
    return row


def run(
    card: Scored | MeanCard,
    answers: Path,
    out: Path,
    *,
    references: Path | None = None,
    given: Callable[[], list[Reference]] | None = None,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Score a card from files.

    Args:
        card: What was asked.
        answers: File of answers; for a mean card the folder of its members' files.
        out: Gets the results.
        references: File (for a mean card folder) of references.
        given: Where references come from if there is no file of them.
        rounds: Of the bootstrap.

    Raises:
        DataError: There are no references, or the files are faulty.
    """
    system = answers.stem
    if isinstance(card, MeanCard):
        if references is None:
            raise DataError(wanted(card))
        return score_mean(card, answers, references, out, system=system, rounds=rounds)
    if references is None and given is None:
        raise DataError(wanted(card))
    known = read_references(references) if references is not None else given() if given is not None else []
    return score(card, join(known, answers), out, system=system, rounds=rounds)


_SHAPES = {
    "recognition": '"label": "happy"',
    "intent": '"label": "praise"',
    "open-vocabulary": '"label": "happy", or "labels": ["happy", "relieved"] where the card scores sets',
    "sentiment": '"value": 1.4, or "label": "positive"',
    "multi-label": '"labels": ["happy", "surprise"]',
    "caption": '"captions": ["At the beginning ..."]',
    "reply": '"label": "lonely"',
    "support": '"captions": ["what a person answered"], "label": "anxiety"',
    "questions": '"kind": "order", "question": "Which comes first: ...?", "label": "First ..., then ..."',
}


def wanted(card: Scored | MeanCard) -> str:
    """What to give so that a card can be scored."""
    if isinstance(card, MeanCard):
        return (
            f"{card.name} averages {len(card.members)} cards over data of your own: give --predictions DIR and --references DIR, each with "
            f"{', '.join(f'{m}.jsonl' for m in card.members)}."
        )
    return (
        f"{card.name} ({card.about}) is scored over data of your own: give --predictions FILE with lines "
        f'{{"id": "a", "prediction": ...}} and --references FILE with lines {{"id": "a", {_SHAPES[card.task]}}}. '
        "See docs/score_your_model.md."
    )
