"""What a reader file may say: tables, columns, splits, labels and templates of a corpus, checked when it is loaded.

It knows the words of the files in instruct_data/readers and reads no corpus; that is the engine in `readers`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emollm import catalog
from emollm.data import schema
from emollm.data.rows import Table
from emollm.errors import DataError, unknown_name

FOLDER = "instruct_data/readers"


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitRule(_Spec):
    """How the release says which split a row is in."""

    kind: Literal["column", "file", "fold", "lists", "none"]
    column: str = ""  # of `column` and `lists`; may come from a folder or file name by [[parse]]
    values: dict[str, Literal["train", "val", "test", ""]] = {}  # of `column`: what stands there -> split; "" leaves the row out
    folds: int = 0  # of `fold`: how many there are
    files: dict[Literal["train", "val", "test"], str] = {}  # of `lists`: files with one value of the column a line


class Parse(_Spec):
    """A column whose text holds others: the named groups of the pattern become columns."""

    column: str
    pattern: str


class Join(_Spec):
    """Another table with more columns for the same rows; held in memory, so for the smaller one."""

    table: Table
    key: str  # its column
    on: str  # template over the row's columns that gives the same
    prefix: str = ""  # put before its column names
    required: bool = True  # may a row be missing in it?


class TaskRule(_Spec):
    """A task and where its answer stands."""

    type: schema.TaskType
    column: str = ""
    columns: dict[str, str] = {}  # of `multi-label` over one column a label: column -> label
    threshold: float = 0.5  # of `columns`: from which value on a label is given
    labels: dict[str, str] | tuple[str, ...] = ()  # what stands there -> our label, or the labels as they stand there
    also: tuple[str, ...] = ()  # labels of the label set that only come from elsewhere
    skip: tuple[str, ...] = ()  # what may stand there and is no label: the task is left out
    lower: bool = False  # the release writes its labels in mixed case
    separator: str = ","  # of tasks with several labels in one cell; brackets and quotes around them are taken away
    scale: tuple[float, float] | None = None
    optional: bool = False  # may the cell be empty? The task is left out then
    splits: tuple[schema.Split, ...] = schema.SPLITS  # splits in which the release has this label
    question: str = ""  # templates
    answer: str = ""

    def names(self) -> dict[str, str]:
        """What stands in the release -> our label."""
        return self.labels if isinstance(self.labels, dict) else {name: name for name in self.labels}

    def label_set(self) -> tuple[str, ...]:
        """Our labels, each once, in the order of the file."""
        return tuple(dict.fromkeys((*self.names().values(), *self.columns.values(), *self.also)))

    @model_validator(mode="after")
    def _whole(self) -> TaskRule:
        closed = self.type in schema.ONE_LABEL or (self.type == "multi-label" and not self.columns)
        if closed and not self.labels:
            raise ValueError(f"task {self.type!r} needs labels")
        if (closed or self.type in ("open-vocabulary", "valence")) and not self.column:
            raise ValueError(f"task {self.type!r} needs a column")
        if self.type == "valence" and self.scale is None:
            raise ValueError("task 'valence' needs a scale of two numbers")
        return self


class Written(_Spec):
    """A description: a template and who wrote it."""

    text: str
    origin: str


class Dialogue(_Spec):
    """A column with the turns before the reply."""

    column: str
    role: str  # keys of a turn
    text: str
    user: str  # what stands under `role`
    assistant: str


class SampleRule(_Spec):
    """Templates for the fields of a sample.

    `{column}`, `{column?}` where it may be missing, `{column:05d}` for a padded number, and filters: `{column|lower}`, `|stem`, `|double`.
    A field is left away where one of its columns is empty.
    """

    id: str
    video: str = ""
    audio: str = ""
    image: str = ""
    transcript: str = ""
    language: str = ""  # a template, too: a corpus may have several
    speaker: str = ""
    reply: str = ""
    peak_frame: str = ""
    chain_of_empathy: dict[Literal["event", "emotion", "cause", "goal"], str] = {}
    descriptions: dict[Literal["audio", "visual", "units", "multimodal", "facial"], Written] = {}
    history: Dialogue | None = None


class Reader(_Spec):
    """A corpus: where it comes from, its tables, its splits and what a row becomes."""

    name: str
    corpus: str  # as samples name it: two readers of one corpus share it, so that a leak between them is seen
    title: str
    source: str
    licence: str
    languages: tuple[str, ...]
    drawn_from: tuple[str, ...] = ()  # corpora some of whose clips it holds, of which split is not said
    overlaps: tuple[str, ...] = ()  # corpora with which it is known to share clips, whatever the split
    tables: tuple[Table, ...] = Field(min_length=1)
    parse: tuple[Parse, ...] = ()
    join: tuple[Join, ...] = ()
    codes: dict[str, dict[str, str]] = {}  # column -> code -> what it stands for, as the new column "name.text"
    keep: dict[str, tuple[str, ...]] = {}  # column -> values; other rows are left out
    split: SplitRule
    sample: SampleRule
    tasks: tuple[TaskRule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _whole(self) -> Reader:
        rule, faults = self.split, []
        if rule.kind in ("file", "fold") and any(t.split is None for t in self.tables):
            faults.append(f"split rule {rule.kind!r} needs a split for every table")
        if rule.kind not in ("file", "fold") and any(t.split is not None for t in self.tables):
            faults.append(f"split rule {rule.kind!r} does not go with a split of a table")
        if rule.kind == "column" and not (rule.column and rule.values):
            faults.append("split rule 'column' needs a column and the split of each value")
        if rule.kind == "fold" and rule.folds < 2:
            faults.append("split rule 'fold' needs the number of folds")
        if rule.kind == "lists" and not (rule.column and rule.files):
            faults.append("split rule 'lists' needs a column and a file for each split")
        for task in self.tasks:
            if task.type == "reason" and "multimodal" not in self.sample.descriptions:
                faults.append("task 'reason' needs the multimodal description")
            if task.type == "empathy" and not self.sample.reply:
                faults.append("task 'empathy' needs a reply")
        for template in templates(self):
            pieces(template)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def splits(self) -> tuple[schema.Split, ...]:
        """The splits of the release; none where it has no official ones."""
        rule = self.split
        found = {*rule.values.values(), *rule.files, *(t.split for t in self.tables)}
        return tuple(s for s in schema.SPLITS if s in found)


def names() -> list[str]:
    """Names of all shipped readers."""
    return catalog.names(FOLDER)


def path_of(name: str) -> Path:
    """The file of a shipped reader, or the file itself where a path to one is given.

    Raises:
        DataError: If there is none.
    """
    path = Path(name) if name.endswith(".toml") else catalog.folder(FOLDER) / f"{name.replace('-', '_')}.toml"
    if not path.is_file():
        raise DataError(unknown_name("reader", name, names()))
    return path


def load_reader(name: str) -> Reader:
    """A reader by name or by path to its file.

    Raises:
        DataError: If there is none, or with every fault of its file.
    """
    path = path_of(name)
    try:
        return Reader.model_validate(tomllib.loads(path.read_text("utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"reader {path.name} is not valid TOML: {error}") from None
    except ValidationError as error:
        raise DataError(f"reader {path.name} is faulty: {'; '.join(schema.told(error))}") from None


def unverified(name: str) -> list[str]:
    """What a reader's file says is not verified, from its comments."""
    lines = path_of(name).read_text("utf-8").splitlines()
    return [line.split("# unverified:", 1)[1].strip() for line in lines if "# unverified:" in line]


