"""Things a person wears or holds: hanging hair, a bun, glasses, and a hand or an object before the face."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.synth import raster
from emollm.synth.mesh import HeadMesh
from emollm.synth.person import Person
from emollm.values import Floats


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of geometry with a place in the person's neutral shape."""

    points: Floats  # [n, 3]
    normals: Floats  # [n, 3]
    triangles: NDArray[np.int64]  # [m, 3]
    material: int
    uv: Floats  # [n, 2]
    open_sky: Floats  # [n]
    paint: Floats  # [n, 3]


@dataclass(frozen=True, slots=True)
class Frame:
    """Measures of one neutral head that parts are fitted to, in decimetres."""

    eyes: Floats  # [2, 3]
    eye_y: float
    crown: float  # height of the skull above the eyes
    half_width: float  # of the head above the ears

    @classmethod
    def of(cls, mesh: HeadMesh, base: Floats) -> Frame:
        """Measure a neutral shape [P, 3]."""
        eyes = np.stack([base[e].mean(0) for e in mesh.eye_points])
        eye_y = float(eyes[:, 1].mean())
        skin = base[np.unique(mesh.corner_point[np.unique(mesh.corner_triangles[mesh.material == raster.SKIN])])]
        ring = skin[np.abs(skin[:, 1] - eye_y - 0.25) < 0.08]
        return cls(eyes, eye_y, float(skin[:, 1].max() - eye_y), float(np.abs(ring[:, 0]).max()))


_AROUND, _CAP, _FALL = 160, 26, 30  # columns round the head, rings over the skull, rings below it


def hanging_hair(person: Person, mesh: HeadMesh, base: Floats) -> Part:
    """A cap over the skull that falls down on all sides and opens before the face."""
    frame = Frame.of(mesh, base)
    rng = np.random.default_rng([person.seed, 4])
    centre = np.array([0, frame.eye_y + 0.10, 0.05])
    azimuth = np.linspace(-np.pi, np.pi, _AROUND + 1)
    layers = _cap(base, frame, centre, azimuth, 0.06 + 0.4 * person.hair_thickness)
    bottom = frame.eye_y - person.hair_length
    layers += _fall(layers[-1], frame, centre, azimuth, bottom, rng)
    points = np.array(layers)
    count = len(points)
    wobble = 0.010 * np.sin(azimuth * 31 + 0.6) + 0.008 * np.sin(azimuth * 53)
    outward = (points - centre) / np.linalg.norm(points - centre, axis=-1, keepdims=True)
    points = points + outward * (wobble[None] * np.linspace(0, 1, count)[:, None])[..., None]
    flat = points.reshape(-1, 3).astype(np.float32)
    triangles = _grid_triangles(count, _AROUND + 1)
    normal = np.zeros_like(flat)
    raster.normals(flat, triangles, normal)
    net = normal.reshape(count, _AROUND + 1, 3)
    net[:, 0] = net[:, -1] = net[:, 0] + net[:, -1]  # the seam at the back
    if ((normal * (flat - centre)).sum(1)).mean() < 0:
        normal = -normal
    opened = -_opening(flat[:, 0] + rng.uniform(-0.12, 0.12), flat[:, 1], frame, rng.uniform(0.9, 1.0))
    opened = np.where(flat[:, 2] > centre[2] + 0.05, opened, 1.0)
    white = rng.normal(size=(2, 1, _AROUND + 1))
    ragged = _blur(white[0], 1.0, 1, wrap=True)[0] * 0.05 + _blur(white[1], 4.0, 1, wrap=True)[0] * 0.10
    along = (np.arange(count) / (count - 1))[:, None] * (1.0 + 0.22 * ragged[None])
    shade = np.clip(0.45 + np.clip((flat[:, 1] - bottom) / 0.5, 0, 1), 0, 1) * np.clip(0.55 + opened * 4, 0.55, 1)
    return Part(
        flat, np.ascontiguousarray(normal, np.float32), triangles, raster.DRAPE,
        np.stack([opened, along.ravel()], 1).astype(np.float32), shade.astype(np.float32), np.zeros_like(flat),
    )  # fmt: skip


