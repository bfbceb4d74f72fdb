"""What the command line prints of cards and of results: plain tables, no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emollm import catalog
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
    lines = [
        "| card | n | missing | parse rate | measure | score (95 % interval) | majority | best constant | list all | shuffled |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        key, bounds = r["headline"], r["metrics"]["interval"]
        score = f"**{r['metrics'][key]:.3f}** ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "-"
        found = [r["floors"].get(name, {}).get(key) for name in ("majority", "best_constant", "list_all")]
        found.append((r["floors"].get("shuffled_references") or r["floors"].get("another_caption") or {}).get(key))
        rate = f"{r['parse_rate']:.3f}" if "parse_rate" in r else "-"
        floors = " | ".join("-" if f is None else f"{f:.3f}" for f in found)
        lines.append(f"| {r['card']} | {r['n']} | {r.get('missing', '-')} | {rate} | {key} | {score} | {floors} |")
    return "\n".join(lines)


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """Results as a Markdown table, as in docs/results.md."""
    lines = [
        "| card | split | n | measure | score (95 % interval) | majority | text only | shuffled media | probe |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        key = r["headline"]
        low, high = r["metrics"]["interval"]
        named = (("majority", "best_constant"), ("text_only",), ("shuffled_media",), ("probe", "words_probe", "measured"))
        found = [next((r["floors"][n][key] for n in names if key in r["floors"].get(n, {})), None) for names in named]
        floors = " | ".join("-" if f is None else f"{f:.3f}" for f in found)
        lines.append(
            f"| {r['card']} | {r['split']} | {r['n']} | {key} | **{r['metrics'][key]:.3f}** ({low:.3f} to {high:.3f}) | {floors} |"
        )
    return "\n".join(lines)
