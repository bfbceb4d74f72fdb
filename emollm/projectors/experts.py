"""Two streams joined depth by depth, one expert for each depth, and a gate that says how much each one counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.projectors.rows import mean, opened, resample


class _Expert(nn.Module):
    """The first stream asks the second: attention with the residual on the asking side, then a feed-forward with its own residual."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, asks: Tensor, tells: Tensor, mask: Tensor) -> Tensor:
        seen = asks + self.attend(asks, tells, tells, key_padding_mask=~opened(mask), need_weights=False)[0]
        return seen + self.feed(seen)


class HierarchicalExpertsFuser(nn.Module):
    """Rows of two streams, each row `scales` feature vectors side by side, to as many rows [B, M, D] of one.

    The first stream asks, the second tells; the published order is voice, then picture. Where one has more real rows than the other,
    both are spread evenly over the smaller number, so that row k of both is the same moment. `shares` [B, scales] is what the gate
    gave to each expert in the last forward, zero where a stream was missing.

    Source: arXiv 2603.02123, fusion encoder. Differs: unequal lengths are allowed, padded rows enter neither attention nor gate.
    """

    guided = False

    def __init__(self, *, widths: dict[str, int], width: int, scales: int = 3, heads: int = 8, dropout: float = 0.1) -> None:
        super().__init__()
        if len(widths) != 2:
            raise ValueError(f"hierarchical-experts joins two streams, got {len(widths)}: {', '.join(widths)}")
        odd = [f"{n} is {w} wide" for n, w in widths.items() if w % scales]
        if odd:
            raise ValueError(f"each row must hold {scales} feature vectors of equal width, but {' and '.join(odd)}")
        self.streams = tuple(widths)
        self.scales = scales
        self.enter = nn.ModuleDict({n: nn.Linear(w // scales, width) for n, w in widths.items()})
        self.experts = nn.ModuleList(_Expert(width, heads, dropout) for _ in range(scales))
        self.gate = nn.Sequential(nn.Linear(scales * width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, scales))
        self.shares: Tensor | None = None

    def count(self, available: dict[str, int]) -> int:
        """Rows of the shorter stream; none if either is missing."""
        return min(available.get(n, 0) for n in self.streams)

    def forward(
        self, tokens: dict[str, Tensor], masks: dict[str, Tensor], guide: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features [B, N, scales x D_enc] of both streams to [B, M, D] with mask [B, M]; `guide` is not used."""
        lengths = torch.stack([masks[n].sum(1) for n in self.streams]).amin(0)  # [B]
        rows = min(masks[n].shape[1] for n in self.streams)
        parts, mask = [], masks[self.streams[0]]
        for name in self.streams:
            enter = self.enter[name]
            even, mask = resample(tokens[name].to(enter.weight.dtype), masks[name], lengths, rows)  # type: ignore[arg-type]
            parts.append([enter(x) for x in even.chunk(self.scales, -1)])  # scales x [B, M, D]
        told = [expert(a, v, mask) for expert, a, v in zip(self.experts, *parts, strict=True)]
        shares = self.gate(mean(torch.cat(told, -1), mask)).softmax(-1)  # [B, scales]
        there = mask.any(1, keepdim=True)
        self.shares = shares.detach() * there
        joined = sum(share[:, None, None] * x for share, x in zip(shares.unbind(1), told, strict=True))
        return torch.as_tensor(joined).masked_fill(~mask[..., None], 0.0), mask
