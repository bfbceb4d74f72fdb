"""Answers and references to arrays from which every measure of a task follows for any draw of the items.

A bootstrap of all measures then costs milliseconds a round, and two systems can be scored on the same draws. The plain functions of the
neighbouring files say what the measures are; the tests hold the two against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from emollm.evaluation.cards import Scored
from emollm.evaluation.tallied import ASIDE, LESS_IS_BETTER, NEUTRAL_WORDS, Answers, Draw, Of, Tally, Truths, labels_of
from emollm.evaluation.tally_labels import single
from emollm.evaluation.tally_questions import questions
from emollm.evaluation.tally_sentiment import sentiment
from emollm.evaluation.tally_sets import several
from emollm.evaluation.tally_support import support
from emollm.evaluation.tally_texts import caption, reply
from emollm.evaluation.tally_wheel import openly

__all__ = ["ASIDE", "LESS_IS_BETTER", "NEUTRAL_WORDS", "Of", "Tally", "labels_of", "tally"]


def tally(card: Scored, references: Truths, said: Answers) -> Tally:
    """What a card's task makes of answers.

    Raises:
        DataError: The references lack what the task needs, or have labels the card does not list.
    """
    made = _TASKS[card.task](card, references, said)
    if not card.folds:
        return made
    folds = [r.group.get("fold") for r in references]
    if None in folds:
        return made
    members = [np.array([f == fold for f in folds]) for fold in dict.fromkeys(folds)]

    def of(draw: Draw) -> dict[str, float]:
        each = [made.of(draw[inside[draw]]) for inside in members if inside[draw].any()]
        return {name: sum(row[name] for row in each) / len(each) for name in each[0]}

    return Tally(made.n, of, made.read, made.answers, made.truths, made.right, made.pairs, made.sure, made.once)


_TASKS: Mapping[str, Callable[[Scored, Truths, Answers], Tally]] = {
    "recognition": single,
    "intent": single,
    "open-vocabulary": openly,
    "sentiment": sentiment,
    "multi-label": several,
    "caption": caption,
    "reply": reply,
    "support": support,
    "questions": questions,
}
