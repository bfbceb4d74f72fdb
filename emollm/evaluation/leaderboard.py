"""Published scores and our own side by side, marked where protocol or data differ: a table for one result, and the page of all tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emollm import markdown
from emollm.evaluation.published import MISSING, Column, Published, beside, load_published

Table = tuple[str, Sequence[str], list[Sequence[str]]]  # title, head, body
INTRODUCTION = """Written by `emollm eval --leaderboard docs/leaderboard.md` from `eval/published`; scores are shares from 0 to 1. Published
numbers are copied from where each table says, the best of a column in bold. Each table says how its protocol differs from the card's: two
numbers of different protocols are not to be compared, however near they stand. `emollm eval --report DIR` prints the same numbers beside
results of your own."""


def compared(results: Mapping[str, Any], tables: Sequence[Published] | None = None) -> list[Table]:
    """Published scores beside one result: the scores, and what differs; nothing where nobody reported any."""
    found = beside(str(results["card"]), tables if tables is not None else load_published())
    if not found:
        return []
    mine = {k: v for k, v in results.get("metrics", {}).items() if isinstance(v, int | float)}
    measures = list(dict.fromkeys(m for _, rows in found for row in rows.values() for m in row))
    marks = differences(results)
    body: list[Sequence[str]] = [
        [f"this result: {results.get('system') or '-'}", *(_shown(mine.get(m)) for m in measures), "a" if marks else ""]
    ]
    notes: list[Sequence[str]] = [["a", "this result", "; ".join(marks)]] if marks else []
    for number, (table, rows) in enumerate(found, 1):
        ranked = sorted(rows.items(), key=lambda row: -row[1].get(str(results["headline"]), 0.0))
        body += [[name, *(_shown(row.get(m)) for m in measures), str(number)] for name, row in ranked]
        notes.append([str(number), table.source, table.differs])
    return [("Published numbers", ("system", *measures, "note"), body), ("Where they differ", ("note", "source", "differs"), notes)]


def differences(results: Mapping[str, Any]) -> list[str]:
    """In what a result itself is not the official protocol."""
    wanted = int((results.get("card_file") or {}).get("items") or 0)
    found = [f"{results['n']} items, the protocol has {wanted}"] if wanted and wanted != results.get("n") else []
    if results.get("missing"):
        found.append(f"{results['missing']} items without an answer, counted as wrong")
    if results.get("lacking"):
        found.append(f"no mean: without {', '.join(results['lacking'])}")
    if (folds := int((results.get("card_file") or {}).get("folds") or 0)) and len((results.get("groups") or {}).get("fold", {})) != folds:
        found.append(f"not {folds} folds")
    return found


def page(tables: Sequence[Published] | None = None) -> str:
    """All published tables as Markdown, our own scores first."""
    known = tables if tables is not None else load_published()
    lines = ["# Leaderboard", "", INTRODUCTION]
    for table in sorted(known, key=lambda t: not t.ours):
        lines += ["", f"## {table.title}", "", f"Source: {table.source}.  ", f"Differs: {table.differs}."]
        if not table.ours:
            ours = [name for c in table.columns if c.card for t in known if t.ours for name in t.scores(c.card)]
            lines[-1] += "  "
            lines.append(f"Ours: {', '.join(dict.fromkeys(ours)) + ', above.' if ours else 'not measured, the data is not at hand.'}")
        named = [f"{c.name} ({f'`{c.card}`, {c.measure}' if c.card else 'not scored here'})" for c in table.columns]
        best = [max((v for v in column if v != MISSING), default=MISSING) for column in zip(*table.rows.values(), strict=True)]
        rows = [
            (system, *(_cell(v, top, c, table) for v, top, c in zip(row, best, table.columns, strict=True)))
            for system, row in table.rows.items()
        ]
        lines += ["", markdown.table(("system", *named), rows)]
    return "\n".join(lines) + "\n"


def _cell(value: float | str, best: float | str, column: Column, table: Published) -> str:
    if isinstance(value, str):
        return MISSING
    text = f"{value / table.scale:.3f}" if column.card else f"{value:g}"
    return f"**{text}**" if value == best and len(table.rows) > 2 else text


def _shown(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"
