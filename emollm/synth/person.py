"""Who a synthetic person is: shape, skin, hair, beard, glasses and clothes as numbers, drawn at random.

Nobody is copied: all is drawn from ranges, and a person is the same for ever by its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

HairStyle = Literal["bald", "buzz", "short", "curls", "long", "bob", "bun"]
Neckline = Literal["crew", "v-neck", "collar", "turtleneck"]
Glasses = Literal["none", "round", "square", "wide"]

_AGES = ("baby", "child", "young", "old")
_AGE_AT = (0.0, 1 / 3, 2 / 3, 1.0)
_LEFT_OUT = ("neck-trans", "head-trans", "head-age", "head-angle", "measure", "eye-trans")  # they move the whole head, or break the eyes
_ASIDE = ("mouth-trans-in", "mouth-trans-out", "nose-trans-in", "nose-trans-out")  # whole parts to one side, as hardly any face is
_DARK, _MIDDLE, _LIGHT = np.array([0.085, 0.040, 0.022]), np.array([0.36, 0.19, 0.115]), np.array([0.66, 0.42, 0.32])  # skin, linear light
_HAIR = ((0.012, 0.009, 0.008), (0.035, 0.020, 0.012), (0.09, 0.05, 0.025), (0.25, 0.16, 0.07), (0.20, 0.06, 0.02))
_IRIS = ((0.06, 0.03, 0.015), (0.12, 0.06, 0.02), (0.10, 0.16, 0.22), (0.10, 0.15, 0.07))


_HAIR_WORDS = {
    "bald": "no hair", "buzz": "very short", "short": "short", "curls": "curly", "long": "long", "bob": "shoulder-length",
    "bun": "tied-back",
}  # fmt: skip
_BEARD_WORDS = {"full": "a full beard", "goatee": "a goatee", "moustache": "a moustache", "stubble": "stubble"}


@dataclass(frozen=True, slots=True)
class Person:
    """One identity."""

    seed: int
    age: float  # 1/3 is a child, 2/3 a young adult, 1 an old person
    masculinity: float  # 0 to 1
    origins: tuple[float, float, float]  # shares of African, Asian and European features; they sum to 1
    shape: Mapping[str, float]  # shape target -> strength
    skin: tuple[float, float, float]  # linear light
    freckles: float
    hair: tuple[float, float, float]
    hair_style: HairStyle
    hair_thickness: float  # decimetres
    hair_length: float  # of hanging hair, decimetres below the eyes
    hair_line: float  # receding, decimetres
    beard: float  # density
    beard_shape: Literal["full", "goatee", "moustache", "stubble"]
    brows: float
    lips: float
    make_up: float
    iris: tuple[float, float, float]
    pupil: float  # decimetres
    shine: float
    glasses: Glasses
    glasses_colour: tuple[float, float, float]
    clothes: tuple[float, float, float]
    clothes_second: tuple[float, float, float]
    pattern: Literal["plain", "stripes", "checks", "heather"]
    neckline: Neckline
    expressiveness: float  # how strongly this person moves their face
    reach: float  # how far their face moves at full strength, about 1
    droop: float  # of the upper lids at rest, as a share of a blink
    brow_rest: float  # height of the brows at rest: below 0 low
    lopsided: float  # habit of moving one side more: -1 left only, 1 right only
    teeth_show: float  # habit of showing teeth when smiling
    voice: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def description(self) -> Mapping[str, str]:
        """What can be said of the appearance in words: age group, skin, hair, beard, glasses."""
        age = "child" if self.age < 0.45 else "young" if self.age < 0.74 else "middle-aged" if self.age < 0.88 else "older"
        light = sum(self.skin) / 3
        tone = "dark" if light < 0.12 else "brown" if light < 0.25 else "light brown" if light < 0.36 else "light"
        length = _HAIR_WORDS[self.hair_style]
        if self.hair_style != "bald":
            length = f"{length} {_hair_colour(self.hair)} hair"
        found = {"age": age, "skin": tone, "hair": length}
        if self.beard > 0.2:
            found["beard"] = _BEARD_WORDS[self.beard_shape]
        if self.glasses != "none":
            found["glasses"] = "glasses"
        return found


def _hair_colour(hair: tuple[float, float, float]) -> str:
    red, green, _ = hair
    bright = sum(hair) / 3
    if max(hair) - min(hair) < 0.06 * max(hair) + 0.02 and bright > 0.1:
        return "grey"
    if bright < 0.085:
        return "black" if bright < 0.016 else "dark brown" if bright < 0.04 else "brown"
    return "red" if red > 2.6 * green else "blond"


def draw_person(seed: int, shape_names: Mapping[str, int]) -> Person:
    """A person by seed.

    Args:
        seed: The same seed is the same person.
        shape_names: Targets the mesh knows.
    """
    rng = np.random.default_rng([seed, 1])
    masculinity = float(np.clip(rng.choice([0.06, 0.94]) + rng.normal(0, 0.1), 0, 1))
    male = masculinity > 0.5
    band = rng.random()
    age = float(rng.uniform(0.3, 0.48) if band < 0.1 else rng.uniform(0.55, 0.8) if band < 0.68 else rng.uniform(0.8, 1.0))
    origins = rng.dirichlet([0.4] * 3)
    child = age < 0.48
    tone = float(np.clip(origins @ np.array([0.2, 0.66, 0.78]) + rng.normal(0, 0.13), 0.08, 0.97))
    skin = np.array([np.interp(tone, [0.08, 0.5, 0.97], [_DARK[c], _MIDDLE[c], _LIGHT[c]]) for c in range(3)])
    skin = skin * (1 + rng.normal(0, 0.05, 3)) * (1 + rng.normal(0, 0.05))
    european = origins[2] > 0.5
    chances = np.array([0.3, 0.25, 0.22, 0.15, 0.08] if european else [0.78, 0.18, 0.04, 0, 0])
    hair = np.array(_HAIR[rng.choice(5, p=chances)]) * rng.uniform(0.8, 1.25)
    grey = float(np.clip((age - 0.8) * 5 + rng.normal(0, 0.2), 0, 1)) if age > 0.78 else 0.0
    hair = hair * (1 - grey) + np.array([0.42, 0.41, 0.40]) * rng.uniform(0.6, 1.2) * grey
    if rng.random() < 0.04:  # dyed
        hair = rng.uniform(0.02, 0.4, 3)
    iris = np.array(_IRIS[rng.choice(4, p=[0.3, 0.2, 0.3, 0.2] if european else [0.8, 0.2, 0, 0])]) * rng.uniform(0.7, 1.3)
    if male:
        style = rng.choice(["short", "buzz", "bald", "curls", "long", "bun"], p=[0.50, 0.2, 0.13, 0.1, 0.04, 0.03])
    else:
        style = rng.choice(["short", "buzz", "bald", "curls", "long", "bob", "bun"], p=[0.14, 0.02, 0.01, 0.13, 0.32, 0.2, 0.18])
    if child and style in ("bald", "buzz"):
        style = "short"
    grown = male and not child and age > 0.56
    beard = float(rng.choice([0, 0.3, 0.6, 0.95], p=[0.34, 0.24, 0.22, 0.2])) if grown else 0.0
    make_up = float(rng.beta(1, 2)) if not male and not child else 0.0

    def colour(low: float, high: float) -> tuple[float, float, float]:
        grey_level, tint = rng.uniform(low, high), rng.normal(0, 0.35, 3)
        red, green, blue = np.clip(grey_level * np.exp(tint), 0.01, 0.8)
        return float(red), float(green), float(blue)

    return Person(
        seed=seed,
        age=age,
        masculinity=masculinity,
        origins=(float(origins[0]), float(origins[1]), float(origins[2])),
        shape=_draw_shape(rng, age, masculinity, origins, shape_names),
        skin=_triple(np.clip(skin, 0.015, 0.85)),
        freckles=float(rng.uniform(0.3, 1)) if european and rng.random() < 0.2 else 0.0,
        hair=_triple(hair),
        hair_style=str(style),  # type: ignore[arg-type]
        hair_thickness=float(rng.uniform(0.16, 0.5) if style == "curls" else rng.uniform(0.05, 0.2)),
        hair_length=float(rng.uniform(1.5, 2.4) if style == "long" else rng.uniform(0.75, 1.35)),
        hair_line=float(rng.uniform(-0.16, 0.08) + (rng.uniform(0, 0.3) if male and age > 0.75 else 0)),
        beard=beard,
        beard_shape=str(rng.choice(["full", "goatee", "moustache", "stubble"], p=[0.4, 0.2, 0.15, 0.25])),  # type: ignore[arg-type]
        brows=float(rng.uniform(0.5, 1.1)),
        lips=float(rng.uniform(0.2, 0.9)),
        make_up=make_up,
        iris=_triple(iris),
        pupil=float(rng.uniform(0.02, 0.034)),
        shine=float(rng.uniform(0.04, 0.2)),
        glasses=str(rng.choice(["round", "square", "wide"])) if rng.random() < (0.1 if child else 0.22 + 0.3 * (age > 0.85)) else "none",  # type: ignore[arg-type]
        glasses_colour=_triple(np.clip(rng.choice([0.02, 0.05, 0.3]) * np.exp(rng.normal(0, 0.4, 3)), 0.01, 0.6)),
        clothes=colour(0.02, 0.5),
        clothes_second=colour(0.02, 0.6),
        pattern=str(rng.choice(["plain", "stripes", "checks", "heather"], p=[0.5, 0.18, 0.12, 0.2])),  # type: ignore[arg-type]
        neckline=str(rng.choice(["crew", "v-neck", "collar", "turtleneck"], p=[0.4, 0.2, 0.28, 0.12])),  # type: ignore[arg-type]
        expressiveness=float(rng.uniform(0.75, 1.2)),
        reach=float(rng.uniform(0.85, 1.15)),
        droop=float(rng.uniform(0.02, 0.16)),
        brow_rest=float(np.clip(rng.normal(-0.15, 0.2), -0.6, 0.3)),
        lopsided=float(np.clip(rng.normal(0, 0.18), -0.6, 0.6)),
        teeth_show=float(rng.beta(2, 2)),
        voice={"pitch": float(rng.uniform(0.85, 1.15)), "rate": float(rng.uniform(0.88, 1.12))},
    )


def _triple(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(v) for v in values)
    return red, green, blue


def _draw_shape(
    rng: np.random.Generator, age: float, masculinity: float, origins: np.ndarray[Any, Any], names: Mapping[str, int]
) -> dict[str, float]:
    """Macro targets are products of age, sex, build and origin; local ones vary one feature each."""
    shape: dict[str, float] = {}
    along = float(np.interp(age, _AGE_AT, range(4)))
    first = min(2, int(along))
    ages = {_AGES[first]: 1 - (along - first), _AGES[first + 1]: along - first}
    muscle, weight = np.clip(0.5 + rng.normal(0, [0.2, 0.26]), 0, 1)

    def split(value: float, what: str) -> dict[str, float]:
        return {f"min{what}": max(0.0, 1 - 2 * value), f"average{what}": 1 - abs(2 * value - 1), f"max{what}": max(0.0, 2 * value - 1)}

    for sex, sex_share in (("female", 1 - masculinity), ("male", masculinity)):
        for age_name, age_share in ages.items():
            for m, m_share in split(float(muscle), "muscle").items():
                for w, w_share in split(float(weight), "weight").items():
                    name, strength = f"macro/universal-{sex}-{age_name}-{m}-{w}", sex_share * age_share * m_share * w_share
                    if name in names and strength > 0:
                        shape[name] = float(strength)
            for origin, share in zip(("african", "asian", "caucasian"), origins, strict=True):
                name = f"macro/{origin}-{sex}-{age_name}"
                if name in names:
                    shape[name] = float(sex_share * age_share * share)
    return shape | _draw_features(rng, names)


def _draw_features(rng: np.random.Generator, names: Mapping[str, int]) -> dict[str, float]:
    """Local targets: few at a time, both sides nearly alike."""
    shape: dict[str, float] = {}
    drawn: dict[str, float] = {}
    for name in names:
        feature = name.removeprefix("local/")
        if not name.startswith("local/") or feature.startswith(_LEFT_OUT) or "shape-pointed" in feature:
            continue
        sided = feature[:2] in ("l-", "r-")
        key = feature[2:] if sided else feature
        if key not in drawn:
            drawn[key] = abs(rng.normal()) * 0.58 * (rng.random() < 0.45)
        value = abs(rng.normal()) * 0.15 * (rng.random() < 0.3) if feature.startswith("asym") else drawn[key]
        if sided:
            value *= 1 + rng.normal() * 0.08
        if "trans" in feature or "scale" in feature:
            value *= 0.6
        if feature.startswith(("head", "forehead")):  # skulls differ less than noses do
            value *= 0.5
        if feature in _ASIDE:
            value *= 0.15
        if value > 0.02:
            shape[name] = float(min(0.85, value))  # beyond this faces become caricatures
    return shape
