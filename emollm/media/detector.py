"""Face boxes, the 468-point mesh and irises in one image, by MediaPipe's networks run on LiteRT.

Source: MediaPipe face detection (full range), face mesh and iris models, Apache-2.0; the decoding here is ours.
Images are [H, W, 3] uint8 RGB; coordinates that come out are pixels of that image.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.values import Floats

Image = NDArray[np.uint8]

RIGHT_EYE_CORNERS = (33, 133)  # subject's right: outer, inner
LEFT_EYE_CORNERS = (263, 362)  # subject's left: outer, inner
MESH_MARGIN = 1.5  # side of the mesh's square over the extent of the face, as the network was trained
EYE_MARGIN = 2.3  # side of the iris network's square over the distance of the eye corners
MERGE_IOU = 0.3


@dataclass(frozen=True, slots=True)
class Region:
    """A rotated square in an image."""

    x: float
    y: float
    side: float
    angle: float  # radians, clockwise as seen, 0 = upright

    def to_square(self, size: int, *, flip: bool = False) -> Floats:
        """[2, 3] affine map from image pixels to a `size` x `size` square; `flip` mirrors it left to right."""
        scale = size / self.side
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        half = size / 2
        across = np.array([cos, sin, half - cos * self.x - sin * self.y])
        down = np.array([-sin, cos, half + sin * self.x - cos * self.y])
        if flip:
            across = np.array([-across[0], -across[1], size - across[2]])
        return np.stack([across, down])


@dataclass(frozen=True, slots=True)
class Detection:
    """One face found in one image."""

    score: float
    box: Floats  # [4] left, top, right, bottom
    keypoints: Floats  # [6, 2] right eye, left eye, nose, mouth, right ear, left ear

    @property
    def region(self) -> Region:
        """Where the mesh should look: the box made square, widened, turned upright by the eye line."""
        across = self.keypoints[1] - self.keypoints[0]
        left, top, right, bottom = self.box
        side = MESH_MARGIN * max(right - left, bottom - top)
        return Region((left + right) / 2, (top + bottom) / 2, side, math.atan2(across[1], across[0]))


def region_of_mesh(landmarks: Floats) -> Region:
    """Where the mesh should look next, given the landmarks [468, 3] it found: their extent along the eye line."""
    across = landmarks[LEFT_EYE_CORNERS[0], :2] - landmarks[RIGHT_EYE_CORNERS[0], :2]
    angle = math.atan2(across[1], across[0])
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    upright = landmarks[:, :2] @ turn.T
    low, high = upright.min(0), upright.max(0)
    centre = ((low + high) / 2) @ turn
    return Region(float(centre[0]), float(centre[1]), MESH_MARGIN * float((high - low).max()), angle)


def overlap(a: Floats, b: Floats) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def _sigmoid(x: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(x, -50, 50)))


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """The runtime greets on the error stream from compiled code, where no Python setting reaches; errors come as exceptions anyway."""
    try:
        kept = os.dup(2)
    except OSError:  # no error stream, nothing to hush
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Network:
    """One .tflite file; the interpreter is not thread-safe, so each owner has its own."""

    def __init__(self, path: Path, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _hushed():
            self._run: Any = Interpreter(str(path), num_threads=threads)
            self._run.allocate_tensors()
        details = self._run.get_input_details()[0]
        self._input = details["index"]
        self.size = int(details["shape"][1])
        self._outputs = [d["index"] for d in self._run.get_output_details()]

    def __call__(self, square: Floats) -> list[Floats]:
        self._run.set_tensor(self._input, square[None].astype(np.float32))
        self._run.invoke()
        return [self._run.get_tensor(i) for i in self._outputs]


class FaceDetector:
    """Boxes of all faces in an image."""

    def __init__(self, folder: Path, *, threads: int = 1, model: str = "face_detection_full_range.tflite") -> None:
        self._network = _Network(folder / model, threads)
        size = self._network.size
        # Full range: one anchor per cell of stride 4. Short range: two per cell of stride 8, six per cell of stride 16.
        layout = ((4, 1),) if size == 192 else ((8, 2), (16, 6))
        anchors = []
        for stride, count in layout:
            cells = size // stride
            rows, columns = np.mgrid[0:cells, 0:cells]
            centres = np.stack([(columns + 0.5) / cells, (rows + 0.5) / cells], -1).reshape(-1, 1, 2)
            anchors.append(np.repeat(centres, count, 1).reshape(-1, 2))
        self._anchors = np.concatenate(anchors)

    def __call__(self, image: Image, *, threshold: float = 0.5, margin: float = 0.0) -> list[Detection]:
        """Find faces, best first. `margin` widens the view beyond the image by that share of its longer side."""
        height, width = image.shape[:2]
        side = max(height, width) * (1 + 2 * margin)
        size = self._network.size
        square = cut_square(image, Region(width / 2, height / 2, side, 0.0), size).astype(np.float32) / 127.5 - 1
        raw = self._network(square)
        values = next(r for r in raw if r.shape[-1] == 16)[0]
        scores = _sigmoid(next(r for r in raw if r.shape[-1] == 1)[0, :, 0])
        keep = np.flatnonzero(scores > threshold)
        if not len(keep):
            return []
        anchors, values, scores = self._anchors[keep], values[keep] / size, scores[keep]
        points = values.reshape(-1, 8, 2) + anchors[:, None]  # centre, size, six keypoints; the size is not relative to the anchor
        centre, extent = points[:, 0], values[:, 2:4]
        boxes = np.concatenate([centre - extent / 2, centre + extent / 2], 1)
        origin = np.array([width / 2, height / 2]) - side / 2
        return [
            Detection(score, box * side + np.tile(origin, 2), keypoints * side + origin)
            for score, box, keypoints in _merge(scores, boxes, points[:, 2:])
        ]


def _merge(scores: Floats, boxes: Floats, keypoints: Floats) -> list[tuple[float, Floats, Floats]]:
    """Average overlapping boxes by their scores (weighted non-maximum suppression)."""
    order = list(np.argsort(-scores))
    merged = []
    while order:
        best = order[0]
        group = [i for i in order if overlap(boxes[best], boxes[i]) > MERGE_IOU]
        order = [i for i in order if i not in group and i != best]
        group = group or [best]
        weights = scores[group] / scores[group].sum()
        merged.append((float(scores[best]), weights @ boxes[group], np.tensordot(weights, keypoints[group], 1)))
    return merged


def cut_square(image: Image, region: Region, size: int, *, flip: bool = False, border: int = cv2.BORDER_CONSTANT) -> Image:
    """A region as an upright picture [size, size, 3]; what is beyond the image is black, or its edge with `cv2.BORDER_REPLICATE`."""
    factor = size / region.side
    if factor < 0.5:  # shrink by area first, else thin features alias away; only the part that is needed
        reach = 0.5 * region.side * (abs(math.cos(region.angle)) + abs(math.sin(region.angle))) + 2 / factor
        left, top = max(0, math.floor(region.x - reach)), max(0, math.floor(region.y - reach))
        right, bottom = min(image.shape[1], math.ceil(region.x + reach)), min(image.shape[0], math.ceil(region.y + reach))
        if right > left and bottom > top:
            part = image[top:bottom, left:right]
            wide, tall = max(1, round((right - left) * factor)), max(1, round((bottom - top) * factor))
            image = np.asarray(cv2.resize(part, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)
            across, down = wide / (right - left), tall / (bottom - top)
            transform = region.to_square(size, flip=flip) @ np.array([[1 / across, 0, left], [0, 1 / down, top], [0, 0, 1]])
            return np.asarray(cv2.warpAffine(image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=border), np.uint8)
    square = cv2.warpAffine(image, region.to_square(size, flip=flip), (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(square, np.uint8)


class FaceMesh:
    """468 landmarks of the face in a region, with a presence score."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self._network = _Network(folder / "face_landmark.tflite", threads)

    def __call__(self, image: Image, region: Region) -> tuple[Floats, float]:
        """Landmarks [468, 3] in pixels of the image, and the probability that the region holds a face."""
        size = self._network.size
        transform = region.to_square(size)
        raw = [r.ravel() for r in self._network(cut_square(image, region, size).astype(np.float32) / 255)]
        points = next(r for r in raw if r.size == 1404).reshape(468, 3).astype(np.float64)
        presence = next(r for r in raw if r.size == 1)
        back = cv2.invertAffineTransform(transform)
        points[:, :2] = points[:, :2] @ back[:, :2].T + back[:, 2]
        points[:, 2] *= region.side / size
        return points, float(_sigmoid(presence)[0])


class IrisFinder:
    """Iris centres and radii of a face whose mesh is known."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        self._network = _Network(folder / "iris_landmark.tflite", threads)

    def __call__(self, image: Image, landmarks: Floats) -> Floats:
        """[2, 3] centre x, centre y, radius in pixels; the subject's right eye first."""
        size = self._network.size
        found = []
        for (outer, inner), flip in ((RIGHT_EYE_CORNERS, True), (LEFT_EYE_CORNERS, False)):
            a, b = landmarks[outer, :2], landmarks[inner, :2]
            across = (b - a) if flip else (a - b)
            x, y = (a + b) / 2
            region = Region(float(x), float(y), EYE_MARGIN * float(np.hypot(*across)), math.atan2(across[1], across[0]))
            transform = region.to_square(size, flip=flip)  # the network knows left eyes only
            raw = [r.ravel() for r in self._network(cut_square(image, region, size, flip=flip).astype(np.float32) / 255)]
            points = next(r for r in raw if r.size == 15).reshape(5, 3)[:, :2]
            back = cv2.invertAffineTransform(transform)
            points = points @ back[:, :2].T + back[:, 2]
            found.append([*points[0], float(np.linalg.norm(points[1:] - points[0], axis=1).mean())])
        return np.array(found)
