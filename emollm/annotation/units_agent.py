"""The units agent: where the facial units of an expression are strongest, which are active there, and which emotion they belong to.

Source: the peak frame by sums of action units follows Emotion-LLaMA v2 (arXiv 2601.16449); units of each emotion after the emotion
prototypes of FACS (Ekman and Friesen, 1978). Differs: the units come from our own encoder, and without a label the expression that
leads in the face, or all units together where none does, chooses what is summed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emollm.annotation.finding import Finding, listed, sentence
from emollm.units import ACTION_UNITS, FACS, PAIRED, UNITS, action_units
from emollm.values import Analysis, FaceReading, Floats

ACTIVE = 0.3  # strength from which a unit counts as there
TOGETHER_S = 0.4  # movements that begin within this are told together
MOST_TOLD = 4
PROTOTYPES: Mapping[str, tuple[str, ...]] = {
    "happy": ("AU06", "AU12"),
    "sad": ("AU01", "AU15"),
    "surprise": ("AU01", "AU02", "AU05", "AU26"),
    "angry": ("AU04", "AU05", "AU07", "AU24"),
    "fear": ("AU01", "AU02", "AU04", "AU05", "AU20"),
    "disgust": ("AU09", "AU10"),
    "contempt": ("AU14",),
}
NOUNS: Mapping[str, str] = {
    "happy": "happiness", "sad": "sadness", "surprise": "surprise", "angry": "anger", "fear": "fear", "disgust": "disgust",
    "contempt": "contempt", "bored": "boredom", "neutral": "calm",
}  # fmt: skip
# unit without side -> what is seen when it begins; blinks and gaze come and go with everything and are not told
_DOING: Mapping[str, str] = {
    "browDown": "the brows draw down and together", "browInnerUp": "the inner brows rise", "browOuterUp": "the outer brows rise",
    "cheekPuff": "the cheeks puff out", "cheekSquint": "the cheeks lift", "eyeSquint": "the eyelids tighten",
    "eyeWide": "the eyes open wide", "jawForward": "the jaw juts forward", "jawOpen": "the mouth opens",
    "mouthDimple": "the mouth corners tighten", "mouthFrown": "the corners of the mouth turn down",
    "mouthLowerDown": "the lower lip drops", "mouthPress": "the lips press together", "mouthPucker": "the lips purse",
    "mouthShrugLower": "the chin pushes up", "mouthSmile": "the corners of the mouth rise", "mouthStretch": "the lips stretch sideways",
    "mouthUpperUp": "the upper lip lifts", "noseSneer": "the nose wrinkles",
}  # fmt: skip
_TOLD = tuple(k for k, name in enumerate(UNITS) if name.removesuffix("Left").removesuffix("Right") in _DOING)


def look_at_units(analysis: Analysis, label: str = "") -> Finding:
    """The main character's units.

    Args:
        analysis: What was measured.
        label: In guided mode the emotion to explain, of `verdict.EMOTIONS`; its units choose the peak.
    """
    if not analysis.faces:
        return Finding("")
    reading = analysis.faces[0]
    if reading.units is None:
        return Finding("")
    asked = label if label in PROTOTYPES else leading(reading)
    bare = ""
    if asked and max(action_units(smooth(reading.units))[n].max() for n in PROTOTYPES[asked]) < ACTIVE:
        bare, asked = f"No unit of {NOUNS[asked]} is clearly active. " if label == asked else "", ""  # else frame 0 would be its peak
    k = peak(reading, asked)
    time_s = float(reading.track.times_s[k])
    strengths = {n: float(v[k]) for n, v in action_units(smooth(reading.units)).items() if n != "AU45" and v[k] >= ACTIVE}
    emotion = pattern(reading)
    if not strengths:
        return Finding("No facial unit is clearly active.", "No facial unit is clearly active.", emotion, peak_s=time_s)
    names = {n: FACS[u[0] + ("Left" if u[0] in PAIRED else "")].split(maxsplit=1)[1] for n, u in ACTION_UNITS.items()}
    order = sorted(strengths, key=lambda n: -strengths[n])
    where = f"the units of {NOUNS[asked]}" if asked else "all units together"
    text = [f"{bare}{sentence(f'{where} are strongest at {time_s:.1f} s')}"]
    text.append(f"Active there: {', '.join(f'{n} {names[n]} ({strengths[n]:.2f})' for n in order)}.")
    story = movements_told(reading)
    if emotion != "neutral":
        story += f" These movements of the face belong to {NOUNS[emotion]}."
    return Finding(" ".join([*text, story]).strip(), story.strip(), emotion, peak_s=time_s)


def leading(reading: FaceReading) -> str:
    """The expression other than calm that is seen most; empty where none ever is."""
    shares = {name: float(smooth(reading.scores)[:, k].mean()) for k, name in enumerate(reading.labels) if name in PROTOTYPES}
    strongest = {name: float(smooth(reading.scores)[:, reading.labels.index(name)].max()) for name in shares}
    best = max(shares, key=lambda name: shares[name], default="")
    return best if best and strongest[best] >= ACTIVE else ""


def peak(reading: FaceReading, emotion: str) -> int:
    """Which row of a reading has the largest sum of an emotion's units, or of all that are told where it is empty."""
    if reading.units is None:
        raise ValueError("no units were measured")
    units = smooth(reading.units)
    if emotion:
        numbered = action_units(units)
        return int(np.argmax(np.sum([numbered[n] for n in PROTOTYPES[emotion]], axis=0)))
    return int(units[:, _TOLD].sum(1).argmax())


