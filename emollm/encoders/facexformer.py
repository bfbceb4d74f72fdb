"""FaceXFormer's picture tower as a frozen backbone: a face, or a whole picture, to one 256-wide vector.

Source: FaceXFormer (arXiv 2403.12960) as Nano-EmoX uses it: Swin-B, the maps after its four stages brought to width 256, enlarged
to the finest, stacked deepest first, mixed by a 1 x 1 convolution and averaged; both read from public code.
Differs: faces in their standard frame and normalised by default. Nano-EmoX feeds whole pictures (`crop="frame"`) of 0 to 255
(`normalise=False`), although FaceXFormer was trained on normalised face crops.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from emollm.encoders.base import Look, Sensed, spread
from emollm.encoders.pictures import IMAGENET_NORM, by_batches, prepared
from emollm.encoders.pretrained import fill_from, frozen

WIDTH = 256


class FaceXFormer(nn.Module):
    """Swin-B with its pyramid.

    Gives `face` [n, 256] and `face-depths` [n, 1024], the means of the four stages at width 256 side by side, finest first; for the
    pictures in which the face was seen, or for all of them where whole pictures are asked for.
    """

    gives: Mapping[str, int]

    def __init__(
        self, net: Any, *, crop: Literal["face", "frame"] = "face", normalise: bool = True, frames: int | None = None, width: int = WIDTH
    ) -> None:
        """Put the pyramid on a tower.

        Args:
            net: SwinModel without its pooling.
            crop: Faces, or whole pictures squashed to a square.
            normalise: With ImageNet's mean and spread; else values are 0 to 255.
            frames: How many evenly spread pictures are looked at, too few being filled up with the last one; None looks at all.
            width: Of a stage in the pyramid.
        """
        super().__init__()
        stages = [net.config.embed_dim * 2**i for i in range(len(net.config.depths))]
        self.swin = net
        self.linear_c = nn.ModuleList(nn.Linear(n, width) for n in stages)
        self.linear_fuse = nn.Conv2d(width * len(stages), width, 1, bias=False)
        self.crop, self.normalise, self.frames = crop, normalise, frames
        self.gives = {"face": width, "face-depths": width * len(stages)}

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any) -> FaceXFormer:
        """From our conversion of FaceXFormer's checkpoint (model.safetensors); CheckpointError if it does not fit."""
        backbone = cls.from_config(**options)
        fill_from(backbone, folder)
        return frozen(backbone.to(dtype), device)

    @classmethod
    def from_config(cls, *, tiny: bool = False, **options: Any) -> FaceXFormer:
        """Random weights: Swin-B at 224 px, or five narrow blocks at 64 px."""
        from transformers import SwinConfig, SwinModel

        config = SwinConfig(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32], window_size=7, image_size=224)
        if tiny:
            config = SwinConfig(embed_dim=16, depths=[2, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=2, image_size=64)
            options = {"width": 16} | options
        return frozen(cls(SwinModel(config, add_pooling_layer=False), **options))

    @torch.inference_mode()
    def forward(self, look: Look) -> dict[str, Sensed]:
        """Both outputs, or nothing where there is nothing to see."""
        whole = self.crop == "frame"
        found = range(len(look.frames)) if whole else look.seen.nonzero()[0]
        if not len(found):
            return {}
        index = [int(found[i]) for i in spread(len(found), self.frames or len(found))]
        real = sorted(set(index))
        pictures = (look.frames if whole else look.crops)[real]
        x = prepared(pictures, self.swin.config.image_size, IMAGENET_NORM if self.normalise else None)
        means = by_batches(self._means, x.to(self.swin.device, self.swin.dtype))[[real.index(i) for i in index]]  # [n, 4, 256]
        times = tuple(float(look.times_s[i]) for i in index)
        return {"face": (self._fused(means), times), "face-depths": (means.flatten(1), times)}

    def stages(self, x: Tensor) -> list[Tensor]:
        """[T, 3, H, W] to the maps after each stage, [T, 128 * 2**i, H / 4 / 2**i, W / 4 / 2**i]."""
        state, size = self.swin.embeddings(x)
        maps = []
        for stage in self.swin.encoder.layers:
            state, picture, _ = stage(state, size, output_hidden_states_before_downsampling=True)
            maps.append(picture)
            size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
        return maps

    def pyramid(self, x: Tensor) -> Tensor:
        """[T, 3, H, W] to the mixed map [T, 256, H / 4, W / 4], as published; its mean over the picture is what `face` holds."""
        maps = self.stages(x)
        even = [linear(m.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) for linear, m in zip(self.linear_c, maps, strict=True)]
        large = [nn.functional.interpolate(m, size=maps[0].shape[2:], mode="bilinear", align_corners=False) for m in even]
        return self.linear_fuse(torch.cat(large[::-1], 1))

    def _means(self, x: Tensor) -> Tensor:
        """[T, 3, H, W] to the stages' means [T, 4, 256]."""
        means = [linear(m.mean((2, 3))) for linear, m in zip(self.linear_c, self.stages(x), strict=True)]
        return torch.stack(means, 1).float()

    def _fused(self, means: Tensor) -> Tensor:
        """[T, 4, 256] to [T, 256]. Enlarging by whole factors keeps a map's mean, so nothing is enlarged only to be averaged."""
        weight = self.linear_fuse.weight[:, :, 0, 0].float()  # [256, 1024]
        return means.flip(1).flatten(1) @ weight.T
