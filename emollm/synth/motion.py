"""What a person does in a clip: expressions with onset, apex and offset, glances, blinks, head movements and speech, as curves over time.

The events are the truth that captions are written from; the curves are what is rendered from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

import numpy as np

from emollm.synth.expressions import BASIC, draw_expression
from emollm.synth.person import Person
from emollm.units import INDEX, UNITS
from emollm.values import Floats

Kind = Literal["expression", "nod", "shake", "tilt", "turn", "glance", "blink", "speech"]
FAMILIES = (*BASIC[1:], "bored", "confused", "pain", "embarrassed")
MICRO_S = 0.35  # an expression shorter than this is a micro-expression


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a person does. Times are seconds from the start of the clip."""

    kind: Kind
    onset: float
    apex: float  # full strength from here
    release: float  # to here
    offset: float  # gone by here
    name: str = ""  # family of an expression, direction of a movement, text of speech
    strength: float = 1.0
    side: str = "both"
    units: Mapping[str, float] = field(default_factory=dict)  # at the apex

    @property
    def micro(self) -> bool:
        """Too short to be meant."""
        return self.kind == "expression" and self.offset - self.onset <= MICRO_S

    def as_json(self) -> dict[str, Any]:
        """Plain values, times rounded to milliseconds."""
        plain = asdict(self) | {"micro": self.micro}
        return {k: round(v, 3) if isinstance(v, float) else v for k, v in plain.items()}

    @classmethod
    def of_json(cls, row: Mapping[str, Any]) -> Event:
        """What `as_json` wrote."""
        return cls(**{k: v for k, v in row.items() if k not in ("micro", "who")})


@dataclass(frozen=True, slots=True)
class Sound:
    """Phonemes of a voice, for the lips: (symbol, start, end) in seconds."""

    phonemes: tuple[tuple[str, float, float], ...]
    energy: Floats  # [n] loudness 0 to 1, 100 a second
    pitch: Floats = field(default_factory=lambda: np.zeros(0, np.float32))  # [n] semitones from the speaker's middle, 100 a second


@dataclass(frozen=True, slots=True)
class Motion:
    """Curves of one person, one row a frame."""

    units: Floats  # [T, 52]
    head: Floats  # [T, 3] yaw, pitch, roll in degrees
    sway: Floats  # [T, 3] decimetres
    events: tuple[Event, ...]


def bell(times: Floats, event: Event) -> Floats:
    """[T] strength of an event over time: faster on than off, without corners."""
    rise = np.clip((times - event.onset) / max(event.apex - event.onset, 1e-3), 0, 1)
    fall = np.clip((event.offset - times) / max(event.offset - event.release, 1e-3), 0, 1)
    return np.asarray((rise * rise * (3 - 2 * rise)) * (fall * fall * (3 - 2 * fall)))


def plan_expressions(person: Person, seconds: float, rng: np.random.Generator, *, families: Sequence[str] = FAMILIES) -> list[Event]:
    """A plot of expressions: one that grows, a change, a mask that slips, a flicker, a calm face, or loose units."""
    plot = rng.choice(["one", "change", "masked", "flicker", "three", "still", "free"], p=[0.26, 0.27, 0.1, 0.1, 0.1, 0.07, 0.1])
    if plot == "still":
        return []
    count = {"one": 1, "change": 2, "masked": 2, "flicker": 2, "three": 3, "free": 2}[plot]
    if seconds < 3:
        count = min(count, 2)
    names = ["free"] * count if plot == "free" else [str(n) for n in rng.choice(families, count, replace=False)]
    if plot == "masked":  # a smile over another feeling that shows in the upper face
        names = [str(rng.choice(["sad", "angry", "fear", "disgust"])), "happy"]
    events = []
    share = seconds / count
    for i, name in enumerate(names):
        at = share * i
        strength = float(rng.uniform(0.45, 1.0))
        onset = at + rng.uniform(0.05, 0.25) * share
        apex = onset + min(rng.uniform(0.2, 0.8), 0.3 * share)
        release = apex + rng.uniform(0.2, 0.5) * share
        offset = release + min(rng.uniform(0.3, 1.2), 0.4 * share)
        if rng.random() < 0.3 and i == count - 1:  # it lasts to the end of the clip
            release = offset = seconds + 1.0
        drawn = draw_expression(name, person, rng, strength)
        units = drawn.named(0.05)
        if plot == "masked" and i == 0:
            onset, apex, release, offset = 0.1 * seconds, 0.25 * seconds, 0.8 * seconds, 0.95 * seconds
            units = {k: v for k, v in units.items() if k.startswith(("brow", "eye", "nose"))}
        elif plot == "masked":
            onset, apex, release, offset = 0.2 * seconds, 0.3 * seconds, 0.7 * seconds, 0.85 * seconds
            units = {k: v for k, v in units.items() if not k.startswith("brow")}
        elif plot == "flicker" and i == 0:
            onset = float(rng.uniform(0.2, 0.6)) * share
            apex, release = onset + 0.08, onset + rng.uniform(0.12, 0.2)
            offset = min(release + 0.12, onset + MICRO_S)
        if units:
            events.append(Event("expression", onset, apex, release, offset, name, strength, drawn.side, units))
    return events


