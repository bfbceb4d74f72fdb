"""What a decoder core offers: sequences that grow by embeddings, in any mix, and give the logits of their last positions.

A core is used by one thread. It does not know requests, text or sampling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

Work = tuple[Any, Tensor]
"""A sequence and the embeddings [L, D_llm] that it grows by."""


class Core(Protocol):
    """Runs a causal language model over a changing set of sequences."""

    name: str  # "torch" or "openvino"
    precision: str  # of the weights: "float32", "bfloat16", "int8"
    position_bytes: int  # memory of one position of a cache
    granule: int  # caches grow by so many positions
    crops: bool  # whether a kept sequence can be taken up at less than its whole length

    def embed(self, ids: Sequence[int]) -> Tensor:
        """Word vectors [n, D_llm] of token ids."""
        ...

    def open(self) -> Any:
        """A new, empty sequence; its attribute `length` tells how many positions it holds."""
        ...

    def forward(self, work: Sequence[Work]) -> Tensor:
        """Grow sequences, each at most once in a call.

        Returns:
            Logits [n, V], float32 on the processor, of the last new position of each.
        """
        ...

    def keep(self, sequence: Any) -> Any:
        """A copy of a sequence to be taken up later, however the sequence goes on."""
        ...

    def resume(self, kept: Any, length: int) -> Any:
        """A new sequence that begins with the first `length` positions of a kept one."""
        ...

    def close(self, sequence: Any) -> None:
        """Give up the memory of a sequence, running or kept."""
        ...

    def reset(self) -> None:
        """Forget all sequences, after a failure."""
        ...