def _cap(base: Floats, frame: Frame, centre: Floats, azimuth: Floats, thick: float) -> list[Floats]:
    """Rings from the crown to the level of `centre`, at the skull's own radius plus the hair."""
    skull = base[base[:, 1] > frame.eye_y - 0.9] - centre
    reach = np.linalg.norm(skull, axis=1)
    toward = skull / reach[:, None]
    elevation = np.linspace(np.pi / 2, 0, _CAP)
    grid = np.stack(
        [
            np.cos(elevation)[:, None] * np.sin(azimuth)[None],
            np.repeat(np.sin(elevation)[:, None], len(azimuth), 1),
            np.cos(elevation)[:, None] * np.cos(azimuth)[None],
        ],
        -1,
    )
    radius = np.zeros(grid.shape[:2])
    for i in range(_CAP):
        weight = np.exp((grid[i] @ toward.T - 1) * 180)
        radius[i] = (weight * reach).sum(1) / weight.sum(1)
    radius = _blur(_blur(radius, 1.5, 0, wrap=False), 2.5, 1, wrap=True)
    radius += thick * (1 - 0.35 * np.exp(-((azimuth / 0.5) ** 2))[None])
    return [centre + grid[i] * radius[i][:, None] for i in range(_CAP)]


def _fall(last: Floats, frame: Frame, centre: Floats, azimuth: Floats, bottom: float, rng: np.random.Generator) -> list[Floats]:
    """Rings below the cap: over the ears, then down, a little flared, with waves in some."""
    level = last - centre
    level[:, 1] = 0
    start = np.linalg.norm(level, axis=1)
    out = level / start[:, None]
    ears = np.abs(np.abs(azimuth) - np.pi / 2) < 0.5
    wide = np.maximum(start, _blur(np.where(ears, frame.half_width + 0.17, start)[None], 6, 1, wrap=True)[0])
    curl = rng.uniform(0, 0.06) if rng.random() < 0.5 else 0.0
    top = last[:, 1].mean()
    layers = []
    for k in range(1, _FALL + 1):
        q = k / _FALL
        flare = 0.06 * np.sin(np.pi * min(1, q * 1.1)) - 0.2 * max(0, q - 0.62) ** 1.5
        back = -0.22 * q * np.clip(-np.cos(azimuth), 0, 1)
        ripple = curl * np.sin(q * 14 + azimuth * 5) * q + 0.02 * np.sin(azimuth * 9 + 1) * q
        ring = centre + out * (start * (1 - min(1, q * 3)) + wide * min(1, q * 3) + flare + back + ripple)[:, None]
        ring[:, 1] = top + (bottom - top) * q
        layers.append(ring)
    return layers


def _opening(x: Floats, y: Floats, frame: Frame, narrow: float) -> Floats:
    """[n] how far inside the gap in the hair before the face a place lies; positive inside."""
    level = (y - frame.eye_y) / frame.crown
    half = np.interp(
        level, [-1.4, -1.0, -0.6, -0.2, 0.10, 0.28, 0.41, 0.49, 0.535, 0.55], [0.78, 0.88, 0.95, 0.97, 0.92, 0.78, 0.58, 0.36, 0.12, 0]
    )
    return np.where(level < 0.55, half * frame.half_width * narrow - np.abs(x), -(level - 0.55) * frame.crown)


def bun(person: Person, mesh: HeadMesh, base: Floats) -> Part:
    """A knot of hair on the crown or at the back."""
    frame = Frame.of(mesh, base)
    rng = np.random.default_rng([person.seed, 5])
    high = rng.random() < 0.5
    at = np.array([0, frame.eye_y + frame.crown * (1.02 if high else 0.5), -0.15 if high else -1.0])
    return _painted(_ball(at, np.array([1, 0.85, 1]) * rng.uniform(0.28, 0.45)), np.array(person.hair) * 0.8, grain=0.5, seed=person.seed)


def glasses(person: Person, mesh: HeadMesh, base: Floats) -> Part:
    """Rims, bridge and temples, fitted to the eyes."""
    frame = Frame.of(mesh, base)
    half = 0.235 * (frame.eyes[0, 0] - frame.eyes[1, 0]) / 0.6155
    z = float(frame.eyes[:, 2].max()) + 0.23
    y = frame.eye_y - 0.015
    wide, tall, power = {"round": (1.0, 0.98, 2.0), "square": (1.05, 0.8, 5.0), "wide": (1.12, 0.72, 3.2)}[person.glasses]
    thick = 0.016 if sum(person.glasses_colour) > 0.4 else 0.026
    lines = []
    turn = np.linspace(0, 2 * np.pi, 33)
    for eye in frame.eyes:
        ring_x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / power) * half * wide
        ring_y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** (2 / power) * half * tall
        bend = -0.10 * ((eye[0] + ring_x) / 0.6) ** 2
        lines.append(np.stack([eye[0] + ring_x, y + ring_y, z + bend], 1))
    inner = frame.eyes[0, 0] - half * wide
    span = np.linspace(-inner, inner, 7)
    lines.append(np.stack([span, y + 0.06 + 0.03 * np.cos(span / inner * np.pi / 2), np.full(7, z + 0.02)], 1))
    outer = frame.eyes[0, 0] + half * wide
    ear_z = float(base[np.abs(base[:, 0]) > frame.half_width * 0.98][:, 2].mean())
    for sign in (1, -1):
        lines.append(
            np.stack(
                [
                    sign * np.linspace(outer, frame.half_width + 0.03, 6),
                    np.linspace(y + 0.06, y + 0.05, 6),
                    np.linspace(z - 0.10 * (outer / 0.6) ** 2, ear_z, 6),
                ],
                1,
            )
        )
    lines[:3] = [_before(line, base, thick + 0.02) for line in lines[:3]]
    return _painted(_join([_tube(line, thick) for line in lines]), np.array(person.glasses_colour))


