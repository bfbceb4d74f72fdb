"""Curves of one face to what it does, in order: movements of its parts, of the head and of the eyes, each with begin, peak and end.

A movement is a rise of a facial unit, or of a turn of head or eyes, above the face's own resting level. Thresholds of units were chosen on
synthetic people of the training split, those of the head on 50 of val as well (docs/results.md has how often each is right); units that
were mostly guessed there are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from emollm.units import INDEX, PAIRED, TOWARDS_LEFT, TOWARDS_RIGHT
from emollm.values import FaceReading, Floats, Motion

# unit without side -> (rise above rest, what is seen)
_RISES: dict[str, tuple[float, str]] = {
    "browInnerUp": (0.25, "the inner brows rise"),
    "browOuterUp": (0.16, "the outer brows rise"),
    "browDown": (0.16, "the brows draw down and together"),
    "eyeWide": (0.13, "the eyes widen"),
    "eyeSquint": (0.13, "the eyes narrow"),
    "cheekSquint": (0.25, "the cheeks rise"),
    "noseSneer": (0.15, "the nose wrinkles"),
    "mouthSmile": (0.3, "the corners of the mouth rise"),
    "mouthFrown": (0.3, "the corners of the mouth turn down"),
    "mouthUpperUp": (0.1, "the upper lip rises"),
    "mouthLowerDown": (0.13, "the lower lip drops"),
    "mouthStretch": (0.2, "the lips stretch sideways"),
    "mouthShrugLower": (0.13, "the chin pushes up"),
    "jawOpen": (0.25, "the mouth opens"),
    "mouthPress": (0.2, "the lips press together"),
}
_MOVES = {
    "nod": "the person nods",
    "shake": "the person shakes the head",
    "turn left": "the person turns the head to the left",
    "turn right": "the person turns the head to the right",
    "turn up": "the person raises the head",
    "turn down": "the person lowers the head",
    "tilt left": "the person tilts the head to the left",
    "tilt right": "the person tilts the head to the right",
    "glance left": "the person glances to the left",
    "glance right": "the person glances to the right",
}
TURN, RAISE, TILT = 10.0, 6.0, 5.0  # degrees from the usual pose, held
SHAKE, NOD = 3.0, 3.0  # degrees to and fro
GLANCE = 0.22
HELD_S = 0.3
SWING_S = 0.7  # most time from one turning point of a nod or a shake to the next
BLINK = 0.4  # while the lids are down, eyes and brows are not read
ONE_SIDED = 2.0
SLOWEST_S = 0.35  # frames further apart than this show no movement
TOGETHER_S = 0.45  # movements that begin within this belong together
_ALWAYS = ("mouthSmile", "mouthFrown")  # of the mouth, read even while it speaks


def said(motion: Motion) -> str:
    """A movement in words: "the nose wrinkles", "the corners of the mouth rise on the left side"."""
    if motion.name in _MOVES:
        return _MOVES[motion.name]
    return _RISES[motion.name][1] + (f" on the {motion.side} side" if motion.side else "")


def moves(found: Sequence[Motion]) -> tuple[tuple[float, tuple[str, ...]], ...]:
    """Groups of movements as the language model is told of them: when they begin, and a few words for each."""
    return tuple((round(min(m.start_s for m in g), 1), tuple(dict.fromkeys(short(m) for m in g))[:5]) for g in together(found))


def short(motion: Motion) -> str:
    """ "nose wrinkles", "nods"."""
    return said(motion).removeprefix("the ").removeprefix("person ")


def of_face(motion: Motion) -> bool:
    """A movement of the face, not of head or eyes."""
    return motion.name in _RISES


def motions(face: FaceReading, speech_s: Iterable[tuple[float, float]] = ()) -> tuple[Motion, ...]:
    """What a face does, by begin; nothing where it was seen too seldom or no units were measured.

    Args:
        face: With units and pose.
        speech_s: When the person speaks; the mouth then moves for other reasons.
    """
    times = np.asarray(face.track.times_s, float)
    if face.units is None or len(times) < 4 or float(np.median(np.diff(times))) > SLOWEST_S:
        return ()
    found = _rises(times, face.units, speech_s)
    if face.pose is not None:
        found += _head(times, np.nan_to_num(face.pose - np.nanmedian(face.pose, axis=0)))
    return tuple(sorted(found + _glances(times, face.units), key=lambda m: (m.start_s, m.name)))


def together(found: Sequence[Motion], most: int = 10) -> list[tuple[Motion, ...]]:
    """Movements that begin at about the same time as one, the strongest first in each; of very many the strongest groups, in order."""
    groups: list[list[Motion]] = []
    for one in found:
        if groups and one.start_s - groups[-1][0].start_s < TOGETHER_S:
            groups[-1].append(one)
        else:
            groups.append([one])
    ranked = sorted(groups, key=lambda g: -max(m.strength for m in g))[:most]
    return [tuple(sorted(g, key=lambda m: -m.strength)) for g in sorted(ranked, key=lambda g: g[0].start_s)]


def _rises(times: Floats, units: Floats, speech_s: Iterable[tuple[float, float]]) -> list[Motion]:
    closed = np.maximum(units[:, INDEX["eyeBlinkLeft"]], units[:, INDEX["eyeBlinkRight"]]) > BLINK
    talks = np.zeros(len(times), bool)
    for begin, end in speech_s:
        talks |= (times >= begin - 0.15) & (times <= end + 0.25)
    found = []
    for name, (least, _) in _RISES.items():
        sides = [units[:, INDEX[full]] for full in ((f"{name}Left", f"{name}Right") if name in PAIRED else (name,))]
        if name.startswith(("eye", "cheek", "brow")) and closed.any() and not closed.all():
            sides = [np.interp(times, times[~closed], side[~closed]) for side in sides]
        curve = _median(np.max(sides, axis=0), 3)
        curve = curve - np.quantile(curve, 0.15)
        heard = np.where(talks, 0, curve) if name.startswith(("mouth", "jaw")) and name not in _ALWAYS else curve
        for first, top, last in _bumps(heard, least, 0.6):
            begin = first
            while begin > 0 and curve[begin - 1] > 0.25 * curve[top] and curve[begin - 1] < curve[begin] + 0.02:
                begin -= 1
            found.append(_motion(times, (begin, top, last), name, float(curve[top]), _side([s[first : last + 1] for s in sides])))
    return found


def _motion(times: Floats, at: tuple[int, int, int], name: str, strength: float, side: str = "") -> Motion:
    start_s, peak_s, end_s = (float(times[i]) for i in at)
    return Motion(start_s, peak_s, end_s, name, side, min(strength, 1.0))


def _side(sides: Sequence[Floats]) -> str:
    if len(sides) < 2:
        return ""
    left, right = (float(s.max()) for s in sides)
    return "left" if left > ONE_SIDED * right else "right" if right > ONE_SIDED * left else ""


def _head(times: Floats, pose: Floats) -> list[Motion]:
    shakes = _swings(times, pose[:, 0] - _median(pose[:, 0], 9), SHAKE, 3)
    nods = _swings(times, pose[:, 1] - _median(pose[:, 1], 5), NOD, 2)
    found = [_swing("shake", s) for s in shakes] + [_swing("nod", s) for s in nods]
    for axis, least, plus, minus, busy, width in (
        (0, TURN, "turn left", "turn right", shakes, 3),
        (1, RAISE, "turn down", "turn up", nods, 5),
        (2, TILT, "tilt right", "tilt left", (), 3),
    ):
        curve = _median(pose[:, axis], width)
        for sign, name in ((1, plus), (-1, minus)):
            for first, top, last in _bumps(sign * curve, least, 0.5):
                one = _motion(times, (first, top, last), name, float(sign * curve[top] / (3 * least)))
                if one.end_s - one.start_s >= HELD_S and not any(one.start_s <= b and one.end_s >= a for a, b in busy):
                    found.append(one)
    return found


def _glances(times: Floats, units: Floats) -> list[Motion]:
    left, right = (sum(units[:, INDEX[n]] for n in names) / 2 for names in (TOWARDS_LEFT, TOWARDS_RIGHT))
    gaze = _median(np.asarray(left) - np.asarray(right), 3)
    gaze = gaze - np.median(gaze)
    found = []
    for sign, name in ((1, "glance left"), (-1, "glance right")):
        for first, top, last in _bumps(sign * gaze, GLANCE, 0.5):
            if times[last] - times[first] >= HELD_S:
                found.append(_motion(times, (first, top, last), name, float(sign * gaze[top])))
    return found


def _swings(times: Floats, curve: Floats, least: float, turns: int) -> list[tuple[float, float]]:
    """When a curve goes to and fro: at least so many turning points on alternating sides, each soon after the one before."""
    points = sorted((times[top], sign) for sign in (1, -1) for _, top, _ in _bumps(sign * curve, least, 0.5))
    found: list[tuple[float, float]] = []
    run: list[tuple[float, int]] = []
    for point in [*points, (np.inf, 0)]:
        if run and (point[1] == run[-1][1] or point[0] - run[-1][0] > SWING_S):
            if len(run) >= turns:
                found.append((float(run[0][0]), float(run[-1][0])))
            run = []
        run.append(point)
    return found


def _swing(name: str, span: tuple[float, float]) -> Motion:
    return Motion(span[0], sum(span) / 2, span[1], name, "", 0.6)


def _bumps(curve: Floats, least: float, low: float) -> list[tuple[int, int, int]]:
    """First, highest and last index of every stretch that reaches `least` and stays above its share `low`."""
    found, i = [], 0
    while i < len(curve):
        if curve[i] < least:
            i += 1
            continue
        last = i
        while last + 1 < len(curve) and curve[last + 1] >= low * least:
            last += 1
        found.append((i, i + int(curve[i : last + 1].argmax()), last))
        i = last + 1
    return found


def _median(curve: Floats, width: int) -> Floats:
    """Running median; the ends are repeated."""
    if len(curve) < width:
        return curve
    padded = np.pad(curve, width // 2, mode="edge")
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1))
