"""Files that clients keep here for a while: each belongs to the API key that sent it, and goes when asked, when it is old, or at the end.

Names are told back to their owner and nobody else; on disk a file is called by its id.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from emollm.serving.answers import FileObject
from emollm.serving.errors import ApiError
from emollm.serving.limits import Limits
from emollm.serving.private import storing

ID = re.compile(r"file-[0-9a-f]{32}")
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    """One upload."""

    owner: str
    told: FileObject
    path: Path
    digest: str  # sha256 of its content


class Uploads:
    """All uploads of a server.

    Args:
        folder: Where they lie; private.
        limits: How large, how many, how long.
        forget: Called with the path before a file is deleted, so that nothing measured in it stays.
        clock: Seconds since the epoch.
    """

    def __init__(self, folder: Path, limits: Limits, forget: Callable[[Path], None], clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._limits = limits
        self._forget = forget
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._lock = threading.Lock()

    def add(self, owner: str, filename: str, purpose: str, source: BinaryIO) -> FileObject:
        """Store what `source` holds.

        Raises:
            ApiError: 413 if the file or all files of this owner are too large or too many; 503 or 507 if it cannot be stored.
        """
        self.sweep()
        key = f"file-{secrets.token_hex(16)}"
        path = self._folder / key
        try:
            with storing():
                size, digest = self._copy(source, path)
            now = int(self._clock())
            told = FileObject(
                id=key, bytes=size, created_at=now, expires_at=now + int(self._limits.keep_s), filename=filename[:255], purpose=purpose
            )
            with self._lock:
                self._check_room(owner, size)
                self._kept[key] = Kept(owner, told, path, digest)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return told

    def get(self, owner: str, key: str) -> Kept:
        """One upload of this owner.

        Raises:
            ApiError: 404 if there is none of that id, or it is another's.
        """
        self.sweep()
        with self._lock:
            found = self._kept.get(key)
        if found is None or found.owner != owner:
            raise ApiError(
                404, "there is no such file here; it may have been deleted, or be too old.", code="file_not_found", param="file_id"
            )
        return found

    def lend(self, owner: str, key: str, to: Path) -> None:
        """Put a file at another place of the same disk, where it stays even if it is deleted here meanwhile.

        Raises:
            ApiError: 404 as `get`.
        """
        source = self.get(owner, key).path
        with storing():
            try:
                os.link(source, to)
            except FileNotFoundError:
                self.get(owner, key)  # deleted between the two: says so
                raise
            except OSError:  # a disk without links
                shutil.copyfile(source, to)

    def all_of(self, owner: str) -> list[FileObject]:
        """The newest first."""
        self.sweep()
        with self._lock:
            return [kept.told for kept in reversed(self._kept.values()) if kept.owner == owner]

    def delete(self, owner: str, key: str) -> None:
        """Delete a file and what was measured in it.

        Raises:
            ApiError: 404 as `get`.
        """
        self._drop(self.get(owner, key))

    def sweep(self) -> None:
        """Delete what is too old."""
        now = self._clock()
        with self._lock:
            old = [kept for kept in self._kept.values() if kept.told.expires_at <= now]
        for kept in old:
            self._drop(kept)

    def let_go(self, path: Path, digest: str) -> None:
        """Drop what was measured in a file, unless an upload with the same content is still here."""
        with self._lock:
            held = any(kept.digest == digest for kept in self._kept.values())
        if not held:
            with suppress(Exception):  # whatever a backend says, the file goes
                self._forget(path)

    def size(self) -> tuple[int, int]:
        """How many files and bytes there are."""
        with self._lock:
            return len(self._kept), sum(kept.told.bytes for kept in self._kept.values())

    def _drop(self, kept: Kept) -> None:
        with self._lock:
            if self._kept.pop(kept.told.id, None) is None:
                return
        self.let_go(kept.path, kept.digest)
        kept.path.unlink(missing_ok=True)

    def _copy(self, source: BinaryIO, path: Path) -> tuple[int, str]:
        size, digest = 0, hashlib.sha256()
        with path.open("xb") as out:
            while chunk := source.read(CHUNK):
                size += len(chunk)
                if size > self._limits.file_bytes:
                    raise file_too_large(self._limits)
                out.write(chunk)
                digest.update(chunk)
        return size, digest.hexdigest()

    def _check_room(self, owner: str, size: int) -> None:
        mine = [kept.told.bytes for kept in self._kept.values() if kept.owner == owner]
        if len(mine) >= self._limits.files or sum(mine) + size > self._limits.files_bytes:
            raise ApiError(
                413,
                f"{len(mine)} files of {sum(mine)} bytes are kept already; the limits are {self._limits.files} files and "
                f"{self._limits.files_bytes} bytes. Delete some.",
                code="too_many_files",
            )


def file_too_large(limits: Limits) -> ApiError:
    """The refusal of a file beyond `Limits.file_bytes`."""
    message = f"the file is larger than {limits.file_bytes} bytes, the limit of this server. Send a shorter or smaller clip."
    return ApiError(413, message, code="file_too_large", param="file", headers={"connection": "close"})
