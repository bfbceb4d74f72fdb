"""Whether another process of this machine still runs, so that what it left behind can be told from what it still uses."""

from __future__ import annotations

import os


def runs(process: int) -> bool:
    """Whether a process with this number is there; also true where that cannot be told."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # someone else's process, or no such number: not ours to sweep
        return True
    return True
