"""A general and a facial stream read for one question, and weighed for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.projectors.guidance import GuidedReader, Question, TapChain, Taps, Weigher
from emollm.projectors.rows import dated


class PromptGuidedFuser(nn.Module):
    """A general stream, and a facial one with `taps` depths side by side in each row, to `queries` rows [B, M, D].

    Only the general stream is needed: a clip without a face gives it all the weight. `shares` [B, streams] is the weight of each stream in
    the last forward, zero where the general stream was missing.

    Source: arXiv 2503.09158, prompt-guided features at three levels. Differs: it runs at its own width `inner` and beside frozen encoders,
    rows carry a parameter-free time code, and the question is the embeddings of its words alone. See also `guidance`.

    Args:
        widths: The general stream, then the facial one, which may be left out if `facial` is False.
        width: D of what comes out.
        width_llm: Of the question's embeddings.
        inner: Width of all three levels; that of one facial tap if None.
        facial: False drops the facial stream and leaves general rows guided at the medium level.
        chain: False drops the low level; the facial queries then read the deepest tap.
        weights: False drops the high level for the plain mean of both readings.
        released: The single attention of the public code at the low level.
    """

    guided = True

    def __init__(
        self,
        *,
        widths: dict[str, int],
        width: int,
        width_llm: int,
        taps: int = 4,
        inner: int | None = None,
        queries: int = 16,
        layers: int = 2,
        heads: int = 8,
        facial: bool = True,
        chain: bool = True,
        weights: bool = True,
        released: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != 2 and (facial or len(widths) != 1):
            raise ValueError(f"prompt-guided joins a general and a facial stream, got {len(widths)}: {', '.join(widths)}")
        self.streams = tuple(widths)
        self.queries = queries
        general, *rest = widths.values()
        if rest and rest[0] % taps:
            raise ValueError(f"each facial row must hold {taps} taps of equal width, but {self.streams[1]} is {rest[0]} wide")
        tap = rest[0] // taps if rest else general
        inner = inner or tap
        self.ask = Question(width_llm, inner)
        self.enter = nn.Sequential(nn.LayerNorm(general), nn.Linear(general, inner))
        self.read_general = GuidedReader(inner, width, heads=heads, queries=queries, layers=layers)
        self.taps = Taps(tap, inner, taps, last=not chain) if facial else None
        self.chain = TapChain(inner, heads, taps, released=released) if facial and chain else None
        self.read_facial = GuidedReader(inner, width, heads=heads, queries=queries, layers=layers) if facial else None
        self.weighers = nn.ModuleList(Weigher(width, inner) for _ in range(2)) if facial and weights else None
        self.norm = nn.LayerNorm(width)
        self.shares: Tensor | None = None

    def count(self, available: dict[str, int]) -> int:
        """All queries if the general stream is there, else none."""
        return self.queries if available.get(self.streams[0], 0) > 0 else 0

    def forward(
        self, tokens: dict[str, Tensor], masks: dict[str, Tensor], guide: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] of the streams and question [B, Q, D_llm] with mask [B, Q] to [B, M, D] with mask [B, M].

        The facial stream may be absent from `tokens` where no row of the batch has one; without `guide` a learned question is asked.
        """
        dtype = self.norm.weight.dtype
        rows, mask = tokens[self.streams[0]].to(dtype), masks[self.streams[0]]
        question, question_mask, gist = self.ask(guide, len(rows))
        fused = self.read_general(gist, dated(self.enter(rows), mask), mask)  # [B, M, D]
        shares = torch.zeros(len(rows), len(self.streams), device=rows.device, dtype=dtype)
        shares[:, 0] = 1.0
        if self.taps is not None and self.read_facial is not None and self.streams[1] in tokens:
            face, face_mask = tokens[self.streams[1]].to(dtype), masks[self.streams[1]]
            depths = self.taps(face, face_mask)
            seen, seen_mask = depths[-1], face_mask
            if self.chain is not None:
                seen, seen_mask = self.chain(question, question_mask, depths, face_mask), question_mask
            facial = self.read_facial(gist, seen, seen_mask)
            shares = self._weigh([fused, facial], gist, face_mask.any(1))
            fused = shares[:, :1, None] * fused + shares[:, 1:, None] * facial
        there = mask.any(1, keepdim=True)
        self.shares = shares.detach() * there
        there = there.expand(-1, self.queries)
        return self.norm(fused).masked_fill(~there[..., None], 0.0), there

    def _weigh(self, readings: list[Tensor], gist: Tensor, seen: Tensor) -> Tensor:
        """Weights [B, 2] of both readings that sum to one; all to the general reading where no face was `seen` [B]."""
        if self.weighers is None:
            scores = gist.new_zeros(len(gist), 2)
        else:
            scores = torch.cat([weigh(x, gist) for weigh, x in zip(self.weighers, readings, strict=True)], 1)
        blind = torch.stack([torch.zeros_like(seen), ~seen], 1)
        return scores.masked_fill(blind, -torch.inf).softmax(-1)
