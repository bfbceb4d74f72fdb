"""The transcript as SRT or WebVTT, each line tagged with the emotions seen and heard while it was said."""

from __future__ import annotations

import textwrap

import numpy as np

from emollm.exports.report import voice_during
from emollm.values import Analysis, Segment

LINE = 42  # letters a line, as subtitles are usually set
_LEAST_S = 0.3


def to_srt(analysis: Analysis) -> str:
    """SubRip text; empty where no words were heard."""
    blocks = []
    for number, segment in enumerate(_segments(analysis), 1):
        begin, end = (_clock(t, ",") for t in _times(segment))
        blocks.append(f"{number}\n{begin} --> {end}\n{_body(analysis, segment)}\n")
    return "\n".join(blocks)


def to_vtt(analysis: Analysis) -> str:
    """WebVTT text; only its header where no words were heard."""
    blocks = ["WEBVTT\n"]
    for segment in _segments(analysis):
        begin, end = (_clock(t, ".") for t in _times(segment))
        body = _body(analysis, segment).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{begin} --> {end}\n{body}\n")
    return "\n".join(blocks)


def _segments(analysis: Analysis) -> tuple[Segment, ...]:
    return analysis.words.segments if analysis.words is not None else ()


def _times(segment: Segment) -> tuple[float, float]:
    return segment.start_s, max(segment.end_s, segment.start_s + _LEAST_S)


def _body(analysis: Analysis, segment: Segment) -> str:
    """A tag such as "[face: happy, voice: sad]" and the words; an arrow inside the words would break the format."""
    tags = [f"{name}: {label}" for name, label in (("face", _face(analysis, segment)), ("voice", _voice(analysis, segment))) if label]
    words = " ".join(segment.text.replace("-->", "->").split())
    return "\n".join(([f"[{', '.join(tags)}]"] if tags else []) + textwrap.wrap(words, LINE))


def _face(analysis: Analysis, segment: Segment) -> str | None:
    """What the main character's face shows most while the words are said."""
    if not analysis.faces:
        return None
    reading = analysis.faces[0]
    during = (reading.track.times_s >= segment.start_s - 0.05) & (reading.track.times_s <= segment.end_s + 0.05)
    return reading.labels[int(np.mean(reading.scores[during], axis=0).argmax())] if during.any() else None


def _voice(analysis: Analysis, segment: Segment) -> str | None:
    voice = analysis.voice
    return voice.labels[int(voice_during(voice, segment.start_s, segment.end_s).argmax())] if voice is not None else None


def _clock(seconds: float, point: str) -> str:
    whole = max(0, round(seconds * 1000))
    hours, rest = divmod(whole, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02d}:{minutes:02d}:{rest // 1000:02d}{point}{rest % 1000:03d}"
