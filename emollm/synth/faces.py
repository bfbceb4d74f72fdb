"""Stills of synthetic people with one expression each, found and aligned like real labelled faces: food for the face encoder.

Same detector, same crop as for photographs, so nothing about a render but its pixels is special.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emollm import weights
from emollm.encoders.face import EXPRESSIONS
from emollm.media.tracks import FaceTracker
from emollm.synth.person import Person
from emollm.units import INDEX, PAIRED
from emollm.values import Floats

if TYPE_CHECKING:  # numba is loaded only where something is rendered
    from emollm.synth.render import Actor

FIRST_PERSON = 1 << 40  # seeds of people who are in no data set of `emollm synth`
A_PERSON = 8  # stills of each
OTHERS = ("bored", "confused", "pain", "embarrassed")  # they carry units, but no label of the eight
_COVERED = 0.08  # share of stills with a hand or a thing before the face
_LABELLED, _FREE = 0.4, 0.4  # shares of stills that show one of the eight, and any units together: rare units are learned from these alone


@dataclass(frozen=True, slots=True)
class Stills:
    """Aligned synthetic faces. They come in pairs: 2 i and 2 i + 1 are two people who do the same."""

    crops: NDArray[np.uint8]  # [n, side, side] grey
    points: Floats  # [n, 468, 3] looking ahead
    targets: Floats  # [n, 8] sums to 1, all 0 where the face shows none of the eight
    units: Floats  # [n, 52] facial units
    intensity: Floats  # [n] strength of the expression, 0 for a neutral face
    hidden: Floats  # [n] share of the face behind a hand or a thing
    people: NDArray[np.int64]  # [n] who it is


def render_stills(
    count: int, side: int, inner: int, *, seed: int = 0, workers: int = 2, say: Callable[[float], None] | None = None
) -> Stills:
    """About `count` stills; a few pairs are lost where the detector finds nobody.

    Args:
        count: How many to render, `A_PERSON` a person.
        side: Of the crops, in pixels.
        inner: Of the face's own square within, in pixels.
        seed: The same seed gives the same stills.
        workers: Processes.
        say: Progress, share done.
    """
    jobs = [(seed, n, side, inner) for n in range(-(-count // (2 * A_PERSON)))]
    rows: list[_Row] = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, found in enumerate(pool.imap(_couple, jobs, chunksize=4)):  # in order, so that the result is always the same
            rows += found
            if say is not None:
                say((done + 1) / len(jobs))
    crops, points, targets, units, rest = (np.stack(part) for part in zip(*rows, strict=True))
    return Stills(crops, points.astype(np.float32), targets, units, rest[:, 0], rest[:, 1], rest[:, 2].astype(np.int64))


_Row = tuple[NDArray[np.uint8], NDArray[np.float16], Floats, Floats, Floats]


def _couple(job: tuple[int, int, int, int]) -> list[_Row]:
    """All stills of two people who do the same in pairs."""
    import cv2

    from emollm.media.align import crop_face
    from emollm.media.pose import frontal
    from emollm.synth.render import Actor

    cv2.setNumThreads(1)
    seed, number, side, inner = job
    tracker = _tracker()
    first = FIRST_PERSON + 1_000_003 * seed + 2 * number
    actors = [Actor.by_seed(first), Actor.by_seed(first + 1)]
    found: list[_Row] = []
    for k in range(A_PERSON):
        rng = np.random.default_rng([seed, number, k, 11])
        target, units, intensity = _doing(actors[0].person, rng)
        rows: list[_Row] = []
        for actor in actors:
            image, hidden = _still(actor, units, rng)
            faces = tracker.find(image)
            if len(faces) == 1:
                crop = np.asarray(cv2.cvtColor(crop_face(image, faces[0][0], side, widen=side / inner), cv2.COLOR_RGB2GRAY), np.uint8)
                points = frontal(faces[0][0][None])[0].astype(np.float16)
                rows.append((crop, points, target, units, np.array([intensity, hidden, actor.person.seed - FIRST_PERSON])))
        if len(rows) == len(actors):
            found += rows
    return found


@cache
def _tracker() -> FaceTracker:
    return FaceTracker(weights.locate("mediapipe-face"))


def _doing(person: Person, rng: np.random.Generator) -> tuple[Floats, Floats, float]:
    """Soft label, units and intensity; gaze, blinks and a little speech are mixed in, as in a frame of a clip."""
    from emollm.synth.expressions import draw_expression
    from emollm.units import both

    chance = rng.random()
    family = "free" if chance < _FREE else str(rng.choice(EXPRESSIONS if chance < _FREE + _LABELLED else OTHERS))
    strength = float(rng.uniform(0.35, 1.15))
    units = draw_expression(family, person, rng, strength).units
    if family == "free":
        for name in sorted(PAIRED):  # a set has another order in every process
            if rng.random() < 0.2:
                units[INDEX[f"{name}{rng.choice(['Left', 'Right'])}"]] = 0
    loose = both(eyeBlink=rng.choice([0, 0, 0, 0.3, 1.0]) * rng.random(), jawOpen=rng.choice([0, 0, 0.25]) * rng.random())
    where = np.abs(rng.normal(0, 0.3, 2)) * (rng.random(2) < 0.4)
    aside = "eyeLookOutLeft", "eyeLookInRight"
    if rng.random() < 0.5:
        aside = "eyeLookInLeft", "eyeLookOutRight"
    loose[[INDEX[name] for name in aside]] = where[0]
    gaze = both(**{str(rng.choice(["eyeLookUp", "eyeLookDown"])): float(where[1])})
    mixed = np.clip(np.maximum(units, np.maximum(loose, gaze)), 0, 1).astype(np.float32)
    return label(family, strength), mixed, 0.0 if family == "neutral" else min(1.0, strength)


def _still(actor: Actor, units: Floats, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
    """A picture, and the share of the face that a hand or a thing hides."""
    from emollm.synth import parts, scene
    from emollm.synth.mesh import load_head
    from emollm.synth.render import Camera, Pose, render

    size = int(rng.choice([112, 160, 224]))
    yaw, pitch, roll = rng.normal(0, (13, 7, 5))
    light, background, sensor = scene.draw_light(rng), scene.draw_background(rng, size, size), scene.draw_sensor(rng, size)
    pose = Pose(units, yaw, pitch, roll, (float(rng.normal(0, 0.2)), float(rng.normal(0, 0.1)), float(rng.uniform(1.5, 3.8))))
    camera = Camera(size, size)
    hidden = 0.0
    cast = actor
    if rng.random() < _COVERED:
        seed = int(rng.integers(1 << 30))
        where = str(rng.choice(["mouth", "cheek", "brow", "chin", "thing"]))
        mesh = load_head()
        thing = parts.thing(mesh, actor.base, seed) if where == "thing" else parts.hand(actor.person, mesh, actor.base, where, seed)
        cast = actor.holding(thing)
        free = render([(actor, pose)], camera, light, background).people[0].visible
        picture = render([(cast, pose)], camera, light, background, hands=[0])
        hidden = float(np.clip(1 - picture.people[0].visible / max(free, 1e-3), 0, 1))
    else:
        picture = render([(cast, pose)], camera, light, background)
    return scene.expose(picture.image, sensor, rng), hidden


def label(family: str, strength: float) -> Floats:
    """[8] soft target: weak expressions are partly neutral; nothing for families outside the eight, and nothing for contempt.

    Taught as contempt, the one-sided mouths of renders cost the encoder the contempt that crowds see in photographs (docs/log.md).
    """
    target = np.zeros(len(EXPRESSIONS), np.float32)
    if family not in EXPRESSIONS or family == "contempt":
        return target
    sure = float(np.clip(0.45 + 0.5 * strength, 0, 0.92)) if family != "neutral" else 0.92
    target[EXPRESSIONS.index(family)] = sure
    if family != "neutral":
        target[EXPRESSIONS.index("neutral")] += (1 - sure) * 0.6
        target += (1 - sure) * 0.4 / len(EXPRESSIONS)
    else:
        target += (1 - sure) / len(EXPRESSIONS)
    return target
