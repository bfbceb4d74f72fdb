"""Several labels an item: mean average precision of scores; micro-F1, samples-F1 and Jaccard of sets.

A predicted label outside the list is a wrong label like any other: it lowers precision and never crashes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from emollm.errors import DataError
from emollm.evaluation.recognition import plain
from emollm.values import Floats

Sets = Sequence[tuple[Collection[str], Collection[str]]]  # (true, predicted)


def average_precision(truth: Floats, scores: Floats) -> float:
    """Area under the steps of precision over recall; equal scores stand at one threshold.

    Args:
        truth: [N] of 0 and 1, at least one 1.
        scores: [N], higher means surer.
    """
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order] > 0)
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # last item of each run of equal scores
    precision, recall = hits[ends] / (ends + 1), hits[ends] / hits[-1]
    return float((np.diff(recall, prepend=0) * precision).sum())


def mean_average_precision(truth: Floats, scores: Floats) -> float:
    """Macro mAP over the labels that are true at least once.

    With scores of only 0 and 1 it is a function of the operating point; give label probabilities instead.

    Args:
        truth: [N, C] of 0 and 1.
        scores: [N, C], higher means surer.

    Raises:
        DataError: The shapes differ or no label is ever true.
    """
    truth, scores = np.asarray(truth, float), np.asarray(scores, float)
    if truth.shape != scores.shape or truth.ndim != 2:
        raise DataError(f"truth {truth.shape} and scores {scores.shape} must both be [items, labels].")
    columns = np.flatnonzero(truth.sum(0) > 0)
    if not len(columns):
        raise DataError("no label is true for any item, so average precision is undefined.")
    return float(np.mean([average_precision(truth[:, c], scores[:, c]) for c in columns]))


def multilabel(samples: Sets, labels: Collection[str]) -> dict[str, float]:
    """Scores of label sets; an item where both sets are empty scores 1 in samples-F1 and Jaccard.

    Args:
        samples: (true, predicted) sets of one item each.
        labels: The closed list.

    Returns:
        micro_f1, samples_f1, jaccard (mean over items), exact (share of equal sets), unknown (share of predicted labels outside the list).

    Raises:
        DataError: Nothing to score, or a true label outside the list.
    """
    if not samples:
        raise DataError("no items to score.")
    strange = sorted({label for true, _ in samples for label in true} - set(labels))
    if strange:
        raise DataError(f"true labels outside the list: {', '.join(strange)}; the list is {', '.join(labels)}.")
    sets = [(set(true), set(found)) for true, found in samples]
    hits, sizes = [len(t & f) for t, f in sets], [len(t) + len(f) for t, f in sets]
    predicted = sum(len(f) for _, f in sets)
    return {
        "micro_f1": 2 * sum(hits) / sum(sizes) if sum(sizes) else 1.0,
        "samples_f1": sum(2 * h / s if s else 1.0 for h, s in zip(hits, sizes, strict=True)) / len(sets),
        "jaccard": sum(len(t & f) / len(t | f) if t | f else 1.0 for t, f in sets) / len(sets),
        "exact": sum(t == f for t, f in sets) / len(sets),
        "unknown": sum(len(f - set(labels)) for _, f in sets) / predicted if predicted else 0.0,
    }


def parse_labels(answer: str, labels: Collection[str]) -> set[str]:
    """The labels of a list such as "happiness, surprise and awe"; what is not in `labels` stays as it was said, to be counted as wrong."""
    found = set()
    known = {plain(label): label for label in labels}
    body = re.sub(r"<think>.*?(</think>|\Z)", " ", answer, flags=re.DOTALL | re.IGNORECASE)
    tagged = re.findall(r"<answer>(.*?)(?:</answer>|\Z)", body, flags=re.DOTALL | re.IGNORECASE)
    for piece in re.split(r"[,;/\n]|\band\b", tagged[-1] if tagged else body):
        word = plain(piece)
        if word:
            found.add(known.get(word, word))
    return found
