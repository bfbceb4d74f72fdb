"""Replies to people in trouble, and the emotion named with them, to the arrays of a tally.

Shared words with what one person answered say little of how good a reply is: any kind reply is one of thousands. Print the floors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emollm.evaluation.answers import Said
from emollm.evaluation.captions import bleu_counts, bleu_of, distinct, rouge_l_each
from emollm.evaluation.cards import Scored
from emollm.evaluation.tallied import Answers, Draw, Tally, Truths, labels_of, need
from emollm.evaluation.tally_labels import choice, known
from emollm.evaluation.wheel import label_words, load_vocabulary
from emollm.values import Floats


def support(card: Scored, references: Truths, said: Answers) -> Tally:
    """ROUGE-L, BLEU and variety of the reply; where the person's emotion is known, whether it is named beside the reply and within it."""
    need(references, "captions", "what a person answered")
    texts = [s.prediction if s is not None and isinstance(s.prediction, str) else "" for s in said]
    samples = [(text, r.captions) for text, r in zip(texts, references, strict=True)]
    counts = np.array(bleu_counts(samples))
    rouge = np.array(rouge_l_each(samples))
    variety = {f"dist_{n}": np.array([distinct([t], n) for t in texts]) for n in (1, 2)}
    labelled = np.array([r.label is not None for r in references])
    labels = labels_of(card, references)
    truth = [known(r.label, card, labels) if r.label is not None else "" for r in references]
    named = [choice(None if s is None or s.emotion is None else Said(s.emotion), card, labels) for s in said]
    exact = np.array([float(a == t) for a, t in zip(named, truth, strict=True)])
    within = _within(truth, texts)

    def of(draw: Draw) -> dict[str, float]:
        found = {"rouge_l": float(rouge[draw].mean()), "words": float(counts[draw, 0].mean())}
        found |= {name: v for name, v in bleu_of(counts[draw].sum(0).tolist()).items() if name in {"bleu_1", "bleu_4"}}
        found |= {name: float(values[draw].mean()) for name, values in variety.items()}
        mine = draw[labelled[draw]]
        if len(mine):
            found |= {"emotion_accuracy": float(exact[mine].mean()), "emotion_in_reply": float(within[mine].mean())}
        return found

    pooled = {f"dist_{n}_pool": distinct(texts, n, together=True) for n in (1, 2)}
    shown = tuple(f"{t} [{n}]" if n else t for t, n in zip(texts, named, strict=True))
    told = tuple(r.captions[0] + (f" [{t}]" if t else "") for r, t in zip(references, truth, strict=True))
    return Tally(
        len(texts), of, tuple(bool(t.strip()) for t in texts), shown, told, tuple(rouge.tolist()),
        once={**pooled, "labelled": float(labelled.sum())},
    )  # fmt: skip


def _within(truth: Sequence[str], texts: Sequence[str]) -> Floats:
    """Whether a reply names the group of the true emotion on the wheels, shared among all it names; mean of the wheels it is on."""
    vocabulary = load_vocabulary()
    found = np.zeros(len(truth))
    for k, (label, text) in enumerate(zip(truth, texts, strict=True)):
        words = label_words(text, vocabulary) if label else []
        shares = []
        for wheel in vocabulary.wheels:
            core = vocabulary.core(label, wheel, "fixed") if label else None
            cores = vocabulary.cores(words, wheel, "fixed")
            if core is not None:
                shares.append(1 / len(cores) if core in cores else 0.0)
        found[k] = float(np.mean(shares)) if shares else 0.0
    return found
