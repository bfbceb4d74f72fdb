"""A unified JSONL file, checked in one pass: every fault with its line, and what the file holds.

Lines are read one after another. Of what was seen only 64-bit hashes of ids, media and speakers are kept, so that a million samples fit;
the chance that two of 100,000 ids are taken for the same is about one in four billion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from pydantic import ValidationError

from emollm.data.schema import SPLITS, Task, UnifiedSample, told
from emollm.errors import DataError

LABELS_SHOWN = 12  # of a task in the summary; an open vocabulary has thousands


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong, and where."""

    file: str
    line: int
    said: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.said}"


@dataclass(slots=True)
class Checker:
    """Goes through files; what it counted stands in its fields afterwards.

    Attributes:
        media: Folder under which the media must lie; None leaves that unchecked.
        shared_speakers: Speakers may be in several splits, as in corpora of television series.
    """

    media: Path | None = None
    shared_speakers: bool = False
    lines: int = 0
    samples: int = 0
    found: int = 0
    splits: Counter[tuple[str, str]] = field(default_factory=Counter)  # corpus, split
    answers: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)  # corpus, split, task, label
    _files: list[str] = field(default_factory=list)
    _ids: dict[int, int] = field(default_factory=dict)  # hash -> place
    _places: dict[int, dict[str, int]] = field(default_factory=dict)  # the same -> further splits -> place
    _first: dict[int, int] = field(default_factory=dict)  # hash of a speaker or medium -> place and split
    _there: dict[int, bool] = field(default_factory=dict)

    def faults(self, paths: Iterable[Path]) -> Iterator[Fault]:
        """Every fault of some files, as soon as it is found.

        Raises:
            DataError: If a file cannot be read at all.
        """
        for path in paths:
            self._files.append(str(path))
            try:
                with path.open("rb") as lines:
                    for number, line in enumerate(lines, 1):
                        self.lines += 1
                        for said in self._line(line, number):
                            self.found += 1
                            yield Fault(str(path), number, said)
            except OSError as error:
                raise DataError(f"cannot read {path}: {error.strerror or error}. Give a unified JSONL file.") from None

    def _line(self, line: bytes, number: int) -> Iterator[str]:
        if not line.strip():
            yield "the line is empty"
            return
        try:
            sample = UnifiedSample.model_validate_json(line)
        except ValidationError as error:
            yield from told(error)
            return
        self.samples += 1
        self._count(sample)
        place = (len(self._files) - 1) << 40 | number
        mark = _hash(sample.id)
        first = self._ids.setdefault(mark, place)
        if first != place:
            yield f"id {sample.id!r} is there already, in {self._place(first)}"
        if sample.speaker is not None and not self.shared_speakers:
            yield from self._in_one_split(f"speaker {sample.speaker!r} of {sample.corpus}", sample, place)
        for path in sample.media.paths():
            yield from self._in_one_split(f"{path} of {sample.corpus}", sample, place)
            if self.media is not None and not self._exists(path):
                yield f"there is no {path} in {self.media}"

    def _in_one_split(self, what: str, sample: UnifiedSample, place: int) -> Iterator[str]:
        """One fault for every further split something is in, not one for every line. Folds are worlds of their own."""
        mark = _hash(f"{what}\0{sample.fold or ''}")
        known = self._first.setdefault(mark, place << 2 | SPLITS.index(sample.split))
        first = SPLITS[known & 3]
        if first == sample.split:
            return
        others = self._places.setdefault(mark, {})
        if sample.split not in others:
            others[sample.split] = place
            yield f"{what} is in {sample.split}, but also in {first} ({self._place(known >> 2)})"

    def _exists(self, path: str) -> bool:
        assert self.media is not None
        mark = _hash(path)
        if mark not in self._there:
            self._there[mark] = (self.media / path).exists()
        return self._there[mark]

    def _place(self, place: int) -> str:
        file, line = place >> 40, place & (1 << 40) - 1
        return f"line {line}" if file == len(self._files) - 1 else f"{self._files[file]}, line {line}"

    def _count(self, sample: UnifiedSample) -> None:
        self.splits[sample.corpus, sample.split] += 1
        for task in sample.tasks:
            for name in _answers(task):
                self.answers[sample.corpus, sample.split, task.type, name] += 1

    def summary(self) -> list[str]:
        """What the files hold, a line for every corpus and split, and one for every task of it."""
        told_ = []
        order = {str(split): i for i, split in enumerate(SPLITS)}
        tasks: dict[tuple[str, str], dict[str, Counter[str]]] = {}
        for (corpus, split, task, label), count in self.answers.items():
            tasks.setdefault((corpus, split), {}).setdefault(task, Counter())[label] = count
        for corpus, split in sorted(self.splits, key=lambda key: (key[0], order[key[1]])):
            told_.append(f"{corpus} {split}: {self.splits[corpus, split]}")
            for task, labels in sorted(tasks.get((corpus, split), {}).items()):
                shown = ", ".join(f"{label} {count}" if label else str(count) for label, count in labels.most_common(LABELS_SHOWN))
                more = len(labels) - LABELS_SHOWN
                told_.append(f"  {task}: {shown}{f' and {more} more' if more > 0 else ''}")
        return told_


def _answers(task: Task) -> tuple[str, ...]:
    if task.label is not None:
        return (task.label,)
    return task.labels or ("",)


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
