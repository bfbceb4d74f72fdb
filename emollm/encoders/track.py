"""Frames of one track read together: a frame's facial units in the light of the second around it.

The unit encoder sees stills. Here its frames exchange what they saw, with codes for their times and attention that fades with distance, so
that a blur or a blink is told from a lasting change. It corrects strengths and starts as no correction at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.units import UNITS

INNER, HEADS, LAYERS = 64, 4, 2
PERIODS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the position codes
REACH_S = 1.5  # frames further apart do not see each other
BLOCK, OVERLAP = 256, 24  # frames of a long track that are read at a time, and how many neighbours on each side come along


class _Layer(nn.Module):
    """Attention among near frames, then a small feed-forward net; both normalised first and added."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = nn.LayerNorm(INNER), nn.LayerNorm(INNER)
        self.mix = nn.Linear(INNER, 3 * INNER)
        self.out = nn.Linear(INNER, INNER)
        self.fade = nn.Parameter(torch.linspace(0, 2, HEADS))  # of each head, by distance in seconds
        self.wide = nn.Sequential(nn.Linear(INNER, 2 * INNER), nn.SiLU(), nn.Linear(2 * INNER, INNER))

    def forward(self, x: Tensor, apart_s: Tensor) -> Tensor:
        batch, frames, _ = x.shape
        query, key, value = self.mix(self.before(x)).view(batch, frames, 3, HEADS, INNER // HEADS).permute(2, 0, 3, 1, 4)
        bias = -nn.functional.softplus(self.fade)[None, :, None, None] * apart_s[:, None]
        bias = bias.masked_fill(apart_s[:, None] > REACH_S, -1e4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, frames, INNER))
        return x + self.wide(self.after(x))


class TrackEncoder(nn.Module):
    """Corrections of facial units over a track."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(width + 2 * len(PERIODS_S), INNER)
        self.layers = nn.ModuleList(_Layer() for _ in range(LAYERS))
        self.correct = nn.Linear(INNER, len(UNITS))
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)

    def forward(self, tokens: Tensor, times_s: Tensor) -> Tensor:
        """Correct a batch of windows.

        Args:
            tokens: [B, T, D] of the unit encoder.
            times_s: [B, T] in seconds.

        Returns:
            [B, T, 52] to be added to the logits of units.
        """
        angles = 2 * torch.pi * times_s[..., None] / times_s.new_tensor(PERIODS_S)
        x = self.narrow(torch.cat([tokens, angles.sin(), angles.cos()], -1))
        apart = (times_s[:, :, None] - times_s[:, None, :]).abs()
        for layer in self.layers:
            x = layer(x, apart)
        return self.correct(x)

    def whole(self, tokens: Tensor, times_s: Tensor) -> Tensor:
        """[T, D] tokens of a track of any length and its times [T] to corrections [T, 52], block by block."""
        parts = []
        for start in range(0, len(tokens), BLOCK):
            first, last = max(0, start - OVERLAP), min(len(tokens), start + BLOCK + OVERLAP)
            found = self(tokens[None, first:last], times_s[None, first:last].float())[0]
            parts.append(found[start - first : start - first + min(BLOCK, len(tokens) - start)])
        return torch.cat(parts)
