"""Pictures to the square, normalised input of a vision tower."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Norm = tuple[Sequence[float], Sequence[float]]  # mean and spread of red, green, blue on the scale 0 to 1
CLIP_NORM: Norm = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET_NORM: Norm = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF_NORM: Norm = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def square(picture: NDArray[np.uint8], px: int, *, squash: bool = True) -> NDArray[np.uint8]:
    """One picture [H, W, 3] to [px, px, 3]: the whole squashed, or else its middle square."""
    height, width = picture.shape[:2]
    if not squash:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        picture = picture[top : top + side, left : left + side]
    if picture.shape[:2] == (px, px):
        return picture
    way = cv2.INTER_AREA if min(picture.shape[:2]) >= px else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (px, px), interpolation=way), np.uint8)


def prepared(pictures: NDArray[np.uint8], px: int, norm: Norm | None, *, squash: bool = True) -> Tensor:
    """T pictures [T, H, W, 3] to [T, 3, px, px] float32; values stay 0 to 255 where `norm` is None."""
    x = torch.from_numpy(np.stack([square(p, px, squash=squash) for p in pictures])).permute(0, 3, 1, 2).float()
    if norm is None:
        return x
    mean, spread = (torch.tensor(v)[:, None, None] for v in norm)
    return (x / 255 - mean) / spread


def by_batches(run: Callable[[Tensor], Tensor], x: Tensor, size: int = 8) -> Tensor:
    """`run` over the rows of `x`, `size` at a time."""
    return torch.cat([run(part) for part in x.split(size)])
