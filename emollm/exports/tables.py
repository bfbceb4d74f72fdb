"""An Analysis to rows and columns: one row a frame and face, and one a stretch, under names that users of other tools know.

Column names follow OpenFace 2 (`frame`, `face_id`, `timestamp`, `confidence`, `pose_Rx`, `AU12_r`) and py-feat (`FaceRectX`, `FaceScore`,
`happiness`), so that scripts written for them go on working.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from emollm.exports import report
from emollm.exports.why import why_rows
from emollm.motion import said
from emollm.units import UNITS, action_units
from emollm.values import Analysis, FaceReading, Floats, Motion
from emollm.verdict import judge

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
PY_FEAT = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness", "sad": "sadness", "surprise": "surprise",
    "neutral": "neutral", "contempt": "contempt",
}  # fmt: skip
FACE_HEADER = (
    "frame", "face_id", "timestamp", "confidence", "success", "FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight", "FaceScore",
)  # fmt: skip
STRETCH_HEADER = ("start_s", "end_s", "modality", "person", "label", "score", "text")
_UNSAFE = ("=", "+", "-", "@")  # what a spreadsheet takes for a formula at the start of a cell


def face_rows(analysis: Analysis) -> list[Row]:
    """One row a frame and face, by time: where it is, how sure the mesh is, and every expression's share."""
    rows: list[Row] = []
    for person, reading in enumerate(analysis.faces):
        rows += [_face_row(person, reading, k) for k in range(len(reading.track.index))]
    return sorted(rows, key=lambda row: (row["frame"], row["face_id"]))


def _face_row(person: int, reading: FaceReading, k: int) -> Row:
    track = reading.track
    left, top, right, bottom = (float(v) for v in track.boxes[k])
    row: Row = {
        "frame": int(track.index[k]),
        "face_id": person,
        "timestamp": round(float(track.times_s[k]), 3),
        "confidence": round(float(track.scores[k]), 3),
        "success": 1,
        "FaceRectX": round(left, 1),
        "FaceRectY": round(top, 1),
        "FaceRectWidth": round(right - left, 1),
        "FaceRectHeight": round(bottom - top, 1),
        "FaceScore": round(float(track.scores[k]), 3),
    }
    if reading.pose is not None:
        yaw, pitch, roll = (math.radians(float(v)) for v in reading.pose[k])
        row |= {"pose_Rx": round(pitch, 3), "pose_Ry": round(yaw, 3), "pose_Rz": round(roll, 3)}
    for name, value in zip(reading.labels, reading.scores[k], strict=True):
        row[PY_FEAT.get(name, name)] = round(float(value), 4)
    if reading.units is not None:
        # OpenFace rates intensity from 0 to 5
        row |= {f"{name}_r": round(5 * float(v[0]), 2) for name, v in action_units(reading.units[k : k + 1]).items()}
    return row


def stretch_rows(analysis: Analysis) -> list[Row]:
    """One row a stretch of face, voice or words, and of all of them joined, by start time."""
    joined = report.joined(judge(analysis))
    moments = [m | {"modality": "joined"} for m in joined["moments"]] if joined else []
    clashes = [d | {"modality": "disagreement"} for d in joined["disagreements"]] if joined else []
    rows = sorted([*report.timeline(analysis), *moments, *clashes], key=lambda row: (row["start_s"], row["modality"]))
    return [{name: "" if row.get(name) is None else row[name] for name in STRETCH_HEADER} for row in rows]


def face_frame(analysis: Analysis) -> pd.DataFrame:
    """`face_rows` as a data frame; empty with no columns where there is no face."""
    import pandas as pd

    return pd.DataFrame(face_rows(analysis))


def stretch_frame(analysis: Analysis) -> pd.DataFrame:
    """`stretch_rows` as a data frame."""
    import pandas as pd

    return pd.DataFrame(stretch_rows(analysis))


def to_csv(rows: Sequence[Row], *, header: Sequence[str] = ()) -> str:
    """Rows as comma-separated text. Cells that a spreadsheet would run as a formula get an apostrophe.

    Args:
        rows: All with the same keys.
        header: Columns to write when there are no rows.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else list(header), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and (value.lstrip().startswith(_UNSAFE) or value.startswith(("\t", "\r"))):
        return "'" + value
    if isinstance(value, float) and not math.isfinite(value):
        return ""
    return value


def _rows_or_none(values: Floats) -> list[list[float] | None]:
    """Rows [n, d] rounded; None for a row that is not a number, which JSON cannot hold."""
    return [np.round(row, 1).tolist() if np.isfinite(row).all() else None for row in values]


def _curve(analysis: Analysis) -> dict[str, list[float | None]] | None:
    """Pitch and loudness ten times a second; None for a pitch where there is none."""
    curve = analysis.voice.curve if analysis.voice is not None else None
    if curve is None:
        return None
    pitch = [round(float(v), 1) if np.isfinite(v) else None for v in curve.pitch_hz]
    return {"times_s": np.round(curve.times_s, 2).tolist(), "pitch_hz": pitch, "level_db": np.round(curve.level_db, 1).tolist()}


def _column(values: Floats | None, k: int) -> list[float] | None:
    return np.round(values[:, k], 3).tolist() if values is not None else None


def _motion(motion: Motion) -> dict[str, Any]:
    times = {name: round(getattr(motion, name), 3) for name in ("start_s", "peak_s", "end_s")}
    return times | {"name": motion.name, "side": motion.side, "strength": round(motion.strength, 3), "text": said(motion)}


def to_plain(analysis: Analysis) -> dict[str, Any]:
    """Everything measured as one plain object, frame by frame; the file name is the user's own and is kept."""
    people = []
    for person, reading in enumerate(analysis.faces):
        people.append(
            {
                "id": person,
                "main": person == 0,
                "seen_s": [round(float(reading.track.times_s[0]), 3), round(float(reading.track.times_s[-1]), 3)],
                "labels": list(reading.labels),
                "mean_scores": [round(float(v), 4) for v in reading.scores.mean(0)],
                "cues": list(reading.cues),
                "frames": reading.track.index.tolist(),
                "times_s": np.round(reading.track.times_s, 3).tolist(),
                "boxes": np.round(reading.track.boxes, 1).tolist(),
                "confidence": np.round(reading.track.scores, 3).tolist(),
                "scores": np.round(reading.scores, 4).tolist(),
                "intensity": _column(reading.condition, 0),
                "hidden": _column(reading.condition, 1),
                "sharpness": _column(reading.condition, 2),
                "pose_degrees": _rows_or_none(reading.pose) if reading.pose is not None else None,
                "unit_names": list(UNITS) if reading.units is not None else None,
                "units": np.round(reading.units, 3).tolist() if reading.units is not None else None,
                "motions": [_motion(one) for one in reading.motions],
            }
        )
    verdict = judge(analysis)
    return {
        "name": analysis.name,
        "kind": analysis.kind,
        "sha256": analysis.digest,
        "duration_s": round(analysis.duration_s, 3),
        "note": "Scores are perceived expression: what people would say they see or hear. They are not inner states.",
        "people": people,
        "verdict": report.joined(verdict),
        "peaks": why_rows(analysis, verdict) if verdict is not None else [],
        "evidence": report.evidence(analysis),
        "timeline": report.timeline(analysis),
        "voice_pieces": report.voice_pieces(analysis.voice) if analysis.voice is not None else [],
        "voice_curve": _curve(analysis),
        "transcript": report.transcript(analysis),
        "warnings": list(analysis.warnings),
        "timings_s": {k: round(v, 3) for k, v in analysis.timings_s.items()},
    }
