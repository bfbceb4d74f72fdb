"""Emotion words grouped by the inner ring of five emotion wheels, and the scores of open vocabularies over those groups.

Source: MER-UniBench, arXiv 2501.16566 sec. 4. A word goes form -> base words -> wheel words -> inner word of each wheel.
Differs: the tables in `eval/wheels` are our own (published wheels retyped or reconstructed, each file says which; synonyms and word forms
written here), made so that the published behaviour on common labels holds in mode "official"; rarer words may go elsewhere.

Modes. "official" takes, of all wheel words a label reaches, the first in the alphabet that stands on the wheel; that sends "fear" to joy on
four of five wheels. "fixed" takes the word itself where it stands on the wheel, else its nearest synonym. Print both.

Neutral stands on no wheel, so the official scores drop such samples; `neutral_accuracy` and `neutral_uar` keep them.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from emollm import catalog
from emollm.errors import DataError

Mode = Literal["official", "fixed"]
MODES: tuple[Mode, ...] = ("official", "fixed")
NEUTRAL = "(neutral)"
T = TypeVar("T")
_LISTS = ("neutral", "ambiguous", "links", "denials", "persons")

# English endings and what stands in their place in the base word; tried once and twice ("surprisingly"), kept where a known word comes out.
_ENDINGS = (
    ("ily", "y"), ("ly", ""), ("iness", "y"), ("ness", ""), ("ier", "y"), ("iest", "y"), ("er", ""), ("est", ""),
    ("dder", "d"), ("ddest", "d"),
    ("ment", "ed"), ("ment", ""), ("ation", "ed"), ("ion", "ed"), ("ion", "ive"), ("ing", "ed"), ("ing", ""), ("ing", "e"),
    ("ed", ""), ("ed", "e"), ("es", "ed"), ("s", "ed"), ("s", ""), ("e", "ed"), ("", "ed"), ("y", "ied"), ("y", "ed"), ("y", ""),
    ("ity", "e"), ("ity", ""), ("ence", "ent"), ("ance", "ed"), ("ance", "ant"), ("ancy", "ant"), ("ism", "istic"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wheel:
    """One published wheel."""

    name: str
    about: str
    core_of: Mapping[str, str]  # word of any ring -> word of the inner ring


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Wheels with the words of everyday speech that lead to them."""

    wheels: tuple[Wheel, ...]
    synonyms: Mapping[str, tuple[str, ...]]  # base word -> wheel words, nearest first, itself first where it is one
    forms: Mapping[str, tuple[str, ...]]  # irregular form -> base words
    neutral: frozenset[str]
    ambiguous: frozenset[str]  # words that name a feeling only after a linking verb
    links: frozenset[str] = frozenset()  # linking verbs, such as "feels"
    denials: frozenset[str] = frozenset()  # words that deny what follows
    persons: frozenset[str] = frozenset()  # who may feel something
    _known: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False, repr=False, compare=False)  # forms already looked up

    def bases(self, label: str) -> tuple[str, ...]:
        """Known base words of a form, the form itself first; empty for a word that leads nowhere."""
        form = " ".join(label.casefold().replace("-", " ").replace("_", " ").split())
        if form not in self._known:
            once = list(_shorter(form))
            found = [form, *self.forms.get(form, ()), *once]
            found += [word for stem in once for word in (*self.forms.get(stem, ()), *_shorter(stem))]
            self._known[form] = tuple(dict.fromkeys(word for word in found if word in self.synonyms))
        return self._known[form]

    def is_neutral(self, label: str) -> bool:
        """Whether the label says that no emotion is shown."""
        word = label.casefold().strip()
        return word in self.neutral or word.removesuffix("ly") in self.neutral or word.removesuffix("ity") in self.neutral

    def core(self, label: str, wheel: Wheel, mode: Mode) -> str | None:
        """The inner word of a label on a wheel; None where it reaches none."""
        reached = [word for base in self.bases(label) for word in self.synonyms[base]]
        if mode == "official":
            reached = sorted(reached)
        return next((wheel.core_of[word] for word in reached if word in wheel.core_of), None)

    def cores(self, labels: Collection[str], wheel: Wheel, mode: Mode) -> frozenset[str]:
        """The inner words of several labels; those that reach none are left out."""
        return frozenset(core for label in labels if (core := self.core(label, wheel, mode)) is not None)


