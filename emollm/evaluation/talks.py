"""Conversations held with a system: fixed questions of a user, and patterns that each answer must and must not match.

A pattern cannot tell whether an answer is good; it finds answers that are plainly about something else. Read some as well.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emollm import catalog
from emollm.chat.backend import ChatBackend
from emollm.errors import DataError
from emollm.evaluation.asked import name_of
from emollm.evaluation.blind import warnings_of
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.comparison import bounds
from emollm.evaluation.log import Log
from emollm.evaluation.results import write
from emollm.evaluation.talk_clips import clip_of
from emollm.values import Message, Sampling

TOKENS = 90
STOCK = (
    "I am sorry to hear that. Would you like to tell me more?",
    "They look happy.",
    "I cannot tell.",
    "That is wonderful! What happened?",
)
"""Answers of somebody who does not listen; the one that passes most often is a floor."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the user says, and what the answer is held against."""

    say: str
    any: str | None = None  # at least one match, whatever the case of letters
    none: str | None = None  # no match

    def right(self, answer: str) -> bool:
        """Whether an answer passes."""
        wanted = self.any is None or re.search(self.any, answer, re.IGNORECASE) is not None
        return bool(answer.strip()) and wanted and not (self.none and re.search(self.none, answer, re.IGNORECASE))


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One conversation; its clip comes with the first question."""

    id: str
    kind: str
    clip: str | None
    questions: tuple[Question, ...]


def dialogues(file: str) -> list[Dialogue]:
    """The conversations of a file in eval/.

    Raises:
        DataError: A faulty line; the message names it.
    """
    path = catalog.folder("eval") / file
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            questions = tuple(Question(**turn) for turn in row["turns"])
            for question in questions:
                re.compile(question.any or "")
                re.compile(question.none or "")
            found.append(Dialogue(row["id"], row["kind"], row["clip"], questions))
        except (ValueError, KeyError, TypeError, re.error) as error:
            raise DataError(f"{file}, line {number} is faulty: {error}") from None
    return found


def evaluate_talks(
    file: str, backend: ChatBackend, out: Path, *, card: str, version: int, limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Hold the conversations and count.

    Args:
        file: In eval/.
        backend: Who answers, greedily.
        out: Gets answers.jsonl, results.json and the clips that have to be made.
        card: Name for the results.
        version: Of the card.
        limit: Every so-manieth conversation, so that all kinds are met, until there are this many.
        progress: Called with conversations done and in all.

    Returns:
        What is in results.json.
    """
    chosen = dialogues(file)
    if limit is not None and limit < len(chosen):
        chosen = chosen[:: len(chosen) // limit][:limit]
    rows = []
    with Log(out / "answers.jsonl", by=name_of(backend), version=version) as log:
        for number, dialogue in enumerate(chosen):
            rows.append(log.rows.get(dialogue.id) or log.add(_held(dialogue, backend, out / "clips")))
            if progress is not None:
                progress(number + 1, len(chosen))
    whole = [float(all(row["right"])) for row in rows]
    turns = [float(right) for row in rows for right in row["right"]]
    kinds: dict[str, list[float]] = defaultdict(list)
    for dialogue, right in zip(chosen, whole, strict=True):
        kinds[dialogue.kind].append(right)
    measures = {"right_throughout": _mean(whole), "right_turns": _mean(turns)}
    low, high = _interval(whole)
    found = floors(chosen)
    results = {
        "card": card,
        "card_version": version,
        "system": backend.system,
        "scale": backend.scale,
        "weights": backend.version,
        "split": "ours",
        "n": len(rows),
        "headline": "right_throughout",
        "metrics": {**measures, "interval": [low, high]},
        "kinds": {kind: {"right": int(sum(values)), "of": len(values)} for kind, values in kinds.items()},
        "floors": {name: floor.measures for name, floor in found.items()},
        "floor_answers": {name: floor.answer for name, floor in found.items()},
        "warnings": [
            "patterns find answers that are plainly about something else; they cannot tell whether one is good.",
            *warnings_of("right_throughout", measures, low, high, found),
        ],
    }
    return write(out, results)


def floors(chosen: Sequence[Dialogue]) -> dict[str, Floor]:
    """What answers pass that were given without listening: the best of some stock answers, and the user's own words."""

    def scored(answer: Callable[[Question], str], told: str) -> Floor:
        right = [[question.right(answer(question)) for question in dialogue.questions] for dialogue in chosen]
        turns = [float(r) for row in right for r in row]
        return Floor({"right_throughout": _mean([float(all(row)) for row in right]), "right_turns": _mean(turns)}, told)

    stock = [scored(lambda _, said=said: said, said) for said in STOCK]  # type: ignore[misc]
    return {
        "stock_answer": max(stock, key=lambda floor: floor.measures["right_throughout"]),
        "users_own_words": scored(lambda question: question.say, "what the user said"),
    }


def _held(dialogue: Dialogue, backend: ChatBackend, clips: Path) -> dict[str, Any]:
    messages: list[Message] = []
    answers, right = list[str](), list[bool]()
    for number, question in enumerate(dialogue.questions):
        shown = (clip_of(dialogue.clip, clips),) if dialogue.clip is not None and not number else ()
        messages.append(Message("user", question.say, shown))
        answers.append(backend.reply(messages, Sampling(max_new_tokens=TOKENS)).text().strip())
        right.append(question.right(answers[-1]))
        messages.append(Message("assistant", answers[-1]))
    return {"id": dialogue.id, "kind": dialogue.kind, "said": [q.say for q in dialogue.questions], "answers": answers, "right": right}


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 4)


def _interval(values: Sequence[float]) -> tuple[float, float]:
    found = bounds(values, _mean)
    return round(found.low, 4), round(found.high, 4)