def _before(line: Floats, base: Floats, gap: float) -> Floats:
    """A line [k, 3] brought forward as a whole until no point of the face near it is less than `gap` behind."""
    near = np.abs(base[None, :, 0] - line[:, None, 0]) + np.abs(base[None, :, 1] - line[:, None, 1]) < 0.06
    skin = np.where(near, base[None, :, 2], -np.inf).max(1)
    return np.asarray(line + np.array([0, 0, max(0.0, float((skin + gap - line[:, 2]).max()))]))


def hand(person: Person, mesh: HeadMesh, base: Floats, where: str, seed: int) -> Part:
    """Four fingers, a thumb and the back of a hand before the mouth, on the cheek, over the brow or under the chin."""
    frame = Frame.of(mesh, base)
    rng = np.random.default_rng([seed, 6])
    side = rng.choice([-1.0, 1.0])
    target = {
        "mouth": np.array([0.05 * side, frame.eye_y - 0.62, 1.62]),
        "cheek": np.array([0.55 * side, frame.eye_y - 0.35, 1.25]),
        "brow": np.array([0.25 * side, frame.eye_y + 0.35, 1.5]),
        "chin": np.array([0.15 * side, frame.eye_y - 1.0, 1.45]),
    }[where]
    lean = np.deg2rad(rng.uniform(-35, 35) + (60 * side if where in ("mouth", "brow") else 20 * side))
    up = np.array([-np.sin(lean), np.cos(lean), 0.12])
    across = np.array([np.cos(lean), np.sin(lean), 0.0])
    size = 0.9 + 0.25 * person.masculinity
    pieces = []
    for k, length in enumerate((0.62, 0.72, 0.68, 0.52)):
        root = target + across * (k - 1.5) * 0.17 * size - up * 0.1
        bend = np.array([0, 0, -0.12])
        spread = across * (k - 1.5) * 0.05
        line = np.stack([root, root + (up + spread) * length * 0.5 * size, root + (up + spread) * length * size + bend])
        pieces.append(_tube(line, 0.082 * size, rounded=True))
    palm = target - up * 0.5 * size
    pieces.append(_ball(palm, np.array([0.36, 0.46, 0.14]) * size, np.stack([across, up / np.linalg.norm(up), np.cross(across, up)])))
    thumb = palm + across * 0.36 * side * size
    pieces.append(_tube(np.stack([palm, thumb, thumb + up * 0.36 * size + across * 0.08 * side]), 0.09 * size, rounded=True))
    wrist = palm - up * 2.2
    pieces.append(_tube(np.stack([palm - up * 0.2, (palm + wrist) / 2, wrist]), 0.24 * size))
    return _painted(_join(pieces), np.array(person.skin) * np.array([1.02, 0.97, 0.96]), grain=0.12, seed=seed)


def thing(mesh: HeadMesh, base: Floats, seed: int) -> Part:
    """A microphone, a cup or a telephone that hides a part of the lower face."""
    frame = Frame.of(mesh, base)
    rng = np.random.default_rng([seed, 7])
    at = np.array([rng.uniform(-0.45, 0.45), frame.eye_y - rng.uniform(0.55, 1.0), 1.7])
    colour = np.clip(rng.uniform(0.02, 0.5) * np.exp(rng.normal(0, 0.4, 3)), 0.01, 0.8)
    kind = rng.choice(["microphone", "cup", "telephone"])
    if kind == "microphone":
        stem = np.stack([at, at + np.array([rng.uniform(-0.6, 0.6), -1.6, 0.2])])
        return _painted(_join([_ball(at, np.full(3, 0.26)), _tube(stem, 0.12)]), colour * 0.3, grain=0.4, seed=seed)
    if kind == "cup":
        body = np.stack([at + np.array([0, 0.3, 0]), at - np.array([0, 0.55, 0])])
        return _painted(_tube(body, 0.38, rounded=True), colour)
    across = np.array([rng.choice([-1, 1]) * 0.5, 0.1, 0])
    return _painted(_ball(at + across, np.array([0.36, 0.75, 0.06])), colour * 0.3)


