"""Arrays kept in blocks come back as they were, and joining them needs no second copy."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from emollm.media.gathered import BLOCK, Gathered

# A process of its own, for the peak of memory is told of a whole one. What was freed first makes the C library keep what is freed later.
JOINING = """
import re
from pathlib import Path
import numpy as np
from emollm.media.gathered import Gathered

for _ in range(3):
    np.ones(4_000_000, np.float32)

def peak():  # of this program; getrusage would begin with the peak of the one that started it
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))

before, row, gathered = peak(), np.ones((468, 3), np.float32), Gathered()
for _ in range(30_000):
    gathered.append(row)
joined = gathered.taken()
print((peak() - before) / joined.nbytes)
"""


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


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="memory is not given back"
)
def test_joining_needs_no_second_copy() -> None:
    done = subprocess.run([sys.executable, "-c", JOINING], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.5, "two copies would be 1.9"
