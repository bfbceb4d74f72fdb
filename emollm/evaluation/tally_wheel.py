"""Answers of open emotion words to the arrays of a tally, by the emotion wheels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emollm.errors import DataError
from emollm.evaluation.answers import Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.tallied import Answers, Draw, Of, Tally, Truths, labels_of, need
from emollm.evaluation.tally_labels import known
from emollm.evaluation.wheel import MODES, Mode, Vocabulary, Wheel, label_words, load_vocabulary
from emollm.values import Floats


def openly(card: Scored, references: Truths, said: Answers) -> Tally:
    """Hit rates, or F of sets, as means over the five wheels, in both modes."""
    vocabulary = load_vocabulary()
    predicted = [_words(s, vocabulary) for s in said]
    sets = card.headline.startswith("f_")
    if sets:
        truth = [r.labels if r.labels is not None else (r.label,) if r.label else () for r in references]
        if not all(truth):
            need([r for r, t in zip(references, truth, strict=True) if not t], "labels", "emotion words")
    else:
        need(references, "label", "one emotion word")
        truth = [(known(r.label or "", card, card.labels) if card.labels else r.label or "",) for r in references]
    candidates = labels_of(card, references)
    parts: list[tuple[Mode, list[Of]]] = []
    right = np.zeros(len(truth))
    for mode in MODES:
        wheels: list[Of] = []
        for wheel in vocabulary.wheels:
            made, good = (_wheel_sets if sets else _wheel_hits)(vocabulary, wheel, mode, truth, predicted, candidates)
            if made is not None:
                wheels.append(made)
            right += good
        if not wheels:
            raise DataError("no reference has a label that stands on a wheel; neutral and unknown words stand on none.")
        parts.append((mode, wheels))

    def of(draw: Draw) -> dict[str, float]:
        found: dict[str, float] = {}
        for mode, wheels in parts:
            rows = [row for wheel in wheels if (row := wheel(draw))]
            for name in rows[0] if rows else ():
                found[f"{name}_{mode}"] = sum(row[name] for row in rows) / len(rows)
        # A draw (of few items) in which nothing stands on a wheel is worth nothing.
        return found if found else dict.fromkeys((card.headline,), 0.0)

    return Tally(
        len(truth),
        of,
        tuple(bool(p) for p in predicted),
        tuple(", ".join(p) for p in predicted),
        tuple(", ".join(t) for t in truth),
        tuple((right / (len(MODES) * len(vocabulary.wheels))).tolist()),
    )


def _words(said: Said | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    if said is None or isinstance(said.prediction, float):
        return ()
    if isinstance(said.prediction, tuple):
        return tuple(dict.fromkeys(said.prediction))
    if said.prediction is None:
        return (max(said.scores, key=lambda k: (said.scores or {})[k]),) if said.scores else ()
    return tuple(label_words(said.prediction, vocabulary))


Words = Sequence[Sequence[str]]


def _wheel_sets(v: Vocabulary, wheel: Wheel, mode: Mode, truth: Words, predicted: Words, _: Sequence[str]) -> tuple[Of | None, Floats]:
    both = [(v.cores(t, wheel, mode), v.cores(p, wheel, mode)) for t, p in zip(truth, predicted, strict=True)]
    kept = np.array([bool(t) for t, _ in both])
    precision = np.array([len(t & p) / len(p) if p else 0.0 for t, p in both])
    recall = np.array([len(t & p) / len(t) if t else 0.0 for t, p in both])

    def of(draw: Draw) -> dict[str, float]:
        draw_kept = draw[kept[draw]]
        if not len(draw_kept):
            return {}
        a, b = float(precision[draw_kept].mean()), float(recall[draw_kept].mean())
        return {"f": 2 * a * b / (a + b) if a + b else 0.0, "precision": a, "recall": b, "kept": len(draw_kept) / len(draw)}

    return of if kept.any() else None, (precision + recall) / 2


def _wheel_hits(
    v: Vocabulary, wheel: Wheel, mode: Mode, truth: Words, predicted: Words, candidates: Sequence[str]
) -> tuple[Of | None, Floats]:
    possible = v.cores(candidates, wheel, mode)
    chance = 1 / len(possible) if possible else 1.0
    cores = [v.core(t[0], wheel, mode) for t in truth]
    found = [v.cores(p, wheel, mode) for p in predicted]
    calm = [v.is_neutral(t[0]) for t in truth]
    named = [len(f) + any(v.is_neutral(word) for word in p) for f, p in zip(found, predicted, strict=True)]
    kept = np.array([c is not None for c in cores])
    hit = np.array([float(c in f) for c, f in zip(cores, found, strict=True)])
    share = np.array([1 / len(f & (possible | {c})) if c in f else 0.0 for c, f in zip(cores, found, strict=True)])
    # Neutral counts as a group of its own in the scores that keep it.
    goal = [any(v.is_neutral(w) for w in p) if q else c in f for q, c, f, p in zip(calm, cores, found, predicted, strict=True)]
    counted = kept | np.array(calm)
    credit = np.array([1 / n if g else 0.0 for g, n in zip(goal, named, strict=True)])
    names = sorted({t[0].casefold() for t in truth})
    label = np.array([names.index(t[0].casefold()) for t in truth])

    def of(draw: Draw) -> dict[str, float]:
        mine, neutral_too = draw[kept[draw]], draw[counted[draw]]
        if not len(mine):
            return {}
        mscore = float(share[mine].mean())
        sums = np.bincount(label[neutral_too], weights=credit[neutral_too], minlength=len(names))
        sizes = np.bincount(label[neutral_too], minlength=len(names))
        return {
            "hit": float(hit[mine].mean()),
            "mscore": mscore,
            "above_chance": max(0.0, (mscore - chance) / (1 - chance)) if chance < 1 else 0.0,
            "neutral_accuracy": float(credit[neutral_too].mean()),
            "neutral_uar": float((sums[sizes > 0] / sizes[sizes > 0]).mean()),
            "kept": len(mine) / len(draw),
        }

    return of if kept.any() else None, credit
