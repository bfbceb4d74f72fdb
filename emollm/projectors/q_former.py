"""Learned queries that read rows through a Q-Former, and so turn few rows into a fixed number of tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from emollm.projectors.calm import settle
from emollm.projectors.rows import opened, ranks


class QueryReader(nn.Module):
    """Rows [B, N, D] to what `queries` learned vectors read from them [B, K, hidden].

    Source: BLIP-2's Q-Former, its query branch only, with cross-attention in every layer and random initial values.
    """

    def __init__(self, *, width: int, hidden: int, queries: int, layers: int, heads: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(queries, hidden))
        nn.init.normal_(self.queries, std=0.02)  # the Q-Former's first step is a norm, so their size does not matter
        config = Blip2QFormerConfig(
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
            encoder_hidden_size=width,
            cross_attention_frequency=1,
            use_qformer_text_input=False,  # then no word embeddings and no feed-forward layers for text exist
        )
        self.former = Blip2QFormerModel(config)

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Rows [B, N, D] with mask [B, N] to [B, K, hidden]; finite, but without meaning, where nothing is real."""
        queries = self.queries.expand(len(rows), -1, -1)  # [B, K, hidden]
        seen = self.former(query_embeds=queries, encoder_hidden_states=rows, encoder_attention_mask=opened(mask).long())
        return seen.last_hidden_state


class QFormerProjector(nn.Module):
    """[B, N, D_enc] to [B, K, D_llm] with K = `tokens` for every clip that has any row; `hidden` is the width of the Q-Former.

    Source: arXiv 2603.02123, frame and audio adapters; `positions` is 32 for frames and 8 for audio there, 0 is for none.
    Differs: where there are more rows than positions, they share them evenly. Output size, see `calm`.
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
        layers: int = 2,
        heads: int = 12,
        positions: int = 32,
    ) -> None:
        super().__init__()
        self.budget = tokens
        self.scale = scale if calm else None
        self.positions = nn.Embedding(positions, width) if positions else None
        self.reader = QueryReader(width=width, hidden=hidden, queries=tokens, layers=layers, heads=heads)
        self.leave = nn.Linear(hidden, width_llm)

    def count(self, available: int) -> int:
        """All queries if there is any row, else none."""
        return self.budget if available > 0 else 0

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] with mask [B, N] to embeddings [B, K, D_llm] with mask [B, K]."""
        rows = tokens.to(self.leave.weight.dtype)
        if self.positions is not None:
            rows = rows + self.positions(self._places(mask, self.positions.num_embeddings))
        there = mask.any(1, keepdim=True).expand(-1, self.budget)
        return settle(self.leave(self.reader(rows, mask)), there, self.scale), there

    @staticmethod
    def _places(mask: Tensor, positions: int) -> Tensor:
        """Index of each row's position [B, N]: its rank, or where there are more rows than positions, its share of them."""
        rank, last = ranks(mask), (mask.sum(1, keepdim=True) - 1).clamp(min=1)
        spread = torch.div(rank * (positions - 1) * 2 + last, last * 2, rounding_mode="floor")  # rounded to the nearest
        return torch.where(last < positions, rank, spread).clamp(max=positions - 1)
