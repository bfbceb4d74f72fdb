"""Faces of one frame after another to one track per person, the main character first.

A person is followed by the landmarks of the last frame; the detector looks again about once a second and whenever someone is lost.
What faces express is not known here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emollm.media.detector import FaceDetector, FaceMesh, Image, IrisFinder, overlap, region_of_mesh
from emollm.values import Clip, FaceTrack, Floats

PRESENCE = 0.5
LOOK_AGAIN_S = 1.0
SAME_FACE_IOU = 0.3
CLOSE_UP_MARGIN = 0.15


@dataclass(slots=True)
class _Person:
    index: list[int] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)
    landmarks: list[Floats] = field(default_factory=list)
    irises: list[Floats] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def box_of(landmarks: Floats) -> Floats:
    """[468, 3] landmarks to the upright box around them."""
    return np.concatenate([landmarks[:, :2].min(0), landmarks[:, :2].max(0)])


class FaceTracker:
    """Finds and follows the faces of a clip. Not thread-safe: the networks hold state."""

    def __init__(self, folder: Path, *, threads: int = 1, most: int = 8) -> None:
        self._wide = FaceDetector(folder, threads=threads)
        # Sees faces that fill the picture, which the full-range network was not trained on.
        self._close = FaceDetector(folder, threads=threads, model="face_detection_short_range.tflite")
        self._mesh = FaceMesh(folder, threads=threads)
        self._iris = IrisFinder(folder, threads=threads)
        self._most = most

    def find(self, image: Image) -> list[tuple[Floats, float]]:
        """Landmarks [468, 3] and presence of every face in one picture, largest first."""
        detections = self._wide(image) or self._close(image, margin=CLOSE_UP_MARGIN) or self._close(image)
        found: list[tuple[Floats, float]] = []
        for detection in sorted(detections, key=lambda d: -float(np.ptp(d.box[[0, 2]])))[: self._most]:
            landmarks, _ = self._mesh(image, detection.region)
            landmarks, presence = self._mesh(image, region_of_mesh(landmarks))  # the second look is upright and well centred
            if presence > PRESENCE and not any(overlap(box_of(landmarks), box_of(other)) > SAME_FACE_IOU for other, _ in found):
                found.append((landmarks, presence))
        return found

    def __call__(self, clip: Clip, progress: Callable[[float], None] | None = None) -> tuple[FaceTrack, ...]:
        """Follow all faces of a clip.

        Returns:
            One track a person, the main character first; empty when there is no face.
        """
        persons: list[_Person] = []
        looked_s = -np.inf
        for i, image in enumerate(clip.frames):
            active = [p for p in persons if p.index[-1] == i - 1]
            lost = False
            for person in active:
                landmarks, presence = self._mesh(image, region_of_mesh(person.landmarks[-1]))
                taken = any(p.index[-1] == i and overlap(box_of(landmarks), p.boxes[-1]) > SAME_FACE_IOU for p in active if p is not person)
                if presence > PRESENCE and not taken:
                    self._append(person, i, image, landmarks, presence)
                else:
                    lost = True
            if lost or not active or clip.times_s[i] - looked_s >= LOOK_AGAIN_S:
                looked_s = clip.times_s[i]
                self._join(persons, i, image)
            if progress is not None:
                progress((i + 1) / len(clip.frames))
        tracks = [_freeze(p, clip) for p in persons]
        # A face seen in one frame of a long clip is more often a mistake than a person.
        if len(clip.frames) > 4:
            tracks = [t for t in tracks if len(t.index) > 1] or tracks[:0]
        return tuple(sorted(tracks, key=lambda t: -prominence(t, clip)))

    def _append(self, person: _Person, i: int, image: Image, landmarks: Floats, presence: float) -> None:
        person.index.append(i)
        person.boxes.append(box_of(landmarks))
        person.landmarks.append(landmarks)
        person.irises.append(self._iris(image, landmarks))
        person.scores.append(presence)

    def _join(self, persons: list[_Person], i: int, image: Image) -> None:
        for landmarks, presence in self.find(image):
            box = box_of(landmarks)
            if any(p.index[-1] == i and overlap(p.boxes[-1], box) > SAME_FACE_IOU for p in persons):
                continue
            back = [p for p in persons if p.index[-1] < i and overlap(p.boxes[-1], box) > SAME_FACE_IOU]
            if back:
                person = max(back, key=lambda p: p.index[-1])
            elif len(persons) < self._most:
                person = _Person()
                persons.append(person)
            else:
                continue
            self._append(person, i, image, landmarks, presence)


def prominence(track: FaceTrack, clip: Clip) -> float:
    """How much a face leads the clip: the area it fills, weighted towards the middle of the picture, summed over the frames it is in.

    Source: the idea of a main character is arXiv 2501.07978v1; Differs: the rule is ours, the paper picks by detector order and size.
    """
    height, width = clip.frames.shape[1:3]
    areas = np.prod(track.boxes[:, 2:] - track.boxes[:, :2], axis=1) / (height * width)
    centres = (track.boxes[:, 2:] + track.boxes[:, :2]) / 2 / np.array([width, height]) - 0.5
    return float((areas * (1 - np.clip(np.linalg.norm(centres, axis=1), 0, 0.7))).sum())


def _freeze(person: _Person, clip: Clip) -> FaceTrack:
    index = np.array(person.index)
    return FaceTrack(
        index=index,
        times_s=clip.times_s[index],
        boxes=np.stack(person.boxes),
        landmarks=np.stack(person.landmarks),
        irises=np.stack(person.irises),
        scores=np.array(person.scores),
    )
