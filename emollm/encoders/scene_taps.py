"""EfficientNet-Lite0 read at several depths: the packaged stand-in for the large vision backbones of published systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emollm.encoders.base import Look, Sensed
from emollm.encoders.scene import INPUT_PX, SceneEncoder
from emollm.processor import fast_math

LARGE_PX = 512
TAPS = (4, 10, 15)  # blocks whose outputs are the early, middle and late tap: widths 40, 112, 320
TAP_WIDTH = 320
FINE = 10  # block at a sixteenth of the picture's size
GRID = 2


class SceneTaps:
    """Pictures of a clip as vectors, grids and depths.

    Gives: `frames` [T, 1280] pooled last layer; `depths` [T, 960] pooled outputs of three depths, each padded to 320; `grid`
    [T * 4, 320] quarters of each picture, row by row; `image` [256, 448] the middle picture at 512 px, four neighbours side by side;
    `whole` [1, 1280] the same picture as one vector.
    """

    gives: Mapping[str, int] = {"frames": 1280, "depths": len(TAPS) * TAP_WIDTH, "grid": 320, "image": 448, "whole": 1280}

    def __init__(self, encoder: SceneEncoder, device: str = "cpu") -> None:
        self._encoder, self._device = encoder.eval().to(device), device

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu") -> SceneTaps:
        """With the packaged weights."""
        return cls(SceneEncoder.from_folder(folder), device)

    @classmethod
    def from_config(cls) -> SceneTaps:
        """With random weights."""
        return cls(SceneEncoder())

    @torch.inference_mode()
    def __call__(self, look: Look) -> dict[str, Sensed]:
        """See `Backbone`."""
        if not len(look.frames):
            return {}
        with fast_math():
            taps, top = self._depths(_prepared(look.frames, INPUT_PX))
        times = tuple(look.times_s.tolist())
        middle = len(times) // 2
        grid = nn.functional.adaptive_avg_pool2d(taps[2], GRID).flatten(2).transpose(1, 2)  # [T, 4, 320]
        with fast_math():
            fine = self._depths(_prepared(look.frames[middle : middle + 1], LARGE_PX), last=FINE)[0][1]  # [1, 112, 32, 32]
        return {
            "frames": (top, times),
            "depths": (torch.cat([_wide(t.mean((2, 3))) for t in taps], 1), times),
            "grid": (grid.flatten(0, 1), tuple(t for t in times for _ in range(GRID * GRID))),
            "image": (nn.functional.pixel_unshuffle(fine, 2)[0].flatten(1).T, ()),  # [256, 448]
            "whole": (top[middle : middle + 1], ()),
        }

    def _depths(self, x: Tensor, last: int | None = None) -> tuple[list[Tensor], Tensor]:
        """Outputs of the tapped blocks [T, C, h, w], up to block `last`, and the pooled last layer [T, 1280]."""
        encoder = self._encoder
        x = nn.functional.relu6(encoder._bn0(encoder._conv_stem(x.to(self._device))))
        taps = []
        for number, block in enumerate(encoder._blocks):
            x = block(x)
            if number in TAPS:
                taps.append(x.float().cpu())
            if number == last:
                return taps, x
        return taps, nn.functional.relu6(encoder._bn1(encoder._conv_head(x))).mean((2, 3)).float().cpu()


def _wide(tap: Tensor) -> Tensor:
    return nn.functional.pad(tap, (0, TAP_WIDTH - tap.shape[1]))


def _prepared(frames: NDArray[np.uint8], side: int) -> Tensor:
    """[T, H, W, 3] to [T, 3, side, side], squashed."""
    small = [cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA) for f in frames]
    return ((torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() - 127) / 128).contiguous(memory_format=torch.channels_last)
