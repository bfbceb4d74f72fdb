"""A transcript in the forms that OpenAI's transcription clients read: words alone, without the emotions that `exports.subtitles` adds."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from emollm.serving.answers import Transcription, TranscriptSegment, TranscriptWord
from emollm.values import Analysis, Segment, Transcript

LEAST_S = 0.1  # a line is shown at least so long


def transcription(analysis: Analysis, granularities: Collection[str]) -> Transcription:
    """`verbose_json`, with the stretches and words asked for."""
    words = analysis.words
    segments = words.segments if words is not None else ()
    told_words = [
        TranscriptWord(word=w.text.strip(), start=w.start_s, end=w.end_s, probability=w.probability) for s in segments for w in s.words
    ]
    return Transcription(
        text=words.text if words is not None else "",
        language=words.language if words is not None else None,
        duration=round(analysis.duration_s, 3),
        segments=[TranscriptSegment(id=i, start=s.start_s, end=s.end_s, text=s.text) for i, s in enumerate(segments)]
        if "segment" in granularities
        else None,
        words=told_words if "word" in granularities else None,
        warnings=list(analysis.warnings),
    )


def to_srt(words: Transcript | None) -> str:
    """SubRip; empty without words."""
    blocks = (f"{number}\n{begin} --> {end}\n{text}\n" for number, (begin, end, text) in enumerate(_lines(words, ","), 1))
    return "\n".join(blocks)


def to_vtt(words: Transcript | None) -> str:
    """WebVTT; its header alone without words."""
    escaped = ((a, b, t.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) for a, b, t in _lines(words, "."))
    return "\n".join(["WEBVTT\n", *(f"{begin} --> {end}\n{text}\n" for begin, end, text in escaped)])


def _lines(words: Transcript | None, point: str) -> Iterator[tuple[str, str, str]]:
    for segment in words.segments if words is not None else ():
        yield _clock(segment.start_s, point), _clock(_end(segment), point), " ".join(segment.text.replace("-->", "->").split())


def _end(segment: Segment) -> float:
    return max(segment.end_s, segment.start_s + LEAST_S)


def _clock(seconds: float, point: str) -> str:
    whole = max(0, round(seconds * 1000))
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}{point}{whole % 1000:03d}"
