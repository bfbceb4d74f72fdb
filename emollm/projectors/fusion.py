"""Features of several streams to features of one: what face and voice say together, before the language model."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvAttentionFuser(nn.Module):
    """Streams side by side in time, mixed by a short convolution and by attention, to one token.

    Source: arXiv 2601.16449, pre-fusion module. Differs: two branches added rather than concatenated, sized for few tokens.
    """

    guided = False

    def __init__(self, *, widths: dict[str, int], width: int) -> None:
        super().__init__()
        self.streams = tuple(widths)
        self.enter = nn.ModuleDict({n: nn.Sequential(nn.LayerNorm(w), nn.Linear(w, width)) for n, w in widths.items()})
        self.kind = nn.Parameter(torch.zeros(len(widths), width))
        self.convolve = nn.Conv1d(width, width, 3, padding=1, groups=8)
        self.attend = nn.MultiheadAttention(width, 4, batch_first=True)
        self.norm = nn.LayerNorm(width)

    def count(self, available: dict[str, int]) -> int:
        """One token if every stream is there."""
        return int(all(available.get(n, 0) > 0 for n in self.streams))

    def forward(
        self, tokens: dict[str, Tensor], masks: dict[str, Tensor], guide: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features of every stream to one token [B, 1, D]; its mask is False where any stream is missing. `guide` is not used."""
        parts = [self.enter[n](tokens[n].to(self.kind.dtype)) + self.kind[i] for i, n in enumerate(self.streams)]
        x, mask = torch.cat(parts, 1), torch.cat([masks[n] for n in self.streams], 1)
        x = x * mask[..., None]
        near = self.convolve(x.transpose(1, 2)).transpose(1, 2)
        blind = ~mask
        blind = blind & ~blind.all(1, keepdim=True)  # attention over nothing is NaN; such rows are masked below
        far = self.attend(x, x, x, key_padding_mask=blind, need_weights=False)[0]
        joined = nn.functional.silu(near + far) * mask[..., None]
        pooled = joined.sum(1, keepdim=True) / mask.sum(1)[:, None, None].clamp(min=1)
        both = torch.stack([masks[n].any(1) for n in self.streams], 1).all(1, keepdim=True)
        return self.norm(pooled) * both[..., None], both
