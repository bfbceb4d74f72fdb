"""Pictures made worse in ways that cameras and life do, the same for each item every time: how much of a score survives."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from emollm.errors import DataError

Picture = NDArray[np.uint8]


def _blur(image: Picture, _: np.random.Generator) -> Picture:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.035 * min(image.shape[:2])), np.uint8)


def _dark(image: Picture, rng: np.random.Generator) -> Picture:
    dim = 0.3 * 255 * (image / 255.0) ** 1.6 + rng.normal(0, 4, image.shape)
    return np.clip(dim, 0, 255).astype(np.uint8)


def _small(image: Picture, _: np.random.Generator) -> Picture:
    factor = 32 / max(image.shape[:2])
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)


def _covered(image: Picture, rng: np.random.Generator) -> Picture:
    """A plain block over a fifth of the picture, over mouth or eyes."""
    height, width = image.shape[:2]
    spoiled = image.copy()
    top = int((0.62 if rng.random() < 0.5 else 0.28) * height)
    left = int(rng.uniform(0.1, 0.4) * width)
    spoiled[top : top + int(0.25 * height), left : left + int(0.5 * width)] = rng.integers(0, 255, 3)
    return spoiled


KINDS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {"blur": _blur, "dark": _dark, "small": _small, "covered": _covered}


def spoil(data: bytes, kind: str, name: str) -> bytes:
    """A picture file made worse, as PNG.

    Args:
        data: Any picture file.
        kind: A key of `KINDS`.
        name: Of the item; decides what is left to chance.

    Raises:
        DataError: The file is no picture.
    """
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{name} is no picture; --spoil is for cards about faces.")
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return bytes(cv2.imencode(".png", KINDS[kind](np.asarray(image, np.uint8), rng))[1].tobytes())
