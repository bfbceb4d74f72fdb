"""Short scenes with several people whose ways cross: who is where in every frame is known, so following can be scored.

Each case is one difficulty: two people, a walk past one another, cuts, a profile, a hand before the face, somebody who leaves and comes
back, a crowd, nobody. Everything follows from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from emollm.synth import parts, scene
from emollm.synth.mesh import load_head
from emollm.synth.motion import animate, plan_blinks, plan_expressions, plan_head
from emollm.synth.render import Actor, Camera, Light, Pose, render
from emollm.values import Floats

WIDTH, HEIGHT, FPS, SECONDS = 512, 288, 8.0, 6.0
FRAMES = round(FPS * SECONDS)
_FIRST = 9 << 40  # seeds of people who are in no other set
Place = tuple[float, float, float]  # decimetres: right, up, towards the camera


@dataclass(frozen=True, slots=True)
class Standing:
    """One person in one frame."""

    person: int  # number within the scene
    box: tuple[float, float, float, float]  # of the face, pixels
    visible: float  # share of the face that nothing covers


@dataclass(frozen=True, slots=True)
class Scene:
    """A finished scene and its truth."""

    case: str
    number: int
    frames: NDArray[np.uint8]  # [T, HEIGHT, WIDTH, 3]
    times_s: Floats  # [T]
    people: tuple[tuple[Standing, ...], ...]  # of each frame, all who are at least partly in the picture
    main: int | None  # who leads by construction; None where nobody is
    cuts_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """One person's part: where they are at a share of the scene (None: not there), and how far they turn beside what they do anyway."""

    where: Callable[[float], Place | None]
    turn: Callable[[float], float] = lambda _: 0.0
    covered: tuple[float, float] = (2.0, 2.0)  # shares between which a hand is before the face


@lru_cache(maxsize=8)
def _actor(seed: int) -> Actor:
    return Actor.by_seed(seed)


def make_scene(case: str, number: int, seed: int = 0) -> Scene:
    """One scene.

    Args:
        case: A key of `CASES`.
        number: Other people, places and light for each.
        seed: Of the whole set.
    """
    rng = np.random.default_rng([seed, number, sum(map(ord, case))])
    if case == "crowd":
        return _crowd(number, rng, seed)
    parts_, cuts, main = CASES[case](rng)
    first = _FIRST + 1_000_003 * seed + 1000 * number + sum(map(ord, case))
    actors = [_actor(first + k) for k in range(len(parts_))]
    moving = [
        animate(
            a.person, [*plan_expressions(a.person, SECONDS, rng), *plan_head(SECONDS, rng), *plan_blinks(SECONDS, rng)], SECONDS, FPS, rng
        )
        for a in actors
    ]
    hands = [
        a.holding(parts.hand(a.person, load_head(), a.base, str(rng.choice(["mouth", "cheek", "brow"])), number)) if p.covered[0] < 1 else a
        for a, p in zip(actors, parts_, strict=True)
    ]
    shots = [_set(rng) for _ in range(len(cuts) + 1)]
    frames, people = [], []
    for t in range(FRAMES):
        share = t / (FRAMES - 1)
        light, background, sensor = shots[sum(share >= cut for cut in cuts)]
        shown: list[tuple[Actor, Pose]] = []
        who, held = [], []
        for k, part in enumerate(parts_):
            place = part.where(share)
            if place is None:
                continue
            yaw, pitch, roll = (float(v) for v in moving[k].head[t])
            covered = part.covered[0] <= share < part.covered[1]
            if covered:
                held.append(len(shown))
            shown.append((hands[k] if covered else actors[k], Pose(moving[k].units[t], yaw + part.turn(share), pitch, roll, place)))
            who.append(k)
        if shown:
            picture = render(shown, Camera(WIDTH, HEIGHT), light, background, hands=held)
            frames.append(scene.expose(picture.image, sensor, rng))
            people.append(tuple(Standing(k, p.box, p.visible) for k, p in zip(who, picture.people, strict=True)))
        else:
            frames.append(scene.expose(_srgb(background), sensor, rng))
            people.append(())
    times = np.arange(FRAMES) / FPS
    moments = tuple(float(times[np.argmax(np.linspace(0, 1, FRAMES) >= cut)]) for cut in cuts)
    return Scene(case, number, np.stack(frames), times, tuple(people), main, moments)


def _srgb(linear: Floats) -> Floats:
    return np.asarray(np.clip(linear, 0, 1) ** (1 / 2.2), np.float32)


def _set(rng: np.random.Generator) -> tuple[Light, Floats, scene.Sensor]:
    return scene.draw_light(rng), scene.draw_background(rng, WIDTH, HEIGHT), scene.draw_sensor(rng, HEIGHT)


_Plan = tuple[list[_Part], list[float], int | None]


