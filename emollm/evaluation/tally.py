"""Answers and references to arrays from which every measure of a task follows for any draw of the items.

A bootstrap of all measures then costs milliseconds a round, and two systems can be scored on the same draws. The plain functions of the
neighbouring files say what the measures are; the tests hold the two against each other.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emollm.errors import DataError
from emollm.evaluation.answers import Reference, Said
from emollm.evaluation.captions import ORDERS, bleu_counts, bleu_of, cider_d_each, cider_each, distinct, rouge_l_each
from emollm.evaluation.cards import Scored
from emollm.evaluation.events import Movement, movements
from emollm.evaluation.events import relation as relation_of
from emollm.evaluation.metrics import calibration_by_luck, calibration_error
from emollm.evaluation.multilabel import mean_average_precision, parse_labels
from emollm.evaluation.recognition import UNPARSED, parse_label, plain
from emollm.evaluation.temporal import against, tem
from emollm.evaluation.wheel import MODES, Mode, Vocabulary, Wheel, label_words, load_vocabulary
from emollm.values import Floats

Draw = NDArray[np.int64]
Of = Callable[[Draw], dict[str, float]]
Truths = Sequence[Reference]
Answers = Sequence[Said | None]
NEUTRAL_WORDS = ("positive", "negative", "neutral")
LESS_IS_BETTER = frozenset({"mae"})
# Not scores: nothing is won by a higher value.
ASIDE = frozenset({
    "kept_official", "kept_fixed", "unknown", "n_non0", "contradicted", "order", "calibration_error", "calibration_error_by_luck",
    "dist_1", "dist_2", "dist_1_pool", "dist_2_pool", "words",
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


def labels_of(card: Scored, references: Truths) -> list[str]:
    """The card's labels, or those that occur in the references where the card has none."""
    if card.labels:
        return list(card.labels)
    return sorted({label for r in references for label in (r.labels or ((r.label,) if r.label else ()))})


def _need(references: Truths, name: str, what: str) -> None:
    bare = [r.id for r in references if getattr(r, name) in (None, ())]
    if bare:
        raise DataError(f'{len(bare)} of {len(references)} references have no "{name}" ({what}), the first is {bare[0]!r}.')


# --- one label an item ---------------------------------------------------------------------------------------------------------------


def _single(card: Scored, references: Truths, said: Answers) -> Tally:
    _need(references, "label", "one of the card's labels")
    labels = labels_of(card, references)
    truth = [_known(r.label or "", card, labels) for r in references]
    answers = [_choice(s, card, labels) for s in said]
    place = {label: k for k, label in enumerate(labels)}
    t = np.array([place[x] for x in truth])
    p = np.array([place[a] if a is not None else len(labels) for a in answers])
    scores = [_scores(s, card, labels) for s in said]
    sure = tuple((row[a], a == x) for row, a, x in zip(scores, answers, truth, strict=True) if a is not None and row.get(a) is not None)
    once = {}
    if sure:
        once = {"calibration_error": calibration_error(sure), "calibration_error_by_luck": calibration_by_luck(sure)}
    shown = tuple(a if a is not None else UNPARSED for a in answers)
    return Tally(
        len(truth),
        lambda draw: closed(t[draw], p[draw], len(labels)),
        tuple(a is not None for a in answers),
        shown,
        tuple(truth),
        # Among wrong answers the surest is the worst.
        tuple(float(a == x) - (row.get(a or "", 0.0) if a != x else 0.0) for a, x, row in zip(answers, truth, scores, strict=True)),
        tuple(zip(truth, shown, strict=True)),
        sure,
        once,
    )


def closed(t: Draw, p: Draw, labels: int) -> dict[str, float]:
    """Accuracy, UAR and the F1s of class numbers; a predicted number of `labels` is an unparsed answer. Means are over true classes."""
    table = np.bincount(t * (labels + 1) + p, minlength=labels * (labels + 1)).reshape(labels, labels + 1)
    real, found, hits = table.sum(1), table.sum(0)[:labels], np.diagonal(table)
    there = real > 0
    f1 = 2 * hits / np.maximum(1, found + real)
    precision = hits / np.maximum(1, found)
    return {
        "accuracy": float(hits.sum() / len(t)),
        "uar": float((hits[there] / real[there]).mean()),
        "weighted_f1": float((f1 * real).sum() / len(t)),
        "macro_f1": float(f1[there].mean()),
        "weighted_precision": float((precision * real).sum() / len(t)),
    }


