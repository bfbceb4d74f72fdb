"""Sentiment: the classical regression scores of MOSI, MOSEI and SIMS, and the positive-or-negative form of MER-UniBench.

Source: thresholds of the MMSA evaluation (Mao et al., 2022); MER-UniBench, arXiv 2501.16566.
Differs: an answer that was not understood (None) counts as 0 in MAE and correlation and as wrong in every accuracy and F1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from emollm.errors import DataError
from emollm.evaluation.metrics import accuracy, weighted_f1
from emollm.values import Floats

Answers = Sequence[float | None]
_SIMS = {"acc_2": (0.0,), "acc_3": (-0.1, 0.1), "acc_5": (-0.7, -0.1, 0.1, 0.7)}


def mosi_scores(truth: Sequence[float], found: Answers) -> dict[str, float]:
    """The set for scores in [-3, 3].

    Has0 asks >= 0 against < 0 of all items, Non0 asks > 0 against <= 0 of items whose truth is not 0. Acc-7 and Acc-5 round after clipping
    at 3 and 2; halves go to the even neighbour, as in NumPy. F1 is weighted by how often a class is true.

    Returns:
        mae, corr (0 where either side never varies), acc_7, acc_5, acc_2_has0, f1_has0, acc_2_non0, f1_non0, n_non0, parse_rate.
    """
    numbers = _checked(truth, found)
    sure = [(t, f) for t, f in zip(truth, found, strict=True) if t != 0]
    has0 = _pairs(truth, found, lambda v: int(v >= 0))
    non0 = _pairs([t for t, _ in sure], [f for _, f in sure], lambda v: int(v > 0))
    return {
        "mae": float(np.abs(numbers - np.asarray(truth, float)).mean()),
        "corr": pearson(truth, numbers.tolist()),
        "acc_7": accuracy(_pairs(truth, found, lambda v: round(min(3.0, max(-3.0, v))))),
        "acc_5": accuracy(_pairs(truth, found, lambda v: round(min(2.0, max(-2.0, v))))),
        "acc_2_has0": accuracy(has0),
        "f1_has0": weighted_f1(has0),
        "acc_2_non0": accuracy(non0) if non0 else 0.0,
        "f1_non0": weighted_f1(non0) if non0 else 0.0,
        "n_non0": float(len(non0)),
        "parse_rate": _parse_rate(found),
    }


def sims_scores(truth: Sequence[float], found: Answers) -> dict[str, float]:
    """The set for scores in [-1, 1], all after clipping to it; a value on a threshold belongs to the class below.

    Returns:
        mae, corr, acc_2 (split at 0), f1 (weighted, of the same two classes), acc_3 (at 0.1 both sides), acc_5 (0.1 and 0.7), parse_rate.
    """
    numbers = np.clip(_checked(truth, found), -1, 1)
    gold = np.clip(np.asarray(truth, float), -1, 1)
    classes = {name: _pairs(truth, found, lambda v, e=edges: sum(v > edge for edge in e)) for name, edges in _SIMS.items()}  # type: ignore[misc]
    return {
        "mae": float(np.abs(numbers - gold).mean()),
        "corr": pearson(gold.tolist(), numbers.tolist()),
        **{name: accuracy(pairs) for name, pairs in classes.items()},
        "f1": weighted_f1(classes["acc_2"]),
        "parse_rate": _parse_rate(found),
    }


def polarity_scores(truth: Sequence[float], said: Sequence[str | None]) -> dict[str, float]:
    """Positive or negative, items whose true score is 0 dropped; an answer of "neutral", or none, is wrong.

    Args:
        truth: Scores; only the sign counts.
        said: "positive", "negative", anything else, or None.

    Returns:
        accuracy, weighted_f1 (the primary score of MER-UniBench), n (items kept), parse_rate (kept items with one of the two words).
    """
    if len(truth) != len(said) or not any(truth):
        raise DataError(f"{len(truth)} true scores and {len(said)} answers; give as many of both, and one score that is not 0.")
    pairs = [("positive" if t > 0 else "negative", s or "(unparsed)") for t, s in zip(truth, said, strict=True) if t != 0]
    parsed = sum(s in {"positive", "negative"} for _, s in pairs)
    return {"accuracy": accuracy(pairs), "weighted_f1": weighted_f1(pairs), "n": float(len(pairs)), "parse_rate": parsed / len(pairs)}


def pearson(first: Sequence[float], second: Sequence[float]) -> float:
    """Pearson correlation; 0 where either side never varies."""
    a, b = np.asarray(first, float), np.asarray(second, float)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / size) if size > 1e-12 else 0.0


def _pairs(truth: Sequence[float], found: Answers, class_of: Callable[[float], int]) -> list[tuple[str, str]]:
    return [(str(class_of(t)), "(unparsed)" if f is None else str(class_of(f))) for t, f in zip(truth, found, strict=True)]


def _checked(truth: Sequence[float], found: Answers) -> Floats:
    if not truth or len(truth) != len(found):
        raise DataError(f"{len(truth)} true scores and {len(found)} answers; give the same number of both, at least one.")
    return np.array([0.0 if f is None else f for f in found])


def _parse_rate(found: Answers) -> float:
    return sum(f is not None for f in found) / len(found)