def pattern(reading: FaceReading) -> str:
    """The emotion whose prototype is fulfilled best at its own best frame; "neutral" where none is.

    The weakest unit of a prototype counts as much as all others together, so that raised inner brows alone are no fear.
    """
    if reading.units is None:
        return ""
    numbered = action_units(smooth(reading.units))
    fit = {}
    for emotion, needed in PROTOTYPES.items():
        rows = np.stack([numbered[n] for n in needed])  # [units, n]
        if emotion == "contempt":  # one corner alone; both together are a plain dimple
            left, right = (smooth(reading.units)[:, UNITS.index(f"mouthDimple{side}")] for side in ("Left", "Right"))
            rows = np.abs(left - right)[None]
        fit[emotion] = float(((rows.mean(0) + rows.min(0)) / 2).max())
    best = max(fit, key=lambda name: fit[name])
    return best if fit[best] >= ACTIVE else "neutral"


def movements_told(reading: FaceReading) -> str:
    """Which parts move, when they begin, in order: one sentence for those that begin together."""
    if reading.units is None:
        return ""
    units, times = smooth(reading.units), reading.track.times_s
    begun: dict[str, tuple[float, float]] = {}  # unit without side -> onset, strength
    for k in _TOLD:
        row, name = units[:, k], UNITS[k].removesuffix("Left").removesuffix("Right")
        low, high = float(np.percentile(row, 10)), float(row.max())
        if high < ACTIVE or begun.get(name, (0.0, 0.0))[1] >= high:
            continue
        begun[name] = (float(times[int(np.argmax(row >= max((low + high) / 2, ACTIVE)))]), high)
    told = sorted(sorted(begun, key=lambda n: -begun[n][1])[:MOST_TOLD], key=lambda n: (begun[n][0], -begun[n][1]))
    groups: list[list[str]] = []
    for name in told:
        if groups and begun[name][0] - begun[groups[-1][0]][0] <= TOGETHER_S:
            groups[-1].append(name)
        else:
            groups.append([name])
    return " ".join(f"At {begun[g[0]][0]:.1f} s {listed([_DOING[n] for n in g])}." for g in groups)


def smooth(values: Floats) -> Floats:
    """[n, d] median of three neighbours, against single wild frames."""
    if len(values) < 3:
        return np.asarray(values)
    padded = np.pad(np.asarray(values, float), ((1, 1), (0, 0)), mode="edge")
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))
