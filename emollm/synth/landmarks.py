"""Which places of the head mesh the 468 points of MediaPipe's face mesh mean, so that the truth has the detector's landmarks.

The table was fitted once: `fit` renders neutral people, runs the detector, and asks which place of the base mesh is seen at each point; the
median over people is the place. So the detector's habits are in the table, but nothing of a single picture.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emollm.values import Floats

TABLE = Path(__file__).with_name("landmarks.json")
# Points of the 468 that stand for the 68 of the iBUG scheme: jaw, brows, nose, eyes, lips.
USUAL = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip


@cache
def _table() -> tuple[NDArray[np.int64], Floats]:
    rows = json.loads(TABLE.read_text("utf-8"))
    return np.array(rows["points"]), np.array(rows["weights"], np.float32)


def project(points: Floats) -> Floats:
    """Mesh points [P, D] to the 468 landmarks [468, D]."""
    corners, weights = _table()
    return np.asarray((points[corners] * weights[..., None]).sum(1))


def fit(people: int = 60, seed: int = 900_000) -> None:
    """Make the table anew from renders of `people` persons and the detector."""
    from emollm import weights
    from emollm.media.tracks import FaceTracker
    from emollm.synth import raster
    from emollm.synth.mesh import load_head
    from emollm.synth.render import Actor, Camera, Light, Pose, render, surface_map
    from emollm.synth.units import UNITS

    mesh = load_head()
    tracker = FaceTracker(weights.locate("mediapipe-face"))
    light = Light(
        np.array([[0.2, 0.35, 0.9]], np.float32), np.full((1, 3), 0.8, np.float32), np.full(3, 0.45, np.float32),
        np.full(3, 0.25, np.float32), 1.1,
    )  # fmt: skip
    seen = []
    rng = np.random.default_rng(seed)
    camera = Camera(384, 384)
    for k in range(people):
        actor = Actor.by_seed(seed + k)
        pose = Pose(np.zeros(len(UNITS), np.float32), rng.normal(0, 12), rng.normal(0, 8), rng.normal(0, 5), (0, 0, 4.0))
        image = render([(actor, pose)], camera, light, np.full((384, 384, 3), 0.25, np.float32)).image
        found = tracker.find((image * 255).astype(np.uint8))
        if len(found) != 1:
            continue
        places = surface_map(actor, pose, camera)
        at = np.clip((np.asarray(found[0][0])[:468, :2] * camera.oversampling).astype(int), 0, len(places) - 1)
        seen.append(places[at[:, 1], at[:, 0]])
    middle = np.nanmedian(np.stack(seen), 0)  # [468, 3]
    skin = np.unique(mesh.corner_triangles[mesh.material == raster.SKIN].ravel())
    body = np.unique(mesh.corner_point[skin])
    triangles = mesh.triangles[np.isin(mesh.triangles, body).all(1)]
    centres = mesh.points[triangles].mean(1)
    points, shares = [], []
    for place in middle:
        near = np.argsort(np.square(centres - place).sum(1))[:24]
        best = min(((_closest(mesh.points[triangles[i]], place), i) for i in near), key=lambda found: found[0][1])
        points.append(triangles[best[1]].tolist())
        shares.append([round(float(w), 4) for w in best[0][0]])
    TABLE.write_text(json.dumps({"people": len(seen), "points": points, "weights": shares}, separators=(",", ":")) + "\n", "utf-8")


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
