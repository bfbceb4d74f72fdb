"""What others report on the same benchmarks, from `eval/published`: tables of scores, with their source and how their protocol differs."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from emollm import catalog
from emollm.errors import DataError

MISSING = "-"


class Column(BaseModel):
    """One column of a published table, and what it is here."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    card: str = ""  # empty: not scored here
    measure: str = ""


class Published(BaseModel):
    """One published table."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    title: str
    source: str
    differs: str  # from the protocol of the cards here
    scale: Literal[1, 100]  # scores are divided by it to lie in 0 to 1
    ours: bool = False  # measured by this project
    columns: tuple[Column, ...]
    rows: dict[str, tuple[float | Literal["-"], ...]]  # system -> scores in the order of the columns

    @model_validator(mode="after")
    def _fits(self) -> Self:
        short = [name for name, row in self.rows.items() if len(row) != len(self.columns)]
        if short:
            raise ValueError(f"not one score a column ({len(self.columns)}) for {', '.join(short)}")
        if half := [c.name for c in self.columns if bool(c.card) != bool(c.measure)]:
            raise ValueError(f"a card without a measure, or the other way round, in the column {', '.join(half)}")
        return self

    def scores(self, card: str) -> dict[str, dict[str, float]]:
        """System -> measure -> score in 0 to 1, of one card."""
        found: dict[str, dict[str, float]] = {}
        for name, row in self.rows.items():
            pairs = zip(self.columns, row, strict=True)
            known = {c.measure: v / self.scale for c, v in pairs if c.card == card and isinstance(v, float)}
            if known:
                found[name] = known
        return found


def load_published(folder: Path | None = None) -> tuple[Published, ...]:
    """All published tables, our own last.

    Raises:
        DataError: A file is faulty.
    """
    tables = []
    for path in sorted((folder if folder is not None else catalog.folder("eval") / "published").glob("*.toml")):
        try:
            tables.append(Published.model_validate(tomllib.loads(path.read_text("utf-8"))))
        except (ValidationError, tomllib.TOMLDecodeError) as error:
            raise DataError(f"published/{path.name} is faulty: {error}") from None
    return tuple(sorted(tables, key=lambda t: t.ours))


def beside(card: str, tables: Sequence[Published]) -> list[tuple[Published, dict[str, dict[str, float]]]]:
    """The tables that have scores of a card."""
    return [(table, found) for table in tables if (found := table.scores(card))]
