"""A few learned queries that look over a face's frames, each to become one token."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.projectors.calm import settle
from emollm.projectors.rows import dated, opened


class FaceTemporalProjector(nn.Module):
    """[B, N, D_enc] to [B, K, D_llm] with K = `tokens` for every clip that has any row.

    Source: arXiv 2603.02123, temporal module of the facial encoder and the adapter after it.
    Differs: the released module does not know the order of frames and declares a norm that it never applies. Here keys carry a
    parameter-free time code and the norm is applied; `positions` and `norm` False give the released form. Output size, see `calm`.
    """

    def __init__(
        self,
        *,
        width: int,
        width_llm: int,
        hidden: int,
        tokens: int,
        scale: float,
        calm: bool = True,
        heads: int = 4,
        dropout: float = 0.1,
        positions: bool = True,
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.budget = tokens
        self.scale = scale if calm else None
        self.positions = positions
        self.normed = norm
        # Of unit size: there is no residual, so queries that start alike would stay alike and give the same token K times.
        self.queries = nn.Parameter(torch.randn(tokens, width))
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width_llm))

    def count(self, available: int) -> int:
        """All queries if there is any row, else none."""
        return self.budget if available > 0 else 0

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] with mask [B, N] to embeddings [B, K, D_llm] with mask [B, K]."""
        rows = tokens.to(self.queries.dtype)
        keys = dated(rows, mask) if self.positions else rows
        queries = self.queries.expand(len(rows), -1, -1)  # [B, K, D_enc]
        seen = self.attend(queries, keys, rows, key_padding_mask=~opened(mask), need_weights=False)[0]
        if self.normed:
            seen = self.norm(seen)
        there = mask.any(1, keepdim=True).expand(-1, self.budget)
        return settle(self.leave(seen), there, self.scale), there
