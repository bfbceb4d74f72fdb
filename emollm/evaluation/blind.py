"""Floors: what answers score that were made without looking at any item, from the references alone.

They are a little stronger than what a blind system could reach, because the constants are chosen on the scored references themselves.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.blind_texts import STOCK_CAPTIONS, Floor, best_of, copied, of_questions, of_replies
from emollm.evaluation.cards import Scored
from emollm.evaluation.events import movements
from emollm.evaluation.tally import ASIDE, LESS_IS_BETTER, NEUTRAL_WORDS, labels_of, tally

SHUFFLES = 20
LISTED = (4, 8, 20)  # commonest movements told as the caption of everything
STOCK = 8  # captions of the set tried as the one answer to everything, beside those of `blind_texts`


def floors(card: Scored, references: Sequence[Reference]) -> dict[str, Floor]:
    """Every floor that makes sense for the card's task.

    Returns:
        majority (the commonest true answer), best_constant (for each measure the constant answer that does best in it), list_all (every
        label at once), shuffled_references (each item gets the answer of another; mean of several orders) and, where the references tell
        what is said in the clips, copied (that). For captions: best_constant over a few captions of the set, stock ones and lists of the
        set's commonest movements (list_all is the longest), and another_caption. For replies: a stock reply, the person's own words,
        another reply. For questions: also their own words.
    """
    if card.task == "support":
        return of_replies(card, references)
    if card.task == "questions":
        return of_questions(card, references)
    if card.task == "caption":
        return _of_captions(card, references) | copied(card, references)
    gold = _gold(card, references)
    constants = _constants(card, references, gold)
    tried = [(_shown(c), _same(card, references, c)) for c in constants]
    every = tuple(NEUTRAL_WORDS) if card.task == "sentiment" else tuple(labels_of(card, references))
    orders = []
    for seed in range(SHUFFLES):
        mixed = list(gold)
        random.Random(seed).shuffle(mixed)
        orders.append(tally(card, references, [_say(card, x) for x in mixed]).all())
    # Where a number is asked for, no list answers.
    listed = {} if card.headline in {"mae", "corr"} else {"list_all": Floor(_same(card, references, every), _shown(every))}
    return {
        "majority": Floor(tried[0][1], tried[0][0]),
        "best_constant": best_of(card, tried),
        **listed,
        **copied(card, references),
        "shuffled_references": Floor({k: sum(o[k] for o in orders) / len(orders) for k in orders[0]}, "the answers of other items"),
    }


Answer = str | tuple[str, ...] | float


def _gold(card: Scored, references: Sequence[Reference]) -> list[Answer]:
    """The true answers, in the form of predictions."""
    if card.task == "sentiment":
        if card.range and all(r.value is not None for r in references):
            return [float(r.value or 0) for r in references]
        return [_sign(r) for r in references]
    if card.task == "multi-label" or card.headline.startswith("f_"):
        return [r.labels if r.labels is not None else (r.label or "",) for r in references]
    return [r.label or "" for r in references]


def _sign(r: Reference) -> str:
    if r.value is None:
        return (r.label or "").casefold()
    return "positive" if r.value > 0 else "negative" if r.value < 0 else "neutral"


def _constants(card: Scored, references: Sequence[Reference], gold: Sequence[Answer]) -> list[Answer]:
    """Constant answers, the commonest first."""
    if card.task == "sentiment":
        signs = Counter(_sign(r) for r in references if _sign(r) != "neutral")
        common = signs.most_common(1)[0][0]
        numbers = sorted(x for x in gold if isinstance(x, float))
        if not numbers:
            return [common, *(w for w in NEUTRAL_WORDS if w != common)]
        middle, mean, small = numbers[len(numbers) // 2], sum(numbers) / len(numbers), card.range / 3
        return [small if common == "positive" else -small, small, -small, middle, mean, 0.0]
    if card.task == "multi-label" or card.headline.startswith("f_"):
        counts = [x for x, _ in Counter(label for row in gold if isinstance(row, tuple) for label in row).most_common()]
        # The k commonest labels, for every k; more than a few dozen would be as many as there are words.
        sets = [tuple(counts[: k + 1]) for k in range(min(len(counts), 30))]
        return [*sets, *((label,) for label in counts[1:30])]
    return [x for x, _ in Counter(gold).most_common(60)]


def _say(card: Scored, answer: Answer) -> Said:
    """An answer to one item; replies name the emotion beside the (empty) reply, so that no words are read into it."""
    if card.task == "reply":
        return Said("", None, answer if isinstance(answer, str) else ", ".join(map(str, answer)) if isinstance(answer, tuple) else "")
    if card.task == "open-vocabulary" and isinstance(answer, str):
        return Said((answer,))
    return Said(answer)


def _same(card: Scored, references: Sequence[Reference], answer: Answer) -> dict[str, float]:
    return tally(card, references, [_say(card, answer)] * len(references)).all()


def _shown(answer: Answer) -> str:
    return ", ".join(answer) if isinstance(answer, tuple) else answer if isinstance(answer, str) else f"{answer:g}"


def _of_captions(card: Scored, references: Sequence[Reference]) -> dict[str, Floor]:
    texts = [r.captions[0] for r in references if r.captions]
    if len(texts) < len(references):
        tally(card, references, [None] * len(references))  # says which references lack captions
    drawn = random.Random(0).sample(texts, min(STOCK, len(texts)))
    listed = _common_movements(texts) if card.events else []
    found = {"best_constant": best_of(card, [(text, _same(card, references, text)) for text in (*drawn, *STOCK_CAPTIONS, *listed)])}
    if listed:
        found["list_all"] = Floor(_same(card, references, listed[-1]), listed[-1])
    if len(texts) > 1:
        order = list(range(len(texts)))
        random.Random(0).shuffle(order)
        other = {k: order[(n + 1) % len(order)] for n, k in enumerate(order)}  # a ring: nobody has its own
        answers = [Said(texts[other[k]]) for k in range(len(texts))]
        found["another_caption"] = Floor(tally(card, references, answers).all(), "the caption of another item")
    return found


def _common_movements(captions: Sequence[str]) -> list[str]:
    """Captions that list the commonest movements of a set, more and more of them, each where it comes on average."""
    places: dict[tuple[str, str, int], list[float]] = {}
    words: dict[tuple[str, str, int], str] = {}
    for caption in captions:
        told = movements(caption)
        for k, m in enumerate(told):
            places.setdefault((m.part, m.axis, m.sign), []).append(k / len(told))
            words.setdefault((m.part, m.axis, m.sign), m.text)
    common = sorted(places, key=lambda key: -len(places[key]))
    some = [sorted(common[:k], key=lambda key: sum(places[key]) / len(places[key])) for k in LISTED if k <= max(len(common), LISTED[0])]
    return ["; ".join(words[key] for key in keys) + "." for keys in some if keys]


def best_floor(name: str, measures: Mapping[str, float], found: Mapping[str, Mapping[str, float]]) -> tuple[str, float] | None:
    """The floor that is hardest to beat in a measure, or None where the measure is no score.

    Naming everything hits everything, so a hit rate is held against `list_all` only where the score that pays for guessing (mscore) says
    that no more than guessing was done; otherwise no system could ever pass.

    Args:
        name: Of the measure.
        measures: What was scored.
        found: Floor -> its measures.
    """
    values = {k: row[name] for k, row in found.items() if name in row}
    if name.startswith("hit_") and "list_all" in values:
        paid = name.replace("hit_", "mscore_")
        if paid in measures and measures[paid] > max(row[paid] for row in found.values()):
            del values["list_all"]
    if name in ASIDE or not values:
        return None
    best = (min if name in LESS_IS_BETTER else max)(values, key=lambda k: values[k])
    return best, values[best]


def warnings_of(headline: str, measures: dict[str, float], low: float, high: float, found: dict[str, Floor]) -> list[str]:
    """A sentence for each measure that does not exceed its best floor, the headline's first.

    Args:
        headline: The measure that matters.
        measures: What was scored.
        low: Lower bound of the headline.
        high: Upper bound of the headline.
        found: The floors.
    """
    lines: list[str] = []
    rows = {k: f.measures for k, f in found.items()}
    for name in sorted(measures, key=lambda n: n != headline):
        floor = best_floor(name, measures, rows)
        if floor is None:
            continue
        less, best, mine, bar = name in LESS_IS_BETTER, floor[0], round(measures[name], 4), round(floor[1], 4)
        if mine >= bar if less else mine <= bar:
            lines.append(f"{name} {mine:.3f} does not exceed its floor {bar:.3f} ({best}).")
        elif name == headline and (high >= bar if less else low <= bar):
            lines.append(f"{name} {mine:.3f} beats its floor {bar:.3f} ({best}), but its interval ({low:.3f} to {high:.3f}) reaches it.")
    return lines
