"""Released corpora to unified samples: one engine, and one declarative file a corpus in instruct_data/readers.

The engine knows columns, labels and splits; which columns, labels and splits a corpus has stands in its file. Official splits only: where a
corpus has none, whoever builds says which split all of it is.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emollm import catalog
from emollm.data import schema
from emollm.data.rows import Row, Table, as_text, files, rows
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
        for template in _templates(self):
            _compiled(template)
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
_FILTERS = {"lower": str.lower, "stem": lambda text: Path(text).stem, "double": lambda text: str(2 * int(text))}


@dataclass(frozen=True, slots=True)
class _Hole:
    column: str
    optional: bool
    width: int
    filters: tuple[str, ...]


@cache
def _compiled(template: str) -> tuple[str | _Hole, ...]:
    parts: list[str | _Hole] = []
    end = 0
    for match in _PIECE.finditer(template):
        parts.append(template[end : match.start()])
        filters = tuple(f for f in match[4].split("|") if f)
        if strange := [f for f in filters if f not in _FILTERS]:
            raise ValueError(f"template {template!r}: {unknown_name('filter', strange[0], _FILTERS)}")
        parts.append(_Hole(match[1], bool(match[2]), int(match[3] or 0), filters))
        end = match.end()
    parts.append(template[end:])
    if any(isinstance(p, str) and ("{" in p or "}" in p) for p in parts):
        raise ValueError(f"template {template!r} has a brace that belongs to no column")
    return tuple(p for p in parts if p != "")


def _templates(reader: Reader) -> Iterator[str]:
    rule = reader.sample
    yield from (rule.id, rule.video, rule.audio, rule.image, rule.transcript, rule.language, rule.speaker, rule.reply, rule.peak_frame)
    yield from rule.chain_of_empathy.values()
    yield from (d.text for d in rule.descriptions.values())
    yield from (j.on for j in reader.join)
    for task in reader.tasks:
        yield from (task.question, task.answer)


def _fill(template: str, row: Row) -> str | None:
    """A template with what stands in the row; None where one of its columns is empty."""
    if not template:
        return None
    out = []
    for part in _compiled(template):
        if isinstance(part, str):
            out.append(part)
            continue
        text = as_text(row.get(part.column)) if part.optional else row.text(part.column)
        if not text:
            return None
        for name in part.filters:
            text = _FILTERS[name](text)
        if part.width:
            try:
                text = f"{int(float(text)):0{part.width}d}"
            except ValueError:
                raise DataError(f"{row.place}, column {part.column!r}: a whole number was expected, found {text!r}") from None
        out.append(text)
    return "".join(out)


@dataclass(slots=True)
class Built:
    """What a build wrote."""

    splits: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)  # reason -> rows

    @property
    def written(self) -> int:
        """Number of samples."""
        return sum(self.splits.values())


def build(reader: Reader, root: Path, out: Path, *, split: schema.Split | None = None, fold: int | None = None) -> Built:
    """An official folder to a unified JSONL file, sample after sample; the file appears when it is whole.

    Args:
        reader: The corpus.
        root: Folder of the release.
        out: File to write.
        split: Only this split; for a corpus without official splits, the split all of it is.
        fold: Which official fold, where there are folds.

    Raises:
        DataError: At the first fault of the release, with its place.
    """
    built = Built()
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("w", encoding="utf-8") as lines:
            for sample in samples(reader, root, split=split, fold=fold, left_out=built.left_out):
                lines.write(f"{sample.line()}\n")
                built.splits[sample.split] += 1
        if not built.written:
            why = ", ".join(f"{count} {reason}" for reason, count in built.left_out.items())
            raise DataError(f"{reader.name}: no sample in {root}{f' ({why})' if why else ''}.")
        os.replace(part, out)
    except FileNotFoundError:
        raise DataError(f"cannot write {out}: there is no folder {out.parent}") from None
    finally:
        part.unlink(missing_ok=True)
    return built


def samples(
    reader: Reader,
    root: Path,
    *,
    split: schema.Split | None = None,
    fold: int | None = None,
    left_out: Counter[str] | None = None,
) -> Iterator[schema.UnifiedSample]:
    """The samples of an official folder, one after another; see `build`."""
    _check_choice(reader, split, fold)
    left = Counter[str]() if left_out is None else left_out
    seen: set[int] = set()
    try:
        wanted = [t for t in reader.tables if split is None or t.split in (None, split)]
        found = [t for t in wanted if not t.optional or _there(t, root, fold)]
        if not found:
            files(wanted[0], root, fold)  # tells what is missing
        engine = _Engine(reader, root, split, fold)
        for table in found:
            for row in rows(table, root, fold):
                sample = engine.sample(row, table, left)
                if sample is None:
                    continue
                if (mark := hash(sample.id)) in seen:
                    raise DataError(f"{row.place}: id {sample.id!r} is there already; the release or the reader names a row twice")
                seen.add(mark)
                yield sample
    except DataError as error:
        raise DataError(f"{reader.name}: {error}") from None


def _there(table: Table, root: Path, fold: int | None) -> bool:
    try:
        return bool(files(table, root, fold))
    except DataError:
        return False


def _check_choice(reader: Reader, split: schema.Split | None, fold: int | None) -> None:
    has = reader.splits()
    if reader.split.kind == "none" and split is None:
        raise DataError(f"{reader.name} has no official split: say with --split train, val or test which one all of it is.")
    if has and split is not None and split not in has:
        raise DataError(f"{reader.name}: {unknown_name('split', split, has)}")
    if reader.split.kind == "fold" and fold not in range(1, reader.split.folds + 1):
        asked = "" if fold is None else f", not {fold}"
        raise DataError(f"{reader.name} has {reader.split.folds} official folds: choose one with --fold 1 to {reader.split.folds}{asked}.")
    if reader.split.kind != "fold" and fold is not None:
        raise DataError(f"{reader.name} has no folds; leave --fold away.")


class _Engine:
    """What is the same for all rows of a corpus: joined tables, listed splits, label sets."""

    def __init__(self, reader: Reader, root: Path, split: schema.Split | None, fold: int | None) -> None:
        self.reader = reader
        self.split = split
        self.fold = fold
        self.parses = [(p.column, re.compile(p.pattern)) for p in reader.parse]
        self.joins = [self._joined(join, root, fold) for join in reader.join]
        self.listed: dict[str, schema.Split] = {}
        for name, file in reader.split.files.items():
            listing = Table(kind="list", file=file, columns=("value",))
            self.listed |= {row.text("value"): name for row in rows(listing, root)}
        self.tasks = [(rule, rule.names(), rule.label_set()) for rule in reader.tasks]

    @staticmethod
    def _joined(join: Join, root: Path, fold: int | None) -> dict[str, Mapping[str, Any]]:
        if join.table.optional and not _there(join.table, root, fold):
            return {}
        found: dict[str, Mapping[str, Any]] = {}
        for row in rows(join.table, root, fold):
            kept = {f"{join.prefix}{k}": v for k, v in row.values.items() if not k.startswith("file.")}
            found[row.text(join.key)] = kept
        return found

    def sample(self, row: Row, table: Table, left_out: Counter[str]) -> schema.UnifiedSample | None:
        """The sample of a row; None where it is left out."""
        row = self._wider(row)
        for column, wanted in self.reader.keep.items():
            if row.text(column) not in wanted:
                left_out[f"with another {column}"] += 1
                return None
        split = self._split(row, table)
        if split is None or self.split not in (None, split):
            left_out["of other splits"] += 1
            return None
        row = Row({**row.values, "split": split}, row.place, row.header)
        rule = self.reader.sample
        written = {name: (_fill(d.text, row), d.origin) for name, d in rule.descriptions.items()}
        descriptions: dict[str, schema.Description] = {
            name: schema.Description(text=text, origin=origin) for name, (text, origin) in written.items() if text
        }
        reply = _fill(rule.reply, row)
        tasks = [t for t in (self._task(row, split, *one, bool(reply), descriptions) for one in self.tasks) if t is not None]
        if not tasks:
            left_out["without an answer to any task"] += 1
            return None
        local = _fill(rule.id, row)
        if local is None:
            raise DataError(f"{row.place}: no id, as a column of {rule.id!r} is empty")
        chain = {name: text for name, template in rule.chain_of_empathy.items() if (text := _fill(template, row))}
        peak = _fill(rule.peak_frame, row)
        try:
            return schema.UnifiedSample(
                id=f"{self.reader.corpus}/{local}",
                corpus=self.reader.corpus,
                split=split,
                fold=self.fold,
                media=schema.Media(video=_fill(rule.video, row), audio=_fill(rule.audio, row), image=_fill(rule.image, row)),
                transcript=_fill(rule.transcript, row),
                language=_fill(rule.language, row),
                speaker=_fill(rule.speaker, row),
                tasks=tuple(tasks),
                level=schema.level_of(t.type for t in tasks),
                descriptions=schema.Descriptions(**descriptions),
                history=self._history(row),
                chain_of_empathy=schema.ChainOfEmpathy(**chain) if len(chain) == len(rule.chain_of_empathy) > 0 else None,
                reply=reply,
                peak_frame=None if peak is None else int(_number(row, rule.peak_frame.strip("{}?"), peak)),
                licence=self.reader.licence,
            )
        except ValidationError as error:
            raise DataError(f"{row.place}: {'; '.join(schema.told(error))}") from None

    def _wider(self, row: Row) -> Row:
        values = dict(row.values)
        for column, shape in self.parses:
            text = as_text(Row(values, row.place, row.header).find(column))
            match = shape.search(text)
            if match is None:
                raise DataError(f"{row.place}, column {column!r}: {text!r} does not have the shape {shape.pattern}")
            values |= {name: found for name, found in match.groupdict().items() if found is not None}
        for column, code in self.reader.codes.items():
            text = as_text(Row(values, row.place, row.header).find(column))
            if text not in code:
                raise DataError(f"{row.place}, column {column!r}: {unknown_name('code', text, code)}")
            values[f"{column}.text"] = code[text]
        for join, table in zip(self.reader.join, self.joins, strict=True):
            key = _fill(join.on, Row(values, row.place, row.header)) or ""
            if key in table:
                values |= table[key]
            elif join.required:
                raise DataError(f"{row.place}: {join.table.file} has no row {key!r} in its column {join.key!r}")
        return Row(values, row.place, row.header)

    def _split(self, row: Row, table: Table) -> schema.Split | None:
        rule = self.reader.split
        if table.split is not None:
            return table.split
        if rule.kind == "none":
            return self.split
        found = row.text(rule.column)
        known: Mapping[str, str] = self.listed if rule.kind == "lists" else rule.values
        if found not in known:
            raise DataError(f"{row.place}, column {rule.column!r}: {unknown_name('split', found, known)}")
        return known[found] or None  # type: ignore[return-value]

    def _task(
        self,
        row: Row,
        split: schema.Split,
        rule: TaskRule,
        known: Mapping[str, str],
        label_set: tuple[str, ...],
        replied: bool,
        descriptions: Mapping[str, schema.Description],
    ) -> schema.Task | None:
        if split not in rule.splits:
            return None
        kind = rule.type
        if kind == "question":
            asked, answer = _fill(rule.question, row), _fill(rule.answer, row)
            return schema.Task(type=kind, question=asked, answer=answer) if asked and answer else None
        if kind in ("reason", "describe", "empathy"):
            there = {"reason": "multimodal" in descriptions, "describe": bool(descriptions), "empathy": replied}[kind]
            return schema.Task(type=kind) if there else None
        if rule.columns:
            given = tuple(name for column, name in rule.columns.items() if _number(row, column, row.text(column)) >= rule.threshold)
            return schema.Task(type=kind, labels=given, label_set=label_set) if given else None
        cell = row.get(rule.column) if rule.optional else row.find(rule.column)
        text = as_text(cell)
        if not text or text in rule.skip:
            if rule.optional or text in rule.skip:
                return None
            raise DataError(f"{row.place}, column {rule.column!r}: empty, but every row has a label for task {kind!r}")
        if kind == "valence":
            number = _number(row, rule.column, text)
            return self._checked(row, rule, schema.Task, type=kind, value=number, scale=rule.scale)
        if kind in schema.ONE_LABEL:
            return schema.Task(type=kind, label=_label(row, rule, text, known), label_set=label_set)
        many = _several(cell, rule.separator)
        if kind == "open-vocabulary":
            given = tuple(dict.fromkeys(name.lower() if rule.lower else name for name in many))
            return schema.Task(type=kind, labels=given) if given else None
        given = tuple(dict.fromkeys(_label(row, rule, name, known) for name in many))
        return schema.Task(type=kind, labels=given, label_set=label_set)

    @staticmethod
    def _checked(row: Row, rule: TaskRule, make: type[schema.Task], **values: Any) -> schema.Task:
        try:
            return make(**values)
        except ValidationError as error:
            raise DataError(f"{row.place}, column {rule.column!r}: {'; '.join(schema.told(error))}") from None

    def _history(self, row: Row) -> tuple[schema.HistoryTurn, ...]:
        rule = self.reader.sample.history
        if rule is None:
            return ()
        turns = row.find(rule.column)
        if not isinstance(turns, list):
            raise DataError(f"{row.place}, column {rule.column!r}: a list of turns was expected, found {type(turns).__name__}")
        roles = {rule.user: "user", rule.assistant: "assistant"}
        made = []
        for number, turn in enumerate(turns, 1):
            said = turn if isinstance(turn, dict) else {}
            role, text = as_text(said.get(rule.role)), as_text(said.get(rule.text))
            if role not in roles or not text:
                raise DataError(
                    f"{row.place}, column {rule.column!r}, turn {number}: {rule.role!r} of {' or '.join(roles)} and a {rule.text!r} "
                    f"were expected, found {role!r} and {text[:40]!r}"
                )
            made.append(schema.HistoryTurn(role=roles[role], text=text))  # type: ignore[arg-type]
        return tuple(made)


def _label(row: Row, rule: TaskRule, text: str, known: Mapping[str, str]) -> str:
    found = known.get(text.lower() if rule.lower else text)
    if found is None:
        raise DataError(f"{row.place}, column {rule.column!r}: {unknown_name('label', text, known)}")
    return found


def _several(cell: Any, separator: str) -> list[str]:
    """Labels of a cell: a list, or text such as "['happy', 'proud']" or "happy, proud"."""
    parts = cell if isinstance(cell, list) else as_text(cell).strip("[]").split(separator)
    return [name for part in parts if (name := as_text(part).strip("'\" "))]


def _number(row: Row, column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"{row.place}, column {column!r}: a number was expected, found {text!r}") from None
