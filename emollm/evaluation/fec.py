"""Captions of rendered clips, and answers to questions about moments in them, against the exact truth.

Two parts, each scored like a file of answers: `captions` (headline TEM) and `questions` (headline: which comes first). Floors say what is
got without looking: a fixed caption, the system without the clip, the system with another clip, constant answers; and `measured`, a caption
written from the measured movements alone.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emollm.chat.backend import ChatBackend
from emollm.errors import BackendError, DataError
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.asked import Put, ask, clip_message, floor_of, joined, name_of, shuffled
from emollm.evaluation.blind_texts import STOCK_CAPTIONS, Floor
from emollm.evaluation.cards import FecCard, Scored
from emollm.evaluation.log import Log
from emollm.evaluation.measured_caption import measured_caption
from emollm.evaluation.predictions import score
from emollm.evaluation.results import write
from emollm.evaluation.slices import appearance_of
from emollm.synth.dataset import read_truth
from emollm.values import Message

CAPTION_TOKENS, ANSWER_TOKENS = 160, 40
TEMPLATE = STOCK_CAPTIONS[0]
_TILT = re.compile(r"(tilts the head to the )(left|right)")


@dataclass(frozen=True, slots=True)
class Film:
    """One clip with what is true of it."""

    name: str
    path: Path
    caption: str
    questions: tuple[dict[str, str], ...]  # question, answer, kind
    group: dict[str, str]  # age, skin and sex of the main person


def films(data: Path) -> list[Film]:
    """The clips of a folder of `emollm synth`.

    Raises:
        DataError: There is no truth.jsonl in it.
    """
    table = data / "truth.jsonl"
    if not table.is_file():
        raise DataError(f"no truth.jsonl in {data}. Render clips: emollm synth --out {data} --benchmark synth-fec --split val.")
    return [_film(json.loads(line), data) for line in table.read_text("utf-8").splitlines() if line.strip()]


def _film(row: Mapping[str, Any], data: Path) -> Film:
    main = next(k for k, p in enumerate(row["people"]) if p["main"])
    told = row["captions"][main]
    mirrored = int(row.get("version", 1)) == 1
    both = [{**q, "kind": kind_of(q["kind"], q["question"])} for q in (*told["questions"], *row["questions"])]
    questions = tuple({k: unmirrored(v) if mirrored else v for k, v in q.items()} for q in both)
    whole = data / "truth" / f"{row['name']}.json.gz"  # the one line of truth.jsonl leaves out who the person is
    group = appearance_of(read_truth(whole)["people"][main] if whole.is_file() else row["people"][main])
    return Film(row["name"], data / row["path"], unmirrored(told["plain"]) if mirrored else told["plain"], questions, group)


def unmirrored(text: str) -> str:
    """Tilts the other way round.

    Version 1 of the truth writes turns and glances from the person's side but tilts from the camera's: "tilts the head to the left" leans
    to the person's right. What is measured and told is the person's side throughout.
    """
    return _TILT.sub(lambda m: m[1] + ("right" if m[2] == "left" else "left"), text)


def kind_of(kind: str, question: str) -> str:
    """The kind a question is scored as: yes and no under one name, or the name would give the answer away."""
    return "true" if question.casefold().startswith("is it true") else kind


def parts_of(card: FecCard) -> tuple[Scored, Scored]:
    """The two parts of the card, scored each by itself."""
    captions = Scored(
        name=f"{card.name}-captions", version=card.version, about=card.about, task="caption", headline="tem", events=True, show=card.show
    )
    questions = Scored(
        name=f"{card.name}-questions", version=card.version, about=card.about, task="questions", headline="order_accuracy", show=card.show
    )  # fmt: skip
    return captions, questions


def references_of_films(card: FecCard, found: Sequence[Film]) -> tuple[list[Reference], list[Reference]]:
    """What is true: captions, and questions with their keys."""
    captions = [Reference(f.name, captions=(f.caption,), group=f.group) for f in found]
    questions = [
        Reference(f"{f.name}:{k}", q["answer"], kind=q["kind"], question=q["question"]) for f in found for k, q in _chosen(card, f)
    ]
    return captions, questions


def _chosen(card: FecCard, film: Film) -> list[tuple[int, dict[str, str]]]:
    """So many questions of a clip, the kinds in turn."""
    by_kind: dict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    for k, q in enumerate(film.questions):
        by_kind[q["kind"]].append((k, q))
    rng = random.Random(film.name)
    kinds = rng.sample(sorted(by_kind), len(by_kind))
    for kind in kinds:
        rng.shuffle(by_kind[kind])
    kept: list[tuple[int, dict[str, str]]] = []
    while len(kept) < card.questions and any(by_kind.values()):
        kept += [by_kind[kind].pop() for kind in kinds if by_kind[kind]]
    return sorted(kept[: card.questions])


def evaluate_fec(
    card: FecCard, backend: ChatBackend, data: Path, out: Path, *, limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Have a system caption the clips and answer the questions.

    Args:
        card: What is asked.
        backend: Whom.
        data: Folder of `emollm synth`.
        out: Gets captions/, questions/ and results.json.
        limit: Only so many clips, the first by name.
        progress: Called with questions done and questions in all.
    """
    found = films(data)[: limit or card.limit]
    captions, questions = references_of_films(card, found)
    paths = {f.name: f.path for f in found}
    other = {f.name: found[(k + 1) % len(found)].path for k, f in enumerate(found)}
    few = {f.name for f in found[: card.floor_clips]}
    blind = [r for r in questions if r.id.split(":")[0] in few]
    with Log(out / "answers.jsonl", by=name_of(backend), version=card.version) as log:
        # One clip after the other, so that it is measured once.
        puts = []
        for f in found:
            puts.append(Put(f.name, lambda p=f.path: clip_message(card.request, p), tokens=CAPTION_TOKENS))  # type: ignore[misc]
            puts += [_put(r, paths[f.name]) for r in questions if r.id.split(":")[0] == f.name]
        again = [Put("text_only:caption", lambda: [Message("user", card.request)], tokens=CAPTION_TOKENS)]
        again += [Put(f"text_only:{r.question}", lambda q=r.question: [Message("user", q)], tokens=ANSWER_TOKENS) for r in blind]  # type: ignore[misc]
        again += [replace(_put(r, other[r.id.split(":")[0]]), id=f"shuffled:{r.id}") for r in sorted(blind, key=lambda r: r.id)]
        total = len(puts) + len(again)
        said = ask(puts, backend, log, progress and (lambda n, _: progress(n, total)))
        told = ask(again, backend, log, progress and (lambda n, _: progress(len(puts) + n, total)))
        measured = _measured(found, backend, log)
    first, second = parts_of(card)
    made = {"split": found[0].name.split("-", maxsplit=1)[0], "scale": backend.scale, "weights": backend.version}
    results = [
        score(first, joined(captions, said), out / "captions", system=backend.system, made=made,
              more=_caption_floors(first, captions, said, told.get("text_only:caption"), measured)),
        score(second, joined(questions, said), out / "questions", system=backend.system, made=made,
              more=_question_floors(second, blind, told)),
    ]  # fmt: skip
    return _whole(card, backend.system, results, made, out)


