"""A judge against an exact key.

Captions are written from the phrase tables of `emollm.synth.captions`; what is claimed of them was said in other words, in another order,
the other way round, or was invented. Which phrases mean the same, and which the opposite, is our reading of the tables.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from emollm.evaluation.comparison import cohen_kappa, exact_agreement
from emollm.evaluation.events import Relation, movements
from emollm.evaluation.judges.verdict import Judge
from emollm.synth.captions import _DOING, _MOVES

# Units that say the same of one part of the face; inside a family another phrase is a paraphrase.
FAMILIES = (
    ("browDown",), ("browOuterUp",), ("browInnerUp",), ("cheekSquint",), ("cheekPuff",), ("eyeSquint", "eyeBlink"), ("eyeWide",),
    ("eyeLookDown",), ("jawOpen",), ("jawForward",), ("mouthSmile",), ("mouthFrown",), ("mouthDimple",), ("mouthPress",), ("mouthStretch",),
    ("mouthUpperUp", "mouthShrugUpper"), ("mouthPucker",), ("mouthFunnel",), ("mouthRollLower",), ("mouthShrugLower",), ("noseSneer",),
    ("tongueOut",), ("mouthClose",),
)  # fmt: skip
# Each family's opposite, where it has one.
OPPOSITES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("eyeWide",): ("eyeSquint", "eyeBlink"),
    ("mouthSmile",): ("mouthFrown",),
    ("jawOpen",): ("mouthClose",),
}
_TURNS = [(_MOVES[kind, "left"], _MOVES[kind, "right"]) for kind in ("turn", "tilt", "glance")]
# Not the same and not apart: such two are never told and claimed of one caption.
_NEAR = ({"mouthPucker", "mouthFunnel"}, {"browOuterUp", "browInnerUp", "browDown"})
KINDS = ("paraphrased", "reordered", "contradicted", "invented")


@dataclass(frozen=True, slots=True)
class Pair:
    """A caption, an event claimed of it, and what is true."""

    kind: str
    caption: str
    claim: str
    key: Relation


@dataclass(frozen=True, slots=True)
class Checked:
    """How a judge did."""

    n: int
    agreement: float
    kappa: float
    by_kind: dict[str, float]
    wrong: tuple[tuple[Pair, str], ...]


def pairs(count: int, seed: int = 0) -> list[Pair]:
    """Pairs of every kind in turn."""
    rng = random.Random(seed)
    return [_pair(KINDS[k % len(KINDS)], rng) for k in range(count)]


def _pair(kind: str, rng: random.Random) -> Pair:
    chosen = rng.sample([f for f in FAMILIES if f != ("mouthClose",)], 4)
    # Of two opposites only one is told, or the key would hang on which of them comes when.
    told = [f for k, f in enumerate(chosen) if not any(_against(f, g) or _near(f, g) for g in chosen[:k])]
    if kind == "contradicted":
        first, second = rng.choice([*OPPOSITES.items(), *((b, a) for a, b in OPPOSITES.items()), *_turned(rng)])
        told = [f for f in told if not _against(f, first) and not _against(f, second) and f not in (first, second)]
        spoken = [_words(f, rng) for f in [*told, first]]
        rng.shuffle(spoken)
        return Pair(kind, _caption(spoken), _sentence(_words(second, rng)), "contradicted")
    spoken = [_words(f, rng) for f in told]
    if kind == "invented":
        free = [f for f in FAMILIES if f not in told and not any(_against(f, g) or _near(f, g) for g in told)]
        return Pair(kind, _caption(spoken), _sentence(_words(rng.choice(free), rng)), "neutral")
    at = rng.randrange(len(told))
    claim = _words(told[at], rng) if kind == "paraphrased" else spoken[at]
    if kind == "reordered":
        spoken = spoken[::-1]
    return Pair(kind, _caption(spoken), _sentence(claim), "entailed")


def _turned(rng: random.Random) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    left, right = rng.choice(_TURNS)
    return [((left,), (right,)), ((right,), (left,))]


def _against(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return OPPOSITES.get(first) == second or OPPOSITES.get(second) == first


def _near(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    return any(near >= set(first) | set(second) for near in _NEAR)


def _words(family: tuple[str, ...], rng: random.Random) -> str:
    unit = rng.choice(family)
    return rng.choice(_DOING[unit]) if unit in _DOING else f"the person {unit}"


def _caption(spoken: Sequence[str]) -> str:
    return " Then ".join(f"{clause}." for clause in spoken)


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:] + "."


def check(judge: Judge, made: Sequence[Pair]) -> Checked:
    """Hold a judge against the key; a claim in which no movement is read counts as neutral."""
    said: list[str] = []
    for pair in made:
        claims = movements(pair.claim)
        said.append(judge.judge(movements(pair.caption), claims[:1])[0].relation if claims else "neutral")
    keys = [p.key for p in made]
    kinds = {k: [s == p.key for s, p in zip(said, made, strict=True) if p.kind == k] for k in KINDS}
    wrong = tuple((p, s) for p, s in zip(made, said, strict=True) if s != p.key)
    shares = {k: round(sum(v) / len(v), 4) for k, v in kinds.items() if v}
    return Checked(len(made), exact_agreement(keys, said), cohen_kappa(keys, said), shares, wrong)