def _two(rng: np.random.Generator) -> _Plan:
    side = float(rng.choice([-1, 1]))
    near = (side * float(rng.uniform(0.6, 1.0)), 0.0, float(rng.uniform(-0.5, 0.5)))
    far = (-side * float(rng.uniform(1.6, 2.2)), 0.1, float(rng.uniform(-4.0, -2.5)))
    return [_Part(lambda _: near), _Part(lambda _: far)], [], 0


def _cross(rng: np.random.Generator) -> _Plan:
    side, deep = float(rng.choice([-1, 1])), float(rng.uniform(-3.2, -2.2))

    def front(s: float) -> Place:
        return (side * (1.5 - 3.0 * s), 0.0, 0.0)

    def behind(s: float) -> Place:
        return (-side * (1.9 - 3.8 * s), 0.15, deep)

    return [_Part(front, lambda s: -15 * side), _Part(behind, lambda s: 15 * side)], [], 0


def _cut(rng: np.random.Generator) -> _Plan:
    """Shot, reverse shot and back: the first person has two thirds of the time."""
    cuts = [float(rng.uniform(0.3, 0.38)), float(rng.uniform(0.6, 0.68))]
    here = (float(rng.normal(0, 0.25)), 0.0, float(rng.uniform(-0.5, 1.0)))
    there = (float(rng.normal(0, 0.25)), 0.0, float(rng.uniform(-0.5, 1.0)))
    shots: list[_Part] = [
        _Part(lambda s: here if s < cuts[0] or s >= cuts[1] else None),
        _Part(lambda s: there if cuts[0] <= s < cuts[1] else None),
    ]
    return shots, cuts, 0


def _profile(rng: np.random.Generator) -> _Plan:
    side, most = float(rng.choice([-1, 1])), float(rng.uniform(65, 85))
    here = (float(rng.normal(0, 0.3)), 0.0, float(rng.uniform(-0.5, 0.8)))
    return [_Part(lambda _: here, lambda s: side * most * np.sin(np.pi * np.clip(1.6 * s - 0.3, 0, 1)))], [], 0


def _covered(rng: np.random.Generator) -> _Plan:
    here = (float(rng.normal(0, 0.4)), 0.0, float(rng.uniform(-0.5, 0.8)))
    begin = float(rng.uniform(0.2, 0.5))
    return [_Part(lambda _: here, covered=(begin, begin + 0.3))], [], 0


def _return(rng: np.random.Generator) -> _Plan:
    """One stays, one walks out of the picture and comes back from the same or the other side."""
    side, back = float(rng.choice([-1, 1])), float(rng.choice([-1, 1]))
    stay = (-side * float(rng.uniform(0.4, 0.8)), 0.0, 0.3)

    def walk(s: float) -> Place | None:
        if s < 0.4:
            return (side * (1.6 + 8.0 * max(0.0, s - 0.15)), 0.1, -1.8)
        if s < 0.65:
            return None
        return (back * side * (1.6 + 8.0 * max(0.0, 0.9 - s)), 0.1, -1.8)

    return [_Part(lambda _: stay), _Part(walk)], [], 0


def _nobody(rng: np.random.Generator) -> _Plan:
    return [], [], None


CASES: dict[str, Callable[[np.random.Generator], _Plan]] = {
    "two": _two, "cross": _cross, "cut": _cut, "profile": _profile, "covered": _covered, "return": _return, "nobody": _nobody,
    "crowd": _nobody,
}  # fmt: skip


def _crowd(number: int, rng: np.random.Generator, seed: int) -> Scene:
    """Thirty faces on one picture, one of them larger than the others: ten people three times each, for a few frames."""
    columns, rows, side = 8, 4, WIDTH // 8
    first = _FIRST + 1_000_003 * seed + 1000 * number + 555
    picture = np.zeros((rows * side + HEIGHT % side, WIDTH, 3), np.uint8)[:HEIGHT]
    standing = []
    slots = [(r, c) for r in range(rows) for c in range(columns) if not (1 <= r <= 2 and 3 <= c <= 4)]
    light, _, sensor = _set(rng)
    for k in range(29):
        big = k == 28
        size = 2 * side if big else side
        actor = _actor(first + k % 10)
        motion = animate(actor.person, plan_expressions(actor.person, 1.0, rng), 1.0, FPS, rng)
        pose = Pose(motion.units[4], float(rng.normal(0, 8)), 0.0, 0.0, (0.0, 0.0, 2.5))
        shot = render([(actor, pose)], Camera(size, size), light, scene.draw_background(rng, size, size))
        top, left = (side, 3 * side) if big else (slots[k][0] * side, slots[k][1] * side)
        tile = scene.expose(shot.image, sensor, rng)[: HEIGHT - top]
        picture[top : top + len(tile), left : left + size] = tile
        box = shot.people[0].box
        standing.append(Standing(k, (box[0] + left, box[1] + top, box[2] + left, box[3] + top), 1.0))
    times = np.arange(6) / FPS
    return Scene("crowd", number, np.stack([picture] * 6), times, tuple([tuple(standing)] * 6), 28)
