"""Every reply of every agent, one JSON line each, on the disk before the next is asked for.

A line that a crash cut in half is taken away when the file is opened again; all others stay. What was answered under the same key is
never asked for twice.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from emollm.errors import DataError

try:
    import fcntl
except ImportError:  # a system without file locks: two runs at once are the user's to avoid
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Record:
    """One agent's reply about one sample, or why there is none."""

    sample: str
    agent: str  # of `finding.AGENTS`, or "measure"
    key: str  # of all that decides the reply: agent, prompt, model, clip, and what it reads
    kind: str  # "local" or "model"
    model: str  # model id; for a local agent the name and number of its rules
    guided: str = ""  # the label the agent was told
    prompt_hash: str = ""
    prompt: str = ""
    reply: str = ""
    finding: dict[str, Any] | None = None  # of `Finding.plain`; None where it failed
    notes: tuple[str, ...] = ()  # such as a reply in another form than asked
    prompt_tokens: int | None = None  # None where no model was asked or it did not tell
    completion_tokens: int | None = None
    cost: float | None = None  # at the prices given; None where tokens or prices are unknown
    seconds: float = 0.0
    tries: int = 1
    error: str = ""


_FIELDS = frozenset(field.name for field in fields(Record))


class Records:
    """A file of records, kept open for appending and locked against a second run.

    Args:
        path: Made where it is not there.

    Raises:
        DataError: If a line other than the last cannot be read, or another run is writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab")
        self._lock()
        self.repaired = _repair(path)
        self._done: dict[tuple[str, str, str], Record] = {}
        self._failed: dict[tuple[str, str, str], Record] = {}
        for record in read_records(path):
            self._keep(record)

    def _lock(self) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._file.close()
                raise DataError(f"another run is writing {self.path}; wait for it, or write elsewhere with --out.") from None

    def _keep(self, record: Record) -> None:
        place = (record.sample, record.agent, record.key)
        if record.error:
            self._failed[place] = record
        else:
            self._done[place] = record
            self._failed.pop(place, None)

    def add(self, record: Record) -> None:
        """Append and wait until it is on the disk."""
        self._file.write(json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._keep(record)

    def find(self, sample: str, agent: str, key: str) -> Record | None:
        """A reply that was got under this key."""
        return self._done.get((sample, agent, key))

    def all(self) -> list[Record]:
        """Every reply that counts, in the order written."""
        return list(self._done.values())

    def failures(self) -> list[Record]:
        """Of each agent and sample the last failure, where no reply came afterwards."""
        return list(self._failed.values())

    def close(self) -> None:
        """Close the file, which frees the lock."""
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """Records of a whole file.

    Raises:
        DataError: Naming the line that cannot be read.
    """
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                if not isinstance(row, dict) or (strange := set(row) - _FIELDS):
                    raise ValueError(f"unknown fields: {', '.join(sorted(strange)) if isinstance(row, dict) else 'no object'}")
                yield Record(**{**row, "notes": tuple(row.get("notes", ()))})
            except (ValueError, TypeError) as error:
                raise DataError(f"{path}, line {number}: no record ({error}). Put the file right, or write elsewhere with --out.") from None


def _repair(path: Path) -> bool:
    """Cut off a last line without an end; whether there was one."""
    data = path.read_bytes()
    if not data or data.endswith(b"\n"):
        return False
    with path.open("r+b") as file:
        file.truncate(data.rfind(b"\n") + 1)
        file.flush()
        os.fsync(file.fileno())
    return True
