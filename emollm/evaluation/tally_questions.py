"""Answers to questions with an exact key to the arrays of a tally: the share of right ones, by kind of question."""

from __future__ import annotations

import functools

import numpy as np

from emollm.evaluation.answers import Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.exact import right
from emollm.evaluation.tallied import Answers, Draw, Tally, Truths, need

_right = functools.lru_cache(maxsize=100_000)(right)


def questions(card: Scored, references: Truths, said: Answers) -> Tally:
    """Accuracy of every kind, and the mean over kinds; the card's headline is one of them."""
    need(references, "label", "the key of the question")
    need(references, "kind", "the kind of the question")
    texts = [spoken(s) for s in said]
    hits = np.array(
        [
            float(_right(r.kind, r.question, r.label or "", t, card.labels, None)) if not card.forms
            else float(right(r.kind, r.question, r.label or "", t, card.labels, card.forms))
            for r, t in zip(references, texts, strict=True)
        ]
    )  # fmt: skip
    kinds = np.array([r.kind for r in references])
    names = list(dict.fromkeys(kinds.tolist()))

    def of(draw: Draw) -> dict[str, float]:
        row = {f"{name}_accuracy": float(hits[draw][kinds[draw] == name].mean()) for name in names if (kinds[draw] == name).any()}
        return {**row, "mean_accuracy": float(np.mean(list(row.values())))}

    return Tally(
        len(texts), of, tuple(bool(t.strip()) for t in texts), tuple(texts), tuple(r.label or "" for r in references), tuple(hits.tolist())
    )


def spoken(said: Said | None) -> str:
    """An answer as text; a list as its words, scores as their best label."""
    if said is None or isinstance(said.prediction, float):
        return ""
    if isinstance(said.prediction, tuple):
        return ", ".join(said.prediction)
    if said.prediction is None:
        return max(said.scores, key=lambda k: (said.scores or {})[k]) if said.scores else ""
    return said.prediction
