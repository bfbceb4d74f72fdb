"""Where the eyes look, left or right, read from the strip of a face crop that holds both eyes.

The unit encoder halves its crop at once, and an iris of five pixels is lost; here the strip keeps its pixels. Looking up and down is left
out: lids and brows move with it, and on faces of this size nothing was left to learn (docs/log.md).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.units import INDEX, TOWARDS_LEFT, TOWARDS_RIGHT

TOP, BOTTOM, LEFT, RIGHT = 22, 46, 18, 78  # of the 96-pixel crop: both eyes with room to spare
SPREAD = 0.16  # standard deviation of gaze in the renders; what the net gives is in these


class GazeEncoder(nn.Module):
    """Sideways gaze of single frames."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = nn.Sequential(*_block(1, 12, 1), *_block(12, 20, 2), *_block(20, 32, 1), *_block(32, 40, (2, 1)))  # [B, 40, 6, 30]
        self.read = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(40 * 6 * 30, 16), nn.SiLU())
        self.gaze = nn.Linear(16, 1)

    def forward(self, crops: Tensor) -> Tensor:
        """Read the eyes.

        Args:
            crops: [B, 96, 96] grey, 0 to 255.

        Returns:
            [B] gaze, -1 to 1, positive to the person's left; 0 is straight ahead in the head's own frame.
        """
        x = crops[:, None, TOP:BOTTOM, LEFT:RIGHT].to(self.gaze.weight.dtype)
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 8)
        return (SPREAD * self.gaze(self.read(self.pixels(x.contiguous(memory_format=torch.channels_last))))[:, 0]).clamp(-1, 1)


def _block(inner: int, outer: int, stride: int | tuple[int, int]) -> list[nn.Module]:
    return [nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.SiLU()]


def sideways(units: Tensor) -> Tensor:
    """Units [B, 52] to gaze [B], positive to the person's left."""
    left = sum(units[:, INDEX[name]] for name in TOWARDS_LEFT)
    right = sum(units[:, INDEX[name]] for name in TOWARDS_RIGHT)
    return torch.as_tensor(left - right) / 2


def with_gaze(units: Tensor, gaze: Tensor) -> Tensor:
    """Units [B, 52] with the four that turn the eyes sideways replaced by gaze [B]."""
    units = units.clone()
    for names, sign in ((TOWARDS_LEFT, 1), (TOWARDS_RIGHT, -1)):
        for name in names:
            units[:, INDEX[name]] = (sign * gaze).clamp(min=0)
    return units
