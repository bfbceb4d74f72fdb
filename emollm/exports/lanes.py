"""The timeline of a clip as HTML: one lane each for all signs together, every face, its movements, the voice and the words.

Static marks on a common scale; `page/clip.js` moves the playhead and makes the whole a slider. Every string from a clip is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from emollm.exports import report
from emollm.exports.marks import clock, hue, place, tenths
from emollm.texts import Words
from emollm.units import INDEX, PAIRED
from emollm.values import Analysis, FaceReading, Floats, Segment, VoiceReading
from emollm.verdict import Verdict

UNITS_SHOWN = 4
PEOPLE_SHOWN = 4
LEAST_RISE = 0.12  # of a unit over its resting level, to be worth a row
WORDWISE_S = 60.0  # in longer clips words are shown line by line
PAUSE_S = 0.25  # between two phrases
POINTS = 400  # of a curve
_SHOWN_UNITS = (
    "browInnerUp", "browOuterUp", "browDown", "eyeWide", "eyeSquint", "cheekSquint", "noseSneer", "mouthSmile", "mouthFrown",
    "mouthUpperUp", "mouthLowerDown", "mouthStretch", "mouthShrugLower", "jawOpen", "mouthPress",
)  # fmt: skip
_TICKS = 5
_QUIET_DB, _LOUD_DB = -60.0, -12.0
_LOW_HZ, _HIGH_HZ = 70.0, 450.0


def timeline(analysis: Analysis, verdict: Verdict | None, words: Words) -> str:
    """All lanes; nothing for a picture, which has no time."""
    end = analysis.duration_s
    if analysis.kind == "image" or end <= 0:
        return ""
    lanes = [_joined(verdict, end, words)] if verdict is not None else []
    for person, face in enumerate(analysis.faces[:PEOPLE_SHOWN]):
        lanes.append(_lane(_who(person, len(analysis.faces), words), _stretches(report.face_stretches(face, end), end, words)))
        if person == 0:
            lanes += _units(face, end, words)
    if analysis.voice is not None:
        lanes.append(_voice(analysis.voice, end, words))
    if analysis.words is not None:
        lanes.append(_lane(words("time.words"), _words(analysis, end), "em-said"))
    if not lanes:
        return ""
    ticks = "".join(
        f'<span style="left:{100 * i / (_TICKS - 1):.1f}%">{clock(end * i / (_TICKS - 1), tenths=end < 60)}</span>' for i in range(_TICKS)
    )
    spoken = escape(words("play.position"), quote=True)
    return (
        f'<section class="em-time" data-duration="{end:.3f}" aria-label="{escape(words("time.title"), quote=True)}">'
        f'<div class="em-lanes">{"".join(lanes)}'
        f'<div class="em-lane em-axis" aria-hidden="true"><span></span><div class="em-track">{ticks}</div></div>'
        f'<div class="em-scrub" role="slider" tabindex="0" aria-label="{spoken}" aria-valuemin="0" aria-valuemax="{end:.1f}" '
        f'aria-valuenow="0" aria-valuetext="{clock(0)}"><i class="em-head"></i></div></div></section>'
    )


def _who(person: int, people: int, words: Words) -> str:
    if people == 1:
        return words("time.face")
    return words("time.main" if person == 0 else "time.person", number=person + 1)


def _lane(name: str, marks: str, kind: str = "") -> str:
    title = f'<span title="{escape(name, quote=True)}">{escape(name)}</span>'
    return f'<div class="em-lane {kind}">{title}<div class="em-track">{marks}</div></div>'


def _mark(start_s: float, end_s: float, duration_s: float, text: str, title: str, kind: str) -> str:
    where = place(start_s, end_s, duration_s)
    return f'<span class="{kind}" style="{where}" title="{escape(title, quote=True)}">{escape(text)}</span>'


def _stretches(rows: Sequence[Mapping[str, Any]], end: float, words: Words) -> str:
    found = []
    for row in rows:
        label = words.emotion(row["label"])
        title = f"{clock(row['start_s'])}–{clock(row['end_s'])}: {words('time.sure', label=label, tenths=tenths(row['score']))}"
        found.append(_mark(row["start_s"], row["end_s"], end, label, title, f"em-stretch em-{hue(row['label'])}"))
    return "".join(found)


def _joined(verdict: Verdict, end: float, words: Words) -> str:
    lead = min((m.person for m in verdict.moments if m.person is not None), default=None)
    marks = []
    for moment in verdict.moments:
        if moment.person == lead:
            label, share = words.emotion(moment.label), tenths(moment.confidence)
            title = f"{clock(moment.start_s)}–{clock(moment.end_s)}: {words('time.sure', label=label, tenths=share)}"
            kind = f"em-stretch em-{hue(moment.label)} em-sure-{1 + round(2 * moment.confidence)}"
            marks.append(_mark(moment.start_s, moment.end_s, end, label, title, kind))
    for clash in verdict.disagreements:
        title = words("time.clash", first=words.modality(clash.first[0]), second=words.modality(clash.second[0]))
        marks.append(_mark(clash.start_s, clash.end_s, end, "", title, "em-clash"))
    for peak in verdict.peaks:
        title = words("time.peak", label=words.emotion(peak.label), modality=words.modality(peak.modality))
        marks.append(_mark(peak.time_s, peak.time_s, end, "", title, "em-peak"))
    return _lane(words("time.joined"), "".join(marks), "em-lane-joined")


def strongest_units(face: FaceReading) -> list[tuple[str, Floats]]:
    """Units without side that move most over the face's own rest, each [n], the stronger side; strongest first."""
    if face.units is None or len(face.units) < 4:
        return []
    curves = []
    for name in _SHOWN_UNITS:
        sides = [name + side for side in ("Left", "Right")] if name in PAIRED else [name]
        curve = face.units[:, [INDEX[one] for one in sides]].max(1)
        curves.append((name, np.clip(curve - np.percentile(curve, 20), 0, 1)))
    moving = [one for one in curves if np.percentile(one[1], 97) >= LEAST_RISE]
    return sorted(moving, key=lambda one: -float(np.percentile(one[1], 97)))[:UNITS_SHOWN]