def plan_head(seconds: float, rng: np.random.Generator) -> list[Event]:
    """Nods, shakes, tilts, turns and glances, few and far between."""
    events: list[Event] = []
    at = rng.uniform(0.3, 1.5)
    while at < seconds - 0.8:
        kind = str(rng.choice(["nod", "shake", "tilt", "turn", "glance", "none"], p=[0.14, 0.1, 0.12, 0.16, 0.28, 0.2]))
        long = float(rng.uniform(0.6, 1.4))
        if kind != "none":
            ways = {"nod": ("down",), "shake": ("sideways",), "tilt": ("left", "right")}.get(kind, ("left", "right", "up", "down"))
            direction = rng.choice(ways)
            strength = float(rng.uniform(0.4, 1))
            times = (at, at + 0.25 * long, min(at + 0.7 * long, seconds), min(at + long, seconds))
            events.append(Event(cast("Kind", kind), *times, str(direction), strength))
        at += long + rng.uniform(0.4, 2.0)
    return events


def plan_blinks(seconds: float, rng: np.random.Generator) -> list[Event]:
    """About 17 blinks a minute, never two in a quarter of a second."""
    events, at = [], float(rng.exponential(2.0))
    while at < seconds - 0.2:
        long = float(rng.uniform(0.16, 0.34))
        events.append(Event("blink", at, at + 0.3 * long, at + 0.42 * long, at + long, "", 1.0))
        at += 0.5 + float(rng.exponential(3.0))
    return events


def animate(
    person: Person, events: Sequence[Event], seconds: float, fps: float, rng: np.random.Generator, sound: Sound | None = None
) -> Motion:
    """Events to curves.

    Args:
        person: Their way of holding still.
        events: All kinds.
        seconds: Length.
        fps: Frames a second.
        rng: Of drifts and jitters.
        sound: Drives the lips, and a little of brows and head.

    Returns:
        Curves that stay inside [0, 1].
    """
    count = max(1, round(seconds * fps))
    times = np.arange(count) / fps
    units = np.zeros((count, len(UNITS)))
    head, sway = drift(count, fps, rng, np.array([2.2, 1.6, 1.3])), drift(count, fps, rng, np.array([0.06, 0.05, 0.1]))
    resting = np.random.default_rng([person.seed, 8])
    head += np.array([resting.normal(0, 3), resting.normal(0, 3), resting.normal(0, 2)])
    gaze = _saccades(times, rng)
    for event in events:
        curve = bell(times, event) * (event.strength if event.kind not in ("expression", "blink", "speech") else 1.0)
        if event.kind == "expression":
            live = curve * (1 + 0.04 * drift(count, fps, rng, np.ones(1))[:, 0])
            for name, value in event.units.items():
                units[:, INDEX[name]] = np.maximum(units[:, INDEX[name]], value * live)
        elif event.kind == "nod":
            head[:, 1] += 9 * curve * np.sin(2 * np.pi * 1.9 * (times - event.onset))
        elif event.kind == "shake":
            head[:, 0] += 11 * curve * np.sin(2 * np.pi * 1.8 * (times - event.onset))
        elif event.kind == "tilt":
            head[:, 2] += (12 if event.name == "left" else -12) * curve
        elif event.kind == "turn":
            axis, sign = {"left": (0, 1), "right": (0, -1), "up": (1, -1), "down": (1, 1)}[event.name]
            head[:, axis] += sign * (26 if axis == 0 else 15) * curve
        elif event.kind == "glance":
            axis, sign = {"left": (0, 1), "right": (0, -1), "up": (1, 1), "down": (1, -1)}[event.name]
            gaze[:, axis] += sign * 0.75 * curve
    if sound is not None:
        _speak(units, head, times, sound)
    _look(units, gaze)
    blink = np.zeros(count)
    for event in events:
        if event.kind == "blink":
            blink = np.maximum(blink, bell(times, event))
    for side in ("Left", "Right"):
        at = INDEX[f"eyeBlink{side}"]
        units[:, at] = np.maximum(units[:, at], blink)
        units[:, INDEX[f"eyeWide{side}"]] *= 1 - blink
    return Motion(np.clip(units, 0, 1).astype(np.float32), head.astype(np.float32), sway.astype(np.float32), tuple(events))


