"""A conversation as the chat shows it: text in which no HTML and no picture can hide, times that lead to the player, and a fold before each
answer that says what was looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

from emollm.app.visits import Open, Turn, Visit
from emollm.exports import report
from emollm.exports.marks import clock, tenths
from emollm.exports.panels import SHOWN_MOMENTS, sides
from emollm.exports.why import why_rows
from emollm.texts import Words
from emollm.values import Analysis
from emollm.verdict import SURE, judge

THOUGHTS = ("<think>", "</think>")  # what a model that reasons aloud puts around it; the chat folds it
_TIME = re.compile(r"\b(?:(\d+):(\d\d(?:\.\d)?)|(\d+(?:\.\d+)?) ?(?:s|seconds?|Sekunden?))\b(?!\w)")


def chat_text(text: str, end_s: float = 0.0) -> str:
    """A message as markdown without HTML and pictures; times within a clip of that length become links for the player."""
    plain = escape(text, quote=False).replace("![", "!\\[").replace("](", "]\\(")
    for mark in THOUGHTS:
        plain = plain.replace(escape(mark, quote=False), mark)

    def link(found: re.Match[str]) -> str:
        minutes, rest, alone = found.groups()
        at = float(alone) if alone else 60 * int(minutes) + float(rest)
        return f"[{found.group()}](#t={at:.2f})" if at <= end_s else found.group()

    return _TIME.sub(link, plain) if end_s > 0 else plain


def view(visit: Visit, words: Words, writing: Turn | None = None, *, thinking: bool = False) -> list[dict[str, Any]]:
    """Messages for the chat, with the turn that is being written."""
    several = visit.counted > 1
    shown: list[dict[str, Any]] = []
    for turn in [*visit.turns, *([writing] if writing is not None else [])]:
        tag = f"*{words('talk.about', clips=_named(turn.about, words))}*\n\n" if several and turn.about else ""
        shown.append({"role": "user", "content": tag + chat_text(turn.shown or turn.asked)})
        live = turn is writing
        if live and thinking and not turn.answer:
            shown.append(
                {"role": "assistant", "content": turn.rests or "…", "metadata": {"title": words("talk.thinking"), "status": "pending"}}
            )
            continue
        if turn.rests:
            shown.append({"role": "assistant", "content": turn.rests, "metadata": {"title": words("talk.rests"), "status": "done"}})
        if turn.answer:
            shown.append({"role": "assistant", "content": chat_text(turn.answer, _length(visit.clips, turn.about))})
    return shown


def turn_at(visit: Visit, index: int) -> int | None:
    """Which turn a message of the view belongs to; None if there is no such message."""
    seen = 0
    for number, turn in enumerate(visit.turns):
        seen += 1 + bool(turn.rests) + bool(turn.answer)
        if index < seen:
            return number
    return None


def _named(numbers: Sequence[int], words: Words) -> str:
    return words.joined([words("clip.numbered", number=number).lower() for number in numbers])


def _length(clips: Sequence[Open], about: Sequence[int]) -> float:
    """Seconds of the one clip a turn is about; 0 where links would be ambiguous or lead nowhere."""
    found = [clip.analysis.duration_s for clip in clips if clip.number in about and clip.analysis.kind != "image"]
    return found[0] if len(found) == 1 and len(about) == 1 else 0.0


def rests_on(clips: Sequence[Open], words: Words) -> str:
    """What was measured, as the fold before an answer: every modality, the strongest moments, and all of it together."""
    blocks = []
    for clip in clips:
        lines = [f"**{words('clip.numbered', number=clip.number)}**"] if len(clips) > 1 else []
        blocks.append("\n".join([*lines, *_lines(clip.analysis, words, linked=len(clips) == 1)]))
    return "\n\n".join(blocks)


def _lines(analysis: Analysis, words: Words, *, linked: bool) -> list[str]:
    found = report.evidence(analysis)
    own = sides(analysis)
    lines = []
    for name in ("face", "voice", "words"):
        one = found[name]
        title = words(f"evidence.{name}")
        if not one.get("present"):
            lines.append(f"- **{title}**: {words('verdict.absent').lower()}, {chat_text(words.phrase(str(one.get('reason', ''))))}")
            continue
        said = [words.emotion(own[name])] if name in own else []
        said += [words.phrase(str(cue)) for cue in one.get("cues", [])[:3]]
        if name == "words":
            said.append(f"“{one['text'][:160]}”")
        lines.append(f"- **{title}**: {chat_text(', '.join(said))}")
    verdict = judge(analysis)
    if verdict is not None:
        label = words.emotion(verdict.label)
        sure = words("time.sure", label=label, tenths=tenths(verdict.confidence))
        lines.append(f"- **{words('time.joined')}**: {sure if verdict.confidence >= SURE else words('verdict.cannot')}")
        rows = sorted(why_rows(analysis, verdict), key=lambda row: -row["strength"])[:SHOWN_MOMENTS]
        times = [
            f"[{clock(row['time_s'])}](#t={row['time_s']:.2f})" if linked and analysis.kind != "image" else clock(row["time_s"])
            for row in sorted(rows, key=lambda row: row["time_s"])
        ]
        if times and analysis.kind != "image":
            lines.append(f"- **{words('verdict.moments')}**: {', '.join(times)}")
    return lines
