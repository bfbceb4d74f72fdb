"""Stills of synthetic people with one expression each, found and aligned like real labelled faces: food for the face encoder.

Same detector, same crop as for photographs, so nothing about a render but its pixels is special.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from emollm import weights
from emollm.encoders.face import CROP_PX, EXPRESSIONS
from emollm.media.tracks import FaceTracker
from emollm.values import Floats

FIRST_PERSON = 1 << 40  # seeds of people who are in no data set of `emollm synth`
A_PERSON = 8  # stills of each
FAMILIES = (*EXPRESSIONS, "bored", "confused", "pain", "embarrassed", "free")  # the last five carry units, but no label of the eight
_LABELLED = 0.75  # share of stills that show one of the eight


@dataclass(frozen=True, slots=True)
class Stills:
    """Aligned synthetic faces."""

    crops: NDArray[np.uint8]  # [n, side, side] grey
    points: Floats  # [n, 468, 3] normalised
    targets: Floats  # [n, 8] sums to 1, all 0 where the face shows none of the eight
    units: Floats  # [n, 52] facial units


def render_stills(count: int, side: int, *, seed: int = 0, workers: int = 2, say: Callable[[float], None] | None = None) -> Stills:
    """About `count` stills; a few are lost where the detector finds nobody.

    Args:
        count: How many to render, `A_PERSON` a person.
        side: Of the crops, in pixels; they are as wide as `prepare_faces` cuts them.
        seed: The same seed gives the same stills.
        workers: Processes.
        say: Progress, share done.
    """
    jobs = [(seed, n, side) for n in range(-(-count // A_PERSON))]
    rows: list[_Row] = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, found in enumerate(pool.imap(_person, jobs, chunksize=4)):  # in order, so that the result is always the same
            rows += found
            if say is not None:
                say((done + 1) / len(jobs))
    crops, points, targets, units = (np.stack(part) for part in zip(*rows, strict=True))
    return Stills(crops, points.astype(np.float32), targets, units)


_Row = tuple[NDArray[np.uint8], NDArray[np.float16], Floats, Floats]


def _person(job: tuple[int, int, int]) -> list[_Row]:
    """All stills of one person."""
    import cv2

    from emollm.media.align import crop_face, normalise_landmarks
    from emollm.synth.render import Actor

    cv2.setNumThreads(1)
    seed, number, side = job
    tracker = _tracker()
    actor = Actor.by_seed(FIRST_PERSON + 1_000_003 * seed + number)
    found = []
    for k in range(A_PERSON):
        rng = np.random.default_rng([seed, number, k, 11])
        image, target, units = _still(actor, rng)
        faces = tracker.find(image)
        if len(faces) == 1:
            crop = np.asarray(cv2.cvtColor(crop_face(image, faces[0][0], side, widen=side / CROP_PX), cv2.COLOR_RGB2GRAY), np.uint8)
            found.append((crop, normalise_landmarks(faces[0][0]).astype(np.float16), target, units))
    return found


@cache
def _tracker() -> FaceTracker:
    return FaceTracker(weights.locate("mediapipe-face"))


def _still(actor, rng: np.random.Generator) -> tuple[NDArray[np.uint8], Floats, Floats]:  # type: ignore[no-untyped-def]
    """A picture, its soft label and its units; gaze, blinks and a little speech are mixed in, as in a frame of a clip."""
    from emollm.synth import scene
    from emollm.synth.expressions import draw_expression
    from emollm.synth.render import Camera, Pose, render
    from emollm.synth.units import both

    labelled = rng.random() < _LABELLED
    family = str(rng.choice(FAMILIES[: len(EXPRESSIONS)] if labelled else FAMILIES[len(EXPRESSIONS) :]))
    strength = float(rng.uniform(0.35, 1.15))
    units = draw_expression(family, actor.person, rng, strength).units.astype(np.float32)
    loose = both(eyeBlink=rng.choice([0, 0, 0, 0.3]) * rng.random(), jawOpen=rng.choice([0, 0, 0.15]) * rng.random())
    gaze = both(**{str(rng.choice(["eyeLookUp", "eyeLookDown"])): float(rng.choice([0, 0.3]) * rng.random())})
    units = np.clip(np.maximum(units, np.maximum(loose, gaze)), 0, 1).astype(np.float32)
    size = int(rng.choice([112, 160, 224]))
    yaw, pitch, roll = rng.normal(0, (13, 7, 5))
    light, background, sensor = scene.draw_light(rng), scene.draw_background(rng, size, size), scene.draw_sensor(rng, size)
    pose = Pose(units, yaw, pitch, roll, (float(rng.normal(0, 0.2)), float(rng.normal(0, 0.1)), float(rng.uniform(2.0, 5.0))))
    picture = render([(actor, pose)], Camera(size, size), light, background)
    return scene.expose(picture.image, sensor, rng), label(family, strength), units


def label(family: str, strength: float) -> Floats:
    """[8] soft target: weak expressions are partly neutral; nothing for families outside the eight."""
    target = np.zeros(len(EXPRESSIONS), np.float32)
    if family not in EXPRESSIONS:
        return target
    sure = float(np.clip(0.45 + 0.5 * strength, 0, 0.92)) if family != "neutral" else 0.92
    target[EXPRESSIONS.index(family)] = sure
    if family != "neutral":
        target[EXPRESSIONS.index("neutral")] += (1 - sure) * 0.6
        target += (1 - sure) * 0.4 / len(EXPRESSIONS)
    else:
        target += (1 - sure) / len(EXPRESSIONS)
    return target
