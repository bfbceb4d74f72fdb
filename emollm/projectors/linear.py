"""Width change by linear layers alone, as published bridges do it: rows do not speak to each other."""

from __future__ import annotations

from torch import Tensor, nn

from emollm.projectors.calm import settle
from emollm.projectors.rows import mean, pack


class LinearProjector(nn.Module):
    """[B, N, D_enc] to [B, K, D_llm], row by row; a clip uses as many tokens as it has rows, up to the budget. `hidden` is not used.

    Source: arXiv 2601.16449, adapters from each view to the language model. Differs: output size, see `calm`.
    """

    def __init__(self, *, width: int, width_llm: int, hidden: int, tokens: int, scale: float, calm: bool = True) -> None:
        super().__init__()
        self.budget = tokens
        self.scale = scale if calm else None
        self.enter = nn.Linear(width, width_llm)

    def count(self, available: int) -> int:
        """How many tokens a clip with `available` feature rows will use."""
        return min(self.budget, available)

    def change(self, rows: Tensor) -> Tensor:
        """Rows [B, K, D_enc] to [B, K, D_llm]."""
        return self.enter(rows)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] with mask [B, N] to embeddings [B, K, D_llm] with mask [B, K]."""
        tokens, mask = pack(tokens, mask)
        tokens, mask = tokens[:, : self.budget], mask[:, : self.budget]
        return settle(self.change(tokens.to(self.enter.weight.dtype)), mask, self.scale), mask


class TwoLayerProjector(LinearProjector):
    """The same with one hidden layer: linear, GELU, linear, and no norm.

    Source: arXiv 2501.07978, face tokens beside video tokens. Differs: its connector is unpublished; this is the one of HumanOmni's face
    branch, by the same first author. Output size, see `calm`.
    """

    def __init__(
        self, *, width: int, width_llm: int, hidden: int, tokens: int, scale: float, calm: bool = True, dropout: float = 0.0
    ) -> None:
        super().__init__(width=width, width_llm=hidden, hidden=hidden, tokens=tokens, scale=scale, calm=calm)
        self.leave = nn.Sequential(nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width_llm))

    def change(self, rows: Tensor) -> Tensor:
        """Rows [B, K, D_enc] to [B, K, D_llm]."""
        return self.leave(self.enter(rows))


class MeanLinearProjector(nn.Module):
    """The mean of all rows to one token [B, 1, D_llm]. `hidden` and `tokens` are not used: one mean has one token to give.

    Source: arXiv 2603.02123, adapter after the fusion encoder. Differs: padded rows do not enter the mean. Output size, see `calm`.
    """

    def __init__(self, *, width: int, width_llm: int, hidden: int, tokens: int, scale: float, calm: bool = True) -> None:
        super().__init__()
        self.scale = scale if calm else None
        self.enter = nn.Linear(width, width_llm)

    def count(self, available: int) -> int:
        """One token if there is any row."""
        return int(available > 0)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] with mask [B, N] to embeddings [B, 1, D_llm] with mask [B, 1]."""
        there = mask.any(1, keepdim=True)
        pooled = mean(tokens.to(self.enter.weight.dtype), mask)[:, None]  # [B, 1, D_enc]
        return settle(self.enter(pooled), there, self.scale), there
