"""An Analysis as JSON numbers and back, for the two ends of a connection. Features stay where they were computed.

For people and programs there is `report`; this form only has to lose nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from emollm.units import UNITS
from emollm.values import Analysis, FaceReading, FaceTrack, Floats, Motion, Segment, Transcript, VoiceCurve, VoiceReading, Word

DECIMALS = 6


def plain(value: Any) -> Any:
    """Values, arrays and mappings as what JSON knows; a number that is not finite becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return round(value, DECIMALS) if np.isfinite(value) else None
    return value


def measurements(analysis: Analysis) -> dict[str, Any]:
    """All of an analysis but its features, as JSON."""
    return {field.name: plain(getattr(analysis, field.name)) for field in fields(analysis) if field.name != "features"}


def analysis_from(data: Mapping[str, Any]) -> Analysis:
    """The analysis whose measurements these are, without features.

    Raises:
        KeyError, TypeError, ValueError: If the data were not written by `measurements`.
    """
    voice, words = data["voice"], data["words"]
    return Analysis(
        name=data["name"],
        kind=data["kind"],
        digest=data["digest"],
        duration_s=data["duration_s"],
        faces=tuple(_face(face) for face in data["faces"]),
        voice=None if voice is None else _voice(voice),
        words=None if words is None else Transcript(words["language"], tuple(_segment(row) for row in words["segments"])),
        missing=data["missing"],
        features={},
        timings_s=data["timings_s"],
        warnings=tuple(data["warnings"]),
    )


def _floats(rows: Any, *width: int) -> Floats:
    return np.array(rows, np.float64).reshape(-1, *width)  # None becomes NaN; an empty list keeps its width


def _face(data: Mapping[str, Any]) -> FaceReading:
    track = data["track"]
    labels = tuple(data["labels"])
    return FaceReading(
        track=FaceTrack(
            index=np.array(track["index"], np.int64),
            times_s=_floats(track["times_s"]),
            boxes=_floats(track["boxes"], 4),
            landmarks=_floats(track["landmarks"], 468, 3),
            irises=_floats(track["irises"], 2, 3),
            scores=_floats(track["scores"]),
        ),
        labels=labels,
        scores=_floats(data["scores"], len(labels)),
        cues=tuple(data["cues"]),
        pose=None if data.get("pose") is None else _floats(data["pose"], 3),
        units=None if data.get("units") is None else _floats(data["units"], len(UNITS)),
        condition=None if data.get("condition") is None else _floats(data["condition"], 3),
        motions=tuple(Motion(**row) for row in data.get("motions", ())),
    )


def _segment(data: Mapping[str, Any]) -> Segment:
    return Segment(
        data["start_s"], data["end_s"], data["text"], tuple(Word(**word) for word in data.get("words", ())), data.get("scores") or {}
    )


def _voice(data: Mapping[str, Any]) -> VoiceReading:
    return VoiceReading(
        spans_s=tuple((start, end) for start, end in data["spans_s"]),
        labels=tuple(data["labels"]),
        scores=_floats(data["scores"]),
        pitch_hz=_or_nan(data["pitch_hz"]),
        pitch_range_st=_or_nan(data["pitch_range_st"]),
        loudness_db=_or_nan(data["loudness_db"]),
        cues=tuple(data["cues"]),
        speakers=tuple(data.get("speakers", ())),
        pieces_s=tuple((start, end) for start, end in data.get("pieces_s", ())),
        piece_scores=None if data.get("piece_scores") is None else _floats(data["piece_scores"], len(data["labels"])),
        dimensions=None if data.get("dimensions") is None else _floats(data["dimensions"], 3),
        curve=None if data.get("curve") is None else VoiceCurve(*(_floats(data["curve"][f.name]) for f in fields(VoiceCurve))),
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
