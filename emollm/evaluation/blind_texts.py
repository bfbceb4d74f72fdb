"""Floors of replies and of questions with a key: what can be said without having seen or heard anything.

The list of stock replies is ours; whoever copies the person, or says the same kind words to all, scores no more than these.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.cards import Scored
from emollm.evaluation.exact import right
from emollm.evaluation.tally import LESS_IS_BETTER, labels_of, tally

STOCK_REPLIES = (
    "I'm so sorry to hear that. That sounds really hard. Do you want to tell me more about it?",
    "I understand how you feel. It is natural to feel this way, and you are not alone.",
    "Have you tried talking to a friend or to your family about how you feel?",
    "That must be very difficult for you. I think it is a good idea to take some time for yourself.",
    "I am here for you.",
)
STOCK_CAPTIONS = (
    "At the beginning, the face is calm. Near the start, the inner brows rise. In the middle of the clip, the person speaks. "
    "Then the corners of the mouth rise, the cheeks rise and the eyes narrow. Near the end, the brows lower and the face relaxes.",
    "The person looks calm.",
    "The person looks happy.",
    "At the beginning of the video, the eyes are open, looking straight ahead, and the mouth is slightly open. "
    "As the video progresses, the person blinks and begins to speak. Towards the end of the video, the mouth closes.",
)
ORDERS = 5
TRIED = 40  # constant answers of one kind of question


@dataclass(frozen=True, slots=True)
class Floor:
    """What one blind way of answering scores."""

    measures: dict[str, float]
    answer: str  # what was said, for people to read


def best_of(card: Scored, tried: Sequence[tuple[str, dict[str, float]]]) -> Floor:
    """For each measure the best of several constants; the answer shown is that of the headline."""
    measures = {}
    for name in tried[0][1]:
        values = [row[name] for _, row in tried if name in row]
        measures[name] = min(values) if name in LESS_IS_BETTER else max(values)
    ahead = [(row.get(card.headline, 0.0) * (-1 if card.headline in LESS_IS_BETTER else 1), k) for k, (_, row) in enumerate(tried)]
    return Floor(measures, tried[max(ahead, key=lambda pair: (pair[0], -pair[1]))[1]][0])


def copied(card: Scored, references: Sequence[Reference]) -> dict[str, Floor]:
    """What is said in the clips as the answer, where all references tell it; else nothing."""
    if not all(r.words.strip() for r in references):
        return {}
    said = [Said(r.words, None, r.words if card.task == "support" else None) for r in references]
    return {"copied": Floor(tally(card, references, said).all(), "the words that are said in the clip")}


def of_replies(card: Scored, references: Sequence[Reference]) -> dict[str, Floor]:
    """Stock replies, the person's own words, the human reply to somebody else, and every label at once."""
    counts = Counter(r.label for r in references if r.label is not None)
    common = counts.most_common(1)[0][0] if counts else None
    human = [r.captions[0] for r in references if r.captions]
    if len(human) < len(references):
        tally(card, references, [None] * len(references))  # says which references lack captions
    stock = [*STOCK_REPLIES, *random.Random(0).sample(human, min(10, len(human)))]
    tried = [(text, tally(card, references, [Said(text, None, common)] * len(references)).all()) for text in stock]
    every = ", ".join(labels_of(card, references))
    mixed = []
    for seed in range(ORDERS):
        order = random.Random(seed).sample(range(len(human)), len(human))
        other = {one: order[(n + 1) % len(order)] for n, one in enumerate(order)}
        said = [Said(human[other[k]], None, references[other[k]].label) for k in range(len(human))]
        mixed.append(tally(card, references, said).all())
    return {
        "majority": Floor(tried[0][1], f"{tried[0][0]} [{common}]"),
        "best_constant": best_of(card, tried),
        "copied": Floor(
            tally(card, references, [Said(r.question, None, r.question) for r in references]).all(), "the person's own last words"
        ),
        "list_all": Floor(tally(card, references, [Said(every, None, every)] * len(references)).all(), every),
        "shuffled_references": Floor({k: sum(m.get(k, 0.0) for m in mixed) / len(mixed) for k in mixed[0]}, "human replies to others"),
    }


def of_questions(card: Scored, references: Sequence[Reference]) -> dict[str, Floor]:
    """Of every kind of question the commonest and the best constant key, all keys at once, the question itself, another item's key."""
    keys: dict[str, list[str]] = defaultdict(list)
    for r in references:
        keys[r.kind].append(r.label or "")
    common = {kind: Counter(answers).most_common(1)[0][0] for kind, answers in keys.items()}
    every = {kind: ", ".join(dict.fromkeys(answers)) for kind, answers in keys.items()}
    best = {kind: _best_key(card, [r for r in references if r.kind == kind], answers) for kind, answers in keys.items()}
    mixed = []
    for seed in range(ORDERS):
        rng = random.Random(seed)
        drawn = {kind: iter(rng.sample(answers, len(answers))) for kind, answers in keys.items()}
        mixed.append(tally(card, references, [Said(next(drawn[r.kind])) for r in references]).all())

    def constant(of: dict[str, str]) -> Floor:
        shown = "; ".join(f"{kind}: {text[:60]}" for kind, text in of.items())
        return Floor(tally(card, references, [Said(of[r.kind]) for r in references]).all(), shown)

    return {
        "majority": constant(common),
        "best_constant": constant(best),
        "list_all": constant(every),
        "copied": Floor(tally(card, references, [Said(r.question) for r in references]).all(), "the question itself"),
        "shuffled_references": Floor({k: sum(m[k] for m in mixed) / len(mixed) for k in mixed[0]}, "the keys of other items"),
    }


def _best_key(card: Scored, references: Sequence[Reference], answers: Sequence[str]) -> str:
    tried = [key for key, _ in Counter(answers).most_common(TRIED)]

    def hits(key: str) -> int:
        return sum(right(r.kind, r.question, r.label or "", key, card.labels, card.forms) for r in references)

    return max(tried, key=hits)
