"""How emotions look: for each family, which facial units belong to it, how often and how strongly, and what stands for what.

Families are ranges, not recipes: each drawing leaves parts out, and each person has habits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from emollm.synth.book import book
from emollm.synth.person import Person
from emollm.units import INDEX, PAIRED, UNITS
from emollm.values import Floats


@dataclass(frozen=True, slots=True)
class Part:
    """One unit of an expression: how often it takes part and how strongly at full expression."""

    unit: str  # without side
    chance: float
    low: float
    high: float


@cache
def families() -> Mapping[str, tuple[tuple[float, tuple[Part, ...]], ...]]:
    """Family -> variants, each a weight and its parts; read from instruct_data/synth/expressions.toml."""
    found = {}
    for name, table in book("expressions").items():
        found[name] = tuple((v["weight"], tuple(Part(unit, *row) for unit, row in v["units"].items())) for v in table["variants"])
    return found


BASIC = ("neutral", "happy", "sad", "surprise", "angry", "fear", "disgust", "contempt")


@dataclass(frozen=True, slots=True)
class Expression:
    """One drawing of a family: facial units at full strength."""

    family: str
    units: Floats  # [52]
    side: str  # "both", "left" or "right"

    def named(self, least: float = 0.15) -> dict[str, float]:
        """Units that take part, by name."""
        return {name: round(float(v), 3) for name, v in zip(UNITS, self.units, strict=True) if v >= least}


def draw_expression(family: str, person: Person, rng: np.random.Generator, strength: float = 1.0) -> Expression:
    """Draw one way in which this person shows a family.

    Args:
        family: A key of `families()`, or "free" for units that belong together in no emotion.
        person: Has habits: some parts of a family come easily to them, some hardly ever.
        rng: Of this drawing.
        strength: 1 is a full expression.
    """
    found = np.zeros(len(UNITS), np.float32)
    if family == "free":
        return _free(rng, strength)
    variants = families()[family]
    weights = np.array([w for w, _ in variants])
    habits = np.random.default_rng([person.seed, sum(map(ord, family))])
    taste = weights * habits.uniform(0.4, 1.6, len(weights))
    _, chosen = variants[int(rng.choice(len(variants), p=taste / taste.sum()))]
    for part in chosen:
        ease = 1.0 if part.chance == 1 else float(habits.uniform(0.6, 1.4))
        if rng.random() < part.chance * ease:
            _set(found, part.unit, float(rng.uniform(part.low, part.high)), rng)
    if family == "happy" and person.teeth_show < 0.3:
        for name in ("mouthUpperUpLeft", "mouthUpperUpRight", "jawOpen"):
            found[INDEX[name]] *= 0.4
    side = "both"
    if rng.random() < book("expressions")[family].get("one_sided", 0.0):
        side = str(rng.choice(["left", "right"]))
        weak = "Right" if side == "left" else "Left"
        for name in UNITS:
            if name.endswith(weak) and not name.startswith("eye"):
                found[INDEX[name]] *= rng.uniform(0, 0.3)
    elif abs(person.lopsided) > 0.1:
        weak = "Right" if person.lopsided < 0 else "Left"
        for name in UNITS:
            if name.endswith(weak) and name.startswith(("mouth", "brow", "nose", "cheek")):
                found[INDEX[name]] *= 1 - 0.6 * abs(person.lopsided)
    return Expression(family, np.clip(found * strength * person.expressiveness, 0, 1).astype(np.float32), side)


def _free(rng: np.random.Generator, strength: float) -> Expression:
    """Two to six units of any kind, so that no unit is only ever seen with its companions."""
    found = np.zeros(len(UNITS), np.float32)
    names = sorted({n.removesuffix("Left").removesuffix("Right") for n in UNITS if not n.startswith(("eyeLook", "tongue"))})
    for name in rng.choice(names, rng.integers(2, 7), replace=False):
        _set(found, _whole(str(name)), float(rng.uniform(0.25, 1.0)), rng)
    return Expression("free", np.clip(found * strength, 0, 1), "both")


def _whole(name: str) -> str:
    """jawLeft and mouthLeft lose their side in the list above; take one side at a time."""
    return f"{name}Left" if name in ("jaw", "mouth") else name


def _set(found: Floats, unit: str, value: float, rng: np.random.Generator) -> None:
    if unit in PAIRED:
        for side in ("Left", "Right"):
            found[INDEX[unit + side]] = np.clip(value * (1 + rng.normal(0, 0.08)), 0, 1)
    else:
        found[INDEX[unit]] = value