_PIECE = re.compile(r"\{([^{}?:|]+)(\?)?(?::(0?\d+)d)?((?:\|\w+)*)\}")
FILTERS = {"lower": str.lower, "stem": lambda text: Path(text).stem, "double": lambda text: str(2 * int(text))}


@dataclass(frozen=True, slots=True)
class Hole:
    """A place of a template where a column goes."""

    column: str
    optional: bool
    width: int
    filters: tuple[str, ...]


@cache
def pieces(template: str) -> tuple[str | Hole, ...]:
    """The words and holes of a template.

    Raises:
        ValueError: If it is faulty.
    """
    parts: list[str | Hole] = []
    end = 0
    for match in _PIECE.finditer(template):
        parts.append(template[end : match.start()])
        filters = tuple(f for f in match[4].split("|") if f)
        if strange := [f for f in filters if f not in FILTERS]:
            raise ValueError(f"template {template!r}: {unknown_name('filter', strange[0], FILTERS)}")
        parts.append(Hole(match[1], bool(match[2]), int(match[3] or 0), filters))
        end = match.end()
    parts.append(template[end:])
    if any(isinstance(p, str) and ("{" in p or "}" in p) for p in parts):
        raise ValueError(f"template {template!r} has a brace that belongs to no column")
    return tuple(p for p in parts if p != "")


def templates(reader: Reader) -> Iterator[str]:
    """All templates of a reader."""
    rule = reader.sample
    yield from (rule.id, rule.video, rule.audio, rule.image, rule.transcript, rule.language, rule.speaker, rule.reply, rule.peak_frame)
    yield from rule.chain_of_empathy.values()
    yield from (d.text for d in rule.descriptions.values())
    yield from (j.on for j in reader.join)
    for task in reader.tasks:
        yield from (task.question, task.answer)


def may_be_missing(reader: Reader) -> set[str]:
    """Columns that a row may be without."""
    holes = [part for template in templates(reader) for part in pieces(template) if isinstance(part, Hole)]
    return {hole.column for hole in holes if hole.optional} | {task.column for task in reader.tasks if task.optional}
