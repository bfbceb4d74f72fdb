"""A measured clip as HTML: the player with face boxes, how it comes across, what was measured, the transcript.

Every string from a clip or a model is escaped here. Knows an `Analysis`, not how it was measured, and no page around it; `page/clip.js`
links player, timeline and everything that carries `data-seek`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from emollm.exports import report
from emollm.exports.lanes import sound, timeline
from emollm.exports.marks import clock, hue, seek, tenths
from emollm.exports.why import why_rows
from emollm.texts import Words
from emollm.values import MODALITIES, Analysis
from emollm.verdict import EMOTIONS, SURE, Disagreement, Verdict, judge

SIDE_PX = 960  # longest side of the pictures that boxes were found in
BOXES = 900  # most boxes a person, thinned out evenly beyond that
FAIR, CLEAR = 0.6, 0.8  # confidence from which a verdict is called fairly clear, or clear
SHOWN_SCORES, SHOWN_MOMENTS, SHOWN_MOVES = 3, 4, 6
_LEAST_OTHER = 0.08


def clip_panels(analysis: Analysis, address: str, words: Words, *, title: str = "") -> str:
    """What there is to see of one clip: player, how it comes across, timeline.

    Args:
        analysis: What was measured.
        address: Where the player finds the clip; empty for no player.
        words: Texts.
        title: Heading, such as the clip's name, where several are shown.
    """
    verdict = judge(analysis)
    heading = f'<h2 class="em-clip-title">{escape(title)}</h2>' if title else ""
    parts = [heading, player(analysis, address, words) if address else "", verdict_line(analysis, verdict, words)]
    parts.append(timeline(analysis, verdict, words))
    return f'<article class="em-clip" aria-label="{escape(title or words("clip.yours"), quote=True)}">{"".join(parts)}</article>'


def clip_details(analysis: Analysis, words: Words) -> str:
    """What was measured in one clip: the moments that carried the verdict, every modality, the transcript."""
    parts = [carried(analysis, judge(analysis), words), evidence(analysis, words), transcript(analysis, words)]
    return f'<div class="em-detail em-look">{"".join(parts)}</div>'


def player(analysis: Analysis, address: str, words: Words) -> str:
    """The clip itself, by the kind found in its content, with boxes around the faces."""
    source = escape(address, quote=True)
    boxes = '<svg class="em-boxes" aria-hidden="true"></svg>'
    if analysis.kind == "image":
        screen = f'<img class="em-media" src="{source}" alt="{escape(words("clip.picture"), quote=True)}">{boxes}'
        return f'<figure class="em-stage" {_people(analysis, words)}><div class="em-screen">{screen}</div></figure>'
    tag = "audio" if analysis.kind == "audio" else "video"
    media = f'<{tag} class="em-media" src="{source}" playsinline aria-label="{escape(words("clip.yours"), quote=True)}"></{tag}>'
    if tag == "audio":
        curve = analysis.voice is not None and analysis.voice.curve is not None
        shapes = sound(analysis.voice, max(analysis.duration_s, 0.1)) if curve and analysis.voice is not None else ""
        screen = f'{media}<svg class="em-wave" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">{shapes}</svg>'
    else:
        screen = media + boxes
    unplayable = f'<p class="em-unplayable" hidden>{escape(words("clip.unplayable"))}</p>'
    return (
        f'<figure class="em-stage em-stage-{tag}" {_people(analysis, words)}><div class="em-screen">{screen}</div>{unplayable}'
        f"{_bar(analysis, words)}</figure>"
    )


def _bar(analysis: Analysis, words: Words) -> str:
    def button(act: str, label: str, other: str = "", shown: str = "") -> str:
        said, turned = escape(words(label), quote=True), escape(words(other), quote=True) if other else ""
        extra = f' data-other="{turned}"' if turned else ""
        return (
            f'<button type="button" class="em-key em-key-{act}" data-act="{act}" aria-label="{said}" title="{said}"{extra}>{shown}</button>'
        )

    keys = [button("play", "play.play", "play.pause")]
    keys.append(f'<span class="em-now"><b>{clock(0)}</b> / {clock(analysis.duration_s)}</span><span class="em-gap"></span>')
    if analysis.faces and analysis.kind == "video":
        keys.append(f'<label class="em-check"><input type="checkbox" data-act="boxes" checked> {escape(words("play.boxes"))}</label>')
    keys.append(button("speed", "play.speed", shown="1×"))
    keys.append(button("mute", "play.mute", "play.unmute"))
    if analysis.kind == "video":
        keys.append(button("full", "play.full"))
    return f'<div class="em-bar">{"".join(keys)}</div>'


def _people(analysis: Analysis, words: Words) -> str:
    """Boxes of every face over time, as attributes for the script that draws them."""
    people = []
    for person, face in enumerate(analysis.faces):
        every = max(1, -(-len(face.track.times_s) // BOXES))
        tops = face.scores.argmax(1)[::every]
        people.append(
            {
                "name": words("play.person", number=person + 1) if len(analysis.faces) > 1 else "",
                "main": words("play.main") if person == 0 and len(analysis.faces) > 1 else "",
                "times": np.round(face.track.times_s[::every], 3).tolist(),
                "boxes": np.round(face.track.boxes[::every]).astype(int).tolist(),
                "shown": [words.emotion(label) for label in face.labels],
                "hues": [hue(label) for label in face.labels],
                "tops": tops.tolist(),
            }
        )
    plain = escape(json.dumps(people, separators=(",", ":"), ensure_ascii=False), quote=True)
    return f'data-people="{plain}" data-side="{SIDE_PX}" data-duration="{analysis.duration_s:.3f}"'


def verdict_line(analysis: Analysis, verdict: Verdict | None, words: Words) -> str:
    """The headline: one emotion with how clear it is, or "cannot tell"; and what each modality says by itself."""
    title = f'<h2 class="em-small">{escape(words("verdict.title"))}</h2>'
    if verdict is None:
        told = f'<p class="em-answer">{escape(words("verdict.cannot"))}</p><p class="em-why">{escape(words("verdict.nothing"))}</p>'
        return f'<section class="em-verdict">{title}{told}</section>'
    share, label = verdict.confidence, words.emotion(verdict.label)
    ranked = sorted(zip(EMOTIONS, verdict.scores.tolist(), strict=True), key=lambda one: -one[1])
    others = [words("verdict.share", label=words.emotion(n), tenths=tenths(v)) for n, v in ranked[1:3] if v >= _LEAST_OTHER]
    if share < SURE:
        closest = [words("verdict.share", label=words.emotion(n), tenths=tenths(v)) for n, v in ranked[:2]]
        body = f'<p class="em-answer">{escape(words("verdict.cannot"))}</p>'
        why = f"{words('verdict.cannot_why')} {words('verdict.closest', list=words.joined(closest))}."
        dots = 0
    else:
        dots = 1 + (share >= FAIR) + (share >= CLEAR)
        degree = words(("verdict.hint", "verdict.fair", "verdict.clear")[dots - 1])
        marks = f'<span class="em-dots" aria-hidden="true">{"".join(_dot(i < dots) for i in range(3))}</span>'
        body = f'<p class="em-answer em-{hue(verdict.label)}"><b>{escape(label)}</b>{marks}<span>{escape(degree)}</span></p>'
        why = words("verdict.tenths", tenths=tenths(share), label=label)
        why += f" {words('verdict.others', list=words.joined(others))}" if others else ""
    return f'<section class="em-verdict">{title}{body}<p class="em-why">{escape(why)}</p>{_sides(analysis, verdict, words)}</section>'


def _dot(full: bool) -> str:
    return f'<i class="em-dot{" em-full" if full else ""}"></i>'


def sides(analysis: Analysis) -> dict[str, str]:
    """Modality -> its own leading label over the clip; a modality that was not judged has no entry."""
    found = {name: str(one["label"]) for name, one in report.evidence(analysis).items() if one.get("label")}
    scores: dict[str, float] = {}
    for segment in analysis.words.segments if analysis.words is not None else ():
        for name, value in segment.scores.items():
            scores[name] = scores.get(name, 0.0) + value
    return found | ({"words": max(scores, key=lambda name: scores[name])} if scores else {})


def _sides(analysis: Analysis, verdict: Verdict, words: Words) -> str:
    """What each modality says, and the moments where two tell different things."""
    found = sides(analysis)
    chips = "".join(
        f'<li class="em-{hue(label)}"><i></i>{escape(words.modality(name))}: <b>{escape(words.emotion(label))}</b></li>'
        for name, label in found.items()
    )
    same = len({"neutral" if label == "calm" else label for label in found.values()}) == 1
    if len(found) < 2:
        told = words("verdict.only", modality=words.modality(next(iter(found)))) if found else ""
    else:
        told = words("verdict.agree" if same else "verdict.differ")
    clashes = "".join(
        f"<li>{seek(c.start_s, _clash(c, words) + ', ' + clock(c.start_s))} {escape(_clash(c, words))}</li>"
        for c in verdict.disagreements[:3]
    )
    listed = f'<ul class="em-clashes">{clashes}</ul>' if clashes else ""
    kind = "" if same or len(found) < 2 else " em-differ"
    return f'<div class="em-sides{kind}"><p>{escape(told)}</p><ul class="em-chips">{chips}</ul>{listed}</div>'


def _clash(clash: Disagreement, words: Words) -> str:
    (first, one), (second, other) = clash.first, clash.second
    names = {"first": words.modality(first), "first_label": words.emotion(one), "second": words.modality(second)}
    return words("verdict.clash", second_label=words.emotion(other), **names)


def carried(analysis: Analysis, verdict: Verdict | None, words: Words) -> str:
    """The moments that carried the verdict, each with what was measured there; a button jumps to it."""
    if verdict is None:
        return ""
    rows = sorted(why_rows(analysis, verdict), key=lambda row: -row["strength"])[:SHOWN_MOMENTS]
    found = []
    for row in sorted(rows, key=lambda row: row["time_s"]):
        label = words.emotion(row["label"])
        units = dict.fromkeys(_unit(name, words) for name in row.get("units", {}))
        parts = [f"<b>{escape(words.modality(row['modality']))}: {escape(label)}</b>", escape(", ".join(list(units)[:3]))]
        if row.get("words"):
            parts.append(f'<q dir="auto">{escape(row["words"])}</q>')
        button = seek(row["time_s"], f"{clock(row['time_s'])}: {words.modality(row['modality'])} {label}")
        found.append(f'<li class="em-{hue(row["label"])}">{button}<span>{" · ".join(p for p in parts if p)}</span></li>')
    if not found:
        return ""
    return f'<section class="em-carried"><h2>{escape(words("verdict.moments"))}</h2><ul>{"".join(found)}</ul></section>'


def _unit(name: str, words: Words) -> str:
    base = name.removesuffix("Left").removesuffix("Right")
    try:
        return words(f"unit.{base}")
    except KeyError:  # a unit that the timeline does not name either
        return name


def evidence(analysis: Analysis, words: Words) -> str:
    """One card per modality, and the clip's notes."""
    found = report.evidence(analysis)
    cards = "".join(_card(name, found[name], analysis, words) for name in MODALITIES)
    notes = "".join(f"<li>{escape(words.phrase(note.partition(': ')[2] or note))}</li>" for note in analysis.warnings)
    listed = f'<ul class="em-notes" aria-label="{escape(words("evidence.warnings"), quote=True)}">{notes}</ul>' if notes else ""
    return f'<section class="em-evidence"><h2>{escape(words("evidence.title"))}</h2><div class="em-cards">{cards}</div>{listed}</section>'


