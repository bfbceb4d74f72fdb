"""Answers that are several labels to the arrays of a tally."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from emollm.errors import DataError
from emollm.evaluation.answers import Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.multilabel import mean_average_precision, parse_labels
from emollm.evaluation.recognition import plain
from emollm.evaluation.tallied import Answers, Draw, Tally, Truths, labels_of
from emollm.evaluation.tally_labels import forms_of, known, scores_of
from emollm.values import Floats


def several(card: Scored, references: Truths, said: Answers) -> Tally:
    """Label sets: mAP of scores, F1s and Jaccard of sets."""
    labels = labels_of(card, references)
    truth = []
    for r in references:
        if r.labels is None and r.label is None:
            raise DataError(f'reference {r.id!r} has no "labels".')
        truth.append({known(x, card, labels) for x in (r.labels if r.labels is not None else (r.label or "",))})
    found = [set_of(s, card, labels) for s in said]
    place = {label: k for k, label in enumerate(labels)}
    gold, guess = np.zeros((len(truth), len(labels))), np.zeros((len(truth), len(labels)))
    strange = np.array([len(f - set(labels)) for f in found])
    for matrix, rows in ((gold, truth), (guess, found)):
        for k, row in enumerate(rows):
            matrix[k, [place[x] for x in row if x in place]] = 1
    scores = guess.copy()
    for k, s in enumerate(said):
        for label, value in scores_of(s, card, labels).items():
            scores[k, place[label]] = value
    hits, shared = (gold * guess).sum(1), np.maximum(gold, guess).sum(1) + strange
    sizes = gold.sum(1) + guess.sum(1) + strange
    f1, jaccard = (np.where(size > 0, k * hits / np.maximum(1, size), 1.0) for k, size in ((2, sizes), (1, shared)))

    def of(draw: Draw) -> dict[str, float]:
        total, predicted = sizes[draw].sum(), (guess.sum(1) + strange)[draw].sum()
        return {
            "map": mean_average_precision(gold[draw], scores[draw]) if gold[draw].any() else 0.0,
            "macro_f1": _macro(gold[draw], guess[draw]),
            "micro_f1": float(2 * hits[draw].sum() / total) if total else 1.0,
            "samples_f1": float(f1[draw].mean()),
            "jaccard": float(jaccard[draw].mean()),
            "exact": float((hits == shared)[draw].mean()),
            "unknown": float(strange[draw].sum() / predicted) if predicted else 0.0,
        }

    if not gold.any():
        raise DataError("no label is true for any item.")
    return Tally(
        len(truth),
        of,
        tuple(bool(f & set(labels)) for f in found),
        tuple(", ".join(sorted(f)) for f in found),
        tuple(", ".join(sorted(t)) for t in truth),
        tuple(jaccard.tolist()),
    )


def set_of(said: Said | None, card: Scored, labels: Sequence[str]) -> set[str]:
    """Labels an answer names, those outside the list as they were said; with scores alone, all of at least a half."""
    if said is None or isinstance(said.prediction, float):
        return set()
    forms = forms_of(card, labels)
    if said.prediction is None:
        return {label for label, p in scores_of(said, card, labels).items() if p >= 0.5}
    if isinstance(said.prediction, tuple):
        return {forms.get(plain(x), plain(x)) for x in said.prediction if plain(x)}
    found: set[str] = set()
    for piece in re.split(r"[,;\n]", said.prediction) if "<" not in said.prediction else [said.prediction]:
        # A label such as "doubt/confusion" is one label, though a stroke parts others.
        found |= {forms[plain(piece)]} if plain(piece) in forms else {forms.get(x, x) for x in parse_labels(piece, labels)}
    return found


def _macro(gold: Floats, guess: Floats) -> float:
    """Mean F1 over the labels that are true at least once."""
    hits, sizes = (gold * guess).sum(0), gold.sum(0) + guess.sum(0)
    there = gold.sum(0) > 0
    return float((2 * hits[there] / sizes[there]).mean()) if there.any() else 0.0
