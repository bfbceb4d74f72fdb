"""Linear layers with weights of 8 bits, one scale for each output, for networks that read all their weights for every token they write.

What goes in is rounded to 8 bits as well, with one scale for a call. For the processor only, and for nothing that is trained.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn


class EightBitLinear(nn.Module):
    """A linear layer, rounded."""

    def __init__(self, exact: nn.Linear) -> None:
        super().__init__()
        weight = exact.weight.detach().float()
        scales = (weight.abs().amax(1) / 127).clamp_min(1e-9).double()
        with warnings.catch_warnings():  # such tensors will leave torch one day; its version is fixed here
            warnings.simplefilter("ignore", UserWarning)
            rounded = torch.quantize_per_channel(weight, scales, torch.zeros(len(weight), dtype=torch.long), 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(rounded, None if exact.bias is None else exact.bias.detach().float())
        self.in_features, self.out_features = exact.in_features, exact.out_features

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] float32 to [..., out] float32."""
        return torch.ops.quantized.linear_dynamic(x, self._packed, False)  # False: all 8 bits of x


def in_eight_bits(module: nn.Module) -> nn.Module:
    """The module with every linear layer below it replaced; itself, if it is one."""
    if isinstance(module, nn.Linear):
        return EightBitLinear(module)
    for name, child in module.named_children():
        setattr(module, name, in_eight_bits(child))
    return module
