"""What a user takes along or has deleted: exports packed for the browser to save, and the account of a deletion. Nothing is written to disk
that outlives the packing.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emollm.app.visits import Gone, Open, Visit
from emollm.errors import EmollmError, MediaError
from emollm.exports import subtitles, tables
from emollm.exports.figure import draw_timeline
from emollm.exports.html_report import html_report
from emollm.texts import Words

INSIDE_MB = 24  # largest clip that a report takes in
Parcel = dict[str, Any]  # name, type, and text or base64


def _json(clip: Open) -> str:
    return json.dumps(tables.to_plain(clip.analysis), ensure_ascii=False, allow_nan=False, indent=1)


def _moments(clip: Open) -> str:
    return tables.to_csv(tables.stretch_rows(clip.analysis), header=tables.STRETCH_HEADER)


def _frames(clip: Open) -> str:
    return tables.to_csv(tables.face_rows(clip.analysis), header=tables.FACE_HEADER)


TEXTS: dict[str, tuple[str, str, Callable[[Open], str]]] = {
    "json": (".json", "application/json", _json),
    "csv": (".moments.csv", "text/csv", _moments),
    "faces": (".frames.csv", "text/csv", _frames),
    "srt": (".srt", "application/x-subrip", lambda clip: subtitles.to_srt(clip.analysis)),
    "vtt": (".vtt", "text/vtt", lambda clip: subtitles.to_vtt(clip.analysis)),
}
KINDS = (*TEXTS, "png", "html", "html_clip", "chat")


def parcel(kind: str, visit: Visit, words: Words) -> Parcel:
    """One file for the browser to save, of the clips that are shown.

    Raises:
        EmollmError: If there is nothing to pack, or it is too large.
    """
    if kind == "chat":
        if not visit.turns:
            raise EmollmError(words("talk.empty"))
        text = "\n\n".join(f"{words('report.you')}: {t.shown or t.asked}\n\n{words('report.it')}: {t.answer}" for t in visit.turns)
        return {"name": "conversation.txt", "type": "text/plain", "text": text + "\n"}
    clips = visit.shown()
    if not clips:
        raise EmollmError(words("keep.nothing"))
    clip = clips[-1]
    stem = clip.path.stem
    if kind in ("srt", "vtt") and (clip.analysis.words is None or not clip.analysis.words.segments):
        raise EmollmError(words("keep.no_words"))
    if kind in TEXTS:
        ending, media, write = TEXTS[kind]
        return {"name": stem + ending, "type": media, "text": write(clip)}
    if kind == "png":
        return {"name": f"{stem}.png", "type": "image/png", "base64": _png(clip)}
    inside = kind == "html_clip"
    size = sum(one.path.stat().st_size for one in clips) / 1e6
    if inside and size > INSIDE_MB:
        raise MediaError(words("keep.big", found=f"{size:.0f}", most=INSIDE_MB), code="report_too_large")
    page = html_report(
        [(one.analysis, one.path if inside else None) for one in clips], words, [(t.shown or t.asked, t.answer) for t in visit.turns]
    )
    return {"name": f"{stem}.html", "type": "text/html", "text": page}


def _png(clip: Open) -> str:
    with tempfile.TemporaryDirectory(dir=clip.path.parent) as folder:
        path = draw_timeline(clip.analysis, Path(folder) / "timeline.png")
        return base64.b64encode(path.read_bytes()).decode()


def deleted(gone: Gone, stored: int, words: Words) -> str:
    """What a deletion took, in words."""
    parts = []
    if gone.clips:
        key = "keep.clip" if len(gone.clips) == 1 else "keep.clips"
        parts.append(words(key, number=len(gone.clips), names=", ".join(gone.clips)))
    if gone.messages:
        parts.append(words("keep.messages", number=gone.messages))
    if stored:
        parts.append(words("keep.stored", number=stored))
    return words("keep.deleted", list=words.joined(parts)) if parts else words("keep.deleted_none")
