"""People, light and a background to one picture, with the place of everything in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.synth import parts, raster, skin
from emollm.synth.mesh import SHELLS, HeadMesh, hair_line, load_head, smooth
from emollm.synth.person import Person, draw_person
from emollm.units import INDEX, UNITS, both
from emollm.values import Floats

FIELD_OF_VIEW = 24.0  # degrees, vertical
DISTANCE = 9.5  # decimetres from camera to the first person
_SHELL_LAYERS = {"bald": 0, "buzz": 2, "short": 7, "curls": 7, "long": 2, "bob": 2, "bun": 3}


@dataclass(frozen=True, slots=True)
class Light:
    """Lamps and ambient light, linear."""

    toward: Floats  # [L, 3] unit vectors
    colour: Floats  # [L, 3]
    sky: Floats  # [3]
    ground: Floats  # [3]
    exposure: float


@dataclass(frozen=True, slots=True)
class Pose:
    """One person at one moment."""

    units: Floats  # [52]
    yaw: float = 0.0  # degrees, positive to the person's left
    pitch: float = 0.0  # positive looks down
    roll: float = 0.0
    place: tuple[float, float, float] = (0.0, 0.0, 0.0)  # decimetres, relative to the middle of the picture at DISTANCE


@dataclass(frozen=True, slots=True)
class Camera:
    """The picture and small movements of the camera."""

    width: int
    height: int
    pan: tuple[float, float] = (0.0, 0.0)  # decimetres at DISTANCE
    roll: float = 0.0  # degrees
    zoom: float = 1.0
    oversampling: int = 2


@dataclass(frozen=True, slots=True)
class Placed:
    """Where one person is in the picture, in pixels."""

    points: Floats  # [P, 2] of all mesh points
    box: tuple[float, float, float, float]  # of the face: left, top, right, bottom
    eyes: Floats  # [2, 2] centres of the eyeballs, left and right
    visible: float  # share of the face's pixels that nothing covers
    gaze: tuple[float, float]  # degrees, x to the right of the picture, y up


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered frame."""

    image: Floats  # [H, W, 3] sRGB in [0, 1]
    people: tuple[Placed, ...]


@dataclass(slots=True)
class Actor:
    """A person made ready to be moved: their neutral shape, surface and things."""

    person: Person
    base: Floats  # [P, 3]
    surface: skin.Surface
    hair_lift: Floats  # [C] how far each corner of the hair's layers stands off the scalp, decimetres
    things: list[parts.Part] = field(default_factory=list)
    eye_y: float = 0.0

    @classmethod
    def of(cls, person: Person) -> Actor:
        """Shape and paint a person; a quarter of a second."""
        mesh = load_head()
        base = mesh.shaped(dict(person.shape)).astype(np.float32)
        _settle_mouth(mesh, base)
        low, high = max(0.0, -person.brow_rest), max(0.0, person.brow_rest)
        base = mesh.moved(base, both(eyeBlink=person.droop, browDown=low, browOuterUp=high))
        actor = cls(person, base, skin.paint(person), _hair_lift(person, mesh), eye_y=parts.Frame.of(mesh, base).eye_y)
        if person.hair_style in ("long", "bob"):
            actor.things.append(parts.hanging_hair(person, mesh, base))
        if person.hair_style == "bun":
            actor.things.append(parts.bun(person, mesh, base))
        if person.glasses != "none":
            actor.things.append(parts.glasses(person, mesh, base))
        return actor

    def holding(self, thing: parts.Part) -> Actor:
        """The same person with one thing more."""
        return Actor(self.person, self.base, self.surface, self.hair_lift, [*self.things, thing], self.eye_y)

    @classmethod
    def by_seed(cls, seed: int) -> Actor:
        """The person of a seed."""
        return cls.of(draw_person(seed, load_head().shape_index))


