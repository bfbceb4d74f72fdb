"""Arrays of one shape that come one by one, kept in blocks: joining those of an hour needs hardly more memory than they have already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emollm.processor import give_back_memory

BLOCK = 256
GIVE_BACK = 32  # blocks that are let go before the system is handed their memory: the C library keeps it otherwise


class Gathered:
    """A list of arrays of one shape, in single precision."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.float32]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: NDArray[Any]) -> None:
        """One more, copied."""
        place = self._count % BLOCK
        if place == 0:
            self._blocks.append(np.empty((BLOCK, *row.shape), np.float32))
        self._blocks[-1][place] = row
        self._count += 1

    def taken(self) -> NDArray[np.float32]:
        """All of them as one array, [n, ...]; nothing is left here.

        Raises:
            ValueError: There were none, and so no shape.
        """
        if not self._blocks:
            raise ValueError("nothing was gathered")
        joined = np.empty((self._count, *self._blocks[0].shape[1:]), np.float32)
        blocks, self._blocks, self._count = self._blocks[::-1], [], 0
        for number in range(len(blocks)):
            start = number * BLOCK
            joined[start : start + BLOCK] = blocks.pop()[: len(joined) - start]
            if number % GIVE_BACK == GIVE_BACK - 1:
                give_back_memory()
        return joined
