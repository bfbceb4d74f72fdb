"""Answers that are texts, captions of faces and replies to people, to the arrays of a tally."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from emollm.evaluation.answers import Said
from emollm.evaluation.captions import ORDERS, bleu_counts, bleu_of, cider_d_each, cider_each, distinct, rouge_l_each
from emollm.evaluation.cards import Scored
from emollm.evaluation.events import Movement, movements
from emollm.evaluation.events import relation as relation_of
from emollm.evaluation.recognition import UNPARSED, plain
from emollm.evaluation.tallied import Answers, Draw, Tally, Truths, need
from emollm.evaluation.tally_labels import single
from emollm.evaluation.temporal import against, tem
from emollm.values import Floats

_read_movements = functools.lru_cache(maxsize=20000)(movements)


def caption(card: Scored, references: Truths, said: Answers) -> Tally:
    """Shared words with the references, and movements of the face where the card wants them."""
    need(references, "captions", "at least one text")
    texts = [s.prediction if s is not None and isinstance(s.prediction, str) else "" for s in said]
    samples = [(text, r.captions) for text, r in zip(texts, references, strict=True)]
    counts = np.array(bleu_counts(samples))
    means = {"rouge_l": np.array(rouge_l_each(samples)), "cider": np.array(cider_each(samples)), "cider_d": np.array(cider_d_each(samples))}
    means["words"] = counts[:, 0].astype(float)
    if card.events:
        means |= _told(samples)

    def of(draw: Draw) -> dict[str, float]:
        found = {name: float(values[draw].mean()) for name, values in means.items()}
        found |= {name: v for name, v in bleu_of(counts[draw].sum(0).tolist()).items() if name in {"bleu_1", f"bleu_{ORDERS[-1]}"}}
        if card.events:
            recall, precision = found.pop("event_recall"), found.pop("event_precision")
            found["autodq"] = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        return found

    good = means["tem"] if card.events else means["rouge_l"]
    return Tally(
        len(texts), of, tuple(bool(x.strip()) for x in texts), tuple(texts), tuple(r.captions[0] for r in references), tuple(good.tolist())
    )


def _told(samples: Sequence[tuple[str, Sequence[str]]]) -> dict[str, Floats]:
    """Movements of the first reference against those of the answer."""
    rows = []
    for text, captions in samples:
        gold: list[Movement] = _read_movements(captions[0])
        found: list[Movement] = _read_movements(text)
        order = tem(gold, found, relation_of)
        recalled, claimed = against(gold, found, relation_of), against(found, gold, relation_of)
        shares = [sum(r == "entailed" for r in side) / len(side) if side else 1.0 for side in (recalled, claimed)]
        rows.append((order.tem, order.content, order.order, order.contradicted, *shares))
    names = ("tem", "content", "order", "contradicted", "event_recall", "event_precision")
    return dict(zip(names, np.array(rows).T, strict=True))


def reply(card: Scored, references: Truths, said: Answers) -> Tally:
    """The emotion named with a reply, and how varied the replies are."""
    need(references, "label", "the emotion of the speaker")
    # The emotion may be named beside the reply or within it.
    named = [s if s is None or s.emotion is None else Said(s.emotion, s.scores) for s in said]
    alone = single(card, references, named)
    coarse = {plain(word): name for name, group in card.classes.items() for word in (name, *group)}
    hit = np.array([a != UNPARSED and coarse.get(plain(t), t) == coarse.get(plain(a), a) for t, a in alone.pairs], float)
    replies = [s.prediction if s is not None and isinstance(s.prediction, str) else "" for s in said]
    variety = {f"dist_{n}": np.array([distinct([r], n) for r in replies]) for n in (1, 2)}

    def of(draw: Draw) -> dict[str, float]:
        extra = {name: float(values[draw].mean()) for name, values in variety.items()}
        return {**alone.of(draw), "hit": float(hit[draw].mean()), **extra}

    pooled = {f"dist_{n}_pool": distinct(replies, n, together=True) for n in (1, 2)}
    return Tally(alone.n, of, alone.read, alone.answers, alone.truths, alone.right, alone.pairs, alone.sure, {**alone.once, **pooled})
