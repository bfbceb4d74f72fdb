"""Which places of the head mesh the 468 points of MediaPipe's face mesh mean, so that the truth has the detector's landmarks.

The table was fitted once: `fit` renders neutral people, runs the detector, asks which place of the base mesh is seen at each point,
takes the median over people, and then moves the places until no point is off on average. So the detector's habits are in the table, but
nothing of a single picture. Brows are painted, each person's own: their points follow the paint.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emollm.synth import raster
from emollm.synth.mesh import load_head
from emollm.synth.person import Person
from emollm.synth.skin import brow_edge
from emollm.values import Floats

TABLE = Path(__file__).with_name("landmarks.json")
# Points of the 468 that stand for the 68 of the iBUG scheme: jaw, brows, nose, eyes, lips.
USUAL = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


BROWS = (71, 63, 105, 66, 107, 336, 296, 334, 293, 301)  # points at the upper edge of the brows


@cache
def _table() -> tuple[NDArray[np.int64], Floats]:
    rows = json.loads(TABLE.read_text("utf-8"))
    return np.array(rows["points"]), np.array(rows["weights"], np.float32)


@dataclass(frozen=True, slots=True)
class Anchors:
    """Corners [468, 3] of the mesh triangle of each landmark, and their weights [468, 3]."""

    corners: NDArray[np.int64]
    weights: Floats

    @classmethod
    def of(cls, person: Person) -> Anchors:
        """The table, with the brows where this person's are painted."""
        corners, weights = (part.copy() for part in _table())
        mesh = load_head()
        for point in BROWS:
            place = (mesh.points[corners[point]] * weights[point][:, None]).sum(0)
            place[1] = brow_edge(person, float(abs(place[0])))
            corners[point], weights[point] = _anchor(place)
        return cls(corners, weights)

    def project(self, points: Floats) -> Floats:
        """Mesh points [P, D] to the 468 landmarks [468, D]."""
        return np.asarray((points[self.corners] * self.weights[..., None]).sum(1))


@cache
def _skin() -> tuple[NDArray[np.int64], Floats]:
    """Triangles of the skin and their middles on the base mesh."""
    mesh = load_head()
    body = np.unique(mesh.corner_point[np.unique(mesh.corner_triangles[mesh.material == raster.SKIN])])
    triangles = mesh.triangles[np.isin(mesh.triangles, body).all(1)]
    return triangles, mesh.points[triangles].mean(1)


def _anchor(place: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The triangle of the skin next to a place on the base mesh, and the weights of its corners."""
    triangles, middles = _skin()
    near = np.argsort(np.square(middles - place).sum(1))[:24]
    best = min(((_closest(load_head().points[triangles[i]], place), i) for i in near), key=lambda found: found[0][1])
    return triangles[best[1]], best[0][0]


def fit(people: int = 120, seed: int = 9 << 40) -> None:
    """Make the table anew from renders of `people` persons and the detector."""
    from emollm import weights
    from emollm.media.tracks import FaceTracker
    from emollm.synth.render import Actor, Camera, Light, Pose, render, surface_map
    from emollm.units import UNITS

    tracker = FaceTracker(weights.locate("mediapipe-face"))
    rng = np.random.default_rng(seed)
    camera = Camera(384, 384)
    seen, found, placed, scales = [], [], [], []
    for k in range(people):
        actor = Actor.by_seed(seed + k)
        side = 1 if k % 2 else -1  # light from both sides alike
        light = Light(
            np.array([[0.3 * side, 0.35, 0.9]], np.float32), np.full((1, 3), 0.8, np.float32), np.full(3, 0.45, np.float32),
            np.full(3, 0.25, np.float32), 1.1,
        )  # fmt: skip
        pose = Pose(np.zeros(len(UNITS), np.float32), rng.normal(0, 8), rng.normal(0, 6), 0.0, (0, 0, 4.0))
        picture = render([(actor, pose)], camera, light, np.full((384, 384, 3), 0.25, np.float32))
        faces = tracker.find((picture.image * 255).astype(np.uint8))
        if len(faces) != 1:
            continue
        mine = np.asarray(faces[0][0])[:468, :2]
        places = surface_map(actor, pose, camera)
        at = np.clip((mine * camera.oversampling).astype(int), 0, len(places) - 1)
        seen.append(places[at[:, 1], at[:, 0]])
        found.append(mine)
        placed.append(picture.people[0].points)
        scales.append(0.6155 / float(np.linalg.norm(np.subtract(*picture.people[0].eyes))))  # decimetres of the base mesh per pixel
    middle = np.nanmedian(np.stack(seen), 0)  # [468, 3]
    mirror = np.square((middle * [-1, 1, 1])[None] - middle[:, None]).sum(-1).argmin(1)
    for _ in range(4):
        middle = (middle + middle[mirror] * [-1, 1, 1]) / 2
        corners, shares = (np.array(part) for part in zip(*(_anchor(place) for place in middle), strict=True))
        off = [(f - Anchors(corners, shares).project(p)) * s for f, p, s in zip(found, placed, scales, strict=True)]
        middle = (load_head().points[corners] * shares[..., None]).sum(1)
        middle[:, :2] += np.median(off, 0) * [1, -1]
    rounded = [[round(float(w), 4) for w in row] for row in shares]
    table = {"people": len(seen), "points": corners.tolist(), "weights": rounded}
    TABLE.write_text(json.dumps(table, separators=(",", ":")) + "\n", "utf-8")


def _closest(corners: Floats, place: Floats) -> tuple[Floats, float]:
    """Weights of the point of a triangle next to `place`, and its squared distance."""
    a, b, c = corners
    basis = np.stack([b - a, c - a], 1)
    inside, *_ = np.linalg.lstsq(basis, place - a, rcond=None)
    weights = np.clip(np.array([1 - inside.sum(), *inside]), 0, None)
    weights /= weights.sum()
    return weights, float(np.square(weights @ corners - place).sum())


if __name__ == "__main__":
    fit()
