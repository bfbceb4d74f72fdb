"""An Analysis as plain data for people and programs: evidence, timeline, transcript. The one place where they take their outside shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emollm.motion import moves
from emollm.values import MODALITIES, Analysis, FaceReading, Floats, VoiceReading
from emollm.verdict import EMOTIONS, SURE, Moment, Verdict

LEAST_STRETCH_S = 0.25


def _scores(labels: tuple[str, ...], values: Floats) -> dict[str, float]:
    order = np.argsort(-np.asarray(values))
    return {labels[i]: round(float(values[i]), 4) for i in order}


def evidence(analysis: Analysis) -> dict[str, Any]:
    """What each modality shows, or why it is absent: {"face": {...}, "voice": {...}, "words": {...}}."""
    found: dict[str, Any] = {m: {"present": False, "reason": analysis.missing.get(m, "not measured")} for m in MODALITIES}
    if analysis.faces:
        found["face"] = _face(analysis.faces[0]) | {"faces": len(analysis.faces)}
    if analysis.voice is not None:
        found["voice"] = _voice(analysis.voice)
    if analysis.words is not None:
        found["words"] = {"present": True, "language": analysis.words.language, "text": analysis.words.text}
    return found


def _face(reading: FaceReading) -> dict[str, Any]:
    mean = reading.scores.mean(0)
    top = int(mean.argmax())
    return {
        "present": True,
        "label": reading.labels[top],
        "score": round(float(mean[top]), 4),
        "scores": _scores(reading.labels, mean),
        "cues": list(reading.cues),
        "moves": [{"start_s": when, "what": list(what)} for when, what in moves(reading.motions)],
        "seen_s": [round(float(reading.track.times_s[0]), 2), round(float(reading.track.times_s[-1]), 2)],
        "box": [round(float(v), 1) for v in reading.track.boxes[len(reading.track.boxes) // 2]],
    }


def _voice(reading: VoiceReading) -> dict[str, Any]:
    top = int(reading.scores.argmax())
    return {
        "present": True,
        "label": reading.labels[top],
        "score": round(float(reading.scores[top]), 4),
        "scores": _scores(reading.labels, reading.scores),
        "cues": list(reading.cues),
        "pitch_hz": None if np.isnan(reading.pitch_hz) else round(reading.pitch_hz, 1),
        "pitch_range_st": None if np.isnan(reading.pitch_range_st) else round(reading.pitch_range_st, 1),
        "loudness_db": round(reading.loudness_db, 1),
        "spans_s": [list(s) for s in reading.spans_s],
        "speakers": list(_speakers(reading)),
    } | dimensions(reading)


def timeline(analysis: Analysis) -> list[dict[str, Any]]:
    """Stretches of constant expression, of speech and of words, by start time."""
    rows: list[dict[str, Any]] = []
    for person, reading in enumerate(analysis.faces):
        rows += [row | {"person": person} for row in face_stretches(reading, analysis.duration_s)]
    if analysis.voice is not None:
        rows += [
            {"start_s": a, "end_s": b, "modality": "voice", "person": who} | _heard(analysis.voice, a, b)
            for (a, b), who in zip(analysis.voice.spans_s, _speakers(analysis.voice), strict=True)
        ]
    if analysis.words is not None:
        rows += [
            {"start_s": s.start_s, "end_s": s.end_s, "modality": "words", "text": s.text} | _read(s.scores) for s in analysis.words.segments
        ]
    return sorted(rows, key=lambda row: (row["start_s"], row["modality"]))


def dimensions(voice: VoiceReading) -> dict[str, float]:
    """Arousal, valence and dominance over the clip, -1 to 1; empty where they were not measured."""
    if voice.dimensions is None:
        return {}
    seconds = np.array([b - a for a, b in voice.pieces_s])
    means = (voice.dimensions * seconds[:, None]).sum(0) / seconds.sum()
    return {name: round(float(v), 3) for name, v in zip(("arousal", "valence", "dominance"), means, strict=True)}


def voice_pieces(voice: VoiceReading) -> list[dict[str, Any]]:
    """Every stretch of about four seconds that was judged by itself."""
    if voice.piece_scores is None or voice.dimensions is None:
        return []
    return [
        {
            "start_s": a, "end_s": b, "scores": _scores(voice.labels, scores),
            "arousal": round(float(d[0]), 3), "valence": round(float(d[1]), 3), "dominance": round(float(d[2]), 3),
        }
        for (a, b), scores, d in zip(voice.pieces_s, voice.piece_scores, voice.dimensions, strict=True)
    ]  # fmt: skip


def voice_during(voice: VoiceReading, start_s: float, end_s: float) -> Floats:
    """[C] how the voice sounds between two moments: its pieces there, each by how much of it lies inside."""
    if voice.piece_scores is None:
        return voice.scores
    shares = np.array([max(0.0, min(b, end_s) - max(a, start_s)) for a, b in voice.pieces_s])
    return np.asarray(shares @ voice.piece_scores / shares.sum()) if shares.sum() > 0 else voice.scores


def _read(scores: Mapping[str, float]) -> dict[str, Any]:
    """The leading emotion of words, where they were read."""
    if not scores:
        return {}
    label = max(scores, key=lambda name: scores[name])
    return {"label": label, "score": scores[label]}


def _heard(voice: VoiceReading, start_s: float, end_s: float) -> dict[str, Any]:
    scores = voice_during(voice, start_s, end_s)
    top = int(scores.argmax())
    return {"label": voice.labels[top], "score": round(float(scores[top]), 4)}


def joined(verdict: Verdict | None) -> dict[str, Any] | None:
    """The verdict over all modalities as plain data; None where there was neither face nor voice."""
    if verdict is None:
        return None
    return {
        "label": verdict.label,
        "confidence": round(verdict.confidence, 4),
        "sure": verdict.confidence >= SURE,
        "scores": _scores(EMOTIONS, verdict.scores),
        "moments": [_moment(m) for m in verdict.moments],
        "disagreements": [
            {
                "start_s": round(d.start_s, 2), "end_s": round(d.end_s, 2), "person": d.person,
                d.first[0]: d.first[1], d.second[0]: d.second[1], "text": d.text,
            }
            for d in verdict.disagreements
        ],
    }  # fmt: skip


def _moment(moment: Moment) -> dict[str, Any]:
    return {
        "start_s": round(moment.start_s, 2),
        "end_s": round(moment.end_s, 2),
        "person": moment.person,
        "label": moment.label,
        "score": round(moment.confidence, 4),
        **moment.sides,
    }


def _speakers(voice: VoiceReading) -> tuple[int | None, ...]:
    return voice.speakers or (None,) * len(voice.spans_s)


def face_stretches(reading: FaceReading, duration_s: float) -> list[dict[str, Any]]:
    """One track to stretches with the same leading expression; flickers shorter than a quarter second are smoothed away."""
    times, scores = reading.track.times_s, reading.scores
    if len(times) > 4:
        kernel = np.ones(3) / 3
        padded = np.pad(scores, ((1, 1), (0, 0)), mode="edge")
        scores = np.stack([np.convolve(padded[:, c], kernel, "valid") for c in range(scores.shape[1])], 1)
    tops = scores.argmax(1)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    rows: list[dict[str, Any]] = []
    begin = 0
    for i in range(1, len(tops) + 1):
        if i < len(tops) and tops[i] == tops[begin] and times[i] - times[i - 1] < 4 * step + 0.01:
            continue
        start, end = float(times[begin]), float(min(times[i - 1] + step, max(duration_s, times[i - 1])))
        if end - start >= LEAST_STRETCH_S or len(tops) < 4:
            label = reading.labels[int(tops[begin])]
            if rows and rows[-1]["label"] == label and start - rows[-1]["end_s"] < 0.6:
                rows[-1]["end_s"] = round(end, 2)
            else:
                score = round(float(scores[begin:i, tops[begin]].mean()), 4)
                rows.append({"start_s": round(start, 2), "end_s": round(end, 2), "modality": "face", "label": label, "score": score})
        begin = i
    return rows


def transcript(analysis: Analysis) -> dict[str, Any] | None:
    """Language and segments, or None when no words were heard."""
    if analysis.words is None:
        return None
    segments = [
        {
            "start_s": s.start_s,
            "end_s": s.end_s,
            "text": s.text,
            **({"scores": dict(s.scores)} if s.scores else {}),
            "words": [{"start_s": w.start_s, "end_s": w.end_s, "text": w.text, "probability": w.probability} for w in s.words],
        }
        for s in analysis.words.segments
    ]
    return {"language": analysis.words.language, "segments": segments}
