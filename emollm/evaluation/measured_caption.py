"""A caption written straight from what was measured of a face, without a language model: what a system must add to."""

from __future__ import annotations

from collections.abc import Sequence

from emollm.motion import of_face, said, together
from emollm.values import Analysis, Motion

MOST = 99  # groups of movements told
CLAUSES = 4  # of one group, as in the captions of the truth
REST_S = 0.4
_WHEN = {"start": "Near the start,", "middle": "In the middle of the clip,", "end": "Near the end,"}


def measured_caption(analysis: Analysis) -> str:
    """What the main face does, in order; the first stretch of its speech is told as well."""
    if not analysis.faces:
        return "No face is visible."
    groups = [(min(m.start_s for m in g), g) for g in together(analysis.faces[0].motions, MOST)]
    speech = _speech(analysis)
    told: list[tuple[float, tuple[Motion, ...]]] = sorted(
        [*groups, *([(speech, ())] if speech is not None else [])], key=lambda row: row[0]
    )
    used: set[str] = set()
    out: list[str] = []
    for time_s, group in told:
        share = time_s / max(analysis.duration_s, 1e-6)
        part = "start" if share < 0.25 else "end" if share > 0.66 else "middle"
        when = "Then" if part in used else _WHEN[part]
        used.add(part)
        out += _sentences(group, when)
        end = max((m.end_s for m in group if of_face(m)), default=None)
        if end is not None and end < analysis.duration_s - REST_S and not any(time_s < t < end for t, _ in told):
            out.append("Then the face relaxes again.")
    return " ".join(out) or "At the beginning, the face is relaxed."


def _sentences(group: Sequence[Motion], when: str) -> list[str]:
    if not group:
        return [f"{when} the lips move as the person speaks."]
    out = []
    for motion in (m for m in group if not of_face(m)):
        out.append(f"{when} {said(motion)}.")
        when = "At the same time,"
    clauses = [said(m) for m in group if of_face(m)][:CLAUSES]
    return [*out, f"{when} {', '.join(clauses)}."] if clauses else out


def _speech(analysis: Analysis) -> float | None:
    """When the main person, or somebody whose mouth was not seen, begins to speak."""
    if analysis.voice is None:
        return None
    speakers = analysis.voice.speakers or (None,) * len(analysis.voice.spans_s)
    return next((span[0] for span, who in zip(analysis.voice.spans_s, speakers, strict=True) if who in (0, None)), None)
