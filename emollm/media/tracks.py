"""Faces of one frame after another to one track per person.

A person is followed by the landmarks of the last frame; the detector looks again about once a second, whenever someone is lost, and after a
cut. Who is lost and found again is told by place and likeness. Frames come one at a time and are not kept, so length costs no memory for
pictures. What faces express is not known here; who leads the clip is decided in `media.leading`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from emollm.media.detector import FaceDetector, FaceMesh, Image, IrisFinder, Region, overlap, region_of_mesh
from emollm.media.gathered import Gathered
from emollm.media.likeness import Looks, alike_elsewhere, alike_here, describe
from emollm.values import FaceTrack, Floats

CUT_OUT_PX = 160  # a picture no larger may be a face cut out by somebody else
PRESENCE = 0.5
CUT_OUT_PRESENCE = 0.1  # of the mesh in such a picture, where the detector had seen a face as well
_CUT_OUT_SHARES, _CUT_OUT_SHIFTS = (1.0, 1.25, 0.8, 1.5, 0.65), (0.0, -0.08, 0.08)  # of its side: size and place
LOOK_AGAIN_S = 1.0
SAME_FACE_IOU = 0.3
CLOSE_UP_MARGIN = 0.15
SMALLEST = 0.02  # of the picture's height; Source: arXiv 2501.07978v1 as re-stated in our docs, step 1
STILL_THERE_S = 1.0  # a lost face found at its old place within this time is the same unless it looks clearly different
SAME_LOOKS, OTHER_LOOKS = 0.72, 0.55  # likeness above which somebody has come back from anywhere; below which it is somebody else
SAME_ELSEWHERE = 0.6  # likeness in another shot above which it is the same person
CLEARER = 0.04  # by which the best candidate has to beat the next
LEARN = 0.15  # share of the newest frame in what is remembered of a person's looks
CUT = 0.2  # distance of two frames' colours above which there was a cut; people who walk through the picture reach 0.14
_MOVED = 5.0  # mean change of the small picture, of 255, below which colours need not be compared
_CELL_PX, _CELLS = 10, (5, 3)  # of the small picture whose colours are compared


@dataclass(slots=True)
class Seen:
    """One person in one frame."""

    person: int  # the same number for the same person, from 0 in order of appearance
    landmarks: Floats  # [468, 3]


@dataclass(slots=True, eq=False)
class _Person:
    index: list[int] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)
    landmarks: Gathered = field(default_factory=Gathered)  # an hour of one face is 160 MB
    irises: list[Floats] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    last: Floats | None = None  # newest landmarks in full precision
    looks: Looks | None = None


def box_of(landmarks: Floats) -> Floats:
    """[468, 3] landmarks to the upright box around them."""
    return np.concatenate([landmarks[:, :2].min(0), landmarks[:, :2].max(0)])


class FaceTracker:
    """Finds and follows the faces of a clip. Not thread-safe: the networks hold state.

    Args:
        folder: With MediaPipe's files.
        threads: Of the networks.
        most: People followed at once.
        irises: Find them too; nothing measured here needs them, and they take a third of the time.
    """

    def __init__(self, folder: Path, *, threads: int = 1, most: int = 8, irises: bool = False) -> None:
        self._wide = FaceDetector(folder, threads=threads)
        # Sees faces that fill the picture, which the full-range network was not trained on.
        self._close = FaceDetector(folder, threads=threads, model="face_detection_short_range.tflite")
        self.mesh = FaceMesh(folder, threads=threads)
        self.iris = IrisFinder(folder, threads=threads) if irises else None
        self.most = most

    def find(self, image: Image) -> list[tuple[Floats, float]]:
        """Landmarks [468, 3] and presence of the `most` largest faces in one picture, largest first."""
        return self.find_and_count(image)[0]

    def find_and_count(self, image: Image) -> tuple[list[tuple[Floats, float]], int]:
        """As `find`, and how many faces the detector saw in all."""
        detections = self._wide(image) or self._close(image, margin=CLOSE_UP_MARGIN) or self._close(image)
        found: list[tuple[Floats, float]] = []
        for detection in sorted(detections, key=lambda d: -float(np.ptp(d.box[[0, 2]])))[: self.most]:
            if np.ptp(detection.box[[1, 3]]) < SMALLEST * image.shape[0]:
                continue
            landmarks, _ = self.mesh(image, detection.region)
            landmarks, presence = self.mesh(image, region_of_mesh(landmarks))  # the second look is upright and well centred
            if presence > PRESENCE and not any(overlap(box_of(landmarks), box_of(other)) > SAME_FACE_IOU for other, _ in found):
                found.append((landmarks, presence))
        if not found and max(image.shape[:2]) <= CUT_OUT_PX:
            found = self._cut_out(image, CUT_OUT_PRESENCE if detections else PRESENCE)
            return found, len(found)
        return found, len(detections)

    def _cut_out(self, image: Image, enough: float) -> list[tuple[Floats, float]]:
        """The face of a tiny picture that is nothing but a face, as data sets of cut-out faces have them: detectors want surroundings."""
        height, width = image.shape[:2]
        side = max(height, width)
        tries = []
        for share, shift in itertools.product(_CUT_OUT_SHARES, _CUT_OUT_SHIFTS):
            landmarks, _ = self.mesh(image, Region(width / 2, height / 2 + shift * side, share * side, 0.0))
            tries.append(self.mesh(image, region_of_mesh(landmarks)))
        landmarks, presence = max(tries, key=lambda t: t[1])
        return [(landmarks, presence)] if presence > enough else []

    def __call__(self, frames: Iterable[Image], times_s: Iterable[float]) -> tuple[FaceTrack, ...]:
        """Follow all faces of a clip: one track a person in order of appearance; empty when there is no face."""
        following = self.follow()
        for time_s, image in zip(times_s, frames, strict=True):
            following.see(time_s, image)
        return tuple(track for _, track in following.finish())

    def follow(self) -> Following:
        """Begin with a new clip, frame by frame."""
        return Following(self)


class Following:
    """The people of one clip while its frames pass."""

    def __init__(self, tracker: FaceTracker) -> None:
        self._tracker = tracker
        self._persons: list[_Person] = []
        self._frame = -1
        self._looked_s = -np.inf
        self._small: Image | None = None
        self.cuts_s: list[float] = []
        self.crowd = 0  # most faces the detector saw at once

    def see(self, time_s: float, image: Image) -> list[Seen]:
        """The people in the next frame."""
        self._frame += 1
        now = self._frame
        cut = self._after_cut(image)
        if cut:
            self.cuts_s.append(time_s)
        active = [] if cut else [p for p in self._persons if p.index[-1] == now - 1]
        found = []
        for person in active:
            assert person.last is not None
            landmarks, presence = self._tracker.mesh(image, region_of_mesh(person.last))
            if presence > PRESENCE:
                found.append((person, landmarks, presence))
        kept = self._without_doubles(found, image)
        for person, landmarks, presence in kept:
            self._append(person, time_s, image, landmarks, presence)
        if cut or not active or len(kept) < len(active) or time_s - self._looked_s >= LOOK_AGAIN_S:
            self._looked_s = time_s
            self._look(time_s, image)
        return [Seen(k, p.last) for k, p in enumerate(self._persons) if p.index[-1] == now and p.last is not None]

    def finish(self) -> list[tuple[int, FaceTrack]]:
        """Every person's number and track. A face seen in one frame of a long clip is more often a mistake than a person."""
        least = 2 if self._frame >= 4 else 1
        return [(k, _freeze(p)) for k, p in enumerate(self._persons) if len(p.index) >= least]

    def _after_cut(self, image: Image) -> bool:
        columns, rows = _CELLS
        coarse = np.ascontiguousarray(image[:: max(1, image.shape[0] // 120), :: max(1, image.shape[1] // 200)])
        small = cv2.resize(coarse, (columns * _CELL_PX, rows * _CELL_PX), interpolation=cv2.INTER_AREA)
        before, self._small = self._small, np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), np.uint8)
        if before is None or cv2.absdiff(before, self._small).mean() < _MOVED:
            return False
        return 1 - float((_cell_colours(before) * _cell_colours(self._small)).sum(1).mean()) > CUT

    def _without_doubles(self, found: list[tuple[_Person, Floats, float]], image: Image) -> list[tuple[_Person, Floats, float]]:
        """Two people on one face: it is the one's whom it looks like. And a face that turned into another one's is given up."""
        gone: set[_Person] = set()
        for a, b in itertools.combinations(found, 2):
            if overlap(box_of(a[1]), box_of(b[1])) > SAME_FACE_IOU and not gone & {a[0], b[0]}:
                looks = describe(image, a[1])
                gone.add(b[0] if _likeness(a[0], looks) >= _likeness(b[0], looks) else a[0])
        around = [p for p in self._persons if p.index[-1] >= self._frame - 8]
        for person, landmarks, _ in found if len(around) > 1 else ():  # has the mesh slipped over to somebody who was near of late?
            near = [p for p in around if p is not person and overlap(p.boxes[-1], box_of(landmarks)) > 0.05]
            if near and person not in gone:
                looks = describe(image, landmarks)
                mine = _likeness(person, looks)
                if mine < SAME_LOOKS and any(_likeness(p, looks) > mine + CLEARER for p in near):
                    gone.add(person)
        return [row for row in found if row[0] not in gone]

    def _look(self, time_s: float, image: Image) -> None:
        """Let the detector look at the whole picture; new faces are people who came back, or new ones."""
        faces, count = self._tracker.find_and_count(image)
        self.crowd = max(self.crowd, count)
        here = [p for p in self._persons if p.index[-1] == self._frame]
        fresh = [f for f in faces if not any(overlap(p.boxes[-1], box_of(f[0])) > SAME_FACE_IOU for p in here)]
        away = [p for p in self._persons if p.index[-1] < self._frame]
        looks = [describe(image, landmarks) for landmarks, _ in fresh]
        for n, person in self._matched(fresh, looks, away, time_s):
            self._append(person, time_s, image, *fresh[n])
            fresh[n] = (fresh[n][0], -1.0)
        for (landmarks, presence), seen in zip(fresh, looks, strict=True):
            if presence >= 0 and len(self._persons) < 4 * self._tracker.most:
                here = [p for p in self._persons if p.index[-1] == self._frame]
                if len(here) < self._tracker.most:
                    person = _Person(looks=seen)
                    self._persons.append(person)
                    self._append(person, time_s, image, landmarks, presence)

    def _matched(
        self, faces: list[tuple[Floats, float]], looks: list[Looks], away: list[_Person], time_s: float
    ) -> list[tuple[int, _Person]]:
        """Pairs of a face and the person it belongs to, best first; nobody twice."""
        cut_s = self.cuts_s[-1] if self.cuts_s else -np.inf
        options = []
        for n, (landmarks, _) in enumerate(faces):
            for person in away:
                like = _likeness(person, looks[n])
                if cut_s > person.times_s[-1]:
                    elsewhere = alike_elsewhere(person.looks, looks[n]) if person.looks is not None else 0.0
                    if elsewhere > SAME_ELSEWHERE or like > SAME_LOOKS:
                        options.append((max(elsewhere, like), n, person))
                    continue
                there = overlap(person.boxes[-1], box_of(landmarks)) > SAME_FACE_IOU
                recent = time_s - person.times_s[-1] <= STILL_THERE_S
                if there and recent and like > OTHER_LOOKS:
                    options.append((like + 0.5, n, person))
                elif like > SAME_LOOKS:
                    options.append((like, n, person))
        options.sort(key=lambda row: -row[0])
        pairs: list[tuple[int, _Person]] = []
        for value, n, person in options:
            if any(n == m or person is other for m, other in pairs):
                continue
            rivals = [v for v, m, p in options if m == n and p is not person and not any(p is other for _, other in pairs)]
            if value < 1 and any(value - v < CLEARER for v in rivals):
                continue  # two people it might be: better a new one than a wrong one
            pairs.append((n, person))
        return pairs

    def _append(self, person: _Person, time_s: float, image: Image, landmarks: Floats, presence: float) -> None:
        person.index.append(self._frame)
        person.times_s.append(time_s)
        person.boxes.append(box_of(landmarks))
        person.last = landmarks
        person.landmarks.append(landmarks)
        person.irises.append(self._tracker.iris(image, landmarks) if self._tracker.iris is not None else np.full((2, 3), np.nan))
        person.scores.append(presence)
        # Looks are learned once a second at most, and only where nobody else is near enough to lend colours.
        others = [p for p in self._persons if p is not person and p.index and p.index[-1] >= self._frame - 1]
        if len(person.index) % 4 == 1 and not any(overlap(p.boxes[-1], person.boxes[-1]) > 0 for p in others):
            looks = describe(image, landmarks)
            person.looks = looks if person.looks is None else person.looks.mixed(looks, LEARN)


def _cell_colours(lab: Image) -> Floats:
    """[15, 1152] square roots of the colour shares in each cell of the picture: where colours are counts, not only which."""
    columns, rows = _CELLS
    found = []
    for row in range(rows):
        for column in range(columns):
            cell = np.ascontiguousarray(lab[row * _CELL_PX : (row + 1) * _CELL_PX, column * _CELL_PX : (column + 1) * _CELL_PX])
            counts = cv2.calcHist([cell], [0, 1, 2], None, [8, 12, 12], [0, 256, 64, 192, 64, 192]).reshape(8, -1)
            smooth = cv2.GaussianBlur(counts, (1, 3), 0).ravel()
            found.append(np.sqrt(smooth / smooth.sum()))
    return np.stack(found)


def _likeness(person: _Person, looks: Looks) -> float:
    return alike_here(person.looks, looks) if person.looks is not None else 0.0


def _freeze(person: _Person) -> FaceTrack:
    return FaceTrack(
        index=np.array(person.index),
        times_s=np.array(person.times_s),
        boxes=np.stack(person.boxes),
        landmarks=person.landmarks.taken(),
        irises=np.stack(person.irises),
        scores=np.array(person.scores),
    )
