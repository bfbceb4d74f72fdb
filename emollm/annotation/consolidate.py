"""The consolidator: joins what the agents found into one paragraph, names disagreement, and says nothing that no agent said.

It knows findings, not measurements. An agent that sees nothing special does not outvote two that do: calm is the lack of a sign.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from emollm.annotation.finding import OBSERVERS, Finding, listed
from emollm.annotation.units_agent import NOUNS

_SIDES = {"units": "facial movements", "visual": "face as a whole", "audio": "voice", "transcript": "words"}


def consolidate(findings: Mapping[str, Finding]) -> Finding:
    """Findings by agent to one; empty where no agent found anything."""
    parts = [findings[a].gist for a in ("visual", "units", "audio", "transcript") if a in findings and findings[a].gist]
    if not parts:
        return Finding("")
    said: dict[str, str] = {a: findings[a].emotion for a in OBSERVERS if a in findings and findings[a].emotion and findings[a].text}
    emotion, close = conclusion(said, outright="transcript" in findings and findings["transcript"].outright)
    text = " ".join([*parts, *([close] if close else [])])
    peak_s = findings["units"].peak_s if "units" in findings else None
    return Finding(text, text, emotion, peak_s=peak_s)


def conclusion(said: Mapping[str, str], *, outright: bool) -> tuple[str, str]:
    """What the agents' emotions come to, and the sentence that says so."""
    if not said:
        return "", ""
    votes = Counter(said.values())
    marked = {e: n for e, n in votes.items() if e != "neutral"}
    quiet = [a for a, e in said.items() if e == "neutral"]

    def sides(emotion: str) -> str:
        return listed([f"the {_SIDES[a]}" for a in said if said[a] == emotion])

    def points(emotion: str) -> str:
        return f"{sides(emotion)} point{'s' if _one(said, emotion) else ''} to {NOUNS[emotion]}"

    if not marked:
        return "neutral", "" if len(said) < 2 else f"{_cap(points('neutral'))}."
    best = max(marked.values())
    first = [e for e, n in marked.items() if n == best]
    others = [e for e in marked if e not in first]
    calm = f"{sides('neutral')} seem{'s' if _one(said, 'neutral') else ''} calm" if quiet else ""
    if len(first) > 1:
        return "", f"The agents disagree: {'; '.join(points(e) for e in first)}{f'; {calm}' if calm else ''}."
    [emotion] = first
    alone = best == 1 and len(said) > 1
    if alone and (quiet or others) and not (outright and said.get("transcript") == emotion):
        return "neutral" if len(quiet) > 1 else "", f"Only {points(emotion)}, while {calm or points(others[0])}."
    against = [*(points(e) for e in others), *([calm] if calm else [])]
    if against:
        return emotion, f"{_cap(points(emotion))}, while {', and '.join(against)}."
    return emotion, f"{_cap(points(emotion))}." if len(said) > 1 else ""


def _one(said: Mapping[str, str], emotion: str) -> bool:
    """Whether the sides that say it are one thing, for the verb; movements and words are many."""
    return [a for a in said if said[a] == emotion] in (["visual"], ["audio"])


def _cap(words: str) -> str:
    return words[:1].upper() + words[1:]
