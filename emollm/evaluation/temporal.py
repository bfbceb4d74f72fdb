"""How well the events of a caption, and their order, agree with those of a reference; knows events only through a relation of two.

Source: AutoDQ of Tarsier, arXiv 2407.00634; TEM of FEC-Bench, arXiv 2501.07978, whose exact formula is not published: what stands here is
our reading of it (events, relations, longest common subsequence), and it fits that TEM lies below AutoDQ in every published row.
Differs: the relation is a function handed in, a language model or `events.relation`, not a fixed judge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from emollm.errors import DataError
from emollm.evaluation.captions import common
from emollm.evaluation.events import Movement, Relation
from emollm.evaluation.events import relation as relation_of_movements

Event = TypeVar("Event")
Judge = Callable[[Event, Event], Relation]  # (premise, claim)


@dataclass(frozen=True, slots=True)
class Described:
    """AutoDQ: the F1 of mean recall and mean precision over clips, not the mean of F1."""

    precision: float
    recall: float
    f1: float


def autodq(clips: Sequence[tuple[Sequence[Relation], Sequence[Relation]]]) -> Described:
    """AutoDQ of relations already judged.

    Args:
        clips: For each clip the relation of every reference event to the predicted caption (recall), and of every predicted event to the
            reference caption (precision). Only "entailed" counts; an empty list counts as 1.

    Raises:
        DataError: There are no clips.
    """
    if not clips:
        raise DataError("no clips to score.")
    recall = sum(_entailed(gold) for gold, _ in clips) / len(clips)
    precision = sum(_entailed(found) for _, found in clips) / len(clips)
    return Described(precision, recall, _f1(precision, recall))


def against(events: Sequence[Event], others: Sequence[Event], relation: Judge[Event]) -> list[Relation]:
    """The relation of every event to the other caption: entailed by any of its events, else contradicted by any, else neutral."""
    verdicts: list[Relation] = []
    for event in events:
        answers = {relation(other, event) for other in others}
        verdicts.append("entailed" if "entailed" in answers else "contradicted" if "contradicted" in answers else "neutral")
    return verdicts


@dataclass(frozen=True, slots=True)
class Temporal:
    """TEM of one clip, all from 0 to 1."""

    tem: float  # 2 L / (m + n), L the longest common subsequence
    content: float  # 2 M / (m + n), M the largest matching, whatever the order
    order: float  # L / M; 1 for two empty lists, 0 where nothing matches
    contradicted: float  # share of predicted events that a reference event contradicts and none entails


def tem(gold: Sequence[Event], found: Sequence[Event], relation: Judge[Event]) -> Temporal:
    """Agreement of two ordered lists of events; each event matches at most once.

    Args:
        gold: Events of the reference in order, m of them.
        found: Events of the prediction in order, n of them.
        relation: Of two events, premise first; a pair matches where the reference event entails the predicted one.
    """
    m, n = len(gold), len(found)
    if not m and not n:
        return Temporal(1.0, 1.0, 1.0, 0.0)
    judged = [[relation(g, p) for p in found] for g in gold]
    matches = [[verdict == "entailed" for verdict in row] for row in judged]
    longest = common(gold, found, lambda i, j: matches[i][j])
    most = largest_matching(matches, n)
    wrong = sum(any(row[j] == "contradicted" for row in judged) and not any(row[j] == "entailed" for row in judged) for j in range(n))
    return Temporal(2 * longest / (m + n), 2 * most / (m + n), longest / most if most else 0.0, wrong / n if n else 0.0)


def mean_tem(clips: Sequence[tuple[Sequence[Movement], Sequence[Movement]]]) -> Temporal:
    """Mean TEM over clips of (reference, predicted) movements, judged by `events.relation`.

    Raises:
        DataError: There are no clips.
    """
    if not clips:
        raise DataError("no clips to score.")
    each = [tem(gold, found, relation_of_movements) for gold, found in clips]
    return Temporal(*(sum(getattr(t, name) for t in each) / len(each) for name in ("tem", "content", "order", "contradicted")))


def largest_matching(matches: Sequence[Sequence[bool]], columns: int) -> int:
    """Size of the largest one-to-one matching of rows and columns (augmenting paths)."""
    row_of: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column in range(columns):
            if matches[row][column] and column not in tried:
                tried.add(column)
                if column not in row_of or place(row_of[column], tried):
                    row_of[column] = row
                    return True
        return False

    return sum(place(row, set()) for row in range(len(matches)))


def _entailed(relations: Sequence[Relation]) -> float:
    return sum(r == "entailed" for r in relations) / len(relations) if relations else 1.0


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0
