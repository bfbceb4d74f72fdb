"""Random views of an aligned face: what cameras, light and hands do to it, and what stays known of it all the same."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.values import Floats


def mirror_index(mean: Floats) -> NDArray[np.intp]:
    """[468] which landmark each becomes when the face is mirrored, found on the mean face."""
    flipped = mean * np.array([-1, 1, 1])
    gaps = np.square(flipped[None] - mean[:, None])
    return (gaps[..., :2].sum(-1) + 0.3 * gaps[..., 2]).argmin(1)


@dataclass(frozen=True, slots=True)
class View:
    """One training view of a face, and what was done to it."""

    crop: Floats  # [inner, inner]
    points: Floats  # [468, 3]
    hidden: float  # share of the crop's middle that was covered
    sharp: float  # 1 as it was, 0 hardly anything left
    mirrored: bool


def disturb(
    crop: NDArray[np.uint8], points: Floats, mirror: NDArray[np.intp], rng: np.random.Generator, inner: int, *, flip: bool | None = None
) -> View:
    """Shift, turn, blur, shrink, dim, cover and mirror a face at random; `flip` decides the mirroring.

    Args:
        crop: [side, side] grey, wider than the encoder's own view so that there is room to move it.
        points: [468, 3] landmarks.
        mirror: From `mirror_index`.
        rng: Of everything random.
        inner: Side of the encoder's view, in pixels.
        flip: Mirror or not; None leaves it to chance.
    """
    side, scale = len(crop), inner / 64
    turn: Floats = cv2.getRotationMatrix2D((side / 2, side / 2), rng.normal(0, 6), float(np.exp(rng.normal(0, 0.07))))
    turn[:, 2] += rng.normal(0, 2 * scale, 2) - (side - inner) / 2
    image: Floats = cv2.warpAffine(crop, turn, (inner, inner), borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    chance, sharp, hidden = rng.random(), 1.0, 0.0
    if chance < 0.15:
        width = int(rng.choice([3, 5]))
        image = cv2.GaussianBlur(image, (width, width), 0)
        sharp = {3: 0.8, 5: 0.6}[width]
    elif chance < 0.3:  # as if the face had been small
        small = int(rng.integers(16, round(44 * scale)))
        image = cv2.resize(cv2.resize(image, (small, small), interpolation=cv2.INTER_AREA), (inner, inner))
        sharp = small / inner
    if rng.random() < 0.3:
        image = 255 * np.clip(image / 255, 0, 1) ** np.exp(rng.normal(0, 0.4))
    if rng.random() < 0.3:
        noise = rng.uniform(2, 16)
        image = image + rng.normal(0, noise, image.shape)
        sharp *= 1 - 0.4 * noise / 16
    if rng.random() < 0.35:  # a hand, a cup, a microphone
        height, width = (rng.integers(8, 28, 2) * scale).astype(int)
        top, left = rng.integers(0, inner - height), rng.integers(0, inner - width)
        image[top : top + height, left : left + width] = rng.uniform(0, 255)
        cover = np.zeros((inner, inner), bool)
        cover[top : top + height, left : left + width] = True
        hidden = float(cover[round(8 * scale) : round(58 * scale), round(10 * scale) : round(54 * scale)].mean())
    angle = np.deg2rad(rng.normal(0, 3))
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = points + rng.normal(0, 0.003, points.shape)
    moved[:, :2] = moved[:, :2] @ spin.T * np.exp(rng.normal(0, 0.03)) + rng.normal(0, 0.01, 2)
    mirrored = bool(rng.random() < 0.5) if flip is None else flip
    if mirrored:
        image, moved = image[:, ::-1], moved[mirror] * np.array([-1, 1, 1])
    return View(np.ascontiguousarray(image, np.float32), moved.astype(np.float32), hidden, sharp, mirrored)
