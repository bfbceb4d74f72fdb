"""A measured clip as HTML: player, evidence, timeline, transcript. Every string from a clip or a model is escaped here.

Knows the plain data of `exports.report`, not how it was measured; `page/app.js` makes what carries `data-seek` jump in the player.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from emollm.values import MODALITIES

_TITLES = {"face": "Face", "voice": "Voice", "words": "Words"}
_HUES = {
    "happ": "joy", "joy": "joy", "amus": "joy", "content": "joy", "excite": "joy",
    "sad": "sadness", "griev": "sadness", "lonel": "sadness", "disappoint": "sadness",
    "ang": "anger", "frustrat": "anger",
    "fear": "fear", "anxi": "fear", "worr": "fear",
    "disgust": "disgust", "contempt": "disgust",
    "surpris": "surprise",
    "neutral": "neutral", "calm": "neutral",
}  # fmt: skip
_SHOWN_SCORES = 3
_SHOWN_PEOPLE = 3
_TICKS = 5

_PROMISES = {
    "face": "The main person's expression, moment by moment, and the movements it rests on.",
    "voice": "How it sounds: tone, pitch and loudness, wherever someone speaks.",
    "words": "What is said, written down with its times.",
}
EMPTY = (
    '<div class="em-cards">'
    + "".join(f'<section class="em-card em-absent"><h3>{_TITLES[m]}</h3><p>{_PROMISES[m]}</p></section>' for m in MODALITIES)
    + "</div>"
)


def note(text: str, *, alert: bool = False) -> str:
    """A line for the user; `alert` has it read out at once. No text, no line."""
    if not text:
        return ""
    return f'<p class="em-note {"em-alert" if alert else ""}" role="{"alert" if alert else "status"}">{escape(text)}</p>'


def player(path: Path, kind: str) -> str:
    """The clip itself, by the kind found in its content."""
    address = f"gradio_api/file={quote(str(path))}"
    if kind == "image":
        return f'<img class="em-player" src="{address}" alt="Your picture">'
    tag = "audio" if kind == "audio" else "video"
    return (
        f'<{tag} class="em-player em-{tag}" src="{address}" controls playsinline preload="auto" aria-label="Your clip"></{tag}>'
        '<p class="em-unplayable" hidden>This browser cannot play the format; what was measured is not affected.</p>'
    )


def evidence(found: Mapping[str, Mapping[str, Any]], warnings: Sequence[str] = ()) -> str:
    """One card per modality, and the clip's warnings."""
    cards = "".join(_card(modality, found.get(modality, {})) for modality in MODALITIES)
    lines = "".join(f"<li>{escape(w)}</li>" for w in warnings)
    return f'<div class="em-cards">{cards}</div>' + (f'<ul class="em-warnings" aria-label="Warnings">{lines}</ul>' if lines else "")


def _card(modality: str, found: Mapping[str, Any]) -> str:
    title = _TITLES[modality]
    if not found.get("present"):
        reason = escape(str(found.get("reason", "not measured")))
        return f'<section class="em-card em-absent" aria-label="{title}"><h3>{title}</h3><p>Not used: {reason}</p></section>'
    body = [f"<h3>{title}</h3>"]
    label, scores = found.get("label"), found.get("scores") or {}
    if label:
        body.append(f'<p class="em-verdict em-{_hue(str(label))}">{escape(str(label))}</p>')
    if scores:
        ranked = sorted(scores.items(), key=lambda item: -item[1])[:_SHOWN_SCORES]
        body.append(f'<ul class="em-scores" aria-label="Confidence">{"".join(_bar(*item) for item in ranked)}</ul>')
    if found.get("text"):
        body.append(f'<blockquote dir="auto">{escape(str(found["text"]))}</blockquote>')
    if found.get("cues"):
        body.append('<ul class="em-cues" aria-label="Cues">' + "".join(f"<li>{escape(str(cue))}</li>" for cue in found["cues"]) + "</ul>")
    if found.get("moves"):
        rows = "".join(f"<li>{clock(row['start_s'], tenths=True)} {escape(', '.join(row['what']))}</li>" for row in found["moves"])
        body.append(f'<ul class="em-moves" aria-label="Movements">{rows}</ul>')
    details = _details(found)
    if details:
        body.append(f'<p class="em-details">{escape(details)}</p>')
    return f'<section class="em-card" aria-label="{title}">{"".join(body)}</section>'


