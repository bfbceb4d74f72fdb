"""Real rows among padded ones: packing, spreading and dating them, so that padding never differs from absence."""

from __future__ import annotations

import torch
from torch import Tensor


def pack(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [B, N, D] and mask [B, N] with the real rows first, in their order."""
    order = torch.argsort((~mask).to(torch.uint8), dim=1, stable=True)
    return tokens.gather(1, order[..., None].expand_as(tokens)), mask.gather(1, order)


def opened(mask: Tensor) -> Tensor:
    """Mask [B, N] for attention: all True where no row is real, because attention over nothing is NaN. Such rows are masked afterwards."""
    return mask | ~mask.any(1, keepdim=True)


def mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean [B, D] of the real rows of [B, N, D]; zero where there are none."""
    total = tokens.masked_fill(~mask[..., None], 0.0).sum(1)
    return total / mask.sum(1, keepdim=True).clamp(min=1)


def resample(tokens: Tensor, mask: Tensor, lengths: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Spread the real rows of [B, N, D] evenly over `lengths` [B] rows: to [B, rows, D] and a mask that is True before `lengths`.

    Linear interpolation with both ends kept; one output row takes the middle, one input row is repeated, and a row of the batch whose
    length already fits comes back unchanged.
    """
    tokens, _ = pack(tokens, mask)
    last = (mask.sum(1, keepdim=True) - 1).clamp(min=0)  # [B, 1]
    step = torch.arange(rows, device=tokens.device)[None]  # [1, rows]
    gaps = (lengths[:, None] - 1).clamp(min=0)
    at = torch.where(gaps > 0, step * last / gaps.clamp(min=1), last / 2).clamp(max=last)  # [B, rows]
    low = at.floor().long()
    high = torch.minimum(low + 1, last)
    share = (at - low)[..., None].to(tokens.dtype)

    def take(index: Tensor) -> Tensor:
        return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))

    valid = (step < lengths[:, None]) & mask.any(1, keepdim=True)
    return (take(low) * (1 - share) + take(high) * share).masked_fill(~valid[..., None], 0.0), valid


def ranks(mask: Tensor) -> Tensor:
    """Which real row each one is [B, N], from 0; padding repeats the rank before it."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def dated(tokens: Tensor, mask: Tensor) -> Tensor:
    """Rows [B, N, D] plus sines and cosines of their rank among the real rows.

    The code has the size of the row it is added to, so that it is neither lost beside loud features nor drowns quiet ones.
    """
    width = tokens.shape[-1]
    half = (width + 1) // 2
    pace = 10_000.0 ** (-torch.arange(half, device=tokens.device) / half)
    angle = ranks(mask)[..., None] * pace  # [B, N, half]
    code = torch.cat([angle.sin(), angle.cos()], -1)[..., :width] * 2**0.5  # of size one
    size = tokens.detach().float().square().mean(-1, keepdim=True).sqrt()
    return tokens + (code * size).to(tokens.dtype)
