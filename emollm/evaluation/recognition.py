"""One label an item out of a fixed list: WAR, UAR, F1 and the parse rate, and the reading of an answer as one of the labels.

Differs: scripts that average recall over every string that turns up add a class of recall 0 for each odd answer; here the list is fixed,
and an answer that is none of it is wrong and lowers the parse rate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emollm.errors import DataError
from emollm.evaluation.metrics import accuracy, macro_f1, uar, weighted_f1
from emollm.values import Floats

UNPARSED = "(unparsed)"


@dataclass(frozen=True, slots=True)
class Recognition:
    """Scores of single labels; shares, not per cent."""

    n: int
    war: float  # weighted average recall, which is accuracy
    uar: float
    macro_f1: float
    weighted_f1: float
    parse_rate: float
    recalls: Mapping[str, float]  # of every label that occurs in the truth
    absent: tuple[str, ...]  # labels of the list that never occur in the truth, and so have no recall
    confusion: Floats  # [C, C + 1] rows true, columns predicted, in the order of the list; the last column is unparsed


def recognition(truth: Sequence[str], answers: Sequence[str | None], labels: Sequence[str]) -> Recognition:
    """Score answers that were already read; None or a string outside the list is an unparsed answer.

    UAR and macro F1 are means over the labels of the list that occur in the truth.

    Raises:
        DataError: Nothing to score, unequal lengths, or a true label outside the list.
    """
    if not truth or len(truth) != len(answers):
        raise DataError(f"{len(truth)} true labels and {len(answers)} answers; give the same number of both, at least one.")
    strange = sorted(set(truth) - set(labels))
    if strange:
        raise DataError(f"true labels outside the list: {', '.join(strange)}; the list is {', '.join(labels)}.")
    place = {label: k for k, label in enumerate(labels)}
    pairs = [(t, a if a is not None and a in place else UNPARSED) for t, a in zip(truth, answers, strict=True)]
    table = np.zeros((len(labels), len(labels) + 1))
    for t, p in pairs:
        table[place[t], place.get(p, len(labels))] += 1
    present = [label for label in labels if table[place[label]].sum()]
    return Recognition(
        n=len(pairs),
        war=accuracy(pairs),
        uar=uar(pairs),
        macro_f1=macro_f1(pairs),
        weighted_f1=weighted_f1(pairs),
        parse_rate=sum(p != UNPARSED for _, p in pairs) / len(pairs),
        recalls={label: float(table[place[label], place[label]] / table[place[label]].sum()) for label in present},
        absent=tuple(label for label in labels if label not in present),
        confusion=table,
    )


_THINK = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL | re.IGNORECASE)
_ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_DENIED = (
    r"(?:\bnot|n't|\bnor|\bneither|\brather than|\binstead of|\bno|\bwithout)"
    r"(?: (?:a|an|the|really|very|so|exactly|be|being|at all))*"
)


def plain(answer: str) -> str:
    """An answer without its thoughts, tags, punctuation, case and doubled blanks; of several answer tags the last one counts."""
    answer = _THINK.sub(" ", answer)
    tagged = _ANSWER.findall(answer)
    text = (tagged[-1] if tagged else answer).casefold().replace("’", "'")
    return " ".join(re.sub(r"[^\w']+", " ", text.replace("_", " ")).split())


def parse_label(answer: str, labels: Sequence[str], forms: Mapping[str, Sequence[str]] | None = None) -> str | None:
    """The one label an answer names, or None where it names none or several.

    Case, punctuation, `<think>` blocks and `<answer>` tags do not matter, and a label right after a denial ("not angry") is not named.

    Args:
        answer: What the model said.
        labels: The closed list; the answer is returned as written here.
        forms: Other words for a label, such as {"angry": ("anger", "mad")}.
    """
    text = plain(answer)
    named: dict[str, str] = {}  # plain form -> label
    for label in labels:
        for form in (label, *(forms or {}).get(label, ())):
            named.setdefault(plain(form), label)
    if text in named:
        return named[text]
    # longest first, so that "very happy" as a label is not read as "happy"
    words = "|".join(re.escape(form) for form in sorted(named, key=lambda form: -len(form)))
    free = re.sub(rf"{_DENIED} (?:{words})(?!\w)", " ", text)
    found = {named[m] for m in re.findall(rf"(?<!\w)({words})(?!\w)", free)}
    return found.pop() if len(found) == 1 else None
