"""Arrays of one shape that come one by one, kept in blocks: joining those of an hour needs hardly more memory than they have already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK = 256  # large enough for the system to take a block back as soon as it is let go


class Gathered:
    """A list of arrays of one shape.

    Args:
        dtype: They are kept in.
    """

    def __init__(self, dtype: DTypeLike = np.float32) -> None:
        self._dtype = dtype
        self._blocks: list[NDArray[Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: NDArray[Any]) -> None:
        """One more, copied."""
        place = self._count % BLOCK
        if place == 0:
            self._blocks.append(np.empty((BLOCK, *row.shape), self._dtype))
        self._blocks[-1][place] = row
        self._count += 1

    def taken(self) -> NDArray[Any]:
        """All of them as one array, [n, ...]; nothing is left here.

        Raises:
            ValueError: There were none, and so no shape.
        """
        if not self._blocks:
            raise ValueError("nothing was gathered")
        joined = np.empty((self._count, *self._blocks[0].shape[1:]), self._dtype)
        blocks, self._blocks, self._count = self._blocks[::-1], [], 0
        start = 0
        while blocks:
            block = blocks.pop()
            joined[start : start + BLOCK] = block[: len(joined) - start]
            start += BLOCK
        return joined
