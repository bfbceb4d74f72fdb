"""The one folder that clips of a server lie in: readable by this user only, gone with the process, swept if the process was killed."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emollm.serving.errors import ApiError

PREFIX = "emollm-serve-"


def private_folder() -> Path:
    """A new folder; left-overs of processes that no longer live are deleted first.

    Raises:
        ApiError: 503 or 507 if there is no room for it.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = old.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    with storing():
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # someone else's process, or no such number: not ours to sweep
        return True
    return True


@contextmanager
def storing() -> Iterator[None]:
    """Faults of the disk in words for the client; whoever writes removes what was half written.

    Raises:
        ApiError: 507 without space, 503 for everything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ApiError(507, "this server has no space left for clips. Try later, or delete uploads.", code="storage_full") from error
        raise ApiError(503, "this server cannot store clips at present. Tell whoever runs it.", code="storage_unavailable") from error
