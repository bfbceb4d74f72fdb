"""Arrays kept in blocks come back as they were, and joining them needs no second copy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from emollm.media.gathered import BLOCK, Gathered


@pytest.mark.parametrize("count", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_rows_come_back_in_order(count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 3, 2)).astype(np.float32)
    gathered = Gathered()
    for row in rows:
        gathered.append(row)
    assert len(gathered) == count
    np.testing.assert_array_equal(gathered.taken(), rows)
    assert len(gathered) == 0
    with pytest.raises(ValueError, match="nothing"):
        gathered.taken()


def test_joining_needs_no_second_copy() -> None:
    gathered = Gathered()
    row = np.ones((468, 3), np.float32)
    for _ in range(10 * BLOCK):
        gathered.append(row)
    tracemalloc.start()
    try:
        joined = gathered.taken()  # the blocks were made before, so only what is made now counts
        now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most <= joined.nbytes * 1.01 + 1e5, "no copy beside the result itself"
    assert now <= joined.nbytes * 1.01 + 1e5