# -- simple solids: points, normals, triangles

_Solid = tuple[Floats, Floats, NDArray[np.int64]]


def _tube(line: Floats, radius: float, *, rounded: bool = False, sides: int = 8) -> _Solid:
    """A pipe along points [k, 3], closed by a dome at its end if `rounded`."""
    line = np.asarray(line, float)
    radii = np.full(len(line), radius)
    if rounded:
        tip = line[-1] - line[-2]
        tip = tip / np.linalg.norm(tip)
        bends = np.array([0.4, 0.75, 0.95, 1.0])
        line = np.concatenate([line, line[-1] + tip * radius * bends[:, None]])
        radii = np.concatenate([radii, radius * np.sqrt(np.maximum(1 - bends**2, 0.0004))])
    along = np.gradient(line, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    helper = np.where(np.abs(along[:, 1:2]) < 0.9, np.array([[0, 1.0, 0]]), np.array([[1.0, 0, 0]]))
    first = np.cross(helper, along)
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-9
    second = np.cross(along, first)
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    normal = first[:, None] * np.cos(turn)[None, :, None] + second[:, None] * np.sin(turn)[None, :, None]
    points = line[:, None] + normal * radii[:, None, None]
    return points.reshape(-1, 3), normal.reshape(-1, 3), _grid_triangles(len(line), sides + 1)


def _ball(centre: Floats, radii: Floats, axes: Floats | None = None, count: int = 14) -> _Solid:
    """An ellipsoid; `axes` [3, 3] are its unit axes as rows."""
    high = np.linspace(0.001, np.pi - 0.001, count)
    turn = np.linspace(0, 2 * np.pi, 2 * count + 1)
    unit = np.stack(
        [
            np.sin(high)[:, None] * np.cos(turn)[None],
            np.repeat(np.cos(high)[:, None], len(turn), 1),
            np.sin(high)[:, None] * np.sin(turn)[None],
        ],
        -1,
    ).reshape(-1, 3)
    turned = np.eye(3) if axes is None else axes
    normal = (unit / radii) @ turned
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return centre + (unit * radii) @ turned, normal, _grid_triangles(count, len(turn))


def _join(solids: list[_Solid]) -> _Solid:
    points, normals, triangles, count = [], [], [], 0
    for p, n, t in solids:
        points.append(p)
        normals.append(n)
        triangles.append(t + count)
        count += len(p)
    return np.concatenate(points), np.concatenate(normals), np.concatenate(triangles)


def _painted(solid: _Solid, colour: Floats, *, grain: float = 0.0, seed: int = 0) -> Part:
    points, normal, triangles = solid
    # Windings may differ between solids: turn each triangle so that it faces the way its normals do.
    corner = points[triangles]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    wrong = (face * normal[triangles].mean(1)).sum(1) < 0
    triangles = np.where(wrong[:, None], triangles[:, ::-1], triangles)
    rough = 1 + grain * (raster.noise(points.astype(np.float32), 12.0, seed % 1000) - 0.5)
    n = len(points)
    return Part(
        points.astype(np.float32), normal.astype(np.float32), np.ascontiguousarray(triangles), raster.PAINT,
        np.zeros((n, 2), np.float32), np.full(n, 0.85, np.float32), (rough[:, None] * colour).astype(np.float32),
    )  # fmt: skip


def _grid_triangles(rows: int, columns: int) -> NDArray[np.int64]:
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1].ravel(), index[:-1, 1:].ravel(), index[1:, :-1].ravel(), index[1:, 1:].ravel()
    return np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)]).astype(np.int64)


def _blur(values: Any, sigma: float, axis: int, *, wrap: bool) -> Floats:
    """Gaussian smoothing along one axis."""
    radius = int(3 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    pads = [(0, 0)] * np.ndim(values)
    pads[axis] = (radius, radius)
    wide = np.pad(values, pads, mode="wrap" if wrap else "edge")
    return np.asarray(np.apply_along_axis(lambda row: np.convolve(row, kernel, "valid"), axis, wide))
