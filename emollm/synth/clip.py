"""One synthetic clip: who is in it, what they do, what they say, how it is filmed; its frames, its sound and its truth.

Everything follows from the seed of the data set and the number of the clip, so any clip can be made again alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.synth import landmarks, parts, scene
from emollm.synth.mesh import load_head
from emollm.synth.motion import FAMILIES, Event, Motion, animate, drift, plan_blinks, plan_expressions, plan_head
from emollm.synth.render import Actor, Camera, Light, Picture, Pose, render
from emollm.synth.turns import Split, Spoken, listen, plan_turns
from emollm.units import UNITS
from emollm.values import AUDIO_HZ, Floats

HELD_OUT = ("confused", "embarrassed")  # expression families only val shows


@dataclass(frozen=True, slots=True)
class Settings:
    """What the clips of a data set have in common."""

    seed: int = 0
    people: int = 200  # identities to draw from
    persons: tuple[int, int] = (1, 1)  # least and most in one clip
    seconds: tuple[float, float] = (4.0, 4.0)
    fps: float = 25.0
    size: int = 224
    voices: str = "espeak"  # "espeak", "none", or a folder of recordings
    split: Split = "train"


@dataclass(slots=True)
class Role:
    """One person's part in a clip."""

    actor: Actor
    motion: Motion
    place: tuple[float, float, float]
    spoken: Spoken | None = None
    hand_s: tuple[float, float] | None = None  # when a hand or an object is before the face


@dataclass(frozen=True, slots=True)
class Script:
    """A clip before it is rendered."""

    name: str
    settings: Settings
    number: int
    roles: tuple[Role, ...]
    seconds: float
    main: int

    @property
    def frames(self) -> int:
        """How many there are."""
        return max(1, round(self.seconds * self.settings.fps))


@lru_cache(maxsize=6)  # 26 MB each
def _actor(seed: int) -> Actor:
    return Actor.by_seed(seed)


def identity(settings: Settings, index: int) -> int:
    """Seed of the `index`-th person of a split: the splits share nobody."""
    return settings.seed * 1_000_003 + 2 * index + (settings.split == "val")


def write_script(settings: Settings, number: int) -> Script:
    """Decide everything about a clip but the pixels."""
    rng = np.random.default_rng([settings.seed, number, settings.split == "val"])
    low, high = settings.seconds
    seconds = round(float(rng.uniform(low, high)) * settings.fps) / settings.fps
    count = int(rng.integers(settings.persons[0], settings.persons[1] + 1))
    chosen = rng.choice(settings.people, min(count, settings.people), replace=False)
    places = _places(len(chosen), rng)
    families = [f for f in FAMILIES if f not in HELD_OUT]
    if settings.split == "val":
        families += list(HELD_OUT)
    actors = [_actor(identity(settings, int(index))) for index in chosen]
    shown = [plan_expressions(actor.person, seconds, rng, families=families) for actor in actors]
    spoken = plan_turns([a.person for a in actors], shown, settings.voices, settings.split, seconds, rng)
    roles = []
    for i, actor in enumerate(actors):
        said = spoken.get(i)
        glances = listen(i, places, spoken, rng) if len(actors) > 1 else []
        events = [*shown[i], *(glances or plan_head(seconds, rng)), *plan_blinks(seconds, rng)]
        if said is not None:
            end = min(seconds, said.end)
            events.append(Event("speech", said.start, said.start, end, end, said.text or "", 1.0))
        events.sort(key=lambda e: e.onset)
        motion = animate(actor.person, events, seconds, settings.fps, rng, said.sound if said else None)
        hand: tuple[float, float] | None = None
        if rng.random() < 0.12:
            begin = float(rng.uniform(0, 0.6)) * seconds
            hand = (begin, min(seconds, begin + float(rng.uniform(0.5, 1.5))))
        roles.append(Role(actor, motion, places[i], said, hand))
    return Script(f"{settings.split}-{number:06d}", settings, number, tuple(roles), seconds, main=0)


