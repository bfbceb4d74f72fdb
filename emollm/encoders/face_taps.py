"""Our face encoder read at several depths: the packaged stand-in for the large face backbones of published systems."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from emollm.encoders.base import Look, Sensed
from emollm.encoders.face import CROP_PX, WIDTH, FaceEncoder

TAPS = (4, 6, 8)  # layers of `FaceEncoder.pixels` after which is read: 64, 128 and 192 channels
TAP_WIDTH = 256


class FaceTaps:
    """The main person's face in the pictures that show it.

    Gives: `face` [T, 256] tokens; `face-depths` [T, 1024] three depths and the token, 256 wide each.

    Args:
        encoder: Ours.
        crop: "face" is aligned by its landmarks; "frame" is the whole picture, squashed, as released code of others has it.
    """

    gives: Mapping[str, int] = {"face": WIDTH, "face-depths": (len(TAPS) + 1) * TAP_WIDTH}

    def __init__(self, encoder: FaceEncoder, crop: Literal["face", "frame"] = "face", device: str = "cpu") -> None:
        self._encoder, self._crop, self._device = encoder.eval().to(device), crop, device

    @classmethod
    def from_folder(cls, folder: Path, crop: Literal["face", "frame"] = "face", *, device: str = "cpu") -> FaceTaps:
        """With the shipped weights, `face.safetensors`."""
        from safetensors.torch import load_file

        encoder = FaceEncoder()
        encoder.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in load_file(folder / "face.safetensors").items()})
        return cls(encoder, crop, device)

    @classmethod
    def from_config(cls, crop: Literal["face", "frame"] = "face") -> FaceTaps:
        """With random weights."""
        return cls(FaceEncoder(), crop)

    @torch.inference_mode()
    def __call__(self, look: Look) -> dict[str, Sensed]:
        """See `Backbone`."""
        shown = np.ones(len(look.frames), bool) if self._crop == "frame" else look.seen
        if not shown.any():
            return {}
        images = look.frames if self._crop == "frame" else look.crops
        small = [cv2.resize(images[i], (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA) for i in np.flatnonzero(shown)]
        crops = torch.from_numpy(np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in small]))
        points = torch.from_numpy(look.points[shown].astype(np.float32))
        kept: list[Tensor] = []
        hooks = [self._encoder.pixels[n].register_forward_hook(lambda _m, _i, out: kept.append(out.cpu())) for n in TAPS]
        try:
            tokens = self._encoder(crops.to(self._device), points.to(self._device)).cpu()
        finally:
            for hook in hooks:
                hook.remove()
        times = tuple(np.asarray(look.times_s)[shown].tolist())
        return {"face": (tokens, times), "face-depths": (torch.cat([*map(_flat, kept), tokens], 1), times)}


def _flat(depth: Tensor) -> Tensor:
    """[T, C, h, w] to [T, 256]: as many cells as fit, the rest zero."""
    rows = {64: (2, 2), 128: (2, 1)}.get(depth.shape[1], (1, 1))
    pooled = nn.functional.adaptive_avg_pool2d(depth, rows).flatten(1)
    return nn.functional.pad(pooled, (0, TAP_WIDTH - pooled.shape[1]))
