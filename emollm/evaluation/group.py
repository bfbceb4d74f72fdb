"""Several cards over one data folder as one: each is run and scored by itself, and the headlines are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emollm.errors import DataError
from emollm.evaluation.blind import warnings_of
from emollm.evaluation.blind_texts import Floor
from emollm.evaluation.cards import Card, GroupCard, load_card
from emollm.evaluation.results import write


def members_of(card: GroupCard) -> list[Card]:
    """The cards of a group.

    Raises:
        DataError: A member is no card over a data folder.
    """
    found = [load_card(name) for name in card.members]
    strange = [name for name, c in zip(card.members, found, strict=True) if not isinstance(c, Card)]
    if strange:
        raise DataError(f"{card.name} can group only cards over a data folder, not {', '.join(strange)}.")
    return [c for c in found if isinstance(c, Card)]


def run_group(card: GroupCard, out: Path, system: str, run: Callable[[Card, Path], dict[str, Any]]) -> dict[str, Any]:
    """Run the members into folders below `out`, and write their mean.

    Args:
        card: Who belongs together.
        out: Gets MEMBER/results.json and results.json.
        system: Whose answers they are.
        run: Scores one member into a folder.
    """
    done = {member.name: run(member, out / member.name) for member in members_of(card)}
    rows = list(done.values())
    shared = [name for name in rows[0]["floors"] if all(name in r["floors"] for r in rows)]
    floors = {name: Floor({"mean": _mean([r["floors"][name][r["headline"]] for r in rows])}, "") for name in shared}
    value = _mean([r["metrics"][r["headline"]] for r in rows])
    low, high = _bounds(rows)
    results = {
        "card": card.name,
        "card_version": card.version,
        "about": card.about,
        "task": "mean",
        "system": system,
        "scale": rows[0].get("scale"),
        "weights": rows[0].get("weights"),
        "split": rows[0].get("split"),
        "n": sum(r["n"] for r in rows),
        "headline": "mean",
        "members": {name: r["metrics"][r["headline"]] for name, r in done.items()},
        "metrics": {"mean": round(value, 4), "interval": [round(low, 4), round(high, 4)]},
        "floors": {name: {"mean": round(f.measures["mean"], 4)} for name, f in floors.items()},
        "warnings": warnings_of("mean", {"mean": value}, low, high, floors) + [f"{m}: {w}" for m, r in done.items() for w in r["warnings"]],
    }
    return write(out, results)


def _bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Of the mean of independent scores, whose half-widths add up as squares."""
    sides = [[abs(r["metrics"][r["headline"]] - r["metrics"]["interval"][side]) for r in rows] for side in (0, 1)]
    value = _mean([r["metrics"][r["headline"]] for r in rows])
    less, more = (sum(x * x for x in side) ** 0.5 / len(rows) for side in sides)
    return value - less, value + more


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
