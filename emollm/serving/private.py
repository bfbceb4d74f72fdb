"""The one folder that clips of a server lie in, and faults of its disk in words for the client."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emollm import private
from emollm.serving.errors import ApiError

PREFIX = "emollm-serve-"


def private_folder() -> Path:
    """A new folder; left-overs of processes that no longer live are deleted first.

    Raises:
        ApiError: 503 or 507 if there is no room for it.
    """
    with storing():
        return private.private_folder(PREFIX)


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