def _card(name: str, found: Mapping[str, Any], analysis: Analysis, words: Words) -> str:
    title = words(f"evidence.{name}")
    head = f'<section class="em-card{{}}" aria-label="{escape(title, quote=True)}"><h3>{escape(title)}</h3>'
    if not found.get("present"):
        reason = escape(words.phrase(str(found.get("reason", "not measured"))))
        return f"{head.format(' em-absent')}<p>{escape(words('verdict.absent'))}: {reason}</p></section>"
    body: list[str] = []
    scores = dict(found.get("scores") or {})
    if scores:
        top = max(scores, key=lambda one: scores[one])
        body.append(f'<p class="em-leading em-{hue(top)}">{escape(words.emotion(top))}</p>')
        ranked = sorted(scores.items(), key=lambda one: -one[1])[:SHOWN_SCORES]
        body.append(f'<ul class="em-scores">{"".join(_score(label, score, words) for label, score in ranked)}</ul>')
    if found.get("text"):
        read = sides(analysis).get("words")
        told = words("evidence.read", label=words.emotion(read)) if read else words("evidence.not_read")
        body.append(f'<blockquote dir="auto">{escape(str(found["text"]))}</blockquote><p class="em-details">{escape(told)}</p>')
    if found.get("cues"):
        body.append('<ul class="em-cues">' + "".join(f"<li>{escape(words.phrase(str(cue)))}</li>" for cue in found["cues"]) + "</ul>")
    details = _details(found, words)
    if details:
        body.append(f'<p class="em-details">{escape(details)}</p>')
    if found.get("moves"):
        body.append(_moves(found["moves"], words))
    return f"{head.format('')}{''.join(body)}</section>"


