"""How sure a score, a difference of two systems, or the agreement of two judges is; knows items, not what they mean.

Source: percentile bootstrap (Efron, 1979); paired bootstrap test on shared items (Koehn, 2004); kappa (Cohen, 1960).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from emollm.errors import DataError
from emollm.evaluation.metrics import Item, draws, middle


@dataclass(frozen=True, slots=True)
class Bounds:
    """A value and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second system on the same items."""

    value: float
    low: float
    high: float
    p: float  # two-sided; how often the sign of the difference would not hold


def bounds(items: Sequence[Item], statistic: Callable[[Sequence[Item]], float], *, rounds: int = 1000, seed: int = 0) -> Bounds:
    """A statistic of per-item results and how far it moves when items are drawn anew.

    Raises:
        DataError: There are no items.
    """
    if not items:
        raise DataError("no items to draw from.")
    return Bounds(statistic(items), *middle(draws(items, statistic, rounds=rounds, seed=seed)))


def compare(
    first: Sequence[Item],
    second: Sequence[Item],
    statistic: Callable[[Sequence[Item]], float],
    *,
    rounds: int = 1000,
    seed: int = 0,
) -> Difference:
    """Paired bootstrap: both systems are scored on the same drawn items, so that items hard for both do not blur the difference.

    Args:
        first: Results of one system, item by item, such as (true, predicted) pairs.
        second: Results of the other on the same items in the same order.
        statistic: Of a list of results.
        rounds: Samples drawn; p is no smaller than 2 / (rounds + 1).
        seed: Of the drawing.

    Raises:
        DataError: No items, or not as many of one as of the other.
    """
    if not first or len(first) != len(second):
        raise DataError(f"{len(first)} results of one system and {len(second)} of the other; a paired test needs the same items of both.")

    def difference(both: Sequence[tuple[Item, Item]]) -> float:
        return statistic([a for a, _ in both]) - statistic([b for _, b in both])

    both = list(zip(first, second, strict=True))
    values = draws(both, difference, rounds=rounds, seed=seed)
    tail = min(sum(v <= 0 for v in values), sum(v >= 0 for v in values))
    return Difference(difference(both), *middle(values), p=min(1.0, 2 * (tail + 1) / (rounds + 1)))


def exact_agreement(first: Sequence[str], second: Sequence[str]) -> float:
    """Share of items on which two judges say the same.

    Raises:
        DataError: No items, or not as many of one as of the other.
    """
    if not first or len(first) != len(second):
        raise DataError(f"{len(first)} judgements against {len(second)}; both judges must have seen the same items.")
    return sum(a == b for a, b in zip(first, second, strict=True)) / len(first)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float:
    """Agreement beyond what the two judges' own habits give by chance; 1 where both always say one and the same thing.

    Raises:
        DataError: No items, or not as many of one as of the other.
    """
    seen, n = exact_agreement(first, second), len(first)
    mine, theirs = Counter(first), Counter(second)
    chance = sum(mine[label] * theirs[label] for label in mine) / n**2
    return (seen - chance) / (1 - chance) if chance < 1 else 1.0
