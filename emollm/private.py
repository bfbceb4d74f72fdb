"""Folders for the clips of one process: readable by this user only, gone with the process, swept if the process was killed."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from emollm.running import runs


def private_folder(prefix: str) -> Path:
    """A new folder whose name begins with `prefix` and this process; left-overs of processes that no longer live are deleted first.

    Raises:
        OSError: If there is no room for it.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        owner = old.name.removeprefix(prefix).partition("-")[0]
        if owner.isdecimal() and not runs(int(owner)):
            shutil.rmtree(old, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
