"""Scores of predicted against true labels; knows labels only."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

Pairs = Sequence[tuple[str, str]]  # (true, predicted)


def accuracy(pairs: Pairs) -> float:
    """Share of right answers."""
    return sum(t == p for t, p in pairs) / len(pairs)


def uar(pairs: Pairs) -> float:
    """Unweighted average recall over the classes that occur in the truth: chance is one over their number."""
    total, right = Counter(t for t, _ in pairs), Counter(t for t, p in pairs if t == p)
    return sum(right[c] / n for c, n in total.items()) / len(total)


def _f1(pairs: Pairs, label: str) -> float:
    hit = sum(t == p == label for t, p in pairs)
    found, real = sum(p == label for _, p in pairs), sum(t == label for t, _ in pairs)
    return 2 * hit / (found + real) if found + real else 0.0


def weighted_f1(pairs: Pairs) -> float:
    """F1 of each true class, weighted by how often it occurs."""
    counts = Counter(t for t, _ in pairs)
    return sum(n * _f1(pairs, c) for c, n in counts.items()) / len(pairs)


def macro_f1(pairs: Pairs) -> float:
    """Mean F1 over the classes that occur in the truth."""
    classes = {t for t, _ in pairs}
    return sum(_f1(pairs, c) for c in classes) / len(classes)


METRICS: dict[str, Callable[[Pairs], float]] = {"accuracy": accuracy, "uar": uar, "weighted_f1": weighted_f1, "macro_f1": macro_f1}


Item = TypeVar("Item")


def draws(items: Sequence[Item], statistic: Callable[[Sequence[Item]], float], *, rounds: int = 400, seed: int = 0) -> list[float]:
    """The statistic on samples of the items drawn with replacement, in ascending order."""
    rng = random.Random(seed)
    return sorted(statistic(rng.choices(items, k=len(items))) for _ in range(rounds))


def middle(values: Sequence[float]) -> tuple[float, float]:
    """Bounds of the middle 95 % of sorted values."""
    return values[int(0.025 * len(values))], values[int(0.975 * len(values)) - 1]


def interval(pairs: Pairs, metric: Callable[[Pairs], float], *, rounds: int = 400, seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval: the metric on samples of the pairs drawn with replacement."""
    return middle(draws(pairs, metric, rounds=rounds, seed=seed))


Sure = Sequence[tuple[float, bool]]  # (probability of the answer, whether it was right)


def calibration_error(sure: Sure, bins: int = 10) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, over `bins` equal steps of confidence (Guo et al., 2017)."""
    found = 0.0
    for k in range(bins):
        inside = [(p, r) for p, r in sure if k / bins < p <= (k + 1) / bins or (k == 0 and p == 0)]
        if inside:
            found += abs(sum(p for p, _ in inside) - sum(r for _, r in inside))
    return found / len(sure)


def calibration_by_luck(sure: Sure, bins: int = 10, *, rounds: int = 100, seed: int = 0) -> float:
    """What `calibration_error` would be on average if every confidence were exactly right: its floor for so few answers."""
    rng = random.Random(seed)
    return sum(calibration_error([(p, rng.random() < p) for p, _ in sure], bins) for _ in range(rounds)) / rounds


def concordance(true: Sequence[float], found: Sequence[float]) -> float:
    """Lin's concordance correlation: 1 only where values agree, not merely move together."""
    n = len(true)
    a, b = sum(true) / n, sum(found) / n
    va, vb = sum((x - a) ** 2 for x in true) / n, sum((y - b) ** 2 for y in found) / n
    shared = sum((x - a) * (y - b) for x, y in zip(true, found, strict=True)) / n
    return 2 * shared / (va + vb + (a - b) ** 2) if va + vb else 0.0


def confusion(pairs: Pairs) -> dict[str, dict[str, int]]:
    """True label -> predicted label -> count."""
    table: dict[str, dict[str, int]] = {}
    for t, p in pairs:
        row = table.setdefault(t, {})
        row[p] = row.get(p, 0) + 1
    return table
