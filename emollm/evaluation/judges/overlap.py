"""How far two free descriptions of an emotion share their clues, and their emotion: 0 to 10 each, by a chat model.

Source: the scores of EMER (arXiv 2306.15401). Differs: our wording, one request for each score, 0 to 10 where the old script has 1 to 10.
What cannot be read counts as 0 and is told. Judges differ: compare only scores of one judge.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from emollm import markdown
from emollm.evaluation.results import found_in, rewrite, samples_of

Kind = Literal["clues", "emotion"]
KINDS: tuple[Kind, ...] = ("clues", "emotion")
FLOOR_ITEMS = 20  # judged again with the answer to another item


@runtime_checkable
class Overlaps(Protocol):
    """A judge of free descriptions."""

    @property
    def name(self) -> str:
        """With the model id."""
        ...

    failures: int

    def overlap(self, kind: Kind, reference: str, answer: str) -> int | None:
        """0 to 10, or None where no score could be read."""
        ...


def overlap_results(judge: Overlaps, folder: Path) -> list[dict[str, Any]]:
    """Judge every card of free descriptions below a folder, and write the scores into its results.json under "overlap"."""
    found = []
    for home, results in found_in(folder):
        rows = [r for r in samples_of(home) if r.get("captions")]
        if rows and results.get("task") == "open-vocabulary":
            row = overlap_rows(judge, rows)
            results.setdefault("overlap", {})[judge.name] = row
            rewrite(home, results)
            found.append({"card": results["card"], **row})
    return found


def overlap_rows(judge: Overlaps, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean overlaps, the same for answers to other items on a few, and how many scores could not be read (they count as 0)."""
    texts = [(str(r["captions"][0]), _said(r)) for r in rows]
    scores = {kind: [judge.overlap(kind, *pair) for pair in texts] for kind in KINDS}
    result: dict[str, Any] = {"judge": judge.name, "n": len(rows), **{kind: _mean(scores[kind]) for kind in KINDS}}
    result["failed"] = sum(value is None for values in scores.values() for value in values)
    if len(rows) > 1:
        order = random.Random(0).sample(range(len(rows)), len(rows))
        crossed = [(texts[k][0], texts[order[(n + 1) % len(order)]][1]) for n, k in enumerate(order)][:FLOOR_ITEMS]
        result["another_answer"] = {kind: _mean([judge.overlap(kind, *pair) for pair in crossed]) for kind in KINDS}
    return result


def _said(row: Mapping[str, Any]) -> str:
    said = row.get("prediction") or ""
    return ", ".join(said) if isinstance(said, list) else str(said)


def _mean(values: Sequence[int | None]) -> float:
    return round(sum(v or 0 for v in values) / len(values), 3)


def overlap_table(found: Sequence[Mapping[str, Any]]) -> str:
    """Overlaps as a Markdown table."""
    rows = []
    for r in found:
        other = r.get("another_answer")
        floor = f"{other['clues']:.2f}, {other['emotion']:.2f}" if other else "-"
        failed = f"{r['failed']} of {2 * r['n']}"
        rows.append((r["card"], r["judge"], r["n"], f"{r['clues']:.2f}", f"{r['emotion']:.2f}", floor, failed))
    return markdown.table(("card", "judge", "n", "clues", "emotion", "of another answer", "failed"), rows)
