"""What a system answered to each item, one JSON line each as it comes, so that a stopped run goes on where it ended."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self


class Log:
    """Rows of one system and one version of a card; rows of others are dropped.

    Args:
        path: Of JSON lines; made where it is not there.
        by: Who answers.
        version: Of the card.
    """

    def __init__(self, path: Path, *, by: str, version: int) -> None:
        self._path, self._by, self._version = path, by, version
        self.rows: dict[str, dict[str, Any]] = {}
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for line in self._path.read_text("utf-8").splitlines() if self._path.is_file() else ():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # the last line of a killed run
                continue
            if row.get("by") == self._by and row.get("card") == self._version:
                self.rows[row["id"]] = row
        self._path.write_text("".join(json.dumps(r) + "\n" for r in self.rows.values()), "utf-8")
        self._file = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Write a row down at once."""
        assert self._file is not None
        self.rows[row["id"]] = {**row, "by": self._by, "card": self._version}
        self._file.write(json.dumps(self.rows[row["id"]]) + "\n")
        self._file.flush()
        return self.rows[row["id"]]
