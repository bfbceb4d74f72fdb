"""Width change in two layers, scaled to the size of the language model's own word vectors."""

from __future__ import annotations

from torch import Tensor, nn


class MlpProjector(nn.Module):
    """[B, N, D_enc] to [B, N, D_llm], token by token; a clip uses as many tokens as it has, up to the budget."""

    def __init__(self, *, width: int, width_llm: int, hidden: int, tokens: int, scale: float) -> None:
        super().__init__()
        self.budget = tokens
        self.layers = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width_llm))
        self.out_norm = nn.LayerNorm(width_llm)
        # Word vectors are far shorter than unit variance; a token ten times louder than a word would drown the sentence.
        nn.init.constant_(self.out_norm.weight, scale)

    def count(self, available: int) -> int:
        """How many tokens a clip with `available` feature tokens will use."""
        return min(self.budget, available)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, N, D_enc] with mask [B, N] to embeddings [B, K, D_llm] with mask [B, K]."""
        tokens, mask = tokens[:, : self.budget], mask[:, : self.budget]
        out = self.out_norm(self.layers(tokens.to(self.layers[1].weight.dtype)))  # type: ignore[arg-type]
        return out * mask[..., None], mask
