"""Views laid one after another for learned queries to read: the rival that pre-fusion is compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.projectors.pre_fusion import narrowing
from emollm.projectors.q_former import QueryReader
from emollm.projectors.rows import dated


class QFormerFuser(nn.Module):
    """Features of every view to `queries` rows [B, M, D]; a clip that lacks a view has none.

    Source: arXiv 2601.16449, the ablation with a Q-Former in place of pre-fusion. Differs: its sizes are unpublished, these are ours, as
    are the norm before the queries and the parameter-free time code. Each view has its own layers on the way in, which tells views apart.
    """

    guided = False

    def __init__(
        self,
        *,
        widths: dict[str, int],
        width: int,
        queries: int = 64,
        layers: int = 2,
        heads: int = 4,
        hidden: int = 512,
        narrow: int = 128,
        inner: int = 256,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.streams = tuple(widths)
        self.queries = queries
        self.enter = nn.ModuleDict({n: narrowing(w, hidden, narrow, dropout) for n, w in widths.items()})
        # Fresh layers on the way in leave little of their input; without this norm the queries would start as good as blind.
        self.norm = nn.LayerNorm(narrow)
        self.reader = QueryReader(width=narrow, hidden=inner, queries=queries, layers=layers, heads=heads)
        self.leave = nn.Linear(inner, width)

    def count(self, available: dict[str, int]) -> int:
        """All queries if every view is there, else none."""
        return self.queries if all(available.get(n, 0) > 0 for n in self.streams) else 0

    def forward(
        self, tokens: dict[str, Tensor], masks: dict[str, Tensor], guide: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] of every view to [B, M, D] with mask [B, M]; `guide` is not used."""
        dtype = self.leave.weight.dtype
        there = torch.stack([masks[n].any(1) for n in self.streams]).all(0)[:, None].expand(-1, self.queries)  # [B, M]
        rows = torch.cat([dated(self.norm(self.enter[n](tokens[n].to(dtype))), masks[n]) for n in self.streams], 1)
        seen = self.reader(rows, torch.cat([masks[n] for n in self.streams], 1))  # [B, M, inner]
        return self.leave(seen).masked_fill(~there[..., None], 0.0), there
