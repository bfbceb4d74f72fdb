"""How well faces of different people are measured: the same units compared between groups of rendered people, with intervals.

At equal expression: only units that moved in every group count, each as much in one group as in another, so that a group is not judged by
what it happened to show.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emollm import markdown
from emollm.evaluation.comparison import bounds
from emollm.evaluation.metrics import draws, middle

KINDS = ("age", "skin", "sex")
FEW = 3  # people; a group of fewer is shown without an interval
ROUNDS = 400


@dataclass(frozen=True, slots=True)
class Measured:
    """One rendered person: how it looks, and for every unit that moved the correlation of measured and true."""

    group: Mapping[str, str]
    units: Mapping[str, float]


def appearance_of(person: Mapping[str, Any]) -> dict[str, str]:
    """The groups a person of a truth file belongs to; the sex is that of the build the person was drawn with."""
    look = person.get("appearance", {})
    found = {name: str(look[name]) for name in KINDS if name in look}
    built = person.get("identity", {}).get("masculinity")
    return found if built is None or "sex" in found else {**found, "sex": "male" if built > 0.5 else "female"}


def slices(people: Sequence[Measured]) -> dict[str, dict[str, Any]]:
    """Kind of group -> value -> people, correlation at equal expression and its interval; and the gap between best and worst.

    A kind is left out where its groups share no unit.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in KINDS:
        groups: dict[str, list[Measured]] = defaultdict(list)
        for person in people:
            if kind in person.group and person.units:
                groups[person.group[kind]].append(person)
        if len(groups) < 2:
            continue
        shared = set.intersection(*({u for p in rows for u in p.units} for rows in groups.values()))
        if not shared:
            continue
        each: dict[str, Any] = {}
        for value, rows in sorted(groups.items()):
            known = bounds(rows, lambda some, units=shared: _mean_of(some, units), rounds=ROUNDS)  # type: ignore[misc]
            each[value] = {"n": len(rows), "correlation": round(known.value, 4)}
            if len(rows) >= FEW:
                each[value]["interval"] = [round(known.low, 4), round(known.high, 4)]
        found[kind] = {"units": len(shared), "groups": each, "gap": _gap({v: r for v, r in groups.items() if len(r) >= FEW}, shared)}
    return found


def _mean_of(people: Sequence[Measured], units: set[str]) -> float:
    """Mean over units of the mean over people; a unit that none of them moved is left out."""
    means = [float(np.mean(values)) for u in sorted(units) if (values := [p.units[u] for p in people if u in p.units])]
    return float(np.mean(means)) if means else 0.0


def _gap(groups: Mapping[str, Sequence[Measured]], units: set[str]) -> dict[str, Any] | None:
    """Best minus worst group, and how far that moves when people are drawn anew within their groups."""
    if len(groups) < 2:
        return None
    values = {name: _mean_of(rows, units) for name, rows in groups.items()}
    best, worst = max(values, key=lambda n: values[n]), min(values, key=lambda n: values[n])
    tagged = [(name, p) for name in (best, worst) for p in groups[name]]

    def gap(some: Sequence[tuple[str, Measured]]) -> float:
        sides = [[p for name, p in some if name == which] for which in (best, worst)]
        return _mean_of(sides[0], units) - _mean_of(sides[1], units) if all(sides) else 0.0

    low, high = middle(draws(tagged, gap, rounds=ROUNDS))
    return {"best": best, "worst": worst, "value": round(values[best] - values[worst], 4), "interval": [round(low, 4), round(high, 4)]}


def slices_table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Groups as a Markdown table."""
    rows: list[tuple[object, ...]] = []
    for kind, row in found.items():
        for value, g in row["groups"].items():
            span = f"{g['interval'][0]:.3f} to {g['interval'][1]:.3f}" if "interval" in g else "-"
            rows.append((f"{kind} {value}", g["n"], f"{g['correlation']:.3f}", span))
        if row["gap"]:
            gap = row["gap"]
            span = f"{gap['interval'][0]:.3f} to {gap['interval'][1]:.3f}"
            rows.append((f"{kind}: {gap['best']} - {gap['worst']}", "", f"{gap['value']:.3f}", span))
    return markdown.table(("group", "people", "correlation at equal expression", "95 % interval"), rows)
