"""The picture half of perception: frames go by, and of every person remain a track, tokens and scores.

No frame is kept but a few small glimpses spread over the clip, so an hour costs no more memory for pictures than a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emollm.encoders.cues import face_measures
from emollm.encoders.face import CROP_PX, EXPRESSIONS, FaceEncoder
from emollm.encoders.units import CROP_PX as UNITS_PX
from emollm.encoders.units import UnitEncoder
from emollm.media.align import crop_face, normalise_landmarks
from emollm.media.detector import Image
from emollm.media.pose import frontal, head_pose
from emollm.media.tracks import FaceTracker, Following
from emollm.processor import fast_math
from emollm.values import FaceTrack, Floats

BATCH = 32
FEW_FRAMES = 4  # a face seen in so few frames is encoded with its mirror image as well
GLIMPSES = 96
GLIMPSE_PX = 240
PICTURES = 32
CLOSE_UP_S = 2.0  # one close-up of each person in so many seconds
_NEUTRAL = EXPRESSIONS.index("neutral")


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A small picture of one frame."""

    frame: int
    time_s: float
    image: NDArray[np.uint8]  # [h, w, 3]; w is GLIMPSE_PX, or what was asked for
    factor: float  # its size over the frame's


@dataclass(frozen=True, slots=True)
class WatchedFace:
    """One person, frame by frame."""

    track: FaceTrack
    tokens: Tensor  # [n, 256]
    scores: Floats  # [n, C]
    units: Floats | None  # [n, 52]
    condition: Floats | None  # [n, 3]
    pose: Floats  # [n, 3]
    measures: dict[str, Floats]  # each [n]
    sharpness: Floats  # [n] of the crop's pixels, 0 to 1
    close_ups: tuple[CloseUp, ...] = ()


@dataclass(frozen=True, slots=True)
class CloseUp:
    """The most expressive frame of a person within a few seconds, as the encoder saw it."""

    time_s: float
    crop: NDArray[np.uint8]  # [64, 64] grey
    points: Floats  # [468, 3] from `normalise_landmarks`
    strength: float  # probability that the face is not neutral


@dataclass(frozen=True, slots=True)
class Watched:
    """What remains of a clip's pictures; people in order of appearance."""

    faces: tuple[WatchedFace, ...] = ()
    glimpses: tuple[Glimpse, ...] = ()
    frames: int = 0
    size: tuple[int, int] = (1, 1)
    cuts_s: tuple[float, ...] = ()
    crowd: int = 0  # most faces the detector saw at once
    pictures: tuple[Glimpse, ...] = ()  # larger ones, for backbones; only where they were asked for


@dataclass(frozen=True, slots=True)
class Keepsakes:
    """Small pictures of a clip, for the one who asked for them: never cached, never logged."""

    glimpses: tuple[Glimpse, ...] = ()
    close_ups: tuple[tuple[CloseUp, ...], ...] = ()  # of each person, in the order of `Analysis.faces`


