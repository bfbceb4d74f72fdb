"""Released corpora to unified samples: one engine for all of them.

What is particular to a corpus (columns, labels, splits) stands in its file in instruct_data/readers. Official splits only: where a corpus
has none, whoever builds says which split all of it is.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emollm.data import schema
from emollm.data.reader_specs import FILTERS, Hole, Join, Reader, TaskRule, may_be_missing, pieces, templates
from emollm.data.rows import Row, Table, as_text, files, rows
from emollm.errors import DataError, unknown_name


def _fill(template: str, row: Row) -> str | None:
    """A template with what stands in the row; None where one of its columns is empty."""
    if not template:
        return None
    out = []
    for part in pieces(template):
        if isinstance(part, str):
            out.append(part)
            continue
        text = as_text(row.get(part.column)) if part.optional else row.text(part.column)
        if not text:
            return None
        for name in part.filters:
            text = FILTERS[name](text)
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
    never_given: set[str] = field(default_factory=set)  # columns that may be missing, and were in every row

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
    if not out.parent.is_dir():
        raise DataError(f"cannot write {out}: there is no folder {out.parent}")
    built = Built()
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("w", encoding="utf-8") as lines:
            for sample in samples(reader, root, split=split, fold=fold, built=built):
                lines.write(f"{sample.line()}\n")
                built.splits[sample.split] += 1
        if not built.written:
            why = ", ".join(f"{count} {reason}" for reason, count in built.left_out.items())
            raise DataError(f"{reader.name}: no sample in {root}{f' ({why})' if why else ''}.")
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)
    return built


def samples(
    reader: Reader,
    root: Path,
    *,
    split: schema.Split | None = None,
    fold: int | None = None,
    built: Built | None = None,
) -> Iterator[schema.UnifiedSample]:
    """The samples of an official folder, one after another; see `build`. What is left out is told in `built`."""
    _check_choice(reader, split, fold)
    built = Built() if built is None else built
    built.never_given |= may_be_missing(reader)
    seen: set[int] = set()
    try:
        wanted = [t for t in reader.tables if split is None or t.split in (None, split)]
        found = [t for t in wanted if not t.optional or _there(t, root, fold)]
        if not found:
            files(wanted[0], root, fold)  # tells what is missing
        engine = _Engine(reader, root, split, fold)
        for table in found:
            for row in rows(table, root, fold):
                sample = engine.sample(row, table, built)
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
        columns = {hole.column for template in templates(reader) for hole in pieces(template) if isinstance(hole, Hole)}
        columns |= {task.column for task in reader.tasks}
        self.joins = [
            self._joined(join, {c for c in columns if join.prefix and c.startswith(join.prefix)}, root, fold) for join in reader.join
        ]
        self.listed: dict[str, schema.Split] = {}
        for name, file in reader.split.files.items():
            listing = Table(kind="list", file=file, columns=("value",))
            self.listed |= {row.text("value"): name for row in rows(listing, root)}
        self.tasks = [(rule, rule.names(), rule.label_set()) for rule in reader.tasks]

    @staticmethod
    def _joined(join: Join, wanted: set[str], root: Path, fold: int | None) -> dict[str, Mapping[str, Any]]:
        if join.table.optional and not _there(join.table, root, fold):
            return {}
        found: dict[str, Mapping[str, Any]] = {}
        for row in rows(join.table, root, fold):
            if not found:  # a row may be missing in the table, but a column of it may not
                for column in sorted(wanted):
                    row.find(column.removeprefix(join.prefix))
            kept = {f"{join.prefix}{k}": v for k, v in row.values.items() if not k.startswith("file.")}
            found[row.text(join.key)] = kept
        return found

    def sample(self, row: Row, table: Table, built: Built) -> schema.UnifiedSample | None:
        """The sample of a row; None where it is left out."""
        row = self._wider(row)
        left_out = built.left_out
        if built.never_given:
            built.never_given -= {column for column in built.never_given if as_text(row.get(column))}
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
