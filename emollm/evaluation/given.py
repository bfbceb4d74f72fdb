"""Files of answers to cards whose truth lies in a data folder: which references a card takes from it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from emollm.data.corpus import Corpus
from emollm.errors import DataError
from emollm.evaluation.answers import Reference, references_of
from emollm.evaluation.cards import Card, FecCard, GroupCard, MeanCard, MeasureCard, PairCard, SceneCard, Scored, SupportCard
from emollm.evaluation.dialogues import references_of_troubles, troubles
from emollm.evaluation.fec import score_files
from emollm.evaluation.group import run_group
from emollm.evaluation.pairs import pairs_of, references_of_pairs
from emollm.evaluation.predictions import run


def score_answers(
    card: Scored | MeanCard | GroupCard | FecCard | SceneCard | MeasureCard,
    answers: Path,
    out: Path,
    *,
    references: Path | None = None,
    data: Path | None = None,
    split: str = "val",
) -> dict[str, Any]:
    """Score a file of answers; for a group or a mean a folder with one `MEMBER.jsonl` each.

    Args:
        card: What was asked.
        answers: Where the answers are.
        out: Gets the results.
        references: File of references, where no data folder holds them.
        data: Data folder.
        split: Which of its items were asked about.

    Raises:
        DataError: There is nothing to score with, or the files are faulty.
    """
    if isinstance(card, GroupCard):
        if data is None or not answers.is_dir():
            wanted = ", ".join(f"{m}.jsonl" for m in card.members)
            raise DataError(f"{card.name} averages cards over one data folder: give --data DIR and --predictions DIR with {wanted}.")
        return run_group(
            card, out, answers.stem, lambda m, home: score_answers(m, answers / f"{m.name}.jsonl", home, data=data, split=split)
        )
    if isinstance(card, FecCard):
        if data is None:
            raise DataError(f"{card.name} takes its truth from --data DIR, a folder of `emollm synth`.")
        return score_files(card, data, answers, out)
    assert isinstance(card, Scored | MeanCard)
    given = partial(held_by, card, data, split) if data is not None and references is None and isinstance(card, HELD) else None
    return run(card, answers, out, references=references, given=given)


HELD = (Card, PairCard, SupportCard)


def held_by(card: Card | PairCard | SupportCard, data: Path, split: str) -> list[Reference]:
    """The references a data folder holds for a card."""
    if isinstance(card, PairCard):
        return references_of_pairs(card, pairs_of(card, Corpus(data), split))
    if isinstance(card, SupportCard):
        return references_of_troubles(troubles(card, Corpus(data)))
    return references_of(card, data, split)
