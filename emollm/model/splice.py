"""Placeholder positions and projected tokens to input embeddings; the counts must agree.

Positions are marked in a second tensor, never searched for in text, so nothing a user writes can become one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

TEXT = -1  # value of `slots` where a position holds an ordinary token


def splice(embeds: Tensor, slots: Tensor, streams: Sequence[str], tokens: Mapping[str, tuple[Tensor, Tensor]]) -> Tensor:
    """Put the real tokens of each stream, in order, where `slots` names it.

    Args:
        embeds: [B, L, D_llm] embeddings of the ids; what stands at slots is overwritten.
        slots: [B, L] index into `streams`, or -1.
        streams: Names in the order of the indices.
        tokens: Stream -> embeddings [B, K, D_llm] and mask [B, K]; streams absent from the batch may be left out.

    Returns:
        [B, L, D_llm], differentiable in the tokens.

    Raises:
        ValueError: If a row has another number of slots than of real tokens; both numbers are named.
    """
    out = embeds
    for index, name in enumerate(streams):
        here = slots == index  # [B, L]
        wanted = here.sum(1)
        given = tokens[name][1].sum(1) if name in tokens else torch.zeros_like(wanted)
        if not torch.equal(wanted, given.to(wanted)):
            row = int((wanted != given.to(wanted)).nonzero()[0])
            raise ValueError(
                f"stream {name!r}, row {row}: {int(wanted[row])} slots in the text but {int(given[row])} tokens from the projector"
            )
        if name in tokens and bool(here.any()):
            values, mask = tokens[name]
            out = out.index_put(tuple(here.nonzero().T), values[mask].to(out.dtype))
    return out
