"""How often two agents stand for the same emotion, and how much of that is more than chance."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emollm.annotation.finding import OBSERVERS, Finding
from emollm.evaluation.comparison import cohen_kappa, exact_agreement


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one pair, on the samples where both tell an emotion."""

    first: str
    second: str
    samples: int
    share: float
    kappa: float


def agreements(found: Sequence[Mapping[str, Finding]], labels: Sequence[str] = ()) -> list[Agreement]:
    """Every pair of observers and the consolidator, and each against the corpus where labels are given.

    Args:
        found: Findings by agent, one mapping a sample.
        labels: The corpus's own emotion of each sample, empty where it has none. Leave them out where the agents were told.
    """
    said: dict[str, list[str]] = {a: [f[a].emotion if a in f else "" for f in found] for a in (*OBSERVERS, "consolidator")}
    if any(labels):
        said["label"] = list(labels)
    pairs = []
    for first, second in itertools.combinations(said, 2):
        both = [(a, b) for a, b in zip(said[first], said[second], strict=True) if a and b]
        if both:
            mine, theirs = [a for a, _ in both], [b for _, b in both]
            pairs.append(Agreement(first, second, len(both), exact_agreement(mine, theirs), cohen_kappa(mine, theirs)))
    return pairs


def lines(pairs: Sequence[Agreement]) -> list[str]:
    """As a table."""
    if not pairs:
        return ["agreement: no two agents told an emotion of the same sample"]
    rows = [f"{f'{p.first} - {p.second}':28s} {p.samples:7d} {p.share:9.0%} {p.kappa:7.2f}" for p in pairs]
    return [f"{'agents':28s} {'samples':>7s} {'agreeing':>9s} {'kappa':>7s}", *rows]
