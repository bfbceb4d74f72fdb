"""The 52 facial units that are measured and rendered: ARKit's names, and the FACS action units they stand for."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from emollm.values import Floats

# ARKit name without side -> (FACS name, sides)
_TABLE: tuple[tuple[str, str, str], ...] = (
    ("browDown", "AU4 brow lowerer", "LR"),
    ("browInnerUp", "AU1 inner brow raiser", ""),
    ("browOuterUp", "AU2 outer brow raiser", "LR"),
    ("cheekPuff", "AD34 cheek puff", ""),
    ("cheekSquint", "AU6 cheek raiser", "LR"),
    ("eyeBlink", "AU45 blink", "LR"),
    ("eyeLookDown", "AU64 eyes down", "LR"),
    ("eyeLookIn", "AU61/62 eyes turned inwards", "LR"),
    ("eyeLookOut", "AU61/62 eyes turned outwards", "LR"),
    ("eyeLookUp", "AU63 eyes up", "LR"),
    ("eyeSquint", "AU7 lid tightener", "LR"),
    ("eyeWide", "AU5 upper lid raiser", "LR"),
    ("jawForward", "AD29 jaw thrust", ""),
    ("jawLeft", "AD30 jaw sideways, left", ""),
    ("jawOpen", "AU26 jaw drop", ""),
    ("jawRight", "AD30 jaw sideways, right", ""),
    ("mouthClose", "AU8 lips toward each other", ""),
    ("mouthDimple", "AU14 dimpler", "LR"),
    ("mouthFrown", "AU15 lip corner depressor", "LR"),
    ("mouthFunnel", "AU22 lip funneler", ""),
    ("mouthLeft", "mouth sideways, left", ""),
    ("mouthLowerDown", "AU16 lower lip depressor", "LR"),
    ("mouthPress", "AU24 lip pressor", "LR"),
    ("mouthPucker", "AU18 lip pucker", ""),
    ("mouthRight", "mouth sideways, right", ""),
    ("mouthRollLower", "AU28 lower lip suck", ""),
    ("mouthRollUpper", "AU28 upper lip suck", ""),
    ("mouthShrugLower", "AU17 chin raiser", ""),
    ("mouthShrugUpper", "AU17 chin raiser, upper lip", ""),
    ("mouthSmile", "AU12 lip corner puller", "LR"),
    ("mouthStretch", "AU20 lip stretcher", "LR"),
    ("mouthUpperUp", "AU10 upper lip raiser", "LR"),
    ("noseSneer", "AU9 nose wrinkler", "LR"),
    ("tongueOut", "AD19 tongue show", ""),
)
UNITS: tuple[str, ...] = tuple(
    name + side for name, _, sides in _TABLE for side in ([{"L": "Left", "R": "Right"}[s] for s in sides] if sides else [""])
)
"""All 52 names in a fixed order; the columns of every truth table."""

FACS: dict[str, str] = {
    name + side: facs for name, facs, sides in _TABLE for side in ([{"L": "Left", "R": "Right"}[s] for s in sides] if sides else [""])
}
ACTION_UNITS: dict[str, tuple[str, ...]] = {
    "AU01": ("browInnerUp",), "AU02": ("browOuterUp",), "AU04": ("browDown",), "AU05": ("eyeWide",), "AU06": ("cheekSquint",),
    "AU07": ("eyeSquint",), "AU09": ("noseSneer",), "AU10": ("mouthUpperUp",), "AU12": ("mouthSmile",), "AU14": ("mouthDimple",),
    "AU15": ("mouthFrown",), "AU16": ("mouthLowerDown",), "AU17": ("mouthShrugLower",), "AU18": ("mouthPucker",),
    "AU20": ("mouthStretch",), "AU22": ("mouthFunnel",), "AU24": ("mouthPress",), "AU26": ("jawOpen",), "AU28": ("mouthRollLower",),
    "AU45": ("eyeBlink",),
}  # fmt: skip
"""Numbered FACS action units -> units without side; for tables whose readers expect the numbers."""

INDEX = {name: i for i, name in enumerate(UNITS)}
TOWARDS_LEFT = ("eyeLookOutLeft", "eyeLookInRight")
"""Units that turn the eyes to the person's left."""
TOWARDS_RIGHT = ("eyeLookInLeft", "eyeLookOutRight")
PAIRED = frozenset(name for name, _, sides in _TABLE if sides)


def both(**strengths: float) -> Floats:
    """[52] strengths from names; a name with two sides sets both. `both(mouthSmile=.8, jawOpen=.1)`."""
    found = np.zeros(len(UNITS), np.float32)
    for name, value in strengths.items():
        for full in (f"{name}Left", f"{name}Right") if name in PAIRED else (name,):
            found[INDEX[full]] = value
    return found


def action_units(units: Floats) -> dict[str, Floats]:
    """Units [n, 52] to numbered action units, each [n]: the stronger of both sides."""
    found = {}
    for number, names in ACTION_UNITS.items():
        columns = [INDEX[n + side] for n in names for side in (("Left", "Right") if n in PAIRED else ("",))]
        found[number] = np.asarray(units)[:, columns].max(1)
    return found


@cache
def mirrored_units() -> NDArray[np.intp]:
    """[52] which unit each becomes when the face is mirrored: left and right change places."""
    other = {"Left": "Right", "Right": "Left"}

    def swapped(name: str) -> str:
        side = next((s for s in other if name.endswith(s)), "")
        return name.removesuffix(side) + other[side] if side else name

    return np.array([INDEX[swapped(name)] for name in UNITS])