def _hair_lift(person: Person, mesh: HeadMesh) -> Floats:
    """[C] height of the hair's layers: low at the hairline, uneven over the head, in lumps where it curls."""
    layered = mesh.shell_height > 0
    lift = np.zeros(len(mesh.rest), np.float32)
    if person.hair_style not in ("short", "curls"):
        lift[layered] = mesh.shell_height[layered] * (0.025 if person.hair_style == "buzz" else 0.05)
        return lift
    at = mesh.rest[layered]
    curly = person.hair_style == "curls"
    inside = hair_line(at) - person.hair_line * smooth(0.3, 0.9, at[:, 2])
    taper = smooth(-0.06, 0.30 if curly else 0.22, inside) * (0.35 + 0.65 * smooth(6.9, 7.6, at[:, 1]))
    lumps = raster.noise(at, 6.5 if curly else 3.0, person.seed % 9973) * (1.1 if curly else 0.7) + (0.35 if curly else 0.6)
    fine = 1 + (0.3 if curly else 0.25) * (raster.noise(at, 24.0, person.seed % 9967) - 0.5)
    lift[layered] = mesh.shell_height[layered] * person.hair_thickness * (0.12 + 0.88 * taper) * lumps * fine
    return lift


def _settle_mouth(mesh: HeadMesh, base: Floats) -> None:
    """Teeth smaller and further back, or they poke through the lips of some shapes; the upper ones low enough to show."""
    for row, down, apart in zip(mesh.teeth, (-0.05, -0.02), (0.16, -0.16), strict=True):
        middle = base[row].mean(0)
        base[row] = middle + (base[row] - middle) * np.array([0.8, 0.85, 0.84]) + np.array([0, down, -0.07])
        base[row, 1] += apart * (base[row, 2].max() - base[row, 2])  # or the side teeth of an open mouth stand out like fangs
    for eye in mesh.eye_points:  # or lids that hang cut into the eyeball
        centre = base[eye].mean(0)
        base[eye] = centre + (base[eye] - centre) * 0.97
    middle = base[mesh.tongue].mean(0)
    base[mesh.tongue] = middle + (base[mesh.tongue] - middle) * np.array([0.75, 0.8, 0.8]) + np.array([0, -0.06, -0.16])


# How far a unit at 1 moves a face, against the mesh's own: MakeHuman's are milder than what faces do at their strongest.
# Measured with two outside networks on seven prototypes (docs/results.md). Gaze and blinks are exact as they are.
_REACH = {
    "browInner": 2.2, "browOuter": 1.2, "browDown": 1.7, "nose": 1.9, "cheek": 1.5, "mouth": 1.5, "jaw": 1.2,
    "eyeSquint": 1.4, "eyeWide": 1.7,
}  # fmt: skip
REACH: Floats = np.array([next((v for k, v in _REACH.items() if name.startswith(k)), 1.0) for name in UNITS], np.float32)
_BLINK = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]


def _reached(person: Person, units: Floats) -> Floats:
    """[52] strengths for the mesh from facial units of a person; lids that hang at rest have less far to close."""
    found = np.asarray(units * np.where(REACH > 1, REACH * person.reach, 1.0), np.float32)
    found[_BLINK] *= 1 - person.droop
    return found


def rotation(yaw: float, pitch: float, roll: float) -> Floats:
    """[3, 3] of angles in degrees."""
    y, p, r = (math.radians(v) for v in (yaw, pitch, roll))
    turn = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    nod = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    tilt = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    return np.asarray(turn @ nod @ tilt, np.float32)


def render(cast: Sequence[tuple[Actor, Pose]], camera: Camera, light: Light, background: Floats, *, hands: Sequence[int] = ()) -> Picture:
    """Draw one frame.

    Args:
        cast: Everyone in the picture, in any order.
        camera: Size and movements.
        light: Lamps.
        background: [H, W, 3] linear.
        hands: Which of the people's last thing (a hand, an object) keeps its place before the shoulders instead of following the head.

    Returns:
        The picture and where everyone is in it.
    """
    scale = camera.oversampling
    height, width = camera.height * scale, camera.width * scale
    depth = np.zeros((height, width), np.float32)
    out = np.ascontiguousarray(np.repeat(np.repeat(background, scale, 0), scale, 1), np.float32)
    who = np.full((height, width), -1, np.int16)
    faces, placed = [], []
    for number, (actor, pose) in enumerate(cast):
        points, face = _draw(actor, pose, camera, light, depth, out, who, number, still_last=number in hands)
        faces.append(face)
        placed.append(points)
    light_out = cv2.resize(np.minimum(out, 1.6), (camera.width, camera.height), interpolation=cv2.INTER_AREA) * light.exposure
    image = np.where(light_out < 0.0031308, 12.92 * light_out, 1.055 * np.power(np.maximum(light_out, 1e-6), 1 / 2.4) - 0.055)
    people = []
    for number, (actor, pose) in enumerate(cast):
        people.append(_placed(actor, pose, placed[number] / scale, faces[number], who == number, scale))
    return Picture(np.clip(image, 0, 1).astype(np.float32), tuple(people))


