"""Hand-written pieces of the page around a clip: head, tray of clips, progress by stage, the empty stage, the crisis note."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from html import escape
from pathlib import Path

from emollm.app.standby import State
from emollm.app.visits import Open, Visit
from emollm.exports.panels import clip_details, clip_panels
from emollm.texts import Words, languages
from emollm.values import MODALITIES

STEPS = ("read", "face", "voice", "think")
_BEGINS = {
    "read": ("reading", "decoding"),
    "face": ("following faces", "finding faces"),
    "voice": ("listening",),
}  # what a backend says -> stage
_MOST_NAME = 28
SECONDS_A_LINE = 0.7  # of words that are read, on two cores


def head(words: Words) -> str:
    """Name, tagline, languages, dark or light."""
    buttons = "".join(
        f'<button type="button" data-do="language" data-with="{code}" lang="{code}" aria-pressed="{str(code == words.language).lower()}">'
        f"{escape(name)}</button>"
        for code, name in languages().items()
    )
    return (
        f'<a class="em-skip" href="#emollm-question">{escape(words("head.skip"))}</a>'
        f'<header class="em-header"><div><h1>{escape(words("head.title"))}</h1><p>{escape(words("head.tagline"))}</p></div>'
        f'<div class="em-choices"><div role="group" aria-label="{escape(words("head.language"), quote=True)}">{buttons}</div>'
        f'<button type="button" class="em-theme" data-do="theme" aria-label="{escape(words("head.dark"), quote=True)}" '
        f'title="{escape(words("head.dark"), quote=True)}"></button></div></header>'
    )


def status(state: State, words: Words) -> str:
    """A line that says whether the model is there."""
    kind = "em-ready"
    if state.loading is not None and state.ready:
        text, kind = words("status.switching", system=state.loading[0], scale=state.loading[1]), "em-waits"
    elif not state.ready:
        text, kind = (words("status.failed", reason=state.fault), "em-failed") if state.fault else (words("status.starting"), "em-waits")
    else:
        text = words("status.ready", system=state.system, scale=state.scale)
    return f'<p class="em-status {kind}" role="status"><i aria-hidden="true"></i>{escape(text)}</p>'


def say_pane(words: Words, most_bytes: int) -> str:
    """Texts that the page's script shows by itself, as attributes."""
    said = {
        "lost": words("talk.lost"), "big": words("talk.too_big"), "open": words("keep.open"), "forget": words("keep.forget"),
        "none": words("keep.history_none"), "note": words("keep.history_note"), "copied": words("settings.copied"),
        "keeping": words("keep.keep_history"), "lang": words.language, "drop": words("clip.drop"), "more": words("clip.more"),
    }  # fmt: skip
    attributes = " ".join(f'data-{name}="{escape(text, quote=True)}"' for name, text in said.items())
    return f'<div id="emollm-say" hidden {attributes} data-most="{most_bytes}"></div>'


def handed(kind: str, content: str) -> str:
    """Something for the page's script: a conversation to be kept ("record") or a file to be saved ("parcel"). Each is taken once."""
    if not content:
        return ""
    given = escape(content, quote=True)
    return f'<div hidden class="em-handed" data-kind="{kind}" data-id="{secrets.token_hex(8)}" data-content="{given}"></div>'


def tray(visit: Visit, words: Words) -> str:
    """The clips that are open: press one to show it, the cross to take it out; compare where there are two."""
    if not visit.clips:
        return ""
    chips = []
    for clip in visit.clips:
        name, number = clip.path.name, clip.number
        short = name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 9]}…{name[-8:]}"
        pressed = str(number in visit.chosen).lower()
        chips.append(
            f'<li><button type="button" class="em-chip" data-do="choose" data-with="{number}" aria-pressed="{pressed}" '
            f'aria-label="{escape(words("clip.open", number=number, name=name), quote=True)}"><b>{number}</b> {escape(short)}</button>'
            f'<button type="button" class="em-cross" data-do="close" data-with="{number}" '
            f'aria-label="{escape(words("clip.close", number=number, name=name), quote=True)}">×</button></li>'
        )
    compare = ""
    if len(visit.clips) > 1:
        on = len(visit.chosen) > 1
        label = words("clip.compare_off" if on else "clip.compare")
        compare = f'<button type="button" class="em-compare" data-do="compare" aria-pressed="{str(on).lower()}">{escape(label)}</button>'
    told = f'<p class="em-soft">{escape(words("clip.comparing"))}</p>' if len(visit.chosen) > 1 else ""
    return f'<nav class="em-tray" aria-label="{escape(words("clip.tray"), quote=True)}"><ul>{"".join(chips)}</ul>{compare}</nav>{told}'


