"""Our unit encoder: how strongly each of 52 facial units is moved in a frame, how strong the expression is, and how well the face is seen.

It learns from synthetic faces, whose units are known exactly, and sees photographs beside them so that real skin and real cameras are not
strange to it. Landmarks come turned to the front, so that a turned head is not taken for a crooked mouth.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.encoders.face import EXPRESSIONS, Residual
from emollm.encoders.gaze import GazeEncoder, with_gaze
from emollm.encoders.track import TrackEncoder
from emollm.units import UNITS

CROP_PX = 96
WIDTH = 160
CONDITION = ("intensity", "hidden", "sharp")
"""Of a face's expression, 0 to 1; share of it that is covered; how sharp the crop is, 1 a good picture, 0 next to nothing."""


class UnitEncoder(nn.Module):
    """Facial units of single frames."""

    width = WIDTH + 1  # of a token: what was seen of the face, and the gaze
    average: Tensor
    later_heads = ("seen.",)  # not shipped

    def __init__(self, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.pixels = nn.Sequential(
            nn.Conv2d(1, 24, 3, 2, 1, bias=False),  # [B, 24, 48, 48]
            nn.BatchNorm2d(24),
            nn.SiLU(),
            Residual(24, 48, 2),  # [B, 48, 24, 24]
            Residual(48, 80, 2),  # [B, 80, 12, 12]
            Residual(80, 80, 1),
            Residual(80, 96, 2),  # [B, 96, 6, 6]
            Residual(96, 96, 1),
        )
        # Left and right, brows, eyes and mouth are kept apart: a mean over the whole face cannot tell which side moved.
        self.places = nn.AdaptiveAvgPool2d((3, 2))
        self.geometry = nn.Sequential(nn.Linear(468 * 2, 64), nn.LayerNorm(64), nn.SiLU())
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(96 * 6 + 64, WIDTH), nn.LayerNorm(WIDTH))
        self.unit = nn.Linear(WIDTH, len(UNITS))
        self.state = nn.Linear(WIDTH, len(CONDITION))
        self.seen = nn.Linear(WIDTH, len(EXPRESSIONS))  # a task on photographs, for training alone
        self.track = TrackEncoder(WIDTH)
        self.gaze = GazeEncoder()
        self.register_buffer("average", torch.zeros(468, 2))  # landmarks of an average face; set by training

    def forward(self, crops: Tensor, landmarks: Tensor) -> Tensor:
        """Encode frames.

        Args:
            crops: [B, 96, 96] grey, 0 to 255, any float or integer type.
            landmarks: [B, 468, 3] from `media.pose.frontal`; depth is ignored, it is the mesh's guess.

        Returns:
            [B, 161] tokens: 160 numbers, layer-normalised, and the sideways gaze.
        """
        x = crops.to(self.unit.weight.dtype)[:, None]
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 8)
        seen = self.places(self.pixels(x.contiguous(memory_format=torch.channels_last))).flatten(1)
        shape = self.geometry((landmarks[..., :2].to(x.dtype) - self.average).flatten(1) * 8)
        return torch.cat([self.join(torch.cat([seen, shape], 1)), self.gaze(crops).to(x.dtype)[:, None]], 1)

    def units(self, tokens: Tensor, times_s: Tensor | None = None) -> Tensor:
        """[B, 161] tokens to [B, 52] strengths in [0, 1], in the order of `emollm.units.UNITS`.

        With the times [B] of one track's frames each is read in the light of its neighbours.
        """
        tokens, gaze = tokens[:, :WIDTH], tokens[:, WIDTH]
        logits = self.unit(nn.functional.silu(tokens))
        if times_s is not None:
            logits = logits + self.track.whole(tokens, times_s)
        return with_gaze(logits.sigmoid(), gaze)

    def condition(self, tokens: Tensor) -> Tensor:
        """[B, 161] tokens to [B, 3] in [0, 1], in the order of `CONDITION`."""
        return self.state(nn.functional.silu(tokens[:, :WIDTH])).sigmoid()
