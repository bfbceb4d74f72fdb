"""Answers that are one label out of a list, to the arrays of a tally."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emollm.errors import DataError
from emollm.evaluation.answers import Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.metrics import calibration_by_luck, calibration_error
from emollm.evaluation.recognition import UNPARSED, parse_label, plain
from emollm.evaluation.tallied import Answers, Draw, Tally, Truths, labels_of, need


def single(card: Scored, references: Truths, said: Answers) -> Tally:
    """One label an item: accuracy, UAR, the F1s, and calibration where scores were given."""
    need(references, "label", "one of the card's labels")
    labels = labels_of(card, references)
    truth = [known(r.label or "", card, labels) for r in references]
    answers = [choice(s, card, labels) for s in said]
    place = {label: k for k, label in enumerate(labels)}
    t = np.array([place[x] for x in truth])
    p = np.array([place[a] if a is not None else len(labels) for a in answers])
    scores = [scores_of(s, card, labels) for s in said]
    sure = tuple((row[a], a == x) for row, a, x in zip(scores, answers, truth, strict=True) if a is not None and row.get(a) is not None)
    once = {}
    if sure:
        once = {"calibration_error": calibration_error(sure), "calibration_error_by_luck": calibration_by_luck(sure)}
    shown = tuple(a if a is not None else UNPARSED for a in answers)
    return Tally(
        len(truth),
        lambda draw: closed(t[draw], p[draw], len(labels)),
        tuple(a is not None for a in answers),
        shown,
        tuple(truth),
        # Among wrong answers the surest is the worst.
        tuple(float(a == x) - (row.get(a or "", 0.0) if a != x else 0.0) for a, x, row in zip(answers, truth, scores, strict=True)),
        tuple(zip(truth, shown, strict=True)),
        sure,
        once,
    )


def closed(t: Draw, p: Draw, labels: int) -> dict[str, float]:
    """Accuracy, UAR and the F1s of class numbers; a predicted number of `labels` is an unparsed answer. Means are over true classes."""
    table = np.bincount(t * (labels + 1) + p, minlength=labels * (labels + 1)).reshape(labels, labels + 1)
    real, found, hits = table.sum(1), table.sum(0)[:labels], np.diagonal(table)
    there = real > 0
    f1 = 2 * hits / np.maximum(1, found + real)
    precision = hits / np.maximum(1, found)
    return {
        "accuracy": float(hits.sum() / len(t)),
        "uar": float((hits[there] / real[there]).mean()),
        "weighted_f1": float((f1 * real).sum() / len(t)),
        "macro_f1": float(f1[there].mean()),
        "weighted_precision": float((precision * real).sum() / len(t)),
    }


def known(label: str, card: Scored, labels: Sequence[str]) -> str:
    """The label of the list that a true label is, in whichever form it is written.

    Raises:
        DataError: It is none of them.
    """
    forms = forms_of(card, labels)
    if plain(label) not in forms:
        raise DataError(f"{card.name} lists no label {label!r}, but a reference has it; the list is {', '.join(labels)}.")
    return forms[plain(label)]


def forms_of(card: Scored, labels: Sequence[str]) -> dict[str, str]:
    """Plain form -> label, for every label of a list and its other words."""
    found: dict[str, str] = {}
    for label in labels:
        for form in (label, *card.forms.get(label, ())):
            found.setdefault(plain(form), label)
    return found


def choice(said: Said | None, card: Scored, labels: Sequence[str]) -> str | None:
    """The one label an answer names; that of the highest score where nothing was said."""
    if said is None:
        return None
    answer = said.prediction
    if isinstance(answer, tuple):
        answer = answer[0] if len(answer) == 1 else ""  # several labels name none
    if isinstance(answer, float):
        return None
    if answer is None:
        scores = scores_of(said, card, labels)
        return max(scores, key=lambda label: scores[label]) if scores else None
    return parse_label(answer, labels, card.forms)


def scores_of(said: Said | None, card: Scored, labels: Sequence[str]) -> dict[str, float]:
    """Scores of the labels of a list; those of other labels are left out."""
    if said is None or said.scores is None:
        return {}
    forms = forms_of(card, labels)
    return {forms[plain(k)]: v for k, v in said.scores.items() if plain(k) in forms}
