"""What a tally is: the answers of one system as arrays from which every measure of a task follows for any draw of the items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emollm.errors import DataError
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.cards import Scored

Draw = NDArray[np.int64]
Of = Callable[[Draw], dict[str, float]]
Truths = Sequence[Reference]
Answers = Sequence[Said | None]
NEUTRAL_WORDS = ("positive", "negative", "neutral")
LESS_IS_BETTER = frozenset({"mae"})
# Not scores: nothing is won by a higher value.
ASIDE = frozenset({
    "kept_official", "kept_fixed", "unknown", "n_non0", "contradicted", "order", "calibration_error", "calibration_error_by_luck",
    "dist_1", "dist_2", "dist_1_pool", "dist_2_pool", "words", "labelled", "emotion_in_reply", "similarity", "similarity_shuffled",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tally:
    """One system's answers to one card."""

    n: int
    of: Of  # the items drawn -> every measure
    read: tuple[bool, ...]  # whether an answer could be read
    answers: tuple[str, ...]  # as they were read, for people to look at
    truths: tuple[str, ...]
    right: tuple[float, ...]  # how good each answer is by itself, to find the worst
    pairs: tuple[tuple[str, str], ...] = ()  # (true, read) labels, where an item has one
    sure: tuple[tuple[float, bool], ...] = ()  # (probability of the answer, right), where scores were given
    once: Mapping[str, float] = field(default_factory=dict)  # measures that have no interval

    def all(self) -> dict[str, float]:
        """Every measure on all items."""
        return {**self.of(np.arange(self.n)), **self.once}


def labels_of(card: Scored, references: Truths) -> list[str]:
    """The card's labels, or those that occur in the references where the card has none."""
    if card.labels:
        return list(card.labels)
    return sorted({label for r in references for label in (r.labels or ((r.label,) if r.label else ()))})


def need(references: Truths, name: str, what: str) -> None:
    """Refuses references that lack a field.

    Raises:
        DataError: Saying how many, and which is the first.
    """
    bare = [r.id for r in references if getattr(r, name) in (None, (), "")]
    if bare:
        raise DataError(f'{len(bare)} of {len(references)} references have no "{name}" ({what}), the first is {bare[0]!r}.')