@dataclass(frozen=True, slots=True)
class _Shape:
    """One person posed: everything the rasteriser needs, still in the world."""

    points: Floats  # [P, 3] of the mesh
    at: Floats  # [n, 3] corners, shells and things
    normals: Floats  # [n, 3]
    triangles: NDArray[np.int64]
    material: NDArray[np.int64]
    cut: Floats
    uv: Floats
    rest: Floats
    open_sky: Floats
    paint: Floats


def _posed(actor: Actor, pose: Pose, *, still_last: bool) -> _Shape:
    mesh, person = load_head(), actor.person
    points = mesh.moved(actor.base, _reached(person, pose.units))
    normal = np.zeros_like(points)
    raster.normals(points, mesh.triangles, normal)
    turn = rotation(pose.yaw, pose.pitch, pose.roll)
    pivot = np.array([0, actor.eye_y - 1.1, 0.1], np.float32)

    def turned(at: Floats, facing: Floats) -> tuple[Floats, Floats]:
        follows = smooth(-0.75, 0.15, at[:, 1:2] - pivot[1])
        return at * (1 - follows) + ((at - pivot) @ turn.T + pivot) * follows, facing * (1 - follows) + (facing @ turn.T) * follows

    points, normal = turned(points, normal)
    corner, facing = points[mesh.corner_point], normal[mesh.corner_point]
    corner = corner + facing * actor.hair_lift[:, None]
    layers = _SHELL_LAYERS[person.hair_style]
    shown = (mesh.material != raster.SHELL) | (mesh.shell_height[mesh.corner_triangles[:, 0]] <= layers / SHELLS + 1e-6)
    at, towards, triangles, material, cut = [corner], [facing], [mesh.corner_triangles[shown]], [mesh.material[shown]], [mesh.cut[shown]]
    uv, rest, open_sky, paint = [mesh.corner_uv], [mesh.rest], [mesh.open_sky], [np.zeros_like(mesh.rest)]
    count = len(corner)
    for i, thing in enumerate(actor.things):
        still = still_last and i == len(actor.things) - 1
        thing_at, thing_facing = (thing.points, thing.normals) if still else turned(thing.points, thing.normals)
        if thing.material == raster.DRAPE:  # the lower half of long hair swings half as far as the head turns
            low = smooth(0.0, -1.2, thing.points[:, 1:2] - actor.eye_y + 0.4)
            thing_at = thing_at * (1 - 0.5 * low) + thing.points * 0.5 * low
        at.append(thing_at)
        towards.append(thing_facing)
        triangles.append(thing.triangles + count)
        material.append(np.full(len(thing.triangles), thing.material))
        cut.append(np.zeros(len(thing.triangles), np.float32))
        uv.append(thing.uv)
        rest.append(thing.points)
        open_sky.append(thing.open_sky)
        paint.append(thing.paint)
        count += len(thing.points)
    return _Shape(
        points=points,
        at=np.concatenate(at).astype(np.float32),
        normals=np.concatenate(towards).astype(np.float32),
        triangles=np.ascontiguousarray(np.concatenate(triangles)),
        material=np.concatenate(material),
        cut=np.concatenate(cut),
        uv=np.concatenate(uv).astype(np.float32),
        rest=np.concatenate(rest).astype(np.float32),
        open_sky=np.concatenate(open_sky),
        paint=np.concatenate(paint),
    )


def _draw(
    actor: Actor, pose: Pose, camera: Camera, light: Light, depth: Floats, out: Floats, who: Floats, number: int, *, still_last: bool
) -> tuple[Floats, Floats]:
    """Draw one person into the buffers; their mesh points [P, 2] on the fine grid, and the pixels their face would cover alone."""
    shape = _posed(actor, pose, still_last=still_last)
    view, project = _projection(actor, pose, camera, depth.shape[1], depth.shape[0])
    space, screen = project(shape.at)
    owner = np.full(depth.shape, -1, np.int64)
    share = np.zeros((*depth.shape, 3), np.float32)
    raster.rasterise(screen, shape.triangles, shape.material, shape.cut, shape.uv, actor.surface.density, depth, owner, share)
    person = actor.person
    raster.shade(
        owner, share, shape.triangles, shape.material, space, np.ascontiguousarray(shape.normals @ view.T, np.float32),
        shape.uv, shape.rest, shape.open_sky, shape.paint,
        actor.surface.albedo, actor.surface.bump, skin.canvas().folds, skin.drawn_folds(pose.units, person.age), load_head().eye_centres,
        np.array(person.iris, np.float32), person.pupil, np.array(person.hair, np.float32), person.shine,
        (light.toward @ view.T).astype(np.float32), light.colour.astype(np.float32), light.sky.astype(np.float32),
        light.ground.astype(np.float32), out,
    )  # fmt: skip
    who[owner >= 0] = number
    flat = project(shape.points)[1][:, :2]
    return flat, (owner >= 0) & (shape.material[np.maximum(owner, 0)] != raster.PAINT)