def _known(label: str, card: Scored, labels: Sequence[str]) -> str:
    named = _named(card, labels)
    if plain(label) not in named:
        raise DataError(f"{card.name} lists no label {label!r}, but a reference has it; the list is {', '.join(labels)}.")
    return named[plain(label)]


def _named(card: Scored, labels: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in labels:
        for form in (label, *card.forms.get(label, ())):
            found.setdefault(plain(form), label)
    return found


def _choice(said: Said | None, card: Scored, labels: Sequence[str]) -> str | None:
    """The one label an answer names; that of the highest score where nothing was said."""
    if said is None:
        return None
    answer = said.prediction
    if isinstance(answer, tuple):
        answer = answer[0] if len(answer) == 1 else ""  # several labels name none
    if isinstance(answer, float):
        return None
    if answer is None:
        scores = _scores(said, card, labels)
        return max(scores, key=lambda label: scores[label]) if scores else None
    return parse_label(answer, labels, card.forms)


def _scores(said: Said | None, card: Scored, labels: Sequence[str]) -> dict[str, float]:
    if said is None or said.scores is None:
        return {}
    named = _named(card, labels)
    return {named[plain(k)]: v for k, v in said.scores.items() if plain(k) in named}


# --- open vocabulary -----------------------------------------------------------------------------------------------------------------


def _open(card: Scored, references: Truths, said: Answers) -> Tally:
    vocabulary = load_vocabulary()
    predicted = [_words(s, vocabulary) for s in said]
    sets = card.headline.startswith("f_")
    if sets:
        truth = [r.labels if r.labels is not None else (r.label,) if r.label else () for r in references]
        if not all(truth):
            _need([r for r, t in zip(references, truth, strict=True) if not t], "labels", "emotion words")
    else:
        _need(references, "label", "one emotion word")
        truth = [(_known(r.label or "", card, card.labels) if card.labels else r.label or "",) for r in references]
    candidates = labels_of(card, references)
    parts: list[tuple[Mode, list[Of]]] = []
    right = np.zeros(len(truth))
    for mode in MODES:
        wheels: list[Of] = []
        for wheel in vocabulary.wheels:
            made, good = (_wheel_sets if sets else _wheel_hits)(vocabulary, wheel, mode, truth, predicted, candidates)
            if made is not None:
                wheels.append(made)
            right += good
        if not wheels:
            raise DataError("no reference has a label that stands on a wheel; neutral and unknown words stand on none.")
        parts.append((mode, wheels))

    def of(draw: Draw) -> dict[str, float]:
        found: dict[str, float] = {}
        for mode, wheels in parts:
            rows = [row for wheel in wheels if (row := wheel(draw))]
            for name in rows[0] if rows else ():
                found[f"{name}_{mode}"] = sum(row[name] for row in rows) / len(rows)
        # A draw (of few items) in which nothing stands on a wheel is worth nothing.
        return found if found else dict.fromkeys((card.headline,), 0.0)

    return Tally(
        len(truth),
        of,
        tuple(bool(p) for p in predicted),
        tuple(", ".join(p) for p in predicted),
        tuple(", ".join(t) for t in truth),
        tuple((right / (len(MODES) * len(vocabulary.wheels))).tolist()),
    )


def _words(said: Said | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    if said is None or isinstance(said.prediction, float):
        return ()
    if isinstance(said.prediction, tuple):
        return tuple(dict.fromkeys(said.prediction))
    if said.prediction is None:
        return (max(said.scores, key=lambda k: (said.scores or {})[k]),) if said.scores else ()
    return tuple(label_words(said.prediction, vocabulary))


Words = Sequence[Sequence[str]]


def _wheel_sets(v: Vocabulary, wheel: Wheel, mode: Mode, truth: Words, predicted: Words, _: Sequence[str]) -> tuple[Of | None, Floats]:
    both = [(v.cores(t, wheel, mode), v.cores(p, wheel, mode)) for t, p in zip(truth, predicted, strict=True)]
    kept = np.array([bool(t) for t, _ in both])
    precision = np.array([len(t & p) / len(p) if p else 0.0 for t, p in both])
    recall = np.array([len(t & p) / len(t) if t else 0.0 for t, p in both])

    def of(draw: Draw) -> dict[str, float]:
        draw_kept = draw[kept[draw]]
        if not len(draw_kept):
            return {}
        a, b = float(precision[draw_kept].mean()), float(recall[draw_kept].mean())
        return {"f": 2 * a * b / (a + b) if a + b else 0.0, "precision": a, "recall": b, "kept": len(draw_kept) / len(draw)}

    return of if kept.any() else None, (precision + recall) / 2


def _wheel_hits(
    v: Vocabulary, wheel: Wheel, mode: Mode, truth: Words, predicted: Words, candidates: Sequence[str]
) -> tuple[Of | None, Floats]:
    possible = v.cores(candidates, wheel, mode)
    chance = 1 / len(possible) if possible else 1.0
    cores = [v.core(t[0], wheel, mode) for t in truth]
    found = [v.cores(p, wheel, mode) for p in predicted]
    calm = [v.is_neutral(t[0]) for t in truth]
    named = [len(f) + any(v.is_neutral(word) for word in p) for f, p in zip(found, predicted, strict=True)]
    kept = np.array([c is not None for c in cores])
    hit = np.array([float(c in f) for c, f in zip(cores, found, strict=True)])
    share = np.array([1 / len(f & (possible | {c})) if c in f else 0.0 for c, f in zip(cores, found, strict=True)])
    # Neutral counts as a group of its own in the scores that keep it.
    goal = [any(v.is_neutral(w) for w in p) if q else c in f for q, c, f, p in zip(calm, cores, found, predicted, strict=True)]
    counted = kept | np.array(calm)
    credit = np.array([1 / n if g else 0.0 for g, n in zip(goal, named, strict=True)])
    names = sorted({t[0].casefold() for t in truth})
    label = np.array([names.index(t[0].casefold()) for t in truth])

    def of(draw: Draw) -> dict[str, float]:
        mine, neutral_too = draw[kept[draw]], draw[counted[draw]]
        if not len(mine):
            return {}
        mscore = float(share[mine].mean())
        sums = np.bincount(label[neutral_too], weights=credit[neutral_too], minlength=len(names))
        sizes = np.bincount(label[neutral_too], minlength=len(names))
        return {
            "hit": float(hit[mine].mean()),
            "mscore": mscore,
            "above_chance": max(0.0, (mscore - chance) / (1 - chance)) if chance < 1 else 0.0,
            "neutral_accuracy": float(credit[neutral_too].mean()),
            "neutral_uar": float((sums[sizes > 0] / sizes[sizes > 0]).mean()),
            "kept": len(mine) / len(draw),
        }

    return of if kept.any() else None, credit


# --- sentiment -----------------------------------------------------------------------------------------------------------------------

_EDGES = {"acc_2": (0.0,), "acc_3": (-0.1, 0.1), "acc_5": (-0.7, -0.1, 0.1, 0.7)}


def _sentiment(card: Scored, references: Truths, said: Answers) -> Tally:
    truth = np.array([_value(r) for r in references])
    if not truth.any():
        raise DataError("every reference is 0 or neutral; polarity needs at least one that is not.")
    words, numbers = zip(*(_polarity(s) for s in said), strict=True)
    t = (truth > 0).astype(np.int64)
    p = np.array([{"negative": 0, "positive": 1}.get(w or "", 2) for w in words])
    parts: list[tuple[tuple[str, ...], Draw, Draw, int]] = []
    guess = np.array([0.0 if v is None else v for v in numbers])
    unread = np.array([v is None for v in numbers])
    in_numbers = bool(card.range) and not unread.all()
    if card.range == 1:
        truth_in, guess = np.clip(truth, -1, 1), np.clip(guess, -1, 1)
    else:
        truth_in = truth
    if in_numbers:
        parts = [(names, *_coded(a, b, unread)) for names, a, b in _graded(card.range, truth_in, guess)]
    sure = truth != 0

    def of(draw: Draw) -> dict[str, float]:
        kept = draw[sure[draw]]
        found = dict.fromkeys(("accuracy", "weighted_f1", "macro_f1"), 0.0)
        if len(kept):
            row = closed(t[kept], p[kept], 2)
            found = {name: row[name] for name in found}
        if not in_numbers:
            return found
        found["mae"] = float(np.abs(guess[draw] - truth_in[draw]).mean())
        a, b = guess[draw] - guess[draw].mean(), truth_in[draw] - truth_in[draw].mean()
        size = float(np.sqrt((a * a).sum() * (b * b).sum()))
        found["corr"] = float((a * b).sum() / size) if size > 1e-12 else 0.0
        for names, x, y, classes in parts:
            mine = kept if names[0].endswith("non0") else draw
            row = closed(x[mine], y[mine], classes) if len(mine) else {"accuracy": 0.0, "weighted_f1": 0.0}
            found |= dict(zip(names, (row["accuracy"], row["weighted_f1"]), strict=False))
        return found

    if card.headline in {"mae", "corr"} and not in_numbers:
        raise DataError(f"{card.name} asks for numbers ({card.headline}), but no answer is one.")
    return Tally(
        len(truth),
        of,
        tuple(w is not None for w in words),
        tuple(UNPARSED if w is None else w if v is None or not in_numbers else f"{v:g}" for w, v in zip(words, numbers, strict=True)),
        tuple(f"{v:g}" for v in truth),
        tuple((np.where(sure, t == p, 1.0) - (np.abs(guess - truth_in) if in_numbers else 0.0)).tolist()),
        tuple((NEUTRAL_WORDS[0 if v > 0 else 1], w or UNPARSED) for v, w in zip(truth, words, strict=True) if v != 0),
    )


def _graded(reach: int, truth: Floats, guess: Floats) -> list[tuple[tuple[str, ...], Floats, Floats]]:
    """(names of accuracy and F1, true class numbers, predicted ones) of the classical set."""
    if reach == 3:
        steps = [((f"acc_{2 * k + 1}",), np.round(np.clip(truth, -k, k)), np.round(np.clip(guess, -k, k))) for k in (3, 2)]
        return [
            *steps,
            (("acc_2_has0", "f1_has0"), (truth >= 0) * 1.0, (guess >= 0) * 1.0),
            (("acc_2_non0", "f1_non0"), (truth > 0) * 1.0, (guess > 0) * 1.0),
        ]

    def place(values: Floats, edges: Sequence[float]) -> Floats:
        return np.sum([values > edge for edge in edges], axis=0) * 1.0

    return [(("acc_2", "f1") if name == "acc_2" else (name,), place(truth, e), place(guess, e)) for name, e in _EDGES.items()]


def _coded(truth: Floats, guess: Floats, unread: NDArray[np.bool_]) -> tuple[Draw, Draw, int]:
    values = np.unique(np.concatenate([truth, guess]))
    return np.searchsorted(values, truth), np.where(unread, len(values), np.searchsorted(values, guess)), len(values)


def _value(reference: Reference) -> float:
    if reference.value is not None:
        return reference.value
    signs = {"positive": 1.0, "negative": -1.0, "neutral": 0.0}
    if (reference.label or "").casefold() in signs:
        return signs[(reference.label or "").casefold()]
    raise DataError(f'reference {reference.id!r} has neither a "value" nor a "label" that is positive, negative or neutral.')


def _polarity(said: Said | None) -> tuple[str | None, float | None]:
    """(the word, the number) of an answer; each None where it was not given."""
    if said is None:
        return None, None
    answer = said.prediction
    if isinstance(answer, str) and re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", answer):
        answer = float(answer)
    if isinstance(answer, float):
        return ("positive" if answer > 0 else "negative" if answer < 0 else "neutral"), answer
    return _choice(Said(answer, said.scores), Scored.model_construct(forms={}), NEUTRAL_WORDS), None


# --- several labels an item ----------------------------------------------------------------------------------------------------------


def _several(card: Scored, references: Truths, said: Answers) -> Tally:
    labels = labels_of(card, references)
    truth = []
    for r in references:
        if r.labels is None and r.label is None:
            raise DataError(f'reference {r.id!r} has no "labels".')
        truth.append({_known(x, card, labels) for x in (r.labels if r.labels is not None else (r.label or "",))})
    found = [_set(s, card, labels) for s in said]
    place = {label: k for k, label in enumerate(labels)}
    gold, guess = np.zeros((len(truth), len(labels))), np.zeros((len(truth), len(labels)))
    strange = np.array([len(f - set(labels)) for f in found])
    for matrix, rows in ((gold, truth), (guess, found)):
        for k, row in enumerate(rows):
            matrix[k, [place[x] for x in row if x in place]] = 1
    scores = guess.copy()
    for k, s in enumerate(said):
        for label, value in _scores(s, card, labels).items():
            scores[k, place[label]] = value
    hits, shared = (gold * guess).sum(1), np.maximum(gold, guess).sum(1) + strange
    sizes = gold.sum(1) + guess.sum(1) + strange
    f1, jaccard = (np.where(size > 0, k * hits / np.maximum(1, size), 1.0) for k, size in ((2, sizes), (1, shared)))

    def of(draw: Draw) -> dict[str, float]:
        total, predicted = sizes[draw].sum(), (guess.sum(1) + strange)[draw].sum()
        return {
            "map": mean_average_precision(gold[draw], scores[draw]) if gold[draw].any() else 0.0,
            "micro_f1": float(2 * hits[draw].sum() / total) if total else 1.0,
            "samples_f1": float(f1[draw].mean()),
            "jaccard": float(jaccard[draw].mean()),
            "exact": float((hits == shared)[draw].mean()),
            "unknown": float(strange[draw].sum() / predicted) if predicted else 0.0,
        }

    if not gold.any():
        raise DataError("no label is true for any item.")
    return Tally(
        len(truth),
        of,
        tuple(bool(f & set(labels)) for f in found),
        tuple(", ".join(sorted(f)) for f in found),
        tuple(", ".join(sorted(t)) for t in truth),
        tuple(jaccard.tolist()),
    )


def _set(said: Said | None, card: Scored, labels: Sequence[str]) -> set[str]:
    """Labels an answer names, those outside the list as they were said; with scores alone, all of at least a half."""
    if said is None or isinstance(said.prediction, float):
        return set()
    named = _named(card, labels)
    if said.prediction is None:
        return {label for label, p in _scores(said, card, labels).items() if p >= 0.5}
    if isinstance(said.prediction, tuple):
        return {named.get(plain(x), plain(x)) for x in said.prediction if plain(x)}
    found: set[str] = set()
    for piece in re.split(r"[,;\n]", said.prediction) if "<" not in said.prediction else [said.prediction]:
        # A label such as "doubt/confusion" is one label, though a stroke parts others.
        found |= {named[plain(piece)]} if plain(piece) in named else {named.get(x, x) for x in parse_labels(piece, labels)}
    return found


# --- texts ---------------------------------------------------------------------------------------------------------------------------

_read_movements = functools.lru_cache(maxsize=20000)(movements)


def _caption(card: Scored, references: Truths, said: Answers) -> Tally:
    _need(references, "captions", "at least one text")
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


def _reply(card: Scored, references: Truths, said: Answers) -> Tally:
    _need(references, "label", "the emotion of the speaker")
    # The emotion may be named beside the reply or within it.
    named = [s if s is None or s.emotion is None else Said(s.emotion, s.scores) for s in said]
    single = _single(card, references, named)
    coarse = {plain(word): name for name, group in card.classes.items() for word in (name, *group)}
    hit = np.array([a != UNPARSED and coarse.get(plain(t), t) == coarse.get(plain(a), a) for t, a in single.pairs], float)
    replies = [s.prediction if s is not None and isinstance(s.prediction, str) else "" for s in said]
    variety = {f"dist_{n}": np.array([distinct([r], n) for r in replies]) for n in (1, 2)}

    def of(draw: Draw) -> dict[str, float]:
        extra = {name: float(values[draw].mean()) for name, values in variety.items()}
        return {**single.of(draw), "hit": float(hit[draw].mean()), **extra}

    pooled = {f"dist_{n}_pool": distinct(replies, n, together=True) for n in (1, 2)}
    return Tally(
        single.n, of, single.read, single.answers, single.truths, single.right, single.pairs, single.sure, {**single.once, **pooled}
    )


_TASKS: Mapping[str, Callable[[Scored, Truths, Answers], Tally]] = {
    "recognition": _single,
    "intent": _single,
    "open-vocabulary": _open,
    "sentiment": _sentiment,
    "multi-label": _several,
    "caption": _caption,
    "reply": _reply,
}
