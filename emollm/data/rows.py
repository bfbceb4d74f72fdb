"""Annotation tables as they are released, to rows: a mapping of column names to what stands there, with the place it was read from.

Kinds of table: `csv`, `tsv`, `json`, `jsonl`, `list` (fields between blanks, no header), `lines` (text files, one pattern a line) and
`names` (the file names are the table). No spreadsheets: save an `.xlsx` as CSV first. It knows nothing of emotions, splits or samples.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from emollm.errors import DataError, unknown_name

csv.field_size_limit(1 << 24)  # descriptions are longer than the 128 kB that a field may have by default


class Table(BaseModel):
    """Where a table is and how to read it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["csv", "tsv", "json", "jsonl", "list", "lines", "names"]
    file: str  # relative to the corpus folder; may hold {fold}, and * for many files
    split: Literal["train", "val", "test"] | None = None  # where a file is a split
    columns: tuple[str, ...] = ()  # names of the fields, where there is no header
    separator: str | None = None  # of `list`; None is any run of blanks
    walk: tuple[str, ...] = ()  # of `json`: "$name" goes through all entries and keeps the key as a column, a plain word goes into that key
    pattern: str = ""  # of `lines` and `names`: its named groups are the columns
    starts: str = ""  # of `lines`: only lines that begin so are rows
    encoding: str = "utf-8-sig"
    values: dict[str, str] = {}  # columns that are the same in every row
    optional: bool = False  # releases come without it

    @model_validator(mode="after")
    def _whole(self) -> Table:
        if self.kind == "list" and not self.columns:
            raise ValueError("a table of kind 'list' has no header: name its columns")
        if self.kind in ("lines", "names") and not re.compile(self.pattern).groupindex:
            raise ValueError(f"a table of kind {self.kind!r} needs a pattern with named groups")
        return self


@dataclass(frozen=True, slots=True)
class Row:
    """One row and where it stands."""

    values: Mapping[str, Any]
    place: str  # "train.csv, line 12"
    header: str  # where its columns are named

    def find(self, column: str) -> Any:
        """What stands in a column; "a.b" is the entry b of a.

        Raises:
            DataError: If there is no such column.
        """
        found = self.get(column, _MISSING)
        if found is _MISSING:
            names = [name for name in self.values if not name.startswith("file.")]
            raise DataError(f"{self.header}: {unknown_name('column', column, names)}")
        return found

    def get(self, column: str, default: Any = None) -> Any:
        """What stands in a column, or the default."""
        if column in self.values:
            return self.values[column]
        node: Any = self.values
        for part in column.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return default
            node = node[part]
        return node

    def text(self, column: str) -> str:
        """What stands in a column as text without blanks around it; empty where there is nothing."""
        return as_text(self.find(column))


_MISSING = object()