def surface_map(actor: Actor, pose: Pose, camera: Camera) -> Floats:
    """[H, W, 3] which place of the base mesh's skin each pixel shows, NaN where it shows none; on the fine grid."""
    height, width = camera.height * camera.oversampling, camera.width * camera.oversampling
    shape = _posed(actor, pose, still_last=False)
    _, project = _projection(actor, pose, camera, width, height)
    depth, owner = np.zeros((height, width), np.float32), np.full((height, width), -1, np.int64)
    share = np.zeros((height, width, 3), np.float32)
    raster.rasterise(project(shape.at)[1], shape.triangles, shape.material, shape.cut, shape.uv, actor.surface.density, depth, owner, share)
    found = (shape.rest[shape.triangles[np.maximum(owner, 0)]] * share[..., None]).sum(2)
    found[(owner < 0) | (shape.material[np.maximum(owner, 0)] != raster.SKIN)] = np.nan
    return np.asarray(found)


def _projection(actor: Actor, pose: Pose, camera: Camera, width: int, height: int):  # type: ignore[no-untyped-def]
    """The camera's rotation, and a function from places [n, 3] to camera space and to pixels with 1 / distance."""
    focal = 0.5 * height / math.tan(math.radians(FIELD_OF_VIEW) / 2) * camera.zoom
    eye = np.array([camera.pan[0], actor.eye_y - 0.18 + camera.pan[1], 0], np.float32)
    view = rotation(0, 0, camera.roll)

    def project(at: Floats) -> tuple[Floats, Floats]:
        space = (at - eye + np.array(pose.place, np.float32)) @ view.T
        space[:, 2] -= DISTANCE
        near = -1.0 / np.minimum(space[:, 2], -0.5)
        screen = np.stack([space[:, 0] * near * focal + width / 2, -space[:, 1] * near * focal + height / 2, near], 1)
        return np.ascontiguousarray(space, np.float32), np.ascontiguousarray(screen, np.float32)

    return view, project


_FACE_HIGH, _FACE_LOW = 7.95, 6.2  # on the base mesh: hairline and chin


def _placed(actor: Actor, pose: Pose, points: Floats, alone: Floats, mine: Floats, scale: int) -> Placed:
    mesh = load_head()
    front = (mesh.points[:, 2] > 0.55) & (mesh.points[:, 1] > _FACE_LOW) & (mesh.points[:, 1] < _FACE_HIGH)
    face = points[front]
    left, top = face.min(0)
    right, bottom = face.max(0)
    window = np.s_[max(0, int(top * scale)) : max(0, int(bottom * scale) + 1), max(0, int(left * scale)) : max(0, int(right * scale) + 1)]
    whole = float((right - left) * (bottom - top) * scale * scale) * 0.75  # an oval in its box
    seen = float((alone[window] & mine[window]).sum())
    units = dict(zip(UNITS, pose.units.tolist(), strict=True))
    right_turn = 30 * (units["eyeLookOutLeft"] + units["eyeLookInRight"] - units["eyeLookInLeft"] - units["eyeLookOutRight"]) / 2
    up = 25 * (units["eyeLookUpLeft"] + units["eyeLookUpRight"] - units["eyeLookDownLeft"] - units["eyeLookDownRight"]) / 2
    return Placed(
        points=points,
        box=(float(left), float(top), float(right), float(bottom)),
        eyes=np.stack([points[e].mean(0) for e in mesh.eye_points]),
        visible=min(1.0, seen / max(whole, 1.0)),
        gaze=(right_turn + pose.yaw, up - pose.pitch),
    )
