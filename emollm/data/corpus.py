"""A folder of labelled faces, speech and text to items: `index.jsonl` with media in zip shards, text in gzipped JSON lines.

It knows the layout and nothing of features or prompts.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emollm.errors import DataError, unknown_name


@dataclass(frozen=True, slots=True)
class Item:
    """One labelled face, utterance or text."""

    id: str
    corpus: str
    modality: str  # face, speech, text, dialogue, caption
    split: str
    label: str | None
    speaker: str | None
    path: str | None = None  # "shard.zip::member" relative to the folder
    text: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


_FIELDS = ("id", "modality", "split", "label", "speaker", "path", "text")


class Corpus:
    """All items of a data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        index = folder / "index.jsonl"
        if not index.is_file():
            raise DataError(f"no index.jsonl in {folder}. Give the folder that holds it with --data.")
        self._items: list[Item] = []
        faults = []
        with index.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    if row["modality"] == "text_shard":
                        self._items += self._shard(folder / row["path"])
                    elif row["modality"] != "table":
                        self._items.append(_item(row))
                except (json.JSONDecodeError, KeyError, OSError) as error:
                    faults.append(f"line {number}: {type(error).__name__} {error}")
        if faults:
            raise DataError(f"{index} has {len(faults)} faulty line(s): {'; '.join(faults[:5])}.")
        self._zips: dict[str, zipfile.ZipFile] = {}

    def add(self, items: Iterable[Item]) -> None:
        """Take in items whose media lie elsewhere; their paths are absolute."""
        self._items += items

    def holds(self, corpus: str) -> bool:
        """Whether there is anything of a corpus."""
        return any(i.corpus == corpus for i in self._items)

    @staticmethod
    def _shard(path: Path) -> Iterator[Item]:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield _item(json.loads(line))

    def items(self, corpus: str | None = None, split: str | None = None) -> list[Item]:
        """Items of one corpus and split, in file order.

        Raises:
            DataError: If there is no such corpus.
        """
        known = {i.corpus for i in self._items}
        if corpus is not None and corpus not in known:
            raise DataError(f"{unknown_name('corpus', corpus, known)} (in {self.folder})")
        return [i for i in self._items if corpus in (None, i.corpus) and split in (None, i.split)]

    def read(self, item: Item) -> bytes:
        """The media bytes of an item."""
        if item.path is None:
            raise DataError(f"{item.id} has no media")
        shard, _, member = item.path.partition("::")
        try:
            if not member:
                return (self.folder / shard).read_bytes()
            if shard not in self._zips:
                self._zips[shard] = zipfile.ZipFile(self.folder / shard)
            return self._zips[shard].read(member)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot read {item.path} in {self.folder}: {error}") from None


def _item(row: dict[str, Any]) -> Item:
    extra = {k: v for k, v in row.items() if k not in {*_FIELDS, "source", "licence", "licence_tier"}}
    values = {k: row.get(k) for k in _FIELDS}
    values["split"] = values["split"] or "train"
    return Item(corpus=row["source"], extra=extra, **values)  # type: ignore[arg-type]