def _bar(label: str, score: float) -> str:
    share = f"{max(0.0, min(1.0, score)) * 100:.0f}"
    return (
        f'<li class="em-{_hue(label)}"><span>{escape(label)}</span>'
        f'<span class="em-bar" aria-hidden="true"><i style="width:{share}%"></i></span><span>{share}&nbsp;%</span></li>'
    )


def _details(found: Mapping[str, Any]) -> str:
    parts = []
    if found.get("faces", 1) > 1:
        parts.append(f"{found['faces']} faces; the main one is described")
    if found.get("pitch_hz") is not None:
        parts.append(f"pitch {found['pitch_hz']:.0f} Hz")
    if found.get("pitch_range_st") is not None:
        parts.append(f"range {found['pitch_range_st']:.0f} semitones")
    if found.get("language"):
        parts.append(f"language: {found['language']}")
    return ", ".join(parts)


def timeline(rows: Sequence[Mapping[str, Any]], duration_s: float) -> str:
    """A strip per modality (and person); each stretch is a button that jumps there."""
    if not rows or duration_s <= 0:
        return ""
    people = sorted({row.get("person", 0) for row in rows if row["modality"] == "face"})[:_SHOWN_PEOPLE]
    strips = []
    for person in people:
        title = "Face" if len(people) == 1 else f"Face {person + 1}"
        strips.append(_strip(title, [r for r in rows if r["modality"] == "face" and r.get("person", 0) == person], duration_s))
    for modality in ("voice", "words"):
        strips.append(_strip(_TITLES[modality], [r for r in rows if r["modality"] == modality], duration_s))
    ticks = "".join(
        f'<span style="left:{100 * i / (_TICKS - 1):.1f}%">{clock(duration_s * i / (_TICKS - 1), tenths=duration_s < 60)}</span>'
        for i in range(_TICKS)
    )
    return (
        f'<section class="em-timeline" aria-label="Timeline" data-duration="{duration_s:.2f}"><h2>Timeline</h2>{"".join(strips)}'
        f'<div class="em-row" aria-hidden="true"><span></span><div class="em-ticks">{ticks}</div></div></section>'
    )


def _strip(title: str, rows: Sequence[Mapping[str, Any]], duration_s: float) -> str:
    if not rows:
        return ""
    return (
        f'<div class="em-row"><span>{title}</span><div class="em-track">{"".join(_stretch(title, r, duration_s) for r in rows)}</div></div>'
    )


def _stretch(title: str, row: Mapping[str, Any], duration_s: float) -> str:
    start, end = max(0.0, row["start_s"]), min(duration_s, row["end_s"])
    label, text = row.get("label") or "", row.get("text") or ""
    said = text.strip() or f"{label} {row['score'] * 100:.0f} %" if row.get("score") is not None or text else label
    spoken = escape(f"{title}, {clock(start)} to {clock(end)}: {said}", quote=True)
    place = f"left:{100 * start / duration_s:.2f}%;width:{max(0.6, 100 * (end - start) / duration_s):.2f}%"
    return (
        f'<button type="button" class="em-stretch em-{_hue(label)}" data-seek="{start:.2f}" title="{spoken}" aria-label="{spoken}" '
        f'style="{place}">{escape(label or text)}</button>'
    )


def transcript(spoken: Mapping[str, Any] | None) -> str:
    """What was said, line by line with its time."""
    if not spoken or not spoken["segments"]:
        return ""
    lines = "".join(_line(s["start_s"], s["text"].strip()) for s in spoken["segments"])
    language = escape(spoken["language"], quote=True)
    return f'<section class="em-transcript" aria-label="Transcript"><h2>Transcript</h2><ol lang="{language}">{lines}</ol></section>'


def _line(start_s: float, text: str) -> str:
    time = clock(start_s)
    return (
        f'<li><button type="button" data-seek="{start_s:.2f}" aria-label="Play from {time}">{time}</button>'
        f'<span dir="auto">{escape(text)}</span></li>'
    )


def clock(seconds: float, *, tenths: bool = True) -> str:
    """Seconds as 0:03.4, or as 0:03 without tenths."""
    whole = round(seconds, 1) if tenths else float(round(seconds))
    minutes, rest = divmod(whole, 60)
    return f"{int(minutes)}:{rest:04.1f}" if tenths else f"{int(minutes)}:{int(rest):02d}"


def _hue(label: str) -> str:
    """Name of the colour for a label; unknown labels share one."""
    return next((hue for stem, hue in _HUES.items() if label.lower().startswith(stem)), "other")


def chat_text(text: str) -> str:
    """A message as markdown in which no HTML and no picture can hide."""
    return escape(text, quote=False).replace("![", "!\\[")
