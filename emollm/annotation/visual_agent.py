"""The visual agent: who is seen, which expression when, and how the head moves, in plain sentences."""

from __future__ import annotations

from typing import Any

import numpy as np

from emollm.annotation.finding import Finding, sentence
from emollm.annotation.units_agent import smooth
from emollm.exports.report import face_stretches
from emollm.values import Analysis, FaceReading
from emollm.verdict import SURE

BRIEF_S = 0.75  # shorter expressions are left to the full text
TURNED = 15.0  # degrees from where the head mostly is
LOWERED = 12.0  # the same; nodding is seen less well, but is smaller
WORDS = {
    "neutral": "neutral", "happy": "happy", "sad": "sad", "surprise": "surprised", "angry": "angry", "fear": "afraid",
    "disgust": "disgusted", "contempt": "contemptuous", "bored": "bored", "calm": "calm",
}  # fmt: skip
_COUNTED = {1: "one person is", 2: "two people are", 3: "three people are", 4: "four people are"}


def look(analysis: Analysis) -> Finding:
    """The main character's face and head over time; empty where no face is seen."""
    if not analysis.faces:
        return Finding("")
    reading = analysis.faces[0]
    n = len(analysis.faces)
    who = sentence(f"{_COUNTED.get(n, f'{n} people are')} visible")
    if n > 1:
        who += " This is about the one seen most."
    rows = face_stretches(reading, analysis.duration_s)
    story = course(rows, float(reading.scores.mean(0).max()), still=analysis.kind == "image")
    brief = [r for r in rows if r["end_s"] - r["start_s"] < BRIEF_S and r["label"] != "neutral"] if len(rows) > 1 else []
    glimpses = [f"Briefly, at {r['start_s']:.1f} s, the face looks {WORDS.get(r['label'], r['label'])}." for r in brief]
    head = head_story(reading)
    return Finding(" ".join(s for s in (who, story, *glimpses, head) if s), " ".join(s for s in (story, head) if s), shown(reading, rows))


def shown(reading: FaceReading, rows: list[dict[str, Any]]) -> str:
    """The expression other than calm that lasts longest, if it is no glimpse: a smile at the end of a calm clip is what it shows."""
    seconds: dict[str, float] = {}
    for row in rows:
        if row["label"] != "neutral" and (len(rows) == 1 or row["end_s"] - row["start_s"] >= BRIEF_S):
            seconds[row["label"]] = seconds.get(row["label"], 0.0) + row["end_s"] - row["start_s"]
    return max(seconds, key=lambda name: seconds[name]) if seconds else reading.labels[int(reading.scores.mean(0).argmax())]


def course(rows: list[dict[str, Any]], share: float, *, still: bool) -> str:
    """Expressions in order, as one sentence; those too short to carry the clip are passed over."""
    long: list[dict[str, Any]] = []
    for row in rows:
        if len(rows) > 1 and row["end_s"] - row["start_s"] < BRIEF_S:
            continue
        if long and long[-1]["label"] == row["label"]:
            long[-1] = long[-1] | {"end_s": row["end_s"]}
        else:
            long.append(row)
    names = [WORDS.get(r["label"], r["label"]) for r in long]
    if not long:
        return ""
    if len(long) == 1:
        doubt = "perhaps " if share < SURE else ""
        return f"The face looks {doubt}{names[0]}." if still else f"The face looks mostly {doubt}{names[0]}."
    steps = [f"{name} from {r['start_s']:.1f} to {r['end_s']:.1f} s" for name, r in zip(names, long, strict=True)]
    return f"The face looks {', then '.join(steps)}."


def head_story(reading: FaceReading) -> str:
    """The widest turn and the deepest nod, each against where the head mostly is; nothing where pose was not measured."""
    if reading.pose is None or len(reading.pose) < 3:
        return ""
    pose = smooth(reading.pose)
    if not np.isfinite(pose[:, :2]).all():
        return ""
    away = pose - np.median(pose, axis=0)
    told = []
    for axis, least, words in (
        (0, TURNED, ("turns to the person's left", "turns to the person's right")),
        (1, LOWERED, ("lowers", "rises")),
    ):
        k = int(np.abs(away[:, axis]).argmax())
        if abs(away[k, axis]) >= least:
            told.append(f"At {reading.track.times_s[k]:.1f} s the head {words[0] if away[k, axis] > 0 else words[1]}.")
    return " ".join(told) or "The head stays nearly still."