def as_text(value: Any) -> str:
    """A cell as text: nothing for null and "nan", whole numbers without a point, a list joined."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, map(as_text, value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return "" if text.lower() == "nan" else text


def rows(table: Table, root: Path, fold: int | None = None) -> Iterator[Row]:
    """The rows of a table, file after file in the order of their names.

    Raises:
        DataError: If a file is missing or not as the table says, with the line.
    """
    read = _READ[table.kind]
    for path in files(table, root, fold):
        name = path.relative_to(root).as_posix()
        same = {**table.values, "file.path": name, "file.stem": path.stem, "file.folder": path.parent.name}
        try:
            for values, place, header in read(table, path, name):
                yield Row({**same, **values}, f"{name}{place}", f"{name}{header}")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: not {table.encoding} at byte {error.start}; save the file in that encoding") from None


def files(table: Table, root: Path, fold: int | None = None) -> list[Path]:
    """The files of a table.

    Raises:
        DataError: If there are none.
    """
    wanted = table.file.replace("{fold}", str(fold))
    found = sorted(p for p in root.glob(wanted) if p.is_file()) if "*" in wanted else [root / wanted]
    if not found or not found[0].is_file():
        there = sorted(p.name for p in root.iterdir()) if root.is_dir() else []
        holds = f"it holds: {', '.join(there[:12])}{' ...' if len(there) > 12 else ''}" if there else "it is empty or no folder"
        raise DataError(f"no file {wanted} in {root}; {holds}. Give the folder of the official release with --root.")
    return found


Found = Iterator[tuple[Mapping[str, Any], str, str]]  # values, place of the row, place of the column names


def _csv(table: Table, path: Path, name: str) -> Found:
    with path.open(encoding=table.encoding, newline="") as text:
        # Quotes are letters in tab-separated files: utterances begin with one and never close it.
        tabs = table.kind == "tsv"
        reader = csv.reader(text, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
        header, line = list(table.columns), 0
        for fields in reader:
            start, line = line + 1, reader.line_num
            if not fields:
                continue
            if not header:
                header = [field.strip() for field in fields]
                if len(set(header)) < len(header):
                    raise DataError(f"{name}, line {start}: a column is named twice: {', '.join(header)}")
                continue
            if len(fields) != len(header):
                raise _uneven(f"{name}, line {start}", fields, header)
            yield dict(zip(header, fields, strict=True)), f", line {start}", "" if table.columns else ", line 1"


def _uneven(place: str, fields: Sequence[str], columns: Sequence[str]) -> DataError:
    return DataError(f"{place}: {len(fields)} fields found, but there are {len(columns)} columns: {', '.join(columns)}")


def _list(table: Table, path: Path, name: str) -> Found:
    with path.open(encoding=table.encoding) as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            fields = [f.strip() for f in line.rstrip("\n").split(table.separator)]
            if len(fields) != len(table.columns):
                raise _uneven(f"{name}, line {number}", fields, table.columns)
            yield dict(zip(table.columns, fields, strict=True)), f", line {number}", ""


def _lines(table: Table, path: Path, name: str) -> Found:
    shape = re.compile(table.pattern)
    with path.open(encoding=table.encoding) as text:
        for number, line in enumerate(text, 1):
            if not line.startswith(table.starts) or not line.strip():
                continue
            match = shape.match(line.rstrip("\n"))
            if match is None:
                raise DataError(f"{name}, line {number}: {line.strip()[:80]!r} does not have the shape {table.pattern}")
            yield match.groupdict(), f", line {number}", ""


def _names(table: Table, path: Path, name: str) -> Found:
    match = re.search(table.pattern, name)
    if match is None:
        raise DataError(f"{name}: the file name does not have the shape {table.pattern}")
    yield match.groupdict(), "", ""


def _json(table: Table, path: Path, name: str) -> Found:
    # Read whole, as JSON cannot be read by the line; the released files are some hundred MB at most.
    try:
        tree = json.loads(path.read_text(table.encoding))
    except json.JSONDecodeError as error:
        raise DataError(f"{name}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}") from None
    for values, trail in _walk(tree, table.walk or ("$entry",), {}, (), name):
        yield values, f", entry {'/'.join(trail)}", f", entry {'/'.join(trail)}"


def _jsonl(table: Table, path: Path, name: str) -> Found:
    with path.open(encoding=table.encoding) as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{name}, line {number}: not valid JSON: {error.msg}") from None
            if not isinstance(values, dict):
                raise DataError(f"{name}, line {number}: an object was expected, found {type(values).__name__}")
            yield values, f", line {number}", f", line {number}"


def _walk(
    node: Any, steps: tuple[str, ...], kept: Mapping[str, Any], trail: tuple[str, ...], name: str
) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    where = f"{name}, entry {'/'.join(trail)}" if trail else name
    if not steps:
        if not isinstance(node, dict):
            raise DataError(f"{where}: an object was expected, found {type(node).__name__}")
        yield {**kept, **node}, trail
        return
    step, rest = steps[0], steps[1:]
    if step.startswith("$"):
        pairs: Iterable[tuple[Any, Any]]
        if isinstance(node, dict):
            pairs = node.items()
        elif isinstance(node, list):
            pairs = enumerate(node)
        else:
            raise DataError(f"{where}: a list or an object was expected, found {type(node).__name__}")
        for key, inner in pairs:
            yield from _walk(inner, rest, {**kept, step[1:]: str(key)}, (*trail, str(key)), name)
        return
    if not isinstance(node, dict) or step not in node:
        raise DataError(f"{where}: {unknown_name('key', step, node if isinstance(node, dict) else ())}")
    yield from _walk(node[step], rest, {**kept, **{k: v for k, v in node.items() if k != step}}, trail, name)


_READ = {"csv": _csv, "tsv": _csv, "list": _list, "lines": _lines, "names": _names, "json": _json, "jsonl": _jsonl}