def _places(count: int, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """The first is the main character: nearest and most in the middle."""
    if count == 1:
        near = float(rng.uniform(0.5, 3.8))
        return [(float(rng.normal(0, 0.25)), float(rng.normal(0, 0.12)), near)]
    side = float(rng.choice([-1, 1]))
    if count == 2:
        return [
            (-side * float(rng.uniform(0.7, 1.0)), 0.0, float(rng.uniform(-0.8, 0.6))),
            (side * float(rng.uniform(1.1, 1.4)), float(rng.normal(0, 0.15)), float(rng.uniform(-3.0, -1.2))),
        ]
    found = [(float(rng.normal(0, 0.12)), 0.0, float(rng.uniform(-1.5, -0.3)))]
    for k in range(1, count):
        row = (k - 1) // 2  # two at each depth, one on each side
        across = (side if k % 2 else -side) * (2.1 + 0.75 * row)
        found.append((across + float(rng.normal(0, 0.12)), float(rng.normal(0, 0.15)), float(rng.uniform(-6, -4.5)) - 3.0 * row))
    return found


def film(script: Script) -> Iterator[tuple[NDArray[np.uint8], Picture]]:
    """Render the frames, one at a time: the recorded picture, and what is where in it."""
    settings = script.settings
    rng = np.random.default_rng([settings.seed, script.number, 77])
    size = settings.size
    light, background, sensor = scene.draw_light(rng), scene.draw_background(rng, size, size), scene.draw_sensor(rng, size)
    handheld = float(rng.choice([0.0, 0.02, 0.06]))
    shake = drift(script.frames, settings.fps, rng, np.array([handheld, handheld, handheld * 12]))
    zoom = float(rng.choice([0.0, 0.0, rng.uniform(-0.12, 0.2)]))
    dims = float(rng.choice([0.0, 0.0, 0.0, rng.uniform(-0.5, 0.5)]))
    cast = [_with_hand(role, rng, script.number) for role in script.roles]
    before: Floats | None = None
    for t in range(script.frames):
        share = t / max(1, script.frames - 1)
        second = t / settings.fps
        camera = Camera(size, size, (float(shake[t, 0]), float(shake[t, 1])), float(shake[t, 2]), 1 + zoom * share)
        now = Light(light.toward, light.colour, light.sky, light.ground, light.exposure * (1 + dims * share))
        shown, hands = [], []
        for i, (role, covered) in enumerate(zip(script.roles, cast, strict=True)):
            held = role.hand_s is not None and role.hand_s[0] <= second < role.hand_s[1]
            yaw, pitch, roll = (float(v) for v in role.motion.head[t])
            x, y, z = (float(a + b) for a, b in zip(role.place, role.motion.sway[t], strict=True))
            shown.append((covered if held else role.actor, Pose(role.motion.units[t], yaw, pitch, roll, (x, y, z))))
            if held:
                hands.append(i)
        picture = render(shown, camera, now, background, hands=hands)
        where = picture.people[script.main].eyes.mean(0)
        moved = (float(where[0] - before[0]), float(where[1] - before[1])) if before is not None else (0.0, 0.0)
        before = where
        yield scene.expose(picture.image, sensor, rng, (moved[0] * 0.5, moved[1] * 0.5)), picture


def _with_hand(role: Role, rng: np.random.Generator, number: int) -> Actor:
    if role.hand_s is None:
        return role.actor
    mesh = load_head()
    if rng.random() < 0.6:
        thing = parts.hand(role.actor.person, mesh, role.actor.base, str(rng.choice(["mouth", "cheek", "brow", "chin"])), number)
    else:
        thing = parts.thing(mesh, role.actor.base, number)
    return role.actor.holding(thing)


def sound_of(script: Script) -> Floats | None:
    """[n] the clip's sound at AUDIO_HZ with a quiet room around it; None for a silent clip."""
    if all(role.spoken is None for role in script.roles):
        return None
    rng = np.random.default_rng([script.settings.seed, script.number, 78])
    out = rng.standard_normal(round(script.seconds * AUDIO_HZ)).astype(np.float32) * float(rng.uniform(1e-4, 2e-3))
    for role in script.roles:
        if role.spoken is not None:
            at = round(role.spoken.start * AUDIO_HZ)
            piece = role.spoken.speech.audio[: len(out) - at]
            out[at : at + len(piece)] += piece
    return np.clip(out, -1, 1)


def truth_of(script: Script, pictures: Sequence[Picture]) -> dict[str, Any]:
    """Everything that is known of a clip, as plain values; per-frame rows are rounded to what a pixel can show."""
    people = []
    for i, role in enumerate(script.roles):
        placed = [p.people[i] for p in pictures]
        said = role.spoken
        anchors = landmarks.Anchors.of(role.actor.person)
        shown = [e for e in role.motion.events if e.kind == "expression"]
        people.append(
            {
                "person": role.actor.person.seed,
                "main": i == script.main,
                "speaks": role.spoken is not None,
                "appearance": dict(role.actor.person.description),
                "identity": role.actor.person.as_json(),
                "emotions": sorted({e.name for e in shown if e.name != "free"}) or ["neutral"],
                "masked": _masked(shown),
                "events": [e.as_json() for e in role.motion.events],
                "text": said.text if said else None,
                "text_emotion": said.family if said else None,
                "words": [[w, round(a + said.start, 3), round(b + said.start, 3)] for w, a, b in said.speech.words] if said else [],
                "prosody": dict(said.speech.prosody) if said else {},
                "covered_s": list(role.hand_s) if role.hand_s else None,
                "units": np.round(role.motion.units, 3).tolist(),
                "head": np.round(role.motion.head, 2).tolist(),
                "gaze": [[round(v, 1) for v in p.gaze] for p in placed],
                "boxes": [[round(v, 1) for v in p.box] for p in placed],
                "eyes": [np.round(p.eyes, 1).tolist() for p in placed],
                "landmarks": [np.round(anchors.project(p.points)[list(landmarks.USUAL)], 1).tolist() for p in placed],
                "visible": [round(p.visible, 3) for p in placed],
            }
        )
    return {
        "name": script.name,
        "split": script.settings.split,
        "seconds": script.seconds,
        "fps": script.settings.fps,
        "size": script.settings.size,
        "unit_names": list(UNITS),
        "people": people,
        "sound": "synthetic" if script.settings.voices == "espeak" else script.settings.voices,
    }


def _masked(shown: Sequence[Event]) -> list[str] | None:
    """A feeling with another worn over it at the same time: [beneath, worn]."""
    for beneath, worn in itertools.permutations(shown, 2):
        if beneath.onset < worn.onset and worn.offset < beneath.offset and beneath.name != worn.name and not worn.micro:
            return [beneath.name, worn.name]
    return None