def _shorter(form: str) -> Iterator[str]:
    for ending, instead in _ENDINGS:
        stem = form.removesuffix(ending)
        if form.endswith(ending) and len(stem) >= 2:
            yield stem + instead


def load_vocabulary(folder: Path | None = None) -> Vocabulary:
    """The five wheels and the word tables; from `eval/wheels` unless told otherwise.

    Raises:
        DataError: A file is missing or faulty, or a synonym stands on no wheel.
    """
    return _load(folder if folder is not None else catalog.folder("eval") / "wheels")


@functools.lru_cache(maxsize=4)
def _load(folder: Path) -> Vocabulary:
    words = _table(folder / "words.toml")
    try:
        wheels = tuple(_wheel(_table(folder / f"{name.replace('-', '_')}.toml")) for name in words["order"])
        listed: dict[str, list[str]] = words["synonyms"]
        known = {word for wheel in wheels for word in wheel.core_of}
        lost = sorted({word for group in listed.values() for word in group} - known)
        if lost:
            raise DataError(f"{folder / 'words.toml'}: synonyms that stand on no wheel: {', '.join(lost)}.")
        synonyms = {word: (word,) for word in sorted(known)}
        for base, group in listed.items():
            synonyms[base] = tuple(dict.fromkeys((*synonyms.get(base, ()), *group)))
        forms = {form: tuple(bases) for form, bases in words["forms"].items()}
        return Vocabulary(wheels, synonyms, forms, *(frozenset(words[k]) for k in _LISTS))
    except KeyError as error:
        raise DataError(f"a file in {folder} lacks the entry {error}.") from None


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError:
        raise DataError(f"no file at {path}; the wheels belong in eval/wheels.") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path} is faulty: {error}") from None


def _wheel(table: Mapping[str, Any]) -> Wheel:
    core_of: dict[str, str] = {}
    for core, middle in table["rings"].items():
        for word in (core, *middle, *(outer for group in middle.values() for outer in group)):
            core_of.setdefault(word, core)
    return Wheel(table["name"], table["about"], core_of)


def label_words(text: str, vocabulary: Vocabulary | None = None) -> list[str]:
    """Emotion words of a free text, in order, each once; a rule in place of the language model of the official script.

    A plain list ("happy, tense") is taken word for word. In sentences a denied word ("not angry", "without fear") is left out, and a
    word that is often no feeling ("important", "close") counts only where somebody is said to feel or look so.
    """
    known = vocabulary if vocabulary is not None else load_vocabulary()
    text = re.sub(r"<think>.*?(</think>|\Z)", " ", text, flags=re.DOTALL).casefold().replace("’", "'")
    pieces = [" ".join(re.findall(r"[a-z]+(?:['-][a-z]+)*", piece)) for piece in re.split(r"[,;:.!?\n\[\]()]|\band\b", text)]
    pieces = [piece for piece in pieces if piece]
    plain_list = all(len(piece.split()) <= 2 for piece in pieces)
    found: dict[str, None] = {}
    for piece in pieces:
        if plain_list and known.bases(piece):
            found[piece] = None
            continue
        tokens = piece.replace("not only", " ").replace("not just", " ").split()
        for k, token in enumerate(tokens):
            bases = known.bases(token)
            if not bases and not known.is_neutral(token):
                continue
            before = tokens[max(0, k - 4) : k]
            if any(word in known.denials or word.endswith("n't") for word in before) or before[-2:] in (
                ["instead", "of"],
                ["rather", "than"],
            ):
                continue
            if bases and set(bases) <= known.ambiguous and not plain_list and not _felt(tokens[:k], known):
                continue
            found[token] = None
    return list(found)


def _felt(before: Sequence[str], known: Vocabulary) -> bool:
    """Whether somebody is, feels, looks or seems what follows: "it is" does not count."""
    return bool(known.links.intersection(before[-4:]) and known.persons.intersection(before))


@dataclass(frozen=True, slots=True)
class SetScores:
    """Means over the wheels."""

    precision: float
    recall: float
    f: float  # the primary score of OV-MERD: mean over wheels of the harmonic mean of the two means
    kept: float  # share of samples with a true label on the wheel


