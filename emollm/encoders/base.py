"""What a frozen backbone sees of a clip, what it gives back, and the table of backbones.

A backbone knows pictures, face crops and sound; streams, projectors and language models are not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from emollm.values import Floats

Sensed = tuple[Tensor, tuple[float, ...]]
"""Rows [N, D] float32, and the time of each in seconds, or () where they belong to no moment."""

FACE_PX = 224

BACKBONES: dict[str, str] = {
    "clip": "emollm.encoders.full_vision:Clip",
    "eva": "emollm.encoders.eva:Eva",
    "siglip": "emollm.encoders.full_vision:Siglip",
    "hubert": "emollm.encoders.full_audio:Hubert",
    "whisper-encoder": "emollm.encoders.full_audio:WhisperLine",
    "facexformer": "emollm.encoders.facexformer:FaceXFormer",
    "scene-taps": "emollm.encoders.scene_taps:SceneTaps",
    "face-taps": "emollm.encoders.face_taps:FaceTaps",
    "toy": "emollm.encoders.toy:ToyBackbone",
}
"""Kind -> "module:Class". Each class has `from_folder(folder, *, device, dtype, **options)`, which reads pretrained weights, and
`from_config(*, tiny, **options)`, which makes random ones and works under `torch.device("meta")`."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a backbone may see of a clip: pictures spread evenly over it, the main person's face in them, and the sound."""

    frames: NDArray[np.uint8]  # [T, H, W, 3] RGB, T may be 0
    times_s: Floats  # [T]
    crops: NDArray[np.uint8]  # [T, S, S, 3] RGB aligned main face, S = FACE_PX; zeros where not seen; the squashed frame where asked for
    landmarks: Floats  # [T, 468, 3] pixels of `frames`, NaN where not seen
    points: Floats  # [T, 468, 3] landmarks free of place, size and roll; zeros where not seen
    seen: NDArray[np.bool_]  # [T] whether the face is there
    audio: Floats | None  # [S] float32 16 kHz mono, None without sound
    spans_s: tuple[tuple[float, float], ...] = ()  # stretches of speech


class Backbone(Protocol):
    """A frozen network; `gives` names its outputs and their widths."""

    gives: Mapping[str, int]

    def __call__(self, look: Look) -> dict[str, Sensed]:
        """Outputs by name; what cannot be made (no picture, no sound, no face) is absent."""


def spread(total: int, count: int, *, fill: bool = True) -> list[int]:
    """Indices of `count` of `total` things, evenly spaced from the first; too few are all taken, the last again until `count` if `fill`."""
    if total >= count:
        return [i * total // count for i in range(count)]
    return [*range(total), *([total - 1] * (count - total) if fill and total else [])]
