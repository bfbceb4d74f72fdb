"""EVA-CLIP ViT-g/14 as a frozen backbone: one sharp picture, its summary, and a coarse video.

Source: Emotion-LLaMAv2 (arXiv 2601.16449) as its public code does it: the 39-block tower of BLIP-2 at 448 px, four patches that follow
one another in a row made into one token (the projector of MiniGPT-v2 expects this order), 16 pictures at 224 px pooled to 2 x 2 each.
Differs: one tower for both sizes; the release runs a second copy for the video, with ImageNet's mean and spread (`imagenet_video`),
and pools 16 neighbouring pictures, where ours are spread over the clip, as the paper says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from emollm.encoders.base import Look, Sensed, spread
from emollm.encoders.pictures import CLIP_NORM, IMAGENET_NORM, by_batches, prepared
from emollm.encoders.pretrained import fill_from, from_transformers, frozen
from emollm.errors import CheckpointError

CELLS = 2  # a side, of each picture of the video


class Eva(nn.Module):
    """EVA-CLIP's picture tower, which transformers calls Blip2VisionModel.

    Gives `image` [256, 5632], groups of four patches of the middle picture; `whole` [1, 1408], its CLS token; and `grid` [64, 1408],
    2 x 2 cells of each of 16 pictures in order of time. A clip with fewer pictures repeats its last one.
    """

    gives: Mapping[str, int]

    def __init__(
        self, net: Any, *, px: int = 448, frames: int = 16, join: Literal["row", "square"] = "row", imagenet_video: bool = False
    ) -> None:
        """Wrap a tower.

        Args:
            net: Blip2VisionModel.
            px: Side of the sharp picture; position embeddings are interpolated to it.
            frames: Pictures of the video, at the tower's own size.
            join: Which four patches make a token: four in a row, as released, or 2 x 2 neighbours.
            imagenet_video: Normalise the video with ImageNet's values, as released, instead of CLIP's.

        Raises:
            CheckpointError: If `px` does not hold whole groups of four patches.
        """
        super().__init__()
        patch = net.config.patch_size
        side = px // patch
        if px % patch or side % (4 if join == "row" else 2):
            raise CheckpointError(f"a picture of {px} px does not hold whole groups of four {patch} px patches ({join}); 448 does")
        self.net = net
        self.px, self.frames, self.join, self.imagenet_video = px, frames, join, imagenet_video
        width = net.config.hidden_size
        self.gives = {"image": 4 * width, "whole": width, "grid": width}

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any) -> Eva:
        """From a transformers folder of the tower, or from our conversion of `eva_vit_g.pth` (model.safetensors alone).

        Raises:
            CheckpointError: If the folder is incomplete.
        """
        from transformers import Blip2VisionModel

        if (folder / "config.json").is_file():
            return frozen(cls(from_transformers(Blip2VisionModel, folder, dtype), **options), device)
        with torch.device("meta"):
            backbone = cls.from_config(**options)
        backbone.net.to_empty(device="cpu").to(dtype)
        fill_from(backbone.net, folder)
        return frozen(backbone, device)

    @classmethod
    def from_config(cls, *, tiny: bool = False, **options: Any) -> Eva:
        """Random weights: 39 blocks of width 1408 at 224, or 2 blocks of width 32 at 28 px."""
        from transformers import Blip2VisionConfig, Blip2VisionModel

        shape: dict[str, Any] = {}  # transformers' defaults are this tower
        if tiny:
            shape = {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "image_size": 28,
            }
            options = {"px": 56} | options
        config = Blip2VisionConfig(**shape, initializer_range=0.02 if tiny else 1e-10)
        return frozen(cls(Blip2VisionModel(config), **options))

    @torch.inference_mode()
    def forward(self, look: Look) -> dict[str, Sensed]:
        """All three outputs, or nothing where the clip has no picture."""
        if not len(look.frames):
            return {}
        middle = len(look.frames) // 2
        states = self._states(self._pixels(look.frames[[middle]], self.px))[0]  # [1 + side * side, D]
        index = spread(len(look.frames), self.frames)
        real = sorted(set(index))
        norm = IMAGENET_NORM if self.imagenet_video else CLIP_NORM
        cells = by_batches(self._cells, self._pixels(look.frames[real], self.net.config.image_size, norm))  # [n, 4, D]
        video = cells[[real.index(i) for i in index]].flatten(0, 1)  # [frames * 4, D]
        now = (float(look.times_s[middle]),)
        return {
            "image": (self._joined(states[1:]), now * (len(states) // 4)),
            "whole": (states[:1], now),
            "grid": (video, tuple(float(look.times_s[i]) for i in index for _ in range(CELLS**2))),
        }

    def _pixels(self, pictures: Any, px: int, norm: Any = CLIP_NORM) -> Tensor:
        return prepared(pictures, px, norm).to(self.net.device, self.net.dtype)

    def _states(self, x: Tensor) -> Tensor:
        return self.net(x, interpolate_pos_encoding=True).last_hidden_state.float()

    def _joined(self, patches: Tensor) -> Tensor:
        """[side * side, D] to [side * side / 4, 4 D]."""
        if self.join == "row":
            return patches.unflatten(0, (-1, 4)).flatten(1)
        half = int(len(patches) ** 0.5) // 2
        return patches.unflatten(0, (half, 2, half, 2)).transpose(1, 2).reshape(half * half, -1)

    def _cells(self, x: Tensor) -> Tensor:
        patches = self._states(x)[:, 1:]  # [T, side * side, D]
        side = int(patches.shape[1] ** 0.5)
        maps = patches.transpose(1, 2).unflatten(2, (side, side))  # [T, D, side, side]
        return nn.functional.adaptive_avg_pool2d(maps, CELLS).flatten(2).transpose(1, 2)  # [T, 4, D]