@dataclass(frozen=True, slots=True)
class HitScores:
    """Means over the wheels; one true label a sample."""

    hit: float  # 1 for a model that lists everything: never report it alone
    mscore: float  # a hit shared among all candidate groups that were named
    chance: float  # the mscore of naming every candidate, and of a blind guess
    above_chance: float  # mscore from chance (0) to perfect (1); 0 for naming everything
    kept: float  # share of samples with the true label on the wheel
    neutral_accuracy: float  # as mscore over all groups and neutral, neutral samples kept
    neutral_uar: float  # mean over the true labels of the same


def set_scores(samples: Sequence[tuple[Collection[str], Collection[str]]], mode: Mode, vocabulary: Vocabulary | None = None) -> SetScores:
    """Set precision, recall and F of open vocabularies.

    Args:
        samples: (true labels, predicted labels); a sample whose true labels reach no group of a wheel is left out for that wheel, and one
            whose predicted labels reach none has precision and recall 0.
        mode: See the head of this file.
        vocabulary: The shipped one unless given.

    Raises:
        DataError: No sample has a true label on any wheel.
    """
    known = vocabulary if vocabulary is not None else load_vocabulary()

    def of_wheel(wheel: Wheel) -> SetScores | None:
        mapped = [(known.cores(t, wheel, mode), known.cores(p, wheel, mode)) for t, p in samples]
        mapped = [(t, p) for t, p in mapped if t]
        if not mapped:
            return None
        precision = _mean([len(t & p) / len(p) if p else 0.0 for t, p in mapped])
        recall = _mean([len(t & p) / len(t) for t, p in mapped])
        f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return SetScores(precision, recall, f, len(mapped) / len(samples))

    found = _each(known, of_wheel)
    return SetScores(*(_mean([getattr(s, each.name) for s in found]) for each in fields(SetScores)))


def hit_scores(
    samples: Sequence[tuple[str, Collection[str]]], candidates: Collection[str], mode: Mode, vocabulary: Vocabulary | None = None
) -> HitScores:
    """Hit rate, mscore and the neutral-aware scores.

    Args:
        samples: (true label, predicted labels); one whose true label is on no group of a wheel is left out for that wheel, except neutral
            in the two neutral scores.
        candidates: All labels of the data set.
        mode: See the head of this file.
        vocabulary: The shipped one unless given.

    Raises:
        DataError: No sample has a true label on any wheel.
    """
    known = vocabulary if vocabulary is not None else load_vocabulary()

    def of_wheel(wheel: Wheel) -> HitScores | None:
        possible = known.cores(candidates, wheel, mode)
        mapped = [(t, known.core(t, wheel, mode), p, known.cores(p, wheel, mode)) for t, p in samples]
        kept = [(core, found) for _, core, _, found in mapped if core is not None]
        if not kept:
            return None
        mscore = _mean([1 / len(found & (possible | {core})) if core in found else 0.0 for core, found in kept])
        chance = 1 / len(possible) if possible else 1.0
        credit: dict[str, list[float]] = {}
        for true, core, predicted, found in mapped:
            goal = NEUTRAL if known.is_neutral(true) else core
            if goal is not None:
                named = found | ({NEUTRAL} if any(known.is_neutral(p) for p in predicted) else set())
                credit.setdefault(true.casefold(), []).append(1 / len(named) if goal in named else 0.0)
        return HitScores(
            hit=_mean([float(core in found) for core, found in kept]),
            mscore=mscore,
            chance=chance,
            above_chance=max(0.0, (mscore - chance) / (1 - chance)) if chance < 1 else 0.0,
            kept=len(kept) / len(samples),
            neutral_accuracy=_mean([c for group in credit.values() for c in group]),
            neutral_uar=_mean([_mean(group) for group in credit.values()]),
        )

    found = _each(known, of_wheel)
    return HitScores(*(_mean([getattr(s, each.name) for s in found]) for each in fields(HitScores)))


def _each(known: Vocabulary, score: Callable[[Wheel], T | None]) -> list[T]:
    found = [s for wheel in known.wheels if (s := score(wheel)) is not None]
    if not found:
        raise DataError("no sample has a true label that stands on a wheel; neutral and unknown words stand on none.")
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
