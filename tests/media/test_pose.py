"""Head pose of turned points is the angle they were turned by."""

import numpy as np
import pytest

from emollm.media.pose import _average, head_pose


def seen(yaw, pitch, roll, size=80.0):
    """Landmarks of the average head, turned, far from the camera."""
    points, places = _average()
    y, p, r = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    tilt = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    found = np.zeros((1, 468, 3))
    found[0, points, :2] = (places @ (turn @ nod @ tilt).T)[:, :2] * [size, -size] + [200, 150]
    return found


@pytest.mark.parametrize("angles", [(0, 0, 0), (25, 0, 0), (-40, 0, 0), (0, 15, 0), (0, -20, 0), (0, 0, 12)])
def test_single_turns_are_found(angles):
    assert head_pose(seen(*angles))[0] == pytest.approx(angles, abs=0.5)


def test_size_and_place_do_not_matter():
    assert head_pose(seen(20, 5, 3, size=12.0))[0] == pytest.approx(head_pose(seen(20, 5, 3, size=300.0))[0], abs=1e-6)


def test_no_face_is_no_pose():
    assert np.isnan(head_pose(np.zeros((2, 468, 3)))).all() and head_pose(np.zeros((0, 468, 3))).shape == (0, 3)
