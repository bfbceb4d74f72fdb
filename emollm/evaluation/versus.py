"""Two folders of results to paired differences on the items that both systems answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emollm import markdown
from emollm.errors import DataError, EmollmError
from emollm.evaluation.answers import reference, said
from emollm.evaluation.cards import Scored, load_card
from emollm.evaluation.comparison import Difference, compare
from emollm.evaluation.results import found_in, samples_of
from emollm.evaluation.tally import tally


@dataclass(frozen=True, slots=True)
class Versus:
    """One card, first system against second."""

    card: str
    headline: str
    n: int  # items both answered
    left_out: int  # items only one of them answered, or none
    first: float
    second: float
    difference: Difference


def _by_card(folder: Path) -> dict[str, tuple[Path, dict[str, Any]]]:
    found: dict[str, tuple[Path, dict[str, Any]]] = {}
    for home, results in found_in(folder):
        if results["card"] in found:
            raise DataError(f"{folder} has results of {results['card']} twice, in {found[results['card']][0]} and {home}; give one system.")
        found[results["card"]] = home, results
    return found


def versus(first: Path, second: Path, *, rounds: int = 1000) -> list[Versus]:
    """Compare two folders of results, card by card.

    Raises:
        DataError: They share no card with answers to the same items.
    """
    mine, theirs = _by_card(first), _by_card(second)
    done = []
    for name in [n for n in mine if n in theirs]:
        rows = [{str(r["id"]): r for r in samples_of(side[name][0])} for side in (mine, theirs)]
        if all(rows):
            done.append(_one(card_of(mine[name][1], list(rows[0].values())), *rows, rounds=rounds))
    if not done:
        raise DataError(f"{first} ({', '.join(mine)}) and {second} ({', '.join(theirs)}) share no card with a samples.jsonl in both.")
    return done


def card_of(results: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Scored:
    """The card of some results: as it was when they were made, else the shipped one, else what the rows tell."""
    if "card_file" in results:
        # How the items were chosen no longer matters, so what only one kind of card says is left out.
        return Scored.model_validate({k: v for k, v in results["card_file"].items() if k in Scored.model_fields})
    try:
        card = load_card(results["card"])
        if isinstance(card, Scored):
            return card
    except EmollmError:
        pass  # a card of the user's own, no longer at hand
    labels = tuple(sorted({r["label"] for r in rows}))
    return Scored(name=results["card"], version=results["card_version"], about="", labels=labels, headline=results["headline"])


def _one(card: Scored, first: dict[str, Any], second: dict[str, Any], *, rounds: int) -> Versus:
    shared = [k for k in first if k in second and _answered(first[k]) and _answered(second[k])]
    if not shared:
        raise DataError(f"{card.name}: no item was answered by both; ids of the first begin with {next(iter(first))!r}.")
    other = [k for k in shared if _truth(first[k]) != _truth(second[k])]
    if other:
        raise DataError(f"{card.name}: {len(other)} items have another reference in the second folder, the first is {other[0]!r}.")
    references = [reference(first[k]) for k in shared]
    made = [tally(card, references, [said(_asked(rows[k])) for k in shared]) for rows in (first, second)]

    def headline(items: Sequence[tuple[int, int]]) -> float:
        """The items of one draw all belong to one system."""
        return made[items[0][0]].of(np.array([k for _, k in items])).get(card.headline, 0.0)

    one, two = ([(side, k) for k in range(len(shared))] for side in (0, 1))
    left_out = len(set(first) | set(second)) - len(shared)
    difference = compare(one, two, headline, rounds=rounds)
    return Versus(card.name, card.headline, len(shared), left_out, headline(one), headline(two), difference)


def _answered(row: dict[str, Any]) -> bool:
    return not row.get("missing") and not row.get("error")


def _truth(row: dict[str, Any]) -> list[Any]:
    return [row.get(k) for k in ("label", "labels", "value", "captions")]


def _asked(row: dict[str, Any]) -> dict[str, Any]:
    """A row as an answer: rows of a scored file keep what was said, rows of a model's run only the label."""
    return row if "prediction" in row else {**row, "prediction": row["answer"]}


def table(done: Sequence[Versus]) -> str:
    """Differences as a Markdown table."""
    rows = []
    for v in done:
        d = v.difference
        span = f"**{d.value:+.3f}** ({d.low:+.3f} to {d.high:+.3f})"
        rows.append((v.card, v.headline, v.n, v.left_out, f"{v.first:.3f}", f"{v.second:.3f}", span, f"{d.p:.3f}"))
    head = ("card", "measure", "n both answered", "left out", "first", "second", "first - second (95 % interval)", "p")
    return markdown.table(head, rows)