def drift(count: int, fps: float, rng: np.random.Generator, size: Floats) -> Floats:
    """[T, n] slow random movement with standard deviation `size` [n]."""
    width = max(2, round(0.55 * fps))
    kernel = np.hanning(2 * width + 1)
    kernel /= np.sqrt((kernel**2).sum())
    white = rng.standard_normal((count + 2 * width, len(size)))
    return np.stack([np.convolve(white[:, k], kernel, "valid")[:count] for k in range(len(size))], 1) * size


def _saccades(times: Floats, rng: np.random.Generator) -> Floats:
    """[T, 2] gaze to the person's left and up, -1 to 1: it rests near the camera and jumps."""
    gaze = np.zeros((len(times), 2))
    at, where = 0.0, rng.normal(0, 0.06, 2)
    while at < times[-1] + 0.1:
        gaze[times >= at] = where
        where = rng.normal(0, [0.12, 0.06])
        at += float(rng.uniform(0.4, 2.2))
    soft = np.array([0.25, 0.5, 0.25])
    return np.stack([np.convolve(np.pad(gaze[:, k], 1, mode="edge"), soft, "valid") for k in range(2)], 1)


def _look(units: Floats, gaze: Floats) -> None:
    left, up = np.clip(gaze, -1, 1).T
    units[:, INDEX["eyeLookOutLeft"]] = units[:, INDEX["eyeLookInRight"]] = np.maximum(left, 0)
    units[:, INDEX["eyeLookInLeft"]] = units[:, INDEX["eyeLookOutRight"]] = np.maximum(-left, 0)
    for side in ("Left", "Right"):
        units[:, INDEX[f"eyeLookUp{side}"]] = np.maximum(up, 0)
        down = INDEX[f"eyeLookDown{side}"]
        units[:, down] = np.maximum(units[:, down], np.maximum(-up, 0))


# phonemes (IPA, first letter) -> facial units of the lips
_LIPS: dict[str, dict[str, float]] = {}
for _letters, _shape in (
    ("aɑæɐʌ", {"jawOpen": 0.42, "mouthLowerDown": 0.15}),
    ("ɛeəɜɚ", {"jawOpen": 0.28, "mouthStretch": 0.15}),
    ("iɪyj", {"jawOpen": 0.13, "mouthStretch": 0.28}),
    ("ɔoɒ", {"jawOpen": 0.3, "mouthFunnel": 0.5}),
    ("uʊwøœ", {"jawOpen": 0.12, "mouthPucker": 0.6}),
    ("pbm", {"mouthClose": 0.1, "mouthPress": 0.45}),
    ("fv", {"jawOpen": 0.05, "mouthRollLower": 0.4, "mouthUpperUp": 0.12}),
    ("szʃʒ", {"jawOpen": 0.06, "mouthStretch": 0.15, "mouthFunnel": 0.15}),
    ("tdnlkɡgŋhθðrɹɾxç", {"jawOpen": 0.14}),
):
    for _letter in _letters:
        _LIPS[_letter] = _shape


def _speak(units: Floats, head: Floats, times: Floats, sound: Sound) -> None:
    """Lips from phonemes, the jaw as wide as the voice is loud, brows and head a little with the pitch."""
    fine = np.arange(int(times[-1] * 100) + 60) / 100
    energy = np.interp(fine, np.arange(len(sound.energy)) / 100, sound.energy, right=0.0) if len(sound.energy) else np.zeros(len(fine))
    curves: dict[str, Floats] = {}
    for symbol, start, end in sound.phonemes:
        shape = next((_LIPS[c] for c in symbol if c in _LIPS), None)
        if shape is None:
            continue
        rows = slice(int(start * 100), max(int(start * 100) + 1, int(end * 100)))
        for name, value in shape.items():
            curves.setdefault(name, np.zeros(len(fine)))[rows] = value
    if not sound.phonemes:  # real speech without phonemes: the jaw follows the loudness
        curves = {"jawOpen": 0.5 * energy, "mouthLowerDown": 0.2 * energy, "mouthFunnel": 0.15 * energy}
    elif "jawOpen" in curves:
        curves["jawOpen"] = curves["jawOpen"] * (0.35 + 0.9 * energy)
    kernel = np.hanning(11)
    kernel /= kernel.sum()
    for name, curve in curves.items():
        seen = np.interp(times, fine, np.convolve(curve, kernel, "same"))
        for full in (name, f"{name}Left", f"{name}Right"):
            if full in INDEX:
                units[:, INDEX[full]] = np.maximum(units[:, INDEX[full]], seen)
    loud = np.interp(times, fine, np.convolve(energy, np.hanning(41) / np.hanning(41).sum(), "same"))
    high = np.interp(times, np.arange(len(sound.pitch)) / 100, sound.pitch, left=0, right=0) if len(sound.pitch) else np.zeros(len(times))
    head[:, 1] -= 2.5 * loud
    lift = np.clip(high / 6, 0, 1) * 0.3 * (loud > 0.05)
    units[:, INDEX["browInnerUp"]] = np.maximum(units[:, INDEX["browInnerUp"]], lift)
