"""Where each sample of some unified JSONL files begins and what it may be asked, so that any one is read without holding the others.

A row costs some 30 bytes. Lines are read once to be indexed, and checked as samples only when they are drawn; `emollm data check` does that
for all of them.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

from emollm.data.asking import KINDS, kinds_of
from emollm.data.schema import DESCRIBED, Split, UnifiedSample, parse_sample
from emollm.errors import DataError


class SampleIndex:
    """The samples of one split in some files.

    Attributes:
        corpora: Corpus -> rows of it.
        folds: Corpus -> the official folds its rows are of; None stands for no fold.
        elsewhere: Corpus and split -> how many samples of other splits there are.
        identity: Of the bytes of all files.
    """

    def __init__(self, files: Sequence[Path], split: Split = "train") -> None:
        self.files, self.split = tuple(files), split
        self.corpora: dict[str, array[int]] = defaultdict(lambda: array("L"))
        self.folds: dict[str, set[int | None]] = defaultdict(set)
        self.elsewhere: Counter[tuple[str, str]] = Counter()
        self._file, self._start, self._mask = array("H"), array("Q"), array("L")
        self._open: dict[int, BinaryIO] = {}
        digest = blake2b(digest_size=8)
        for number, path in enumerate(self.files):
            try:
                with path.open("rb") as lines:
                    self._scan(number, lines, digest)
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror or error}. Give unified JSONL files.") from None
        self.identity = digest.hexdigest()

    def __len__(self) -> int:
        return len(self._start)

    def _scan(self, number: int, lines: BinaryIO, digest: Any) -> None:
        start = 0
        for count, line in enumerate(lines, 1):
            digest.update(line)
            try:
                row = json.loads(line)
                corpus, split, fold = row["corpus"], row["split"], row.get("fold")
                types = tuple(task["type"] for task in row["tasks"])
                given = row.get("descriptions") or {}
                described = tuple(name for name in DESCRIBED if given.get(name))
                mask = _mask_of(types, described, bool(row.get("chain_of_empathy")))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise DataError(f"{self.files[number]}, line {count}: no unified sample; `emollm data check` tells why.") from None
            if split == self.split:
                self.corpora[corpus].append(len(self._start))
                self.folds[corpus].add(fold)
                self._file.append(number)
                self._start.append(start)
                self._mask.append(mask)
            else:
                self.elsewhere[corpus, split] += 1
            start += len(line)

    def rows(self, corpus: str, mask: int) -> array[int]:
        """Rows of a corpus that may be asked any of some kinds."""
        return array("L", (row for row in self.corpora.get(corpus, ()) if self._mask[row] & mask))

    def mask(self, row: int) -> int:
        """What a row may be asked, a bit a kind."""
        return self._mask[row]

    def read(self, row: int) -> UnifiedSample:
        """One sample.

        Raises:
            DataError: If the line breaks a rule of the schema.
        """
        number = self._file[row]
        if number not in self._open:
            self._open[number] = self.files[number].open("rb")
        lines = self._open[number]
        lines.seek(self._start[row])
        try:
            return parse_sample(lines.readline())
        except DataError as error:
            raise DataError(f"{self.files[number]}, the line at byte {self._start[row]}: {error}") from None

    def close(self) -> None:
        """Close the files; they are opened again when needed."""
        for lines in self._open.values():
            lines.close()
        self._open.clear()


@cache
def _mask_of(types: tuple[str, ...], described: tuple[str, ...], chain: bool) -> int:
    return bits(kinds_of(types, described, chain=chain))


assert len(KINDS) <= 32, "masks are kept in 32 bits at least"


def bits(kinds: Sequence[str]) -> int:
    """Some kinds as a mask."""
    return sum(1 << KINDS.index(kind) for kind in kinds)
