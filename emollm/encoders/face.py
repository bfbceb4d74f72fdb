"""Our face encoder: an aligned grey crop and normalised landmarks to one 256-wide token a frame, with an expression head.

It knows faces in the standard frame of `media.align` only. Grey, because colour says more about skin and light than about expression.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "angry", "fear", "disgust", "contempt")
CROP_PX = 64
WIDTH = 256


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut, with channel gating."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        self.gate = nn.Sequential(nn.Linear(width, width // 8), nn.SiLU(), nn.Linear(width // 8, width), nn.Sigmoid())
        same = stride == 1 and width_in == width
        self.shortcut = nn.Identity() if same else nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, width_in, h, w] to [B, width, h / stride, w / stride]."""
        y = nn.functional.silu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        y = y * self.gate(y.mean((2, 3)))[:, :, None, None]
        return nn.functional.silu(y + self.shortcut(x))


class FaceEncoder(nn.Module):
    """Expression tokens of single face frames.

    Appearance and geometry are encoded apart and joined late, so that one still serves where the other fails (a blurred crop, a bad mesh).
    """

    width = WIDTH
    mirror: Tensor
    temperature: Tensor
    later_heads = ("temperature",)

    def __init__(self, *, dropout: float = 0.3) -> None:
        super().__init__()
        self.pixels = nn.Sequential(
            nn.Conv2d(1, 32, 5, 2, 2, bias=False),  # [B, 32, 32, 32]
            nn.BatchNorm2d(32),
            nn.SiLU(),
            Residual(32, 64, 2),  # [B, 64, 16, 16]
            Residual(64, 64, 1),
            Residual(64, 128, 2),  # [B, 128, 8, 8]
            Residual(128, 128, 1),
            Residual(128, 192, 2),  # [B, 192, 4, 4]
            Residual(192, 192, 1),
        )
        self.geometry = nn.Sequential(
            nn.Linear(468 * 2, 128), nn.LayerNorm(128), nn.SiLU(), nn.Dropout(dropout), nn.Linear(128, 96), nn.LayerNorm(96), nn.SiLU()
        )
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(192 + 96, WIDTH), nn.LayerNorm(WIDTH))
        self.expression = nn.Linear(WIDTH, len(EXPRESSIONS))
        self.register_buffer("mirror", torch.arange(468))  # which landmark each becomes when the face is mirrored; set by training
        self.register_buffer("temperature", torch.ones(()))  # of the expressions; set by calibration

    def forward(self, crops: Tensor, landmarks: Tensor) -> Tensor:
        """Encode frames.

        Args:
            crops: [B, 64, 64] grey, 0 to 255, any float or integer type.
            landmarks: [B, 468, 3] from `normalise_landmarks`; depth is ignored, it is the mesh's guess.

        Returns:
            [B, 256] tokens, layer-normalised.
        """
        x = crops.to(self.expression.weight.dtype)[:, None]  # [B, 1, 64, 64]
        # Each crop is brought to the same mean and contrast: light and exposure are not expression.
        x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 8)
        seen = self.pixels(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))  # [B, 192]
        shape = self.geometry(landmarks[..., :2].to(x.dtype).flatten(1) * 4)  # [B, 96]
        return self.join(torch.cat([seen, shape], 1))

    def both_ways(self, crops: Tensor, landmarks: Tensor) -> Tensor:
        """[B, 256] mean token of each face and its mirror image: a still has no other frames to steady it. Arguments as of `forward`."""
        turned = landmarks[:, self.mirror] * landmarks.new_tensor([-1, 1, 1])
        return (self(crops, landmarks) + self(crops.flip(2), turned)) / 2

    def expressions(self, tokens: Tensor) -> Tensor:
        """[B, 256] tokens to [B, 8] logits in the order of `EXPRESSIONS`."""
        return self.expression(nn.functional.silu(tokens))

    def probabilities(self, tokens: Tensor) -> Tensor:
        """[B, 256] tokens to [B, 8] calibrated probabilities in the order of `EXPRESSIONS`."""
        return (self.expressions(tokens) / self.temperature).softmax(1)