def _put(reference: Reference, path: Path) -> Put:
    return Put(reference.id, lambda: clip_message(reference.question, path), tokens=ANSWER_TOKENS)


def _measured(found: Sequence[Film], backend: ChatBackend, log: Log) -> dict[str, Said] | None:
    """Captions of the measurements; None where the system at the other end does not measure."""
    said: dict[str, Said] = {}
    for f in found:
        row = log.rows.get(f"measured:{f.name}")
        if row is None:
            try:
                row = log.add({"id": f"measured:{f.name}", "prediction": measured_caption(backend.analyze(f.path))})
            except BackendError:
                return None
        said[f.name] = Said(row["prediction"])
    return said


def _caption_floors(
    card: Scored, references: Sequence[Reference], said: Mapping[str, Said], alone: Said | None, measured: Mapping[str, Said] | None
) -> dict[str, Floor]:
    found = {
        "template": floor_of(card, references, [Said(TEMPLATE)] * len(references), TEMPLATE),
        "text_only": floor_of(card, references, [alone] * len(references), str(alone.prediction) if alone else "(no answer)"),
    }
    if len(references) > 1:
        found["shuffled_media"] = shuffled(card, references, [said.get(r.id) for r in references])
    if measured is not None:
        found["measured"] = floor_of(
            card, references, [measured[r.id] for r in references], "written from the measured movements, without a language model"
        )
    return found


def _question_floors(card: Scored, blind: Sequence[Reference], told: Mapping[str, Said]) -> dict[str, Floor]:
    """On fewer clips than the score: every question is asked anew."""
    if not blind:
        return {}
    clips = len({r.id.split(":")[0] for r in blind})
    return {
        "text_only": floor_of(
            card, blind, [told.get(f"text_only:{r.question}") for r in blind], f"the system without the clip, {clips} clips"
        ),
        "shuffled_media": floor_of(
            card, blind, [told.get(f"shuffled:{r.id}") for r in blind], f"the system with another clip, {clips} clips"
        ),
    }


def score_files(card: FecCard, data: Path, answers: Path, out: Path) -> dict[str, Any]:
    """Score a file with captions (id: the clip's name) and answers (id: the question's) of all clips of a folder."""
    from emollm.evaluation.answers import join

    found = films(data)
    made = {"split": found[0].name.split("-", maxsplit=1)[0]}
    results = [
        score(part, replace(joined_, unknown=()), out / part.name.removeprefix(f"{card.name}-"), system=answers.stem, made=made,
              more={"template": floor_of(part, refs, [Said(TEMPLATE)] * len(refs), TEMPLATE)} if part.task == "caption" else None)
        for part, refs in zip(parts_of(card), references_of_films(card, found), strict=True)
        for joined_ in [join(refs, answers)]
    ]  # fmt: skip
    return _whole(card, answers.stem, results, made, out)


def _whole(card: FecCard, system: str, parts: Sequence[Mapping[str, Any]], made: Mapping[str, Any], out: Path) -> dict[str, Any]:
    captions, questions = parts
    results = {
        **{k: captions[k] for k in ("n", "headline", "metrics", "intervals", "floors", "floor_answers", "groups", "missing", "parse_rate")},
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "system": system,
        **made,
        "members": {
            "captions: tem": captions["metrics"]["tem"],
            **{f"questions: {k}": v for k, v in _numbers(questions["metrics"]).items()},
        },
        "warnings": [*captions["warnings"], *(f"questions: {w}" for w in questions["warnings"])],
        "measure": "tem of the captions; the questions are scored beside it",
    }
    return write(out, results)


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {k: v for k, v in metrics.items() if isinstance(v, int | float)}