def _units(face: FaceReading, end: float, words: Words) -> list[str]:
    return [
        _lane(words(f"unit.{name}"), _svg(area(face.track.times_s, curve, end, float), "em-unit-curve"), "em-lane-unit")
        for name, curve in strongest_units(face)
    ]


def _voice(voice: VoiceReading, end: float, words: Words) -> str:
    marks = ""
    if voice.curve is not None:
        marks += _svg(sound(voice, end), "em-sound-curve")
    rows = [
        {"start_s": a, "end_s": b, "label": voice.labels[int(scores.argmax())], "score": float(scores.max())}
        for a, b in voice.spans_s
        for scores in [report.voice_during(voice, a, b)]
    ]
    return _lane(words("time.voice"), marks + _stretches(rows, end, words), "em-lane-voice")


def sound(voice: VoiceReading, end: float) -> str:
    """Loudness as an area and pitch as dots, as SVG shapes on a field of 1000 by 100."""
    assert voice.curve is not None
    curve = voice.curve
    shapes = area(curve.times_s, curve.level_db, end, lambda v: (float(v) - _QUIET_DB) / (_LOUD_DB - _QUIET_DB))
    every = max(1, len(curve.times_s) // POINTS)
    span = np.log(_HIGH_HZ / _LOW_HZ)
    dots = "".join(
        f"M{1000 * t / end:.1f} {100 - 100 * np.clip(np.log(hz / _LOW_HZ) / span, 0.03, 0.97):.1f}h0"
        for t, hz in zip(curve.times_s[::every], curve.pitch_hz[::every], strict=True)
        if np.isfinite(hz) and hz > 0
    )
    return shapes + (f'<path class="em-pitch" d="{dots}"/>' if dots else "")


def area(times_s: Floats, values: Floats, end: float, level: Callable[[float], float]) -> str:
    """A filled curve on a field of 1000 by 100; it falls to the ground where nothing was measured."""
    every = max(1, -(-len(times_s) // POINTS))
    times, heights = np.asarray(times_s, float)[::every], [min(1.0, max(0.0, level(v))) for v in values[::every]]
    step = float(np.median(np.diff(times))) if len(times) > 1 else end
    points, last = [], None
    for t, height in zip(times, heights, strict=True):
        x = 1000 * float(t) / end
        if last is None or t - last > 3 * step:
            if last is not None:
                points.append(f"L{1000 * (last + step) / end:.1f} 100")
            points.append(f"{'M' if last is None else 'L'}{x:.1f} 100")
        points.append(f"L{x:.1f} {100 - 100 * height:.1f}")
        last = float(t)
    if last is None:
        return ""
    return f'<path d="{"".join(points)}L{min(1000.0, 1000 * (last + step) / end):.1f} 100Z"/>'


def _svg(shapes: str, kind: str) -> str:
    return f'<svg class="{kind}" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">{shapes}</svg>'


def _words(analysis: Analysis, end: float) -> str:
    assert analysis.words is not None
    found = []
    for segment in analysis.words.segments:
        for start, stop, text in _phrases(segment) if end <= WORDWISE_S else [(segment.start_s, segment.end_s, segment.text.strip())]:
            found.append(_mark(start, stop, end, text, f"{clock(start)} {text}", "em-word"))
    return "".join(found)


def _phrases(segment: Segment) -> list[tuple[float, float, str]]:
    """Words between two pauses, with begin and end."""
    found: list[tuple[float, float, str]] = []
    for word in segment.words:
        if found and word.start_s - found[-1][1] < PAUSE_S:
            found[-1] = (found[-1][0], word.end_s, f"{found[-1][2]} {word.text.strip()}")
        else:
            found.append((word.start_s, word.end_s, word.text.strip()))
    return found or [(segment.start_s, segment.end_s, segment.text.strip())]
