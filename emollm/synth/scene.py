"""Where a clip is taken: light that may change, a room or the open air out of focus, and what a camera does to a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.synth.render import Light
from emollm.values import Floats


@dataclass(frozen=True, slots=True)
class Sensor:
    """What the camera adds: all strengths are 0 for a perfect one."""

    noise: float  # sd in sRGB units at mid grey
    blur: float  # px, out of focus
    small: int  # px of the picture's shorter side before it is scaled up again; 0 leaves it
    tint: tuple[float, float, float]
    contrast: float
    jpeg: int  # quality; 0 leaves it


def draw_light(rng: np.random.Generator) -> Light:
    """One to three lamps at any height and side, from flat daylight to a dark room with one lamp."""
    count = int(rng.integers(1, 4))
    dark = rng.random() < 0.12
    toward, colour = [], []
    for k in range(count):
        azimuth = np.radians(rng.uniform(-70, 70) if k == 0 else rng.uniform(-160, 160))
        height = np.radians(rng.uniform(-5, 65))
        toward.append([np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)])
        warm = rng.normal(0, 0.1)
        colour.append(np.array([1 + warm, 1, 1 - warm]) * (rng.uniform(0.55, 1.2) if k == 0 else rng.uniform(0.1, 0.5)))
    around = rng.uniform(0.08, 0.2) if dark else rng.uniform(0.22, 0.6)
    return Light(
        np.array(toward, np.float32), np.array(colour, np.float32), np.array([1, 1, 1.05]) * around,
        np.array([1.0, 0.95, 0.9]) * around * 0.5, float(rng.uniform(0.45, 0.8) if dark else rng.uniform(0.85, 1.3)),
    )  # fmt: skip


def draw_background(rng: np.random.Generator, width: int, height: int) -> Floats:
    """[H, W, 3] linear: a wall with things before it, a window, a street or trees, blurred as a lens would."""
    kind = str(rng.choice(["room", "room", "window", "trees", "street", "plain"]))
    tall, wide = 180, max(1, round(180 * width / height))
    image: Floats = np.empty((tall, wide, 3), np.float32)
    image[:] = np.clip(rng.uniform(0.03, 0.55) * np.exp(rng.normal(0, 0.25, 3)), 0.01, 0.8)
    image *= np.linspace(rng.uniform(0.7, 1.1), rng.uniform(0.7, 1.1), tall)[:, None, None]
    image *= np.linspace(rng.uniform(0.6, 1.2), rng.uniform(0.6, 1.2), wide)[None, :, None]
    if kind in ("room", "window"):
        _room(image, rng)
    if kind == "window":
        _window(image, rng)
    if kind == "trees":
        _trees(image, rng)
    if kind == "street":
        _street(image, rng)
    lamps = rng.integers(0, 7) if kind in ("street", "trees") else rng.integers(0, 2)
    for _ in range(int(lamps)):  # lights out of focus
        spot = np.zeros_like(image)
        cv2.circle(
            spot, (int(rng.uniform(0, wide)), int(rng.uniform(0, tall))), int(rng.uniform(2, 9)), _colour(rng, 0.3, 0.9).tolist(), -1
        )
        image += spot
    image = cv2.GaussianBlur(image, (0, 0), float(rng.choice([0.8, 2.0, 4.0, 7.0])))
    patches = cv2.resize(rng.normal(0, 0.04, (12, 12)).astype(np.float32), (wide, tall), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image * (1 + patches[..., None]), 0.002, 1.2)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _colour(rng: np.random.Generator, low: float = 0.01, high: float = 0.6) -> Floats:
    return np.asarray(np.clip(rng.uniform(low, high) * np.exp(rng.normal(0, 0.5, 3)), 0.005, 0.9))


def _block(image: Floats, colour: Floats, x: float, y: float, w: float, h: float) -> None:
    """A rectangle in shares of the picture."""
    tall, wide = image.shape[:2]
    left, top = int(x * wide), int(y * tall)
    image[max(0, top) : max(0, top + int(h * tall)), max(0, left) : max(0, left + int(w * wide))] = colour


def _room(image: Floats, rng: np.random.Generator) -> None:
    """A shelf with books, pictures on the wall, furniture."""
    if rng.random() < 0.5:
        top, left = rng.uniform(0, 0.5), rng.uniform(-0.2, 0.7)
        for row in range(int(rng.integers(1, 4))):
            x, floor = left, top + row * 0.2 + 0.17
            while x < left + 0.45:
                thick, tall_book = rng.uniform(0.012, 0.05), rng.uniform(0.1, 0.17)
                _block(image, _colour(rng), x, floor - tall_book, thick, tall_book)
                x += thick
            _block(image, _colour(rng, 0.02, 0.2), left, floor, 0.46, 0.02)
    for _ in range(int(rng.integers(0, 4))):
        x, y, w, h = rng.uniform(-0.1, 0.9), rng.uniform(-0.1, 0.5), rng.uniform(0.08, 0.3), rng.uniform(0.1, 0.35)
        _block(image, _colour(rng, 0.01, 0.3), x, y, w, h)
        _block(image, _colour(rng), x + 0.012, y + 0.02, w - 0.024, h - 0.04)
    if rng.random() < 0.5:
        _block(image, _colour(rng, 0.02, 0.3), -0.1, rng.uniform(0.7, 0.9), 1.3, 0.5)


def _window(image: Floats, rng: np.random.Generator) -> None:
    x, w = rng.uniform(-0.1, 0.7), rng.uniform(0.25, 0.6)
    _block(image, np.array([0.75, 0.85, 1.0]) * rng.uniform(0.4, 1.0), x, rng.uniform(-0.1, 0.15), w, rng.uniform(0.5, 0.9))
    for bar in np.linspace(0, 1, int(rng.integers(2, 4))):
        _block(image, _colour(rng, 0.1, 0.6), x + bar * w, -0.1, 0.012, 0.9)


def _trees(image: Floats, rng: np.random.Generator) -> None:
    tall, wide = image.shape[:2]
    image[: tall // 2] = np.array([0.5, 0.65, 0.9]) * rng.uniform(0.3, 1.0)
    image[tall // 2 :] = np.array([0.12, 0.2, 0.05]) * rng.uniform(0.5, 1.5)
    for _ in range(160):
        centre = (int(rng.uniform(0, wide)), int(rng.normal(tall * 0.4, tall * 0.2)))
        green = np.array([0.1, 0.2, 0.05]) * np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.12, 3))
        cv2.circle(image, centre, int(rng.uniform(2, 14)), green.tolist(), -1)


def _street(image: Floats, rng: np.random.Generator) -> None:
    image[: len(image) // 2] = np.array([0.6, 0.7, 0.85]) * rng.uniform(0.3, 1.0)
    x = -0.1
    while x < 1.1:
        w, h, wall = rng.uniform(0.1, 0.35), rng.uniform(0.3, 0.85), _colour(rng, 0.05, 0.5)
        _block(image, wall, x, 0.9 - h, w, h)
        for wx in np.arange(x + 0.02, x + w - 0.03, 0.05):
            for wy in np.arange(0.93 - h, 0.8, 0.1):
                _block(image, wall * rng.uniform(0.2, 1.8), wx, wy, 0.025, 0.05)
        x += w
    _block(image, _colour(rng, 0.03, 0.2), -0.1, 0.85, 1.3, 0.3)


def draw_sensor(rng: np.random.Generator, shorter: int) -> Sensor:
    """Most cameras are good; some are poor, small, dark or badly focused."""
    poor = rng.random() < 0.35
    return Sensor(
        noise=float(rng.uniform(0.01, 0.05) if poor else rng.uniform(0.0, 0.012)),
        blur=float(rng.uniform(0.5, 1.8)) if poor and rng.random() < 0.5 else 0.0,
        small=int(rng.uniform(0.3, 0.8) * shorter) if poor and rng.random() < 0.5 else 0,
        tint=(float(1 + rng.normal(0, 0.04)), 1.0, float(1 + rng.normal(0, 0.04))),
        contrast=float(rng.uniform(0.8, 1.15)),
        jpeg=int(rng.integers(25, 80)) if poor and rng.random() < 0.5 else 0,
    )


def expose(image: Floats, sensor: Sensor, rng: np.random.Generator, motion: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.uint8]:
    """[H, W, 3] sRGB in [0, 1] to uint8 as this camera records it; `motion` in px is smeared."""
    length = float(np.hypot(*motion))
    if length > 1.2:
        size = min(15, int(length) | 1)
        kernel = np.zeros((size, size), np.float32)
        middle = size // 2
        unit = np.array(motion) / length * middle
        cv2.line(kernel, (int(middle - unit[0]), int(middle - unit[1])), (int(middle + unit[0]), int(middle + unit[1])), 1.0)
        image = cv2.filter2D(image, -1, kernel / kernel.sum())
    height, width = image.shape[:2]
    if sensor.small:
        factor = sensor.small / min(height, width)
        image = cv2.resize(image, (max(8, int(width * factor)), max(8, int(height * factor))), interpolation=cv2.INTER_AREA)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    if sensor.blur:
        image = cv2.GaussianBlur(image, (0, 0), sensor.blur)
    image = (image - 0.5) * sensor.contrast + 0.5
    image = image * np.array(sensor.tint, np.float32)
    if sensor.noise:
        image = image + rng.standard_normal(image.shape, np.float32) * np.float32(sensor.noise)
    found = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if sensor.jpeg:
        _, packed = cv2.imencode(".jpg", found[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, sensor.jpeg])
        read = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert read is not None  # it was written a line above
        found = np.ascontiguousarray(read[..., ::-1]).astype(np.uint8)
    return found