def _moves(moves: Sequence[Mapping[str, Any]], words: Words) -> str:
    found = [(row["start_s"], ", ".join(words.phrase(one) for one in row["what"][:3])) for row in moves[:SHOWN_MOVES]]
    rows = "".join(f"<li>{seek(at, clock(at))}<span>{escape(what)}</span></li>" for at, what in found)
    return f'<p class="em-details">{escape(words("evidence.movements"))}</p><ul class="em-moves">{rows}</ul>'


def _score(label: str, score: float, words: Words) -> str:
    share = f"{max(0.0, min(1.0, score)) * 100:.0f}"
    bar = f'<span class="em-meter" aria-hidden="true"><i style="width:{share}%"></i></span>'
    return f'<li class="em-{hue(label)}"><span>{escape(words.emotion(label))}</span>{bar}<span>{share}&nbsp;%</span></li>'


def _details(found: Mapping[str, Any], words: Words) -> str:
    parts = []
    if found.get("faces", 1) > 1:
        parts.append(words("evidence.faces", number=found["faces"]))
    if found.get("pitch_hz") is not None:
        parts.append(words("evidence.pitch", value=f"{found['pitch_hz']:.0f}"))
    if found.get("pitch_range_st") is not None:
        parts.append(words("evidence.range", value=f"{found['pitch_range_st']:.0f}"))
    if found.get("language"):
        parts.append(words("evidence.language", value=found["language"]))
    return ", ".join(parts)


def transcript(analysis: Analysis, words: Words) -> str:
    """What was said, line by line with its time."""
    if analysis.words is None or not analysis.words.segments:
        return ""
    lines = "".join(
        f'<li>{seek(s.start_s, words("transcript.from", time=clock(s.start_s)))}<span dir="auto">{escape(s.text.strip())}</span></li>'
        for s in analysis.words.segments
    )
    language = escape(analysis.words.language, quote=True)
    return f'<section class="em-transcript"><h2>{escape(words("transcript.title"))}</h2><ol lang="{language}">{lines}</ol></section>'


def note(text: str, *, alert: bool = False) -> str:
    """A line for the user; `alert` has it read out at once. No text, no line."""
    if not text:
        return ""
    return f'<p class="em-note{" em-alert" if alert else ""}" role="{"alert" if alert else "status"}">{escape(text)}</p>'
