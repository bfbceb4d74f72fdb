"""How a question steers what is read from rows, level by level: while they are read, by the queries, and in how much each reading counts.

Source: arXiv 2503.09158, framework figure (low, medium and high level). Differs: the public code is not that figure, so sizes are ours, and
so are the pre-norms and residuals around each attention, which the figure does not show.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.projectors.rows import dated, mean, opened


class Attend(nn.Module):
    """What [B, Q, D] finds in rows [B, N, D], added to itself."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.norm_rows = nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, asks: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        """[B, Q, D] asking rows [B, N, D] with mask [B, N], to [B, Q, D]."""
        told = self.norm_rows(rows)
        return asks + self.attend(self.norm(asks), told, told, key_padding_mask=~opened(mask), need_weights=False)[0]


class CrossBlock(Attend):
    """The same, followed by a feed-forward four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.feed = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, asks: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        """[B, Q, D] asking rows [B, N, D] with mask [B, N], to [B, Q, D]."""
        seen = super().forward(asks, rows, mask)
        return seen + self.feed(seen)


class DoubleAttention(nn.Module):
    """One link of the chain: what was said so far asks the rows, then the question asks what came of it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.look = Attend(width, heads)
        self.between = nn.Linear(width, width)
        self.check = Attend(width, heads)

    def forward(self, said: Tensor, question: Tensor, question_mask: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        """`said` and question [B, Q, D] with rows [B, N, D] to [B, Q, D]."""
        found = self.between(self.look(said, rows, mask))
        return self.check(question, found, question_mask)


class Taps(nn.Module):
    """Rows of `taps` depths side by side [B, N, taps x D_enc] to one [B, N, D] per depth; with `last`, of the deepest alone."""

    def __init__(self, width: int, inner: int, taps: int, *, last: bool) -> None:
        super().__init__()
        self.taps = taps
        self.kept = range(taps - 1, taps) if last else range(taps)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in self.kept)
        self.enter = nn.ModuleList(nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, inner)) for _ in self.kept)

    def forward(self, rows: Tensor, mask: Tensor) -> list[Tensor]:
        """Shallow to deep."""
        depths = rows.chunk(self.taps, -1)
        return [enter(dated(norm(depths[i]), mask)) for i, norm, enter in zip(self.kept, self.norms, self.enter, strict=True)]


class TapChain(nn.Module):
    """The low level: the question passes the depths from bottom to top and comes out [B, Q, D], as long as it went in.

    Args:
        released: One attention with a feed-forward per depth, as in the public code, in place of the double attention of the figure.
    """

    def __init__(self, width: int, heads: int, taps: int, *, released: bool) -> None:
        super().__init__()
        self.links = nn.ModuleList(CrossBlock(width, heads) if released else DoubleAttention(width, heads) for _ in range(taps))

    def forward(self, question: Tensor, question_mask: Tensor, depths: list[Tensor], mask: Tensor) -> Tensor:
        """Question [B, Q, D] and depths, each [B, N, D] with mask [B, N], to [B, Q, D]."""
        said = question
        for link, rows in zip(self.links, depths, strict=True):
            double = isinstance(link, DoubleAttention)
            said = link(said, question, question_mask, rows, mask) if double else link(said, rows, mask)
        return said


class GuidedReader(nn.Module):
    """The medium level: learned queries, shifted by the question, read rows [B, N, inner] to [B, K, width]."""

    def __init__(self, inner: int, width: int, *, heads: int, queries: int, layers: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.empty(queries, inner))
        # Ten times the usual size: the question shifts all queries alike, and would leave smaller ones no difference to start from.
        nn.init.normal_(self.queries, std=0.2)
        self.shift = nn.Sequential(nn.LayerNorm(inner), nn.Linear(inner, inner), nn.GELU(), nn.Linear(inner, inner))
        self.blocks = nn.ModuleList(CrossBlock(inner, heads) for _ in range(layers))
        self.leave = nn.Linear(inner, width)

    def forward(self, gist: Tensor, rows: Tensor, mask: Tensor) -> Tensor:
        """Mean of the question [B, inner] and rows [B, N, inner] with mask [B, N] to [B, K, width]."""
        seen = self.queries + self.shift(gist)[:, None]  # [B, K, inner]
        for block in self.blocks:
            seen = block(seen, rows, mask)
        return self.leave(seen)


class Weigher(nn.Module):
    """The high level: how much a reading [B, K, width] matters to a question [B, inner], as one number [B, 1] before the softmax."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.see = nn.Linear(width, inner)
        self.hear = nn.Linear(inner, inner)
        self.leave = nn.Linear(inner, 1)

    def forward(self, reading: Tensor, gist: Tensor) -> Tensor:
        """Reading [B, K, width] and mean of the question [B, inner] to [B, 1]."""
        return self.leave(nn.functional.gelu(self.see(reading.mean(1)) + self.hear(gist)))


class Question(nn.Module):
    """Embeddings of the question's words to the width of the levels, with a learned stand-in where nothing is asked."""

    def __init__(self, width_llm: int, inner: int) -> None:
        super().__init__()
        # The norm is ours: word vectors are so short that the linear layer's bias would say more than the words.
        self.enter = nn.Sequential(nn.LayerNorm(width_llm), nn.Linear(width_llm, inner))
        self.silence = nn.Parameter(torch.randn(inner))

    def forward(self, guide: tuple[Tensor, Tensor] | None, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Guide [B, Q, D_llm] with mask [B, Q] to question [B, Q, inner], its mask, and its mean [B, inner]."""
        if guide is None or not guide[1].shape[1]:
            words = self.silence.expand(batch, 1, -1)
            mask = torch.ones(batch, 1, dtype=torch.bool, device=words.device)
        else:
            words, mask = self.enter(guide[0].to(self.silence.dtype)), guide[1]
            unasked = ~mask.any(1)
            words = torch.where(unasked[:, None, None], self.silence, words)
            mask = opened(mask)  # all positions of an unasked row hold the stand-in
        return words, mask, mean(words, mask)