@dataclass(slots=True)
class _Pending:
    """A person's crops that wait to be encoded, and what has been."""

    crops: list[NDArray[np.uint8]] = field(default_factory=list)
    large: list[NDArray[np.uint8]] = field(default_factory=list)  # for the unit encoder
    landmarks: list[Floats] = field(default_factory=list)
    done: list[tuple[Tensor, Floats, Tensor | None, Floats | None, Floats, dict[str, Floats]]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    close_ups: dict[int, CloseUp] = field(default_factory=dict)


class Watcher:
    """Sees one clip, frame by frame. Without a tracker it finds nobody, without a unit encoder it measures no facial units.

    Args:
        face: Of expressions.
        units: Of facial units.
        tracker: Of people.
        picture_px: Width of larger pictures to keep for backbones; none are kept if 0.
    """

    def __init__(self, face: FaceEncoder, units: UnitEncoder | None, tracker: FaceTracker | None, picture_px: int = 0) -> None:
        self._face, self._units = face, units
        self._following: Following | None = tracker.follow() if tracker is not None else None
        self._people: dict[int, _Pending] = {}
        self._glimpses = _Spread(GLIMPSES, GLIMPSE_PX)
        self._pictures = _Spread(PICTURES, picture_px) if picture_px else None
        self._frames = 0
        self._size = (1, 1)

    def see(self, time_s: float, image: Image) -> None:
        """The next frame."""
        self._size = (image.shape[0], image.shape[1])
        self._glimpses.offer(self._frames, time_s, image)
        if self._pictures is not None:
            self._pictures.offer(self._frames, time_s, image)
        self._frames += 1
        for seen in self._following.see(time_s, image) if self._following is not None else ():
            person = self._people.setdefault(seen.person, _Pending())
            crop = _grey(crop_face(image, seen.landmarks, CROP_PX))
            person.crops.append(crop)
            if self._units is not None:
                person.large.append(_grey(crop_face(image, seen.landmarks, UNITS_PX)))
            person.landmarks.append(seen.landmarks)
            person.times_s.append(time_s)
            person.sharpness.append(sharpness_of(crop))
            if len(person.crops) == BATCH:
                self._encode(person, few=False)

    def finish(self) -> Watched:
        """After the last frame."""
        if self._following is None:
            return Watched(glimpses=self._glimpses.kept, frames=self._frames, size=self._size, pictures=self._kept_pictures)
        faces = []
        for number, track in self._following.finish():
            person = self._people[number]
            if person.crops:
                self._encode(person, few=len(track.index) <= FEW_FRAMES)
            tokens, scores, moved, condition, pose, measures = zip(*person.done, strict=True)
            faces.append(
                WatchedFace(
                    track=track,
                    tokens=torch.cat(tokens),
                    scores=np.concatenate(scores),
                    units=self._joined_units(moved, track),
                    condition=np.concatenate(condition) if condition[0] is not None else None,
                    pose=np.concatenate(pose),
                    measures={name: np.concatenate([m[name] for m in measures]) for name in measures[0]},
                    sharpness=np.array(person.sharpness),
                    close_ups=tuple(person.close_ups.values()),
                )
            )
        following = self._following
        return Watched(
            tuple(faces), self._glimpses.kept, self._frames, self._size, tuple(following.cuts_s), following.crowd, self._kept_pictures
        )

    @property
    def _kept_pictures(self) -> tuple[Glimpse, ...]:
        return self._pictures.kept if self._pictures is not None else ()

    @torch.inference_mode()
    def _joined_units(self, moved: Sequence[Tensor | None], track: FaceTrack) -> Floats | None:
        parts = [m for m in moved if m is not None]
        if self._units is None or not parts:
            return None
        times = torch.from_numpy(np.asarray(track.times_s, np.float32)) if len(track.index) > FEW_FRAMES else None
        return self._units.units(torch.cat(parts), times).numpy()

    @torch.inference_mode()
    def _encode(self, person: _Pending, *, few: bool) -> None:
        landmarks = np.stack(person.landmarks)
        encode = self._face.both_ways if few else self._face
        points = np.stack([normalise_landmarks(p) for p in landmarks]).astype(np.float32)
        with fast_math():
            tokens = encode(torch.from_numpy(np.stack(person.crops)), torch.from_numpy(points)).float()
        moved = condition = None
        if self._units is not None:
            ahead = torch.from_numpy(frontal(landmarks).astype(np.float32))
            with fast_math():
                moved = self._units(torch.from_numpy(np.stack(person.large)), ahead).float()
            condition = self._units.condition(moved).numpy()
            person.large.clear()
        measures = face_measures(points)
        scores = self._face.probabilities(tokens).numpy()
        person.done.append((tokens, scores, moved, condition, head_pose(landmarks), measures))
        for time_s, crop, shape, neutral in zip(person.times_s, person.crops, points, scores[:, _NEUTRAL], strict=True):
            best = person.close_ups.get(int(time_s // CLOSE_UP_S))
            if best is None or 1 - neutral > best.strength:
                shape = shape.copy()  # noqa: PLW2901  a view would keep the whole batch
                person.close_ups[int(time_s // CLOSE_UP_S)] = CloseUp(time_s, crop, shape, float(1 - neutral))
        person.crops.clear()
        person.landmarks.clear()
        person.times_s.clear()


def _grey(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), np.uint8)


def sharpness_of(crop: NDArray[np.uint8]) -> float:
    """How much fine detail a grey crop has against its contrast: near 0 blurred, near 1 crisp."""
    detail = float(cv2.Laplacian(crop, cv2.CV_32F).std())
    return detail / (detail + 0.25 * float(crop.std()) + 1e-6)


class _Spread:
    """Glimpses spread evenly over a clip whose length is not known: when too many, every second one goes."""

    def __init__(self, most: int, width: int) -> None:
        self._most, self._width, self._every = most, width, 1
        self._kept: list[Glimpse] = []

    @property
    def kept(self) -> tuple[Glimpse, ...]:
        return tuple(self._kept)

    def offer(self, frame: int, time_s: float, image: Image) -> None:
        if frame % self._every:
            return
        factor = self._width / image.shape[1]
        small = cv2.resize(image, (self._width, max(1, round(image.shape[0] * factor))), interpolation=cv2.INTER_AREA)
        self._kept.append(Glimpse(frame, time_s, np.asarray(small, np.uint8), factor))
        if len(self._kept) > self._most:
            self._kept = self._kept[::2]
            self._every *= 2
