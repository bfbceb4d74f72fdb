"""A face in a standard frame: an upright crop and landmarks free of position, size and roll.

Pure geometry: pixels in, pixels out; what a face expresses is not known here.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.media.detector import Image, Region, cut_square, region_of_mesh
from emollm.values import Floats

CROP_MARGIN = 1.2 / 1.5  # side of the crop over the side of the mesh's own square


def face_square(landmarks: Floats, *, widen: float = 1.0) -> Region:
    """The upright square around a face of which `landmarks` [468, 3] are known."""
    region = region_of_mesh(landmarks)
    return Region(region.x, region.y, region.side * CROP_MARGIN * widen, region.angle)


def crop_face(image: Image, landmarks: Floats, size: int, *, widen: float = 1.0) -> NDArray[np.uint8]:
    """Cut the face out upright: [size, size, 3]. Edge pixels repeat where the face leaves the picture."""
    return cut_square(image, face_square(landmarks, widen=widen), size, border=cv2.BORDER_REPLICATE)


def normalise_landmarks(landmarks: Floats) -> Floats:
    """[468, 3] in units of the crop's side, origin at its centre, roll removed: the same for a near and a far face."""
    region = face_square(landmarks)
    flat = region.to_square(1)
    points = np.empty((len(landmarks), 3))
    points[:, :2] = landmarks[:, :2] @ flat[:, :2].T + flat[:, 2] - 0.5
    points[:, 2] = landmarks[:, 2] / region.side
    return points
