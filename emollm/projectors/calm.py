"""The size of a projected token beside the words around it."""

from __future__ import annotations

from torch import Tensor, nn


def settle(tokens: Tensor, mask: Tensor, scale: float | None) -> Tensor:
    """Tokens [B, K, D_llm] with mask [B, K] to tokens of root-mean-square size `scale`; masked rows become zero.

    Ours: published bridges end in a bare linear layer, whose output is many times longer than the word vectors of a small language
    model and drowns them. `scale` None leaves the published size. There is nothing to learn here, only the length of each token changes.
    """
    if scale is not None:
        # In float32, since the squares of short vectors vanish in half precision.
        tokens = (nn.functional.rms_norm(tokens.float(), tokens.shape[-1:], eps=1e-12) * scale).to(tokens.dtype)
    return tokens.masked_fill(~mask[..., None], 0.0)
