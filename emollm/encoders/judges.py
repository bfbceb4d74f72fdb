"""Two small face networks by others, never trained on renders: one names expressions, one tells people apart.

They judge our synthetic people from outside and are in no system. Sources: `face_expression` of face-api 1.7.15 and `faceres` of
human 3.3.6 (from HSE-FaceRes), both from npm packages by Vladimir Mandic.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from emollm.values import Floats

SEEN = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""Classes of `ExpressionJudge`, in its order, under our names."""
_MEAN = (122.782, 117.001, 104.298)
_EXPRESSION_PX, _IDENTITY_PX = 112, 224


class ExpressionJudge(nn.Module):
    """Faces to seven expressions: four blocks of dense, depthwise-separable convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Dense(before, after) for before, after in ((3, 32), (32, 64), (64, 128), (128, 256)))
        self.last = nn.Linear(256, len(SEEN))

    @classmethod
    def from_folder(cls, folder: Path) -> ExpressionJudge:
        """Read the folder that `emollm weights pull face-expression` made."""
        from safetensors.torch import load_file

        state = load_file(folder / "model.safetensors")
        names = {"filters": "plain.weight", "depthwise_filter": "deep.weight", "pointwise_filter": "point.weight", "bias": "bias"}
        renamed = {"last.weight": state["fc/weights"], "last.bias": state["fc/bias"]}
        for key, value in state.items():
            if key.startswith("dense"):
                block, conv, what = key.removeprefix("dense").split("/")
                renamed[f"blocks.{block}.{conv}.{names[what]}"] = value
        judge = cls()
        judge.load_state_dict(renamed)
        return judge.eval()

    def forward(self, faces: Tensor) -> Tensor:
        """RGB [B, 112, 112, 3] in 0 to 255 to logits [B, 7] in the order of SEEN."""
        x = (faces.float() - torch.tensor(_MEAN)).permute(0, 3, 1, 2) / 255
        for block in self.blocks:
            x = block(x)
        return torch.as_tensor(self.last(x.mean((2, 3))))


class _Dense(nn.Module):
    """Four convolutions; each but the first adds to all before it."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv0 = _Conv(before, after, 2)
        self.conv1, self.conv2, self.conv3 = (_Conv(after, after, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first = functional.relu(self.conv0(x))
        whole = first
        for conv in (self.conv1, self.conv2, self.conv3):
            whole = whole + conv(functional.relu(whole))
        return functional.relu(whole)


class _Conv(nn.Module):
    """Plain for a picture, depthwise and then pointwise otherwise; padded as TensorFlow's "same"."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.bias = nn.Parameter(torch.zeros(after))
        self.plain = nn.Conv2d(before, after, 3, bias=False) if before == 3 else None
        if before != 3:
            self.deep = nn.Conv2d(before, before, 3, bias=False, groups=before)
            self.point = nn.Conv2d(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, _same(x, self.stride))
        if self.plain is not None:
            return functional.conv2d(x, self.plain.weight, self.bias, self.stride)
        x = functional.conv2d(x, self.deep.weight, None, self.stride, groups=x.shape[1])
        return functional.conv2d(x, self.point.weight, self.bias)


def _same(x: Tensor, stride: int) -> tuple[int, int, int, int]:
    """Padding of a 3 x 3 kernel: an odd one over goes right and below."""
    whole = [max((-(-side // stride) - 1) * stride + 3 - side, 0) for side in (x.shape[3], x.shape[2])]
    return whole[0] // 2, whole[0] - whole[0] // 2, whole[1] // 2, whole[1] - whole[1] // 2


class IdentityJudge(nn.Module):
    """Faces to 1,024 numbers that are alike for one person: MobileNet of width 1, as far as its global pooling."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
        strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
        convs = [nn.Conv2d(3, 32, 3, 2)]
        for before, after, stride in zip(widths, widths[1:], strides, strict=False):
            convs += [nn.Conv2d(before, before, 3, stride, groups=before), nn.Conv2d(before, after, 1)]
        self.layers = nn.ModuleList(convs)

    @classmethod
    def from_folder(cls, folder: Path) -> IdentityJudge:
        """Read the folder that `emollm weights pull faceres` made."""
        from safetensors.torch import load_file

        judge = cls()
        judge.load_state_dict(load_file(folder / "model.safetensors"))
        return judge.eval()

    def forward(self, faces: Tensor) -> Tensor:
        """RGB [B, 224, 224, 3] in 0 to 255 to unit vectors [B, 1024]."""
        x = faces.float().permute(0, 3, 1, 2)
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)  # nothing else is ever put there
            stride = layer.stride[0]
            if layer.kernel_size[0] == 3:
                x = functional.pad(x, _same(x, stride))
            x = functional.conv2d(x, layer.weight, layer.bias, stride, groups=layer.groups).clamp(0, 6)
        return functional.normalize(x.mean((2, 3)), dim=1)


def cut_face(image: NDArray[np.uint8], points: Floats, side: int, widen: float) -> NDArray[np.uint8]:
    """A square cut [side, side, 3] around landmarks [n, 2 or more] in pixels, edges repeated."""
    flat = np.asarray(points)[:, :2]
    low, high = flat.min(0), flat.max(0)
    half = float((high - low).max()) / 2 * widen
    scale = side / (2 * half)
    middle = (low + high) / 2
    move = np.array([[scale, 0, side / 2 - scale * middle[0]], [0, scale, side / 2 - scale * middle[1]]], np.float32)
    shrink = cv2.GaussianBlur(image, (0, 0), 0.4 / scale) if scale < 0.7 else image  # or strong shrinking would alias
    cut = cv2.warpAffine(shrink, move, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cut, np.uint8)


@torch.inference_mode()
def name_expressions(judge: ExpressionJudge, image: NDArray[np.uint8], points: Floats) -> Floats:
    """[7] chances of SEEN for the face with these landmarks."""
    cut = cut_face(image, points, _EXPRESSION_PX, 1.1)
    return np.asarray(judge(torch.from_numpy(cut)[None]).softmax(1)[0].numpy())


@torch.inference_mode()
def describe_identity(judge: IdentityJudge, image: NDArray[np.uint8], points: Floats) -> Floats:
    """[1024] unit vector for the face with these landmarks."""
    cut = cut_face(image, points, _IDENTITY_PX, 1.12)
    return np.asarray(judge(torch.from_numpy(cut)[None])[0].numpy())
