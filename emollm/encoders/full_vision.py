"""CLIP and SigLIP as frozen backbones: pictures to vectors of single hidden layers.

Source: CLIP as Nano-EmoX taps it (read from its public code: CLS of hidden state -2 alone, and of 12, 16, 22 side by side); SigLIP
so400m at layer -2 as HumanOmni does, the closest public relative of FaceTrack-MM.
Differs: SigLIP's face outputs are ours; no published system says what its face encoder is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from emollm.encoders.base import Look, Sensed, spread
from emollm.encoders.pictures import CLIP_NORM, HALF_NORM, by_batches, prepared
from emollm.encoders.pretrained import check_taps, from_transformers, frozen


def _times(look: Look, index: Sequence[int], repeats: int = 1) -> tuple[float, ...]:
    return tuple(float(look.times_s[i]) for i in index for _ in range(repeats))


class Clip(nn.Module):
    """CLIP's picture tower.

    Gives `frames` [frames, 1024], the CLS token of one hidden state for each of the evenly spread pictures, and `depths`
    [frames, 3072], the CLS tokens of several hidden states side by side. A clip with fewer pictures repeats its last one.
    """

    gives: Mapping[str, int]

    def __init__(self, net: Any, *, frames: int = 8, layers: Sequence[int] = (12, 16, 22), single: int = -2, squash: bool = True) -> None:
        """Wrap a tower.

        Args:
            net: CLIPVisionModel.
            frames: Pictures looked at.
            layers: Hidden states in `depths`; 0 is the embedding.
            single: Hidden state of `frames`.
            squash: Ignore the aspect ratio, as released; else the middle square is seen.

        Raises:
            CheckpointError: If the tower has not so many layers.
        """
        super().__init__()
        check_taps((*layers, single), net.config.num_hidden_layers, "CLIP")
        self.net = net
        self.frames, self.layers, self.single, self.squash = frames, tuple(layers), single, squash
        width = net.config.hidden_size
        self.gives = {"frames": width, "depths": width * len(self.layers)}

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any) -> Clip:
        """From a transformers folder of CLIP, whole or picture tower only; CheckpointError if it is incomplete."""
        from transformers import CLIPVisionModel

        return frozen(cls(from_transformers(CLIPVisionModel, folder, dtype), **options), device)

    @classmethod
    def from_config(cls, *, tiny: bool = False, **options: Any) -> Clip:
        """Random weights: ViT-L/14 at 224, or a tower of 4 layers and width 32."""
        from transformers import CLIPVisionConfig, CLIPVisionModel

        shape: dict[str, Any] = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
        if tiny:
            shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}
            options = {"layers": (1, 2, 3)} | options
        return frozen(cls(CLIPVisionModel(CLIPVisionConfig(image_size=56 if tiny else 224, patch_size=14, **shape)), **options))

    @torch.inference_mode()
    def forward(self, look: Look) -> dict[str, Sensed]:
        """Both outputs, or nothing where the clip has no picture."""
        if not len(look.frames):
            return {}
        index = spread(len(look.frames), self.frames)
        real = sorted(set(index))  # repeated pictures are run once
        x = prepared(look.frames[real], self.net.config.image_size, CLIP_NORM, squash=self.squash).to(self.net.device, self.net.dtype)
        taps = by_batches(self._taps, x)[[real.index(i) for i in index]]  # [frames, 1 + layers, D]
        times = _times(look, index)
        return {"frames": (taps[:, 0], times), "depths": (taps[:, 1:].flatten(1), times)}

    def _taps(self, x: Tensor) -> Tensor:
        states = self.net(x, output_hidden_states=True).hidden_states
        return torch.stack([states[n][:, 0] for n in (self.single, *self.layers)], 1).float()


class Siglip(nn.Module):
    """SigLIP's picture tower.

    Gives `grid` [frames * grid * grid, 1152], patches of layer -2 averaged over a coarse grid (row by row, picture after picture);
    `face` [n, 1152], the mean patch of the face crops in which the face was seen; and `face-depths` [n, 4608], mean patches of four
    evenly spaced layers side by side. A clip with fewer pictures gives fewer rows.
    """

    gives: Mapping[str, int]

    def __init__(self, net: Any, *, frames: int = 16, grid: int = 2, layer: int = -2, squash: bool = True) -> None:
        """Wrap a tower.

        Args:
            net: SiglipVisionModel.
            frames: Most pictures, and most faces, looked at.
            grid: Cells a side that a picture is averaged into.
            layer: Hidden state that `grid` and `face` take.
            squash: Ignore the aspect ratio, which is SigLIP's own way; else the middle square is seen.

        Raises:
            CheckpointError: If the tower has not so many layers.
        """
        super().__init__()
        depth = net.config.num_hidden_layers
        check_taps((layer,), depth, "SigLIP")
        self.net = net
        self.frames, self.grid, self.layer, self.squash = frames, grid, layer, squash
        self.taps = tuple(round(depth * quarter / 4) for quarter in (1, 2, 3, 4))
        width = net.config.hidden_size
        self.gives = {"grid": width, "face": width, "face-depths": width * len(self.taps)}

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32, **options: Any) -> Siglip:
        """From a transformers folder of SigLIP, whole or picture tower only; CheckpointError if it is incomplete."""
        from transformers import SiglipVisionModel

        return frozen(cls(from_transformers(SiglipVisionModel, folder, dtype), **options), device)

    @classmethod
    def from_config(cls, *, tiny: bool = False, **options: Any) -> Siglip:
        """Random weights: so400m/14 at 384, or a tower of 4 layers and width 32."""
        from transformers import SiglipVisionConfig, SiglipVisionModel

        shape: dict[str, Any] = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
        if tiny:
            shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "num_attention_heads": 2}
        return frozen(cls(SiglipVisionModel(SiglipVisionConfig(image_size=56 if tiny else 384, patch_size=14, **shape)), **options))

    @torch.inference_mode()
    def forward(self, look: Look) -> dict[str, Sensed]:
        """`grid` where the clip has pictures, the other two where a face was seen."""
        out: dict[str, Sensed] = {}
        if len(look.frames):
            index = spread(len(look.frames), self.frames, fill=False)
            cells = by_batches(self._cells, self._pixels(look.frames[index], squash=self.squash))  # [T, grid * grid, D]
            out["grid"] = (cells.flatten(0, 1), _times(look, index, self.grid**2))
        faces = look.seen.nonzero()[0]
        if len(faces):
            index = [int(faces[i]) for i in spread(len(faces), self.frames, fill=False)]
            means = by_batches(self._means, self._pixels(look.crops[index], squash=True))  # [n, 1 + taps, D]
            times = _times(look, index)
            out |= {"face": (means[:, 0], times), "face-depths": (means[:, 1:].flatten(1), times)}
        return out

    def _pixels(self, pictures: Any, *, squash: bool) -> Tensor:
        return prepared(pictures, self.net.config.image_size, HALF_NORM, squash=squash).to(self.net.device, self.net.dtype)

    def _cells(self, x: Tensor) -> Tensor:
        patches = self.net(x, output_hidden_states=True).hidden_states[self.layer]  # [T, side * side, D]
        side = int(patches.shape[1] ** 0.5)
        maps = patches.float().transpose(1, 2).unflatten(2, (side, side))  # [T, D, side, side]
        return nn.functional.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)  # [T, grid * grid, D]

    def _means(self, x: Tensor) -> Tensor:
        states = self.net(x, output_hidden_states=True).hidden_states
        return torch.stack([states[n].float().mean(1) for n in (self.layer, *self.taps)], 1)