def stage(visit: Visit, words: Words, address: Callable[[Path], str]) -> str:
    """The chosen clip, two side by side, or what will be seen here."""
    clips = visit.shown()
    if not clips:
        return _empty(words)
    if len(clips) == 1:
        return clip_panels(clips[0].analysis, address(clips[0].path), words)
    both = [clip_panels(clip.analysis, address(clip.path), words, title=f"{clip.number} · {clip.path.name}") for clip in clips[:2]]
    return f'<div class="em-pair">{"".join(both)}</div>'


def detail(visit: Visit, words: Words) -> str:
    """What was measured in the chosen clip; where two are compared, their timelines say it."""
    clips = visit.shown()
    return clip_details(clips[0].analysis, words) + _unread(clips[0], words) if len(clips) == 1 else ""


def _unread(clip: Open, words: Words) -> str:
    """A button that has the model read what is said, where it has not; that takes it a while, so it is not done unasked."""
    said = clip.analysis.words.segments if clip.analysis.words is not None else ()
    if not said or any(segment.scores for segment in said):
        return ""
    told = f'<span class="em-soft">{escape(words("words.about", seconds=max(1, round(len(said) * SECONDS_A_LINE))))}</span>'
    button = f'<button type="button" class="em-link" data-do="read" data-with="{clip.number}">{escape(words("words.read"))}</button>'
    return f'<p class="em-unread">{button} {told}</p>'


def _empty(words: Words) -> str:
    texts = [(words(f"evidence.{name}"), words(f"clip.empty_{name}")) for name in MODALITIES]
    cards = "".join(f'<section class="em-card em-absent"><h3>{escape(h)}</h3><p>{escape(text)}</p></section>' for h, text in texts)
    return f'<div class="em-clip em-nothing"><h2>{escape(words("clip.empty_title"))}</h2><div class="em-cards">{cards}</div></div>'


def looking(name: str, doing: str, share: float, words: Words, *, waiting: bool) -> str:
    """Progress by stage while a clip is measured, with a bar."""
    if waiting:
        return f'<div class="em-looking" role="status"><p>{escape(words("looking.wait"))}</p></div>'
    now = next((step for step, begins in _BEGINS.items() if doing.startswith(begins)), "think" if share >= 0.99 else "read")
    at = STEPS.index(now)
    kinds = ['class="em-done"'] * at + ['class="em-doing" aria-current="step"'] + [""] * (len(STEPS) - at - 1)
    steps = "".join(f"<li {kind}>{escape(words(f'looking.{step}'))}</li>" for kind, step in zip(kinds, STEPS, strict=True))
    width = 100 * min(1.0, max(0.03, share))
    return (
        f'<div class="em-looking" role="status"><p>{escape(words("looking.title", name=name))}'
        f'<button type="button" class="em-halt" data-do="stop">{escape(words("looking.stop"))}</button></p>'
        f'<div class="em-progress" aria-hidden="true"><i style="width:{width:.0f}%"></i></div><ol>{steps}</ol></div>'
    )


def reading(name: str, share: float, words: Words) -> str:
    """Progress while the model reads what is said in a clip."""
    return (
        f'<div class="em-looking" role="status"><p>{escape(words("words.reading", name=name))}'
        f'<button type="button" class="em-halt" data-do="stop">{escape(words("looking.stop"))}</button></p>'
        f'<div class="em-progress" aria-hidden="true"><i style="width:{100 * max(0.03, share):.0f}%"></i></div></div>'
    )


def care(words: Words) -> str:
    """Where to find help, shown above the conversation after words of crisis."""
    return f'<aside class="em-care" role="alert"><b>{escape(words("talk.crisis_title"))}</b><p>{escape(words("talk.crisis"))}</p></aside>'


def line(words: Words) -> str:
    """The footer: the three things everybody should know, always in sight."""
    more = f'<button type="button" class="em-link" data-do="about">{escape(words("trust.more"))}</button>'
    told = "".join(f"<p>{escape(words(key))}</p>" for key in ("trust.line", "trust.not_for"))
    return f'<footer class="em-footer" role="contentinfo">{told}<p>{escape(words("trust.local"))} {more}</p></footer>'
