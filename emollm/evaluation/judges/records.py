"""Every request to a judge and its reply, one JSON line each, keyed by a hash of model and prompt: a run can be replayed without asking."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emollm.errors import DataError
from emollm.values import Message


def key_of(model: str, messages: Sequence[Message]) -> str:
    """A hash of all that decides a reply at temperature 0."""
    said = json.dumps([model, [(m.role, m.text) for m in messages]], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()


class Records:
    """A file of requests and replies; without a path they are kept for this run only.

    Raises:
        DataError: A line, other than a last one that was cut off, cannot be read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._rows: dict[str, dict[str, Any]] = {}
        lines = path.read_text("utf-8").split("\n") if path is not None and path.is_file() else []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                self._rows[row["key"]] = row
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                if number < len(lines):  # a killed run leaves its last line without an end
                    raise DataError(f"{path}, line {number} is no record of a judge: {error!r}.") from None
                path.write_text("".join(f"{whole}\n" for whole in lines[:-1]), "utf-8")  # type: ignore[union-attr]

    def __len__(self) -> int:
        return len(self._rows)

    def find(self, key: str) -> dict[str, Any] | None:
        """What was replied."""
        return self._rows.get(key)

    def add(self, row: dict[str, Any]) -> None:
        """Write a reply down at once."""
        self._rows[row["key"]] = row
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
