"""Answers that are a sentiment, in words or numbers, to the arrays of a tally."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emollm.errors import DataError
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.recognition import UNPARSED
from emollm.evaluation.tallied import NEUTRAL_WORDS, Answers, Draw, Tally, Truths
from emollm.evaluation.tally_labels import choice, closed
from emollm.values import Floats

_EDGES = {"acc_2": (0.0,), "acc_3": (-0.1, 0.1), "acc_5": (-0.7, -0.1, 0.1, 0.7)}


def sentiment(card: Scored, references: Truths, said: Answers) -> Tally:
    """Polarity, and the classical set of measures where the answers are numbers."""
    truth = np.array([_value(r) for r in references])
    if not truth.any():
        raise DataError("every reference is 0 or neutral; polarity needs at least one that is not.")
    words, numbers = zip(*(_polarity(s) for s in said), strict=True)
    t = (truth > 0).astype(np.int64)
    p = np.array([{"negative": 0, "positive": 1}.get(w or "", 2) for w in words])
    parts: list[tuple[tuple[str, ...], Draw, Draw, int]] = []
    guess = np.array([0.0 if v is None else v for v in numbers])
    unread = np.array([v is None for v in numbers])
    in_numbers = bool(card.range) and not unread.all()
    if card.range == 1:
        truth_in, guess = np.clip(truth, -1, 1), np.clip(guess, -1, 1)
    else:
        truth_in = truth
    if in_numbers:
        parts = [(names, *_coded(a, b, unread)) for names, a, b in _graded(card.range, truth_in, guess)]
    sure = truth != 0

    def of(draw: Draw) -> dict[str, float]:
        kept = draw[sure[draw]]
        found = dict.fromkeys(("accuracy", "weighted_f1", "macro_f1"), 0.0)
        if len(kept):
            row = closed(t[kept], p[kept], 2)
            found = {name: row[name] for name in found}
        if not in_numbers:
            return found
        found["mae"] = float(np.abs(guess[draw] - truth_in[draw]).mean())
        a, b = guess[draw] - guess[draw].mean(), truth_in[draw] - truth_in[draw].mean()
        size = float(np.sqrt((a * a).sum() * (b * b).sum()))
        found["corr"] = float((a * b).sum() / size) if size > 1e-12 else 0.0
        for names, x, y, classes in parts:
            mine = kept if names[0].endswith("non0") else draw
            row = closed(x[mine], y[mine], classes) if len(mine) else {"accuracy": 0.0, "weighted_f1": 0.0}
            found |= dict(zip(names, (row["accuracy"], row["weighted_f1"]), strict=False))
        return found

    if card.headline in {"mae", "corr"} and not in_numbers:
        raise DataError(f"{card.name} asks for numbers ({card.headline}), but no answer is one.")
    return Tally(
        len(truth),
        of,
        tuple(w is not None for w in words),
        tuple(UNPARSED if w is None else w if v is None or not in_numbers else f"{v:g}" for w, v in zip(words, numbers, strict=True)),
        tuple(f"{v:g}" for v in truth),
        tuple((np.where(sure, t == p, 1.0) - (np.abs(guess - truth_in) if in_numbers else 0.0)).tolist()),
        tuple((NEUTRAL_WORDS[0 if v > 0 else 1], w or UNPARSED) for v, w in zip(truth, words, strict=True) if v != 0),
    )


def _graded(reach: int, truth: Floats, guess: Floats) -> list[tuple[tuple[str, ...], Floats, Floats]]:
    """(names of accuracy and F1, true class numbers, predicted ones) of the classical set."""
    if reach == 3:
        steps = [((f"acc_{2 * k + 1}",), np.round(np.clip(truth, -k, k)), np.round(np.clip(guess, -k, k))) for k in (3, 2)]
        return [
            *steps,
            (("acc_2_has0", "f1_has0"), (truth >= 0) * 1.0, (guess >= 0) * 1.0),
            (("acc_2_non0", "f1_non0"), (truth > 0) * 1.0, (guess > 0) * 1.0),
        ]

    def place(values: Floats, edges: Sequence[float]) -> Floats:
        return np.sum([values > edge for edge in edges], axis=0) * 1.0

    return [(("acc_2", "f1") if name == "acc_2" else (name,), place(truth, e), place(guess, e)) for name, e in _EDGES.items()]


def _coded(truth: Floats, guess: Floats, unread: NDArray[np.bool_]) -> tuple[Draw, Draw, int]:
    values = np.unique(np.concatenate([truth, guess]))
    return np.searchsorted(values, truth), np.where(unread, len(values), np.searchsorted(values, guess)), len(values)


def _value(reference: Reference) -> float:
    if reference.value is not None:
        return reference.value
    signs = {"positive": 1.0, "negative": -1.0, "neutral": 0.0}
    if (reference.label or "").casefold() in signs:
        return signs[(reference.label or "").casefold()]
    raise DataError(f'reference {reference.id!r} has neither a "value" nor a "label" that is positive, negative or neutral.')


def _polarity(said: Said | None) -> tuple[str | None, float | None]:
    """(the word, the number) of an answer; each None where it was not given."""
    if said is None:
        return None, None
    answer = said.prediction
    if isinstance(answer, str) and re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", answer):
        answer = float(answer)
    if isinstance(answer, float):
        return ("positive" if answer > 0 else "negative" if answer < 0 else "neutral"), answer
    return choice(Said(answer, said.scores), Scored.model_construct(forms={}), NEUTRAL_WORDS), None
