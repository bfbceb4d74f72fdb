"""What the command line prints of cards and of results: plain tables, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emollm import catalog, markdown
from emollm.evaluation.cards import Card, GroupCard, MeanCard, PairCard, ReferenceCard, SupportCard, TalkCard, load_card


def listing() -> str:
    """All cards, those that can be run here before those that need the user's own references."""
    cards = [load_card(name) for name in catalog.names("eval")]
    theirs = [c for c in cards if isinstance(c, ReferenceCard | MeanCard)]
    lines = ["can be run here"]
    for card in cards:
        if card not in theirs:
            several = f"mean of {len(card.members)}" if isinstance(card, GroupCard) else "rendered"
            several = "conversations" if isinstance(card, TalkCard) else several
            kind = f"{len(card.labels)} classes" if isinstance(card, Card | PairCard | SupportCard) else several
            lines.append(f"  {card.name:<21} {card.headline:<18} {kind:<16} {card.about}")
    lines.append("needs your references (--predictions FILE --references FILE)")
    for card in theirs:
        what = f"mean of {len(card.members)}" if isinstance(card, MeanCard) else card.task
        lines.append(f"  {card.name:<21} {card.headline:<18} {what:<16} {card.about}")
    return "\n".join(lines)


def answers_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Scores of files of answers as a Markdown table."""
    rows = []
    for r in results:
        key, bounds = r["headline"], r["metrics"]["interval"]
        score = f"**{r['metrics'][key]:.3f}** ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "-"
        found = [r["floors"].get(name, {}).get(key) for name in ("majority", "best_constant", "list_all")]
        found.append((r["floors"].get("shuffled_references") or r["floors"].get("another_caption") or {}).get(key))
        rate = f"{r['parse_rate']:.3f}" if "parse_rate" in r else "-"
        rows.append((r["card"], r["n"], r.get("missing", "-"), rate, key, score, *map(_known, found)))
    blind = ("majority", "best constant", "list all", "shuffled")
    return markdown.table(("card", "n", "missing", "parse rate", "measure", "score (95 % interval)", *blind), rows)


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Results as a Markdown table, as in docs/results.md."""
    rows = []
    for r in results:
        key = r["headline"]
        low, high = r["metrics"]["interval"]
        named = (("majority", "best_constant"), ("text_only",), ("shuffled_media",), ("probe", "words_probe", "measured"))
        found = [next((r["floors"][n][key] for n in names if key in r["floors"].get(n, {})), None) for names in named]
        score = f"**{r['metrics'][key]:.3f}** ({low:.3f} to {high:.3f})"
        rows.append((r["card"], r["split"], r["n"], key, score, *map(_known, found)))
    blind = ("majority", "text only", "shuffled media", "probe")
    return markdown.table(("card", "split", "n", "measure", "score (95 % interval)", *blind), rows)


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
