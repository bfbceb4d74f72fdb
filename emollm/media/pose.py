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
    points, places = _average()
    found = np.full((len(landmarks), 3), np.nan)
    for i, frame in enumerate(np.asarray(landmarks, float)[:, points, :2] * [1, -1]):
        flat, *_ = np.linalg.lstsq(places, frame - frame.mean(0), rcond=None)
        left, scale, right = np.linalg.svd(flat.T, full_matrices=False)
        if scale[-1] < 1e-6:
            continue
        rows = left @ right  # the nearest two orthonormal rows
        turn = np.vstack([rows, np.cross(rows[0], rows[1])])
        found[i] = np.degrees([np.arctan2(turn[0, 2], turn[2, 2]), np.arctan2(-turn[1, 2], turn[2, 2]), np.arctan2(turn[1, 0], turn[0, 0])])
    return found
