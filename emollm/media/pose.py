"""Where a head is turned: 40 landmarks that expressions hardly move, against where they lie on an average head.

Scaled orthographic fit, so neither the camera nor the size of the head need be known. Turning is well seen, nodding less: a long chin and a
lowered one look alike. The average head is MakeHuman's (CC0).
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emollm.values import Floats


@cache
def _average() -> tuple[NDArray[np.int64], Floats]:
    """Which landmarks, and their places [40, 3] around their middle in pupil distances: x to the person's left, y up, z out of the face."""
    rows = json.loads(Path(__file__).with_name("rigid.json").read_text("utf-8"))
    return np.array(rows["points"]), np.array(rows["places"])


def head_pose(landmarks: Floats) -> Floats:
    """Landmarks [n, 468, 2 or 3] in pixels to degrees [n, 3].

    Returns:
        Yaw, positive to the person's left; pitch, positive down; roll, positive when the head leans to its right shoulder. NaN where the
        landmarks fall on one point.
    """
    turn, scale = _fit(np.asarray(landmarks, float))
    yaw = np.arctan2(turn[:, 0, 2], turn[:, 2, 2])
    pitch = np.arctan2(-turn[:, 1, 2], turn[:, 2, 2])
    roll = np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    return np.where(scale[:, None] > 0, np.degrees(np.stack([yaw, pitch, roll], 1)), np.nan)


def frontal(landmarks: Floats) -> Floats:
    """Landmarks as if the head looked straight ahead: turned back, in pupil distances, around the middle of its stiff points.

    The depth of a mesh is a guess, so far sides of profiles stay rough.

    Args:
        landmarks: [n, 468, 3], of any size and place; x to the right, y down, z on the scale of x, away from the camera.

    Returns:
        [n, 468, 3] in the same directions; zeros where the landmarks fall on one point.
    """
    points, _ = _average()
    found = np.asarray(landmarks, float) * _UP
    turn, scale = _fit(np.asarray(landmarks, float))
    found = found - found[:, points].mean(1, keepdims=True)
    ahead = np.einsum("npi,nij->npj", found, turn) / np.where(scale > 0, scale, np.inf)[:, None, None]
    return ahead * _UP


_UP = np.array([1, -1, -1])  # pictures count downwards and away; heads are described upwards and towards


def _fit(landmarks: Floats) -> tuple[Floats, Floats]:
    """Rotation [n, 3, 3] from the average head to the picture, and its scale [n], 0 where there is none."""
    points, places = _average()
    frames = landmarks[:, points, :2] * _UP[:2]
    frames = frames - frames.mean(1, keepdims=True)
    flat = np.linalg.pinv(places) @ frames  # [n, 3, 2]
    left, scale, right = np.linalg.svd(flat.swapaxes(1, 2), full_matrices=False)
    rows = left @ right  # [n, 2, 3] the nearest two orthonormal rows
    turn = np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], 1)
    return turn, np.where(scale[:, -1] > 1e-6, scale.mean(1), 0.0)
