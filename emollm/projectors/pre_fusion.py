"""Views laid side by side in time and mixed by two branches, one that weighs the views and one that looks at neighbours in time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emollm.projectors.rows import resample


def narrowing(width: int, hidden: int, narrow: int, dropout: float) -> nn.Sequential:
    """Two layers that bring [..., width] down to [..., narrow]."""
    return nn.Sequential(
        nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, narrow), nn.ReLU(), nn.Dropout(dropout)
    )


class PreFusionFuser(nn.Module):
    """Features of every view to `rows` rows [B, M, D]; a clip that lacks a view has none.

    Each view is spread evenly over `rows` rows; a view with one row, as of a whole picture, is repeated. The published order is voice,
    whole picture, video.

    Source: arXiv 2601.16449, Conv-Attention pre-fusion; the released code gives the weights of the views no softmax, `softmax` adds one.
    Differs: views of any length, spread here rather than pooled before.
    """

    guided = False

    def __init__(
        self,
        *,
        widths: dict[str, int],
        width: int,
        rows: int = 64,
        hidden: int = 512,
        narrow: int = 128,
        attention: bool = True,
        convolution: bool = True,
        softmax: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not (attention or convolution):
            raise ValueError(
                "pre-fusion without attention and without convolution fuses nothing: leave the stream out of the recipe instead"
            )
        self.streams = tuple(widths)
        self.rows = rows
        self.softmax = softmax
        views = len(widths)
        self.enter = nn.ModuleDict({n: narrowing(w, hidden, narrow, dropout) for n, w in widths.items()})
        self.weigh: nn.Module | None = None
        self.begin: nn.Module | None = None
        self.convolve = nn.ModuleList()
        if attention:
            self.weigh = nn.Sequential(narrowing(views * narrow, hidden, narrow, dropout), nn.Linear(narrow, views))
        if convolution:
            self.begin = nn.Conv1d(views * narrow, narrow, 1)
            self.convolve.extend(nn.Conv1d(narrow, narrow, 3, padding=1) for _ in range(4))
        self.leave = nn.Linear(narrow, width)

    def count(self, available: dict[str, int]) -> int:
        """`rows` if every view is there, else none."""
        return self.rows if all(available.get(n, 0) > 0 for n in self.streams) else 0

    def forward(
        self, tokens: dict[str, Tensor], masks: dict[str, Tensor], guide: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] of every view to [B, M, D] with mask [B, M]; `guide` is not used."""
        dtype = self.leave.weight.dtype
        there = torch.stack([masks[n].any(1) for n in self.streams]).all(0)[:, None].expand(-1, self.rows)  # [B, M]
        lengths = there.new_full((len(there),), self.rows, dtype=torch.long)
        views = [self.enter[n](resample(tokens[n].to(dtype), masks[n], lengths, self.rows)[0]) for n in self.streams]
        side_by_side = torch.cat(views, -1)  # [B, M, views x narrow]
        mixed = torch.zeros_like(views[0])
        if self.weigh is not None:
            weights = self.weigh(side_by_side)  # [B, M, views]
            weights = weights.softmax(-1) if self.softmax else weights
            mixed = mixed + (torch.stack(views, -1) * weights[:, :, None]).sum(-1)
        if self.begin is not None:
            x = self.begin(side_by_side.transpose(1, 2))  # [B, narrow, M]
            for layer in self.convolve:
                x = nn.functional.silu(layer(x)) + x
            mixed = mixed + x.transpose(1, 2)
        return self.leave(mixed).masked_fill(~there[..., None], 0.0), there
