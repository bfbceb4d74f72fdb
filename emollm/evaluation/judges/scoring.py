"""Captions that were scored already, judged again by another judge: its TEM and AutoDQ, and how far it and the rules agree."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from emollm import markdown
from emollm.evaluation.captions import common
from emollm.evaluation.comparison import cohen_kappa, exact_agreement
from emollm.evaluation.events import Movement, movements
from emollm.evaluation.judges.rules import RulesJudge
from emollm.evaluation.judges.verdict import Judge, Verdict
from emollm.evaluation.results import found_in, rewrite, samples_of
from emollm.evaluation.temporal import autodq, largest_matching


@runtime_checkable
class Likens(Protocol):
    """A judge that also says how alike two texts are."""

    def likeness(self, found: str, reference: str) -> float:
        """From 0 to 1."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts on one caption, both ways."""

    claimed: tuple[Verdict, ...]  # of the answer's events, given the reference
    recalled: tuple[Verdict, ...]  # of the reference's events, given the answer

    @property
    def all(self) -> tuple[Verdict, ...]:
        """Both."""
        return (*self.claimed, *self.recalled)


def judge_caption(judge: Judge, truth: Sequence[Movement], said: Sequence[Movement]) -> Judged:
    """Both directions of one caption."""
    return Judged(tuple(judge.judge(truth, said)), tuple(judge.judge(said, truth)))


def tem_of(judged: Judged) -> float:
    """TEM of verdicts: 2L / (m + n)."""
    m, n = len(judged.recalled), len(judged.claimed)
    matches = _matches(judged)
    return 2 * common(range(m), range(n), lambda i, j: matches[i][j]) / (m + n) if m + n else 1.0


def content_of(judged: Judged) -> float:
    """Content of verdicts, whatever the order: 2M / (m + n)."""
    m, n = len(judged.recalled), len(judged.claimed)
    return 2 * largest_matching(_matches(judged), n) / (m + n) if m + n else 1.0


def _matches(judged: Judged) -> list[list[bool]]:
    return [[i in v.by for v in judged.claimed] for i in range(len(judged.recalled))]


def judge_results(judge: Judge, folder: Path) -> list[dict[str, Any]]:
    """Judge every caption card below a folder again, and write the scores into its results.json under "judges".

    Returns:
        For each such card its name, the judge's scores, those of a floor (the answer to another item), and the agreement with the rules.
    """
    found = []
    for home, results in found_in(folder):
        rows = [r for r in samples_of(home) if r.get("captions")]
        if not rows or "tem" not in results.get("metrics", {}):
            continue
        row = {"card": results["card"], **judge_rows(judge, rows)}
        results.setdefault("judges", {})[judge.name] = {k: v for k, v in row.items() if k != "card"}
        rewrite(home, results)
        found.append(row)
    return found


def judge_rows(judge: Judge, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores of one judge on scored captions."""
    truths = [movements(r["captions"][0]) for r in rows]
    said = [movements(str(r.get("prediction") or "")) for r in rows]
    mine = [judge_caption(judge, t, s) for t, s in zip(truths, said, strict=True)]
    rules = [judge_caption(RulesJudge(), t, s) for t, s in zip(truths, said, strict=True)]
    order = random.Random(0).sample(range(len(rows)), len(rows))
    other = {k: order[(n + 1) % len(order)] for n, k in enumerate(order)}
    failed = sum(v.failed for j in mine for v in j.all)
    result: dict[str, Any] = {
        "judge": judge.name, "n": len(rows), **_scores(mine), "verdicts": sum(len(j.all) for j in mine), "failed_verdicts": failed,
        "failures": getattr(judge, "failures", 0), "agreement": agreement(mine, rules),
    }  # fmt: skip
    texts = [(str(r.get("prediction") or ""), str(r["captions"][0])) for r in rows]
    if isinstance(judge, Likens):
        result["similarity"] = round(sum(judge.likeness(a, b) for a, b in texts) / len(texts), 4)
    if not hasattr(judge, "failures") and len(rows) > 1:  # an endpoint costs; its floor would cost as much as its score
        result["another_answer"] = _scores([judge_caption(judge, truths[k], said[other[k]]) for k in range(len(rows))])
        if isinstance(judge, Likens):
            crossed = [judge.likeness(texts[other[k]][0], texts[k][1]) for k in range(len(rows))]
            result["another_answer"]["similarity"] = round(sum(crossed) / len(crossed), 4)
    return result


def agreement(first: Sequence[Judged], second: Sequence[Judged]) -> dict[str, float | int]:
    """Share of equal verdicts and Cohen's kappa of two judges; verdicts that failed are left out here and counted beside."""
    both = [(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x.all, y.all, strict=True) if not a.failed and not b.failed]
    if not both:
        return {"n": 0, "percent": 0.0, "kappa": 0.0}
    mine, theirs = [a.relation for a, _ in both], [b.relation for _, b in both]
    return {"n": len(both), "percent": round(100 * exact_agreement(mine, theirs), 1), "kappa": round(cohen_kappa(mine, theirs), 3)}


def _scores(judged: Sequence[Judged]) -> dict[str, float]:
    described = autodq([([v.relation for v in j.recalled], [v.relation for v in j.claimed]) for j in judged])
    claims = [v for j in judged for v in j.claimed]
    return {
        "tem": round(sum(map(tem_of, judged)) / len(judged), 4),
        "content": round(sum(map(content_of, judged)) / len(judged), 4),
        "autodq": round(described.f1, 4),
        "contradicted": round(sum(v.relation == "contradicted" for v in claims) / len(claims), 4) if claims else 0.0,
    }


def judged_table(found: Sequence[Mapping[str, Any]]) -> str:
    """Scores by a judge as a Markdown table."""
    measures = ("tem", "content", "autodq", "contradicted")
    rows = []
    for r in found:
        same = r["agreement"]
        failed = f"{r['failed_verdicts']} of {r['verdicts']}"
        scores = (f"{r[name]:.3f}" for name in measures)
        rows.append((r["card"], r["judge"], r["n"], *scores, failed, f"{same['percent']:.1f} % of {same['n']}", f"{same['kappa']:.2f}"))
    return markdown.table(("card", "judge", "n", *measures, "failed verdicts", "agreement with the rules", "kappa"), rows)
